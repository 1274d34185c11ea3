//! What a scenario does to its own subscribers: some leave and come back, some lose their connection all at once, some read
//! slowly or not at all.

use rand::RngExt as _;

use super::{TICK_NS, Worker};
use crate::clock::{mono_ns, seconds_ns};
use crate::run::Times;
use crate::run::connection::State;

impl Worker {
    /// This load ends a connection, and will come back at this moment.
    fn leave(&mut self, index: u32, back_ns: u64, storm: bool) {
        let conn = &mut self.conns[index as usize];
        if conn.state != State::Open {
            return;
        }
        conn.state = State::Closed;
        conn.socket = None;
        conn.rest = None;
        if storm {
            conn.rest().lost_ns = mono_ns();
        }
        self.hearer.open -= 1;
        self.hearer.tally.closed += 1;
        let at = self.to_connect.partition_point(|(at, _)| *at <= back_ns);
        self.to_connect.insert(at, (back_ns, index));
    }

    pub(super) fn disturb(&mut self, times: &Times, now_ns: u64) {
        let scenario = self.part.scenario.clone();
        if let Some(churn) = &scenario.churn {
            self.churn_owed += churn.per_second / f64::from(self.part.of) * TICK_NS as f64 / 1e9;
            while self.churn_owed >= 1.0 && !self.conns.is_empty() {
                self.churn_owed -= 1.0;
                let index = self.random.random_range(0..self.conns.len()) as u32;
                self.leave(index, now_ns, false);
            }
        }
        if let Some(storm) = &scenario.storm
            && !self.stormed
            && now_ns >= times.publish_ns + seconds_ns(storm.at_seconds)
        {
            self.stormed = true;
            let count = (self.conns.len() as f64 * storm.share).round() as usize;
            for index in 0..count {
                let later = seconds_ns(storm.over_seconds * index as f64 / count as f64);
                self.leave(index as u32, now_ns + later, true);
            }
        }
    }

    /// Who is slow on purpose reads its portion, or all it can once that is over.
    pub(super) fn read_slowly(&mut self, now_ns: u64) {
        let Some(slow) = &self.slow else { return };
        if now_ns >= self.slow_until_ns {
            self.slow = None;
            for index in 0..self.conns.len() {
                if self.conns[index].slow {
                    self.watch(index as u32, false);
                }
            }
            return;
        }
        let portion = (slow.bytes_per_second as f64 * TICK_NS as f64 / 1e9) as usize;
        if portion == 0 {
            return;
        }
        for index in 0..self.conns.len() {
            if self.conns[index].slow && self.conns[index].state == State::Open {
                self.read(index as u32, portion);
            }
        }
    }
}
