//! Records on their way to the log: sent again until they are seen in it, in order (go back N).
//!
//! The bytes of a record never change, and brokers drop what they have applied, so sending again is always harmless. What
//! servers acknowledge decides only how long a record is waited for; that it was taken is known when it comes back.

use std::collections::VecDeque;

use broker_engine::journal::{Gathered, Waiting};
use bytes::Bytes;

/// How long after it was sent a record is sent again that was acknowledged and has not come back, in µs.
const ACKNOWLEDGED_US: u64 = 3_000_000;
/// The longest pause between two times that records are sent again, in µs.
const PAUSE_MAX_US: u64 = 1_000_000;
/// The shortest pause, however often it turns out that one is missing, in µs.
const PAUSE_MIN_US: u64 = 50_000;

/// The records of a session that have not come back.
pub(super) struct Writer {
    in_flight_max: usize,
    ack_us: u64,
    /// The number of the next record.
    next: u64,
    window: VecDeque<Sent>,
    /// How long to wait for an acknowledgement; longer each time.
    pause_us: u64,
    /// When records were sent again last.
    again_us: u64,
}

struct Sent {
    number: u64,
    bytes: Bytes,
    waiting: Vec<Waiting>,
    sent_us: u64,
    acknowledged: bool,
}

/// A record to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ToSend {
    pub(super) number: u64,
    pub(super) bytes: Bytes,
}

impl Writer {
    pub(super) fn new(in_flight_max: usize, ack_ms: u64) -> Self {
        let ack_us = ack_ms * 1000;
        Self { in_flight_max, ack_us, next: 0, window: VecDeque::new(), pause_us: ack_us, again_us: 0 }
    }

    /// Begins a session: the next record has number 0. Returns who waits for records of the one before.
    pub(super) fn begin(&mut self) -> Vec<Waiting> {
        (self.next, self.pause_us) = (0, self.ack_us);
        self.window.drain(..).flat_map(|sent| sent.waiting).collect()
    }

    pub(super) fn has_room(&self) -> bool {
        self.window.len() < self.in_flight_max
    }

    /// Takes in the next record, which has to be sent now.
    pub(super) fn push(&mut self, gathered: Gathered, now_us: u64) -> ToSend {
        let (number, bytes) = (self.next, Bytes::from(gathered.bytes));
        self.next += 1;
        let waiting = gathered.waiting;
        self.window.push_back(Sent { number, bytes: bytes.clone(), waiting, sent_us: now_us, acknowledged: false });
        ToSend { number, bytes }
    }

    /// A server has stored this record, as far as it knows.
    pub(super) fn acknowledged(&mut self, number: u64) {
        if let Some(sent) = self.window.iter_mut().find(|sent| sent.number == number) {
            sent.acknowledged = true;
        }
    }

    /// The record that counts next was seen in the log. Returns who waits for it; `None` if it is not the one that was
    /// sent: then somebody else writes in this broker's name.
    pub(super) fn seen(&mut self, bytes: &[u8]) -> Option<Vec<Waiting>> {
        if self.window.front().is_none_or(|sent| sent.bytes != bytes) {
            return None;
        }
        let sent = self.window.pop_front()?;
        self.pause_us = self.ack_us;
        Some(sent.waiting)
    }

    /// When to look again whether records have to be sent again.
    pub(super) fn due_us(&self) -> Option<u64> {
        let patience = |sent: &Sent| if sent.acknowledged { ACKNOWLEDGED_US.max(self.pause_us) } else { self.pause_us };
        self.window.iter().map(|sent| sent.sent_us + patience(sent)).min()
    }

    /// All records from the first on that has not come back, if that is due.
    pub(super) fn late(&mut self, now_us: u64) -> Vec<ToSend> {
        match self.due_us() {
            Some(due_us) if due_us <= now_us => {
                self.pause_us = (self.pause_us * 2).min(PAUSE_MAX_US.max(self.ack_us));
                self.again(now_us)
            }
            _ => Vec::new(),
        }
    }

    /// The same when it is known that one is missing: a later one was seen, or the connection was lost.
    pub(super) fn missing(&mut self, now_us: u64) -> Vec<ToSend> {
        if now_us < self.again_us + PAUSE_MIN_US { Vec::new() } else { self.again(now_us) }
    }

    fn again(&mut self, now_us: u64) -> Vec<ToSend> {
        self.again_us = now_us;
        let again = self.window.iter_mut().map(|sent| {
            (sent.sent_us, sent.acknowledged) = (now_us, false);
            ToSend { number: sent.number, bytes: sent.bytes.clone() }
        });
        again.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(bytes: &[u8]) -> Gathered {
        Gathered { bytes: bytes.to_vec(), waiting: Vec::new() }
    }

    fn numbers(sent: &[ToSend]) -> Vec<u64> {
        sent.iter().map(|sent| sent.number).collect()
    }

    #[test]
    fn what_is_not_seen_is_sent_again_in_order_later_each_time() {
        let mut writer = Writer::new(3, 300);
        writer.begin();
        for bytes in [b"a", b"b", b"c"] {
            assert!(writer.has_room());
            writer.push(gathered(bytes), 0);
        }
        assert!(!writer.has_room());
        assert_eq!(numbers(&writer.late(299_999)), [] as [u64; 0]);
        assert_eq!(numbers(&writer.late(300_000)), [0, 1, 2]);
        assert_eq!(writer.due_us(), Some(900_000));
        // What is acknowledged is waited for longer.
        (0..3).for_each(|number| writer.acknowledged(number));
        assert_eq!(numbers(&writer.late(3_299_999)), [] as [u64; 0]);
        assert_eq!(numbers(&writer.late(3_300_000)), [0, 1, 2]);
        assert!(writer.seen(b"a").is_some() && writer.has_room());
        // One is known to be missing: at once, but not again and again.
        assert_eq!(numbers(&writer.missing(3_400_000)), [1, 2]);
        assert_eq!(numbers(&writer.missing(3_400_001)), [] as [u64; 0]);
        assert!(writer.seen(b"b").is_some() && writer.seen(b"c").is_some());
        assert_eq!(writer.due_us(), None);
    }

    #[test]
    fn a_record_in_this_brokers_name_that_it_has_not_sent_is_noticed() {
        let mut writer = Writer::new(3, 300);
        writer.push(gathered(b"a"), 0);
        assert!(writer.seen(b"b").is_none());
        assert!(writer.seen(b"a").is_some());
        assert!(writer.seen(b"a").is_none());
    }
}
