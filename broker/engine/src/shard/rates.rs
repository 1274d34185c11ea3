//! How many messages a second a connection was sent and has sent, for an operator who asks.
//!
//! A connection counts the messages of the present window in two numbers. When a window is over, the next pass of the
//! sweep moves these to the table of the window before, in which only connections with messages have an entry. The mean
//! of the last ten seconds is the present window's, and of the one before the part that is not older.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{ConnId, Shard};
use crate::clock::Now;
use crate::sink::Sink;

/// The length of a window.
const WINDOW_US: u64 = 10_000_000;

/// A number of messages in three bytes, because with four every connection would take eight bytes more. It ends at
/// 16,777,215, which is 1.6 million messages a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count([u8; 3]);

impl Count {
    const MAX: u32 = (1 << 24) - 1;

    fn get(self) -> u32 {
        let [low, middle, high] = self.0;
        u32::from_le_bytes([low, middle, high, 0])
    }

    #[inline]
    pub(crate) fn add(&mut self, more: u32) {
        let [low, middle, high, _] = self.get().saturating_add(more).min(Self::MAX).to_le_bytes();
        self.0 = [low, middle, high];
    }
}

/// The messages of one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Messages {
    pub(crate) sent: Count,
    pub(crate) received: Count,
}

/// The messages of the window before, and the present window.
#[derive(Default)]
pub(super) struct Rates {
    before: HashMap<ConnId, Messages, RandomState>,
    /// When the present window began, on the monotonic clock; 0 before the first.
    begun_us: u64,
    /// Whether the present pass of the sweep ends a window.
    ends: bool,
}

impl Rates {
    /// A pass over all connections begins.
    pub(super) fn begin_pass(&mut self, now_us: u64) {
        self.ends = now_us.saturating_sub(self.begun_us) >= WINDOW_US;
        if self.ends {
            self.begun_us = now_us;
        }
    }

    /// The pass visits a connection, or the place of one that is gone.
    pub(super) fn visit(&mut self, id: ConnId, messages: Option<&mut Messages>) {
        if !self.ends {
            return;
        }
        match messages.map(std::mem::take).filter(|messages| *messages != Messages::default()) {
            Some(messages) => _ = self.before.insert(id, messages),
            None => _ = self.before.remove(&id),
        }
        if self.before.capacity() > 64 && self.before.len() < self.before.capacity() / 8 {
            self.before.shrink_to(self.before.len() * 2);
        }
    }

    /// A connection begins: the messages of another one with its number are not its own.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.before.remove(&id);
    }

    /// Messages a second, sent and received: the mean of the last ten seconds.
    pub(super) fn of(&self, id: ConnId, now_us: u64, messages: Messages) -> (f64, f64) {
        let before = self.before.get(&id).copied().unwrap_or_default();
        let age = now_us.saturating_sub(self.begun_us).min(WINDOW_US) as f64 / WINDOW_US as f64;
        let part = |count: Count| f64::from(count.get());
        let mean = |before, now| (part(before) * (1.0 - age) + part(now)) * 1e6 / WINDOW_US as f64;
        (mean(before.sent, messages.sent), mean(before.received, messages.received))
    }
}

impl<S: Sink> Shard<S> {
    /// Counts messages that a connection was sent.
    #[inline]
    pub(super) fn count_sent(&mut self, id: ConnId, messages: u32) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.messages.sent.add(messages);
        }
    }

    /// Counts a message of a client.
    pub(super) fn count_received(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.messages.received.add(1);
        }
    }

    /// Messages a second that a connection was sent and has sent: the mean of the last ten seconds.
    pub fn rates(&self, id: ConnId, now: Now) -> (f64, f64) {
        let messages = self.conns.get(id).map_or(Messages::default(), |conn| conn.messages);
        self.rates.of(id, now.mono_us, messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(sent: u32, received: u32) -> Messages {
        let mut messages = Messages::default();
        messages.sent.add(sent);
        messages.received.add(received);
        messages
    }

    #[test]
    fn a_count_ends_and_does_not_begin_anew() {
        let mut count = Count::default();
        for (more, is) in [(1, 1), (0x01_0203, 0x01_0204), (u32::MAX, Count::MAX), (5, Count::MAX)] {
            count.add(more);
            assert_eq!(count.get(), is);
        }
    }

    #[test]
    fn the_mean_of_the_last_ten_seconds() {
        let (mut rates, mut messages) = (Rates::default(), Messages::default());
        // The sweep passes by once a second; for a minute there are 20 messages a second, then none.
        for second in 0..100u64 {
            let now = (1 + second) * 1_000_000;
            rates.begin_pass(now);
            rates.visit(5, Some(&mut messages));
            let (sent, received) = rates.of(5, now, messages);
            match second {
                21..60 => {
                    assert!((19.0..=22.0).contains(&sent) && (9.0..=11.0).contains(&received), "{second}: {sent}")
                }
                80.. => assert_eq!((sent, received), (0.0, 0.0), "{second}"),
                _ => {}
            }
            if second < 60 {
                messages.sent.add(20);
                messages.received.add(10);
            }
        }
        assert!(rates.before.is_empty());
    }

    #[test]
    fn a_number_that_is_used_again_begins_with_nothing() {
        let mut rates = Rates::default();
        rates.begin_pass(WINDOW_US);
        rates.visit(5, Some(&mut messages(100, 100)));
        assert_eq!(rates.of(5, WINDOW_US, Messages::default()), (10.0, 10.0));
        rates.forget(5);
        assert_eq!(rates.of(5, WINDOW_US, Messages::default()), (0.0, 0.0));
        rates.visit(5, Some(&mut messages(1, 0)));
        rates.begin_pass(2 * WINDOW_US);
        rates.visit(5, None);
        assert!(rates.before.is_empty());
    }
}
