//! Locks whose holders cannot leave a half-made change behind.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock, also one whose holder has panicked: what these locks guard is whole at any time, so
/// that a panic costs its own request and not everybody's.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
