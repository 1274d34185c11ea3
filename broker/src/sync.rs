//! Locks of the shell.

use std::sync::{Mutex, MutexGuard};

/// Locks, and goes on with what a panicking thread left behind: every critical section leaves the guarded value whole before
/// it calls anything that can panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
