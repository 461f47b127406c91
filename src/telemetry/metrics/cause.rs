//! Counters by cause, for things that go wrong in a known number of ways.
//!
//! A cause appears in the exposition from its first occurrence on: most services never
//! see most causes, and a page of zeros hides what matters.

use std::sync::OnceLock;

use prometheus::{IntCounter, IntCounterVec};

/// One owner's counters, one slot for each of `N` causes.
pub(super) struct Causes<const N: usize> {
    family: IntCounterVec,
    owner: Box<str>,
    slots: [OnceLock<IntCounter>; N],
}

impl<const N: usize> Causes<N> {
    /// Takes a family whose labels are the owner and the cause, in this order.
    pub(super) fn new(family: &IntCounterVec, owner: &str) -> Causes<N> {
        Causes {
            family: family.clone(),
            owner: owner.into(),
            slots: [const { OnceLock::new() }; N],
        }
    }

    /// Counts one occurrence of the cause at `slot`, whose label value is `label`.
    pub(super) fn count(&self, slot: usize, label: &'static str) {
        self.slots[slot]
            .get_or_init(|| self.family.with_label_values(&[&*self.owner, label]))
            .inc();
    }
}
