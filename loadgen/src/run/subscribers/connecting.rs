//! The subscribers that have to connect, those that are connecting, and how many may connect at once.

use std::collections::VecDeque;

/// How long a connection may take until its subscriptions are in effect.
pub(in crate::run) const HANDSHAKE_NS: u64 = 10_000_000_000;

/// The connections that one thread is making. A subscriber is named by its index in the thread.
pub(in crate::run) struct Connecting {
    /// Subscribers that have to connect, each with its earliest time; sorted by time.
    waiting: VecDeque<(u64, u32)>,
    /// Attempts that were begun, each with its time; sorted by time. An attempt that is over stays until its time is
    /// up.
    begun: VecDeque<(u64, u32)>,
    under_way: u32,
    at_once: u32,
    /// Subscribers whose first attempt is not over.
    untried: u32,
}

impl Connecting {
    /// All `subscribers` have to connect, at most `at_once` at a time.
    pub(in crate::run) fn new(subscribers: u32, at_once: u32) -> Self {
        Self {
            waiting: (0..subscribers).map(|index| (0, index)).collect(),
            begun: VecDeque::new(),
            under_way: 0,
            at_once: at_once.max(1),
            untried: subscribers,
        }
    }

    /// Lets this many be under way at a time from now on.
    pub(in crate::run) fn allow(&mut self, at_once: u32) {
        self.at_once = at_once.max(1);
    }

    /// Plans another attempt of a subscriber, not before `at_ns`.
    pub(in crate::run) fn later(&mut self, at_ns: u64, index: u32) {
        let position = self.waiting.partition_point(|(at, _)| *at <= at_ns);
        self.waiting.insert(position, (at_ns, index));
    }

    /// Begins the next attempt, if there is one that may begin.
    pub(in crate::run) fn begin(&mut self, now_ns: u64) -> Option<u32> {
        if self.due_ns(now_ns)? > now_ns {
            return None;
        }
        let (_, index) = self.waiting.pop_front()?;
        self.begun.push_back((now_ns, index));
        self.under_way += 1;
        Some(index)
    }

    /// When the next attempt may begin; `None` if there is none, or if as many are under way as allowed.
    pub(in crate::run) fn due_ns(&self, now_ns: u64) -> Option<u64> {
        let &(at, _) = self.waiting.front()?;
        (self.under_way < self.at_once).then_some(at.max(now_ns))
    }

    /// Takes out an attempt that began too long ago, if there is one: its subscriber, and when it began. It may have
    /// ended since.
    pub(in crate::run) fn overdue(&mut self, now_ns: u64) -> Option<(u32, u64)> {
        let &(begun_ns, index) = self.begun.front()?;
        if begun_ns + HANDSHAKE_NS > now_ns {
            return None;
        }
        self.begun.pop_front();
        Some((index, begun_ns))
    }

    /// Notes that an attempt is over, successful or not. Returns whether it counts as the first attempt of a
    /// subscriber.
    pub(in crate::run) fn over(&mut self) -> bool {
        self.under_way = self.under_way.saturating_sub(1);
        let first = self.untried > 0;
        self.untried = self.untried.saturating_sub(1);
        first
    }

    /// Whether no subscriber is connecting or has to connect.
    pub(in crate::run) fn is_idle(&self) -> bool {
        self.under_way == 0 && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_begin_within_their_limit_and_not_before_their_time() {
        let mut connecting = Connecting::new(3, 2);
        assert_eq!((connecting.begin(5), connecting.begin(6), connecting.begin(7)), (Some(0), Some(1), None));
        assert_eq!(connecting.due_ns(8), None, "two are under way");
        assert!(connecting.over());
        assert_eq!((connecting.due_ns(8), connecting.begin(8)), (Some(8), Some(2)));
        assert!(connecting.over() && connecting.over());
        assert!(connecting.is_idle());
        connecting.later(90, 1);
        connecting.later(50, 0);
        assert!(!connecting.is_idle());
        assert_eq!((connecting.begin(49), connecting.due_ns(49)), (None, Some(50)));
        assert_eq!((connecting.begin(50), connecting.begin(60), connecting.due_ns(60)), (Some(0), None, Some(90)));
        assert!(!connecting.over(), "every subscriber had tried before");
        connecting.allow(1);
        connecting.later(100, 2);
        assert_eq!((connecting.begin(100), connecting.begin(100)), (Some(1), None));
    }

    #[test]
    fn attempts_are_overdue_in_the_order_in_which_they_began() {
        let mut connecting = Connecting::new(2, 2);
        assert_eq!((connecting.begin(10), connecting.begin(20)), (Some(0), Some(1)));
        assert_eq!(connecting.overdue(HANDSHAKE_NS + 9), None);
        assert_eq!(connecting.overdue(HANDSHAKE_NS + 20), Some((0, 10)));
        assert_eq!(connecting.overdue(HANDSHAKE_NS + 20), Some((1, 20)));
        assert_eq!(connecting.overdue(u64::MAX), None);
    }
}
