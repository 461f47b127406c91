//! Counters that different workers write lie on cache lines of their own, or each write would take
//! the line away from the others.

use std::ops::Deref;

/// Something on cache lines of its own: two of 64 bytes, because x86 fetches lines in pairs, and
/// other processors have lines of 128.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Padded<T>(pub(super) T);

impl<T> Deref for Padded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
