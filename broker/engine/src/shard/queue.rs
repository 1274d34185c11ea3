//! Whose turn is next: connections with something to send, in the order in which they were queued.

use std::collections::VecDeque;

use super::conn::QueueState;
use super::id::ConnId;

/// The connections of a shard that wait for their turn. A connection is in at most one of the three; its `QueueState`
/// says whether.
#[derive(Default)]
pub(super) struct Queue {
    /// Connections in step.
    ready: VecDeque<ConnId>,
    /// Connections that catch up, or whose requests are long: they come after the ready ones. With each, the bytes that
    /// its request holds.
    later: VecDeque<(ConnId, usize)>,
    /// Their sum.
    request_bytes: usize,
    /// Connections whose minimum gap between two writes has not passed, with the end of the gap, in order.
    delayed: VecDeque<(u64, ConnId)>,
}

impl Queue {
    /// Adds a connection to the ready ones, unless it already waits or its socket is full.
    #[inline]
    pub(super) fn push(&mut self, id: ConnId, state: &mut QueueState) {
        if *state == QueueState::Idle {
            *state = QueueState::Queued;
            self.ready.push_back(id);
        }
    }

    /// The same, after the ready ones. Its request, if one is under way, holds `request_bytes`.
    pub(super) fn push_later(&mut self, id: ConnId, state: &mut QueueState, request_bytes: usize) {
        if *state == QueueState::Idle {
            *state = QueueState::Queued;
            self.later.push_back((id, request_bytes));
            self.request_bytes += request_bytes;
        }
    }

    /// Delays a connection whose turn it was. Times must not fall from one call to the next.
    pub(super) fn delay(&mut self, id: ConnId, state: &mut QueueState, until_us: u64) {
        *state = QueueState::Delayed;
        self.delayed.push_back((until_us, id));
    }

    /// Queues a parked connection whose socket takes bytes again. Returns false if it was not parked.
    pub(super) fn unpark(&mut self, id: ConnId, state: &mut QueueState) -> bool {
        let was_parked = *state == QueueState::Parked;
        if was_parked {
            *state = QueueState::Idle;
            self.push(id, state);
        }
        was_parked
    }

    /// Takes the next of the ready ones. It counts as queued until its `QueueState` is set to something else.
    pub(super) fn pop(&mut self) -> Option<ConnId> {
        self.ready.pop_front()
    }

    /// Takes the next of those that come after the ready ones.
    pub(super) fn pop_later(&mut self) -> Option<ConnId> {
        let (id, request_bytes) = self.later.pop_front()?;
        self.request_bytes -= request_bytes;
        Some(id)
    }

    /// What the requests hold that wait to be continued.
    pub(super) fn request_bytes(&self) -> usize {
        self.request_bytes
    }

    /// Takes the next whose delay has passed.
    pub(super) fn pop_delayed(&mut self, now_us: u64) -> Option<ConnId> {
        let (until_us, id) = *self.delayed.front()?;
        if until_us > now_us {
            return None;
        }
        self.delayed.pop_front();
        Some(id)
    }

    /// When the first delay will have passed, on the monotonic clock in µs.
    pub(super) fn next_delayed_us(&self) -> Option<u64> {
        self.delayed.front().map(|(until_us, _)| *until_us)
    }

    /// The number of ready ones, and of those after them.
    pub(super) fn len(&self) -> (usize, usize) {
        (self.ready.len(), self.later.len())
    }

    /// Whether no connection has a turn now. Some may be delayed.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.later.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_queued_once_and_the_later_ones_apart() {
        let (mut queue, mut turns) = (Queue::default(), [QueueState::Idle; 4]);
        queue.push_later(3, &mut turns[3], 5);
        for id in [1, 0, 1, 3] {
            queue.push(id, &mut turns[id as usize]);
        }
        assert_eq!((queue.len(), turns[2]), ((2, 1), QueueState::Idle));
        assert_eq!([queue.pop(), queue.pop(), queue.pop()], [Some(1), Some(0), None]);
        assert!(!queue.is_empty());
        assert_eq!(queue.request_bytes(), 5);
        assert_eq!((queue.pop_later(), queue.is_empty(), queue.request_bytes()), (Some(3), true, 0));
    }

    #[test]
    fn parked_and_delayed_connections_are_not_queued() {
        let (mut queue, mut parked, mut delayed) = (Queue::default(), QueueState::Parked, QueueState::Idle);
        queue.push(0, &mut parked);
        queue.delay(1, &mut delayed, 50);
        queue.push(1, &mut delayed);
        assert!(queue.is_empty());
        assert_eq!((queue.next_delayed_us(), queue.pop_delayed(49)), (Some(50), None));
        assert_eq!((queue.pop_delayed(50), queue.next_delayed_us()), (Some(1), None));
        assert!(queue.unpark(0, &mut parked) && !queue.unpark(0, &mut parked));
        assert_eq!((queue.pop(), queue.pop()), (Some(0), None));
    }
}
