//! What a choice looks at beside the endpoints' shares.

use super::Latency;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// An endpoint as a choice sees it, read from what all threads count together.
pub trait Candidate {
    /// How many requests it has in flight, from all threads.
    fn in_flight(&self) -> u32;

    /// How long it took of late.
    fn latency(&self) -> &Latency;
}

impl<C: Candidate + ?Sized> Candidate for &C {
    fn in_flight(&self) -> u32 {
        (**self).in_flight()
    }

    fn latency(&self) -> &Latency {
        (**self).latency()
    }
}

impl<C: Candidate + ?Sized> Candidate for Arc<C> {
    fn in_flight(&self) -> u32 {
        (**self).in_flight()
    }

    fn latency(&self) -> &Latency {
        (**self).latency()
    }
}

/// What an endpoint is wanted for.
#[derive(Debug)]
pub struct Asked<'a, R> {
    /// Whose turn it is on this thread.
    pub turn: &'a Turn,
    /// Gives random numbers, each bit as likely set as not.
    pub random: R,
    /// The hash of what the request is kept together by, from [`hash_key`](super::hash_key). Without
    /// one, a ring is entered anywhere.
    pub key: Option<u64>,
    /// The time.
    pub now: Instant,
    /// How many requests the endpoints that have shares have in flight together. Those of others
    /// may be in it: a bound on loads is then as much wider.
    pub in_flight: u64,
}

/// Whose turn it is, on one thread.
///
/// An atomic for no other reason than to be shared with the thread that reads along: only one thread
/// takes turns, so that a load and a store do what would else be a locked addition. Were there two
/// after all, some turns would be taken twice.
#[derive(Debug, Default)]
pub struct Turn(AtomicU64);

impl Turn {
    /// Begins at a turn. Threads that begin at random ones do not all ask the same endpoint at once.
    pub fn new(start: u64) -> Self {
        // A counter that runs on from here takes longer than the machine lasts.
        Turn(AtomicU64::new(start >> 1))
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, turn: u64) {
        self.0.store(turn, Ordering::Relaxed);
    }
}
