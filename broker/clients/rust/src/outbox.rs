//! The queue between the program's calls and the connection's writer: bounded in bytes, in the order of the calls.
//!
//! Publishing is a push under a lock that is held for nanoseconds; the writer takes everything that waits at once, so
//! many requests become one write without a timer.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::error::ClosedReason;
use crate::request::Request;

#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    bytes_max: usize,
    /// For the writer: there is something to do.
    wake: Notify,
    /// For publishers that found the queue full.
    room: Notify,
}

/// What waits to be written. Filled by the program's tasks, emptied by the connection's.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    requests: VecDeque<Request>,
    bytes: usize,
    closed: Option<ClosedReason>,
}

impl Queue {
    pub(crate) fn first(&self) -> Option<&Request> {
        self.requests.front()
    }

    pub(crate) fn pop(&mut self) -> Option<Request> {
        let request = self.requests.pop_front()?;
        self.bytes -= request.bytes();
        Some(request)
    }

    /// Puts back what was taken, to be the first again.
    pub(crate) fn push_front(&mut self, request: Request) {
        self.bytes += request.bytes();
        self.requests.push_front(request);
    }
}

impl Outbox {
    pub(crate) fn new(bytes_max: usize) -> Outbox {
        Outbox { queue: Mutex::default(), bytes_max, wake: Notify::new(), room: Notify::new() }
    }

    /// Appends without regard to the bound: for requests that are small and rare.
    pub(crate) fn push(&self, request: Request) -> Result<(), ClosedReason> {
        self.push_while(&mut std::iter::once(request).peekable(), |_| true)
    }

    /// Waits until the queue has room, then appends. Safe to cancel: the request is in the queue or it is not.
    pub(crate) async fn push_when_room(&self, request: Request) -> Result<(), ClosedReason> {
        self.room().await;
        self.push(request)
    }

    /// Appends many, as many at a time as there is room for.
    pub(crate) async fn push_all_when_room(&self, requests: impl Iterator<Item = Request>) -> Result<(), ClosedReason> {
        let mut requests = requests.peekable();
        while requests.peek().is_some() {
            self.room().await;
            self.push_while(&mut requests, |queue| queue.bytes < self.bytes_max)?;
        }
        Ok(())
    }

    fn push_while(
        &self,
        requests: &mut Peekable<impl Iterator<Item = Request>>,
        room: impl Fn(&Queue) -> bool,
    ) -> Result<(), ClosedReason> {
        let mut queue = self.lock();
        if let Some(reason) = &queue.closed {
            return Err(reason.clone());
        }
        let was_empty = queue.requests.is_empty();
        while room(&queue)
            && let Some(request) = requests.next()
        {
            queue.bytes += request.bytes();
            queue.requests.push_back(request);
        }
        drop(queue);
        // Who finds the queue empty wakes the writer; for the others somebody has.
        if was_empty {
            self.wake();
        }
        Ok(())
    }

    /// Waits until less than the bound is queued, or the client is over. One request may then overshoot it, so that one
    /// larger than the bound is not stuck for ever.
    pub(crate) async fn room(&self) {
        loop {
            let freed = self.room.notified();
            tokio::pin!(freed);
            // Listen before looking, or the notice between the two is lost.
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
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the publishers that wait, if there is room for any.
    pub(crate) fn freed(&self, queue: &Queue) {
        if queue.bytes < self.bytes_max {
            self.room.notify_waiters();
        }
    }

    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits for [`Outbox::wake`]. A wake-up that came before counts.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().requests.is_empty()
    }

    /// Takes nothing more.
    pub(crate) fn close(&self, reason: ClosedReason) {
        self.lock().closed = Some(reason);
        self.wake();
        self.room.notify_waiters();
    }

    pub(crate) fn closed(&self) -> Option<ClosedReason> {
        self.lock().closed.clone()
    }

    /// Everything that will not be written any more.
    pub(crate) fn drain(&self) -> VecDeque<Request> {
        let mut queue = self.lock();
        queue.bytes = 0;
        std::mem::take(&mut queue.requests)
    }
}
