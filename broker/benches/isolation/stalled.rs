//! What clients get that read again after they had stopped.
//!
//! What the kernel had taken for them before comes first, as old as it is: no broker can take it back. What the broker
//! itself sends begins behind that, with the first message that does not simply follow the one before: an image or a gap.
//! (The `state` topic comes first here, and its image always stands for many updates.)

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::load::report::{Series, Table};
use crate::load::{Continuity, Message, PATIENCE_NS, Swarm, mono_ns};
use crate::run::{EVENT, Load, STATE};

/// Sums over all clients of a run, but for ages and times.
pub(crate) struct Stalled {
    clients: f64,
    /// Per topic.
    topics: [Got; 2],
    in_step_first_ms: f64,
    in_step_median_ms: f64,
    in_step_last_ms: f64,
}

/// What came of one topic.
#[derive(Debug, Default, Clone, Copy)]
struct Got {
    /// From the kernel's buffers.
    buffered: u64,
    images: u64,
    updates: u64,
    gaps: u64,
    gap_updates: u64,
    /// The oldest that the kernel had, and the oldest that the broker sent.
    buffered_oldest_ns: u64,
    sent_oldest_ns: u64,
}

/// Where one client is.
#[derive(Debug, Default, Clone, Copy)]
struct At {
    /// The kernel's buffers are behind it.
    jumped: bool,
    /// What it has of each topic.
    last: [u64; 2],
}

impl Got {
    /// Counts a message of this topic. Returns up to where the client has the topic now.
    fn count(&mut self, jumped: &mut bool, message: Message, now_ns: u64) -> u64 {
        match message {
            Message::Update { seq, due_ns, .. } => {
                let (count, oldest_ns) = match jumped {
                    false => (&mut self.buffered, &mut self.buffered_oldest_ns),
                    true => (&mut self.updates, &mut self.sent_oldest_ns),
                };
                *count += 1;
                *oldest_ns = now_ns.saturating_sub(due_ns).max(*oldest_ns);
                seq
            }
            Message::Image { seq, due_ns, .. } => {
                *jumped = true;
                self.images += 1;
                self.sent_oldest_ns = self.sent_oldest_ns.max(now_ns.saturating_sub(due_ns));
                seq
            }
            Message::Gap { from, to, .. } => {
                *jumped = true;
                self.gaps += 1;
                self.gap_updates += to - from + 1;
                to
            }
            _ => 0,
        }
    }
}

impl Stalled {
    /// Lets them read until each has what had been published when they began, while the others are served on.
    pub(crate) fn read_again(load: &mut Load, sleepers: &mut Swarm, latencies: &mut Option<Histogram<u64>>) -> Self {
        let clients = sleepers.len();
        let mut continuity = Continuity::new(clients, 2);
        let mut at = vec![At::default(); clients];
        let mut topics = [Got::default(); 2];
        let mut in_step = vec![None; clients];
        let (goal, start_ns) = (load.published, mono_ns());
        while in_step.iter().any(Option::is_none) {
            load.go_on(latencies);
            sleepers.read(Duration::ZERO, |client, message, now_ns| {
                continuity.check(client, message);
                let (Message::Update { topic, .. } | Message::Image { topic, .. } | Message::Gap { topic, .. }) =
                    message
                else {
                    return;
                };
                let at = &mut at[client];
                at.last[topic] = topics[topic].count(&mut at.jumped, message, now_ns);
                if in_step[client].is_none() && at.last.iter().all(|&last| last >= goal) {
                    in_step[client] = Some(now_ns - start_ns);
                }
            });
            let left = in_step.iter().filter(|done| done.is_none()).count();
            assert!(mono_ns() - start_ns < PATIENCE_NS, "{left} of {clients} clients did not come into step");
        }
        let mut times: Vec<f64> = in_step.into_iter().flatten().map(|ns| ns as f64 / 1e6).collect();
        times.sort_by(f64::total_cmp);
        Self {
            clients: clients as f64,
            topics,
            in_step_first_ms: times[0],
            in_step_median_ms: times[times.len() / 2],
            in_step_last_ms: times[times.len() - 1],
        }
    }
}

/// Tells what they got, per client.
pub(crate) fn print(runs: &[&Stalled]) {
    let Some(first) = runs.first() else { return };
    let title = format!("What each of {} stalled ones got when it read again, mean per client", first.clients);
    let columns = ["topic", "old, from the kernel", "their age, s", "images", "gaps", "lost in gaps", "updates"];
    let mut table = Table::new(title, &[&columns[..], &["oldest sent, s"]].concat());
    for (name, topic) in [("state", STATE), ("event", EVENT)] {
        let series = |of: fn(&Got) -> f64, each: bool| {
            let mut series = Series::default();
            runs.iter().for_each(|run| series.push(of(&run.topics[topic]) / if each { run.clients } else { 1.0 }));
            series
        };
        table.row(&[
            &name,
            &series(|got| got.buffered as f64, true),
            &series(|got| got.buffered_oldest_ns as f64 / 1e9, false),
            &series(|got| got.images as f64, true),
            &series(|got| got.gaps as f64, true),
            &series(|got| got.gap_updates as f64, true),
            &series(|got| got.updates as f64, true),
            &series(|got| got.sent_oldest_ns as f64 / 1e9, false),
        ]);
    }
    table.print();
    let series = |of: fn(&Stalled) -> f64| {
        let mut series = Series::default();
        runs.iter().for_each(|run| series.push(of(run)));
        series
    };
    println!(
        "\nin step again after, ms: the first {}, half of them {}, the last {}",
        series(|run| run.in_step_first_ms),
        series(|run| run.in_step_median_ms),
        series(|run| run.in_step_last_ms)
    );
}
