//! The client's locks.

use std::sync::{Mutex, MutexGuard};

/// Locks a mutex, also after a thread panicked with it: every critical section leaves the guarded value consistent
/// before it calls anything that can panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
