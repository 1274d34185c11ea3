//! The queue between the program's calls and the connection's writer: bounded in bytes, in the order of the calls.
//!
//! Publishing is a push under a lock that is held for nanoseconds. The writer takes everything that waits at once, so
//! many requests become one write without a timer.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::error::ClosedReason;
use crate::request::Call;
use crate::sync::lock;

#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    bytes_max: usize,
    /// Notifies the writer that there is something to do.
    wake: Notify,
    /// Notifies publishers that found the queue full.
    room: Notify,
}

/// The calls that wait to be written. Filled by the program's tasks, emptied by the connection's task.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    calls: VecDeque<Call>,
    bytes: usize,
    closed: Option<ClosedReason>,
}

impl Queue {
    pub(crate) fn first(&self) -> Option<&Call> {
        self.calls.front()
    }

    pub(crate) fn pop(&mut self) -> Option<Call> {
        let call = self.calls.pop_front()?;
        self.bytes -= call.bytes();
        Some(call)
    }

    /// Puts a call that was taken back to the front.
    pub(crate) fn push_front(&mut self, call: Call) {
        self.bytes += call.bytes();
        self.calls.push_front(call);
    }
}

impl Outbox {
    pub(crate) fn new(bytes_max: usize) -> Outbox {
        Outbox { queue: Mutex::default(), bytes_max, wake: Notify::new(), room: Notify::new() }
    }

    /// Appends a call regardless of the bound: for calls that are small and rare.
    pub(crate) fn push(&self, call: Call) -> Result<(), ClosedReason> {
        self.push_while(&mut std::iter::once(call).peekable(), |_| true)
    }

    /// Waits until the queue has room, then appends a call. Safe to cancel: the call is in the queue or it is not.
    pub(crate) async fn push_when_room(&self, call: Call) -> Result<(), ClosedReason> {
        self.room().await;
        self.push(call)
    }

    /// Appends calls, as many at a time as there is room for.
    pub(crate) async fn push_all_when_room(&self, calls: impl Iterator<Item = Call>) -> Result<(), ClosedReason> {
        let mut calls = calls.peekable();
        while calls.peek().is_some() {
            self.room().await;
            self.push_while(&mut calls, |queue| queue.bytes < self.bytes_max)?;
        }
        Ok(())
    }

    fn push_while(
        &self,
        calls: &mut Peekable<impl Iterator<Item = Call>>,
        room: impl Fn(&Queue) -> bool,
    ) -> Result<(), ClosedReason> {
        let mut queue = self.lock();
        if let Some(reason) = &queue.closed {
            return Err(reason.clone());
        }
        let was_empty = queue.calls.is_empty();
        while room(&queue)
            && let Some(call) = calls.next()
        {
            queue.bytes += call.bytes();
            queue.calls.push_back(call);
        }
        drop(queue);
        // The caller that finds the queue empty wakes the writer. If it was not empty, an earlier caller has.
        if was_empty {
            self.wake();
        }
        Ok(())
    }

    /// Waits until less than the bound is queued, or the client is over. One call may then exceed the bound, so that a
    /// call larger than the bound is not stuck forever.
    pub(crate) async fn room(&self) {
        loop {
            let freed = self.room.notified();
            tokio::pin!(freed);
            // Register before checking, or a notification between the two is lost.
            freed.as_mut().enable();
            {
                let queue = self.lock();
                if queue.bytes < self.bytes_max || queue.closed.is_some() {
                    return;
                }
            }
            freed.await;
        }
    }

    /// The writer's access. Call [`Outbox::freed`] after taking something.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    /// Wakes the publishers that wait, if there is room.
    pub(crate) fn freed(&self, queue: &Queue) {
        if queue.bytes < self.bytes_max {
            self.room.notify_waiters();
        }
    }

    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits for [`Outbox::wake`]. A wake-up from before the call counts.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().calls.is_empty()
    }

    /// Refuses calls from now on.
    pub(crate) fn close(&self, reason: ClosedReason) {
        self.lock().closed = Some(reason);
        self.wake();
        self.room.notify_waiters();
    }

    pub(crate) fn closed(&self) -> Option<ClosedReason> {
        self.lock().closed.clone()
    }

    /// Takes out the calls that will never be written.
    pub(crate) fn drain(&self) -> VecDeque<Call> {
        let mut queue = self.lock();
        queue.bytes = 0;
        std::mem::take(&mut queue.calls)
    }
}
