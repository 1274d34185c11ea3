//! The counts of a thread of load.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::{coarse, latencies};

/// The most findings that are kept with their details; all are counted.
const FINDINGS_MAX: usize = 100;
/// The most distinct reasons that are kept; further ones are counted together.
const REASONS_MAX: usize = 20;

/// What is wrong with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Updates are missing without an announcement.
    Lost,
    /// An update arrived again.
    Duplicated,
    /// An update arrived after a later one.
    Reordered,
    /// The payload is not the published one, or not of this topic.
    Corrupted,
}

impl Fault {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Lost => "lost silently",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
            Self::Corrupted => "corrupted",
        }
    }
}

/// A fault with its details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) fault: Fault,
    pub(crate) subscriber: u32,
    pub(crate) topic: String,
    pub(crate) seq: u64,
    pub(crate) updates: u64,
}

/// How often something happened, by its reason or its kind.
#[derive(Debug, Default, Clone)]
pub(crate) struct Reasons(pub(crate) BTreeMap<String, u64>);

impl Reasons {
    pub(crate) fn add(&mut self, reason: &str) {
        self.add_many(reason, 1);
    }

    fn add_many(&mut self, reason: &str, times: u64) {
        let known = self.0.contains_key(reason) || self.0.len() < REASONS_MAX;
        *self.0.entry(if known { reason } else { "others" }.to_owned()).or_default() += times;
    }

    fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(reason, times)| self.add_many(reason, *times));
    }
}

/// Counts of a run.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// From when an update was due until it was read, for updates due in the window, without slow subscribers.
    pub(crate) corrected: Histogram<u64>,
    /// The same from when it was handed to the publisher's socket.
    pub(crate) raw: Histogram<u64>,
    /// From `connect` until the subscriptions were in effect.
    pub(crate) connect: Histogram<u64>,
    /// From when the connection was lost in a storm until the subscriptions were in effect again.
    pub(crate) reconnect: Histogram<u64>,
    /// From when an update was due, for subscribers that keep their connections in a storm: updates due in the window
    /// before it, and from then on until all subscribers are back.
    pub(crate) stayed_before: Histogram<u64>,
    pub(crate) stayed_during: Histogram<u64>,
    /// Messages with a payload that were read, in the window and in all.
    pub(crate) window_deliveries: u64,
    pub(crate) deliveries: u64,
    /// Deliveries to subscribers that are slow on purpose.
    pub(crate) slow_deliveries: u64,
    /// Bytes of frames, in the window and in all.
    pub(crate) window_bytes: u64,
    pub(crate) bytes: u64,
    /// Of `deliveries`, images.
    pub(crate) images: u64,
    /// Updates for which an image or a conflated update stands, not counting its own.
    pub(crate) skipped: u64,
    /// Updates that gaps named.
    pub(crate) gaps: u64,
    /// By fault, in updates.
    pub(crate) faults: BTreeMap<Fault, u64>,
    pub(crate) findings: Vec<Finding>,
    /// Updates that had not arrived when their subscriber's connection, or a run that was cut short, ended.
    pub(crate) missing: u64,
    /// Updates that had not arrived when the time to drain was over, at subscribers that were connected and reading.
    pub(crate) undelivered: u64,
    /// Reads from sockets.
    pub(crate) reads: u64,
    /// Connections that could not be made, by reason.
    pub(crate) failed: Reasons,
    /// Connections that the server ended, by reason.
    pub(crate) ended: Reasons,
    /// Requests that the server refused, by reason.
    pub(crate) refused: Reasons,
    /// Connections that were made with TLS, by what was negotiated.
    pub(crate) tls: Reasons,
    /// Connections that this load closed on purpose.
    pub(crate) closed: u64,
    /// Connections that were made, in all.
    pub(crate) connected: u64,
    /// Updates published by the publisher's thread, in the window and in all.
    pub(crate) window_published: u64,
    pub(crate) published: u64,
    /// Deliveries due for the updates that were published in the window.
    pub(crate) window_due: u64,
    /// Updates handed over more than a millisecond after they were due.
    pub(crate) late: u64,
    /// How often a closed loop gave up waiting for updates in flight.
    pub(crate) forgiven: u64,
    /// CPU time of the thread in the window, ns.
    pub(crate) window_cpu_ns: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            corrected: latencies(),
            raw: latencies(),
            connect: coarse(),
            reconnect: coarse(),
            stayed_before: coarse(),
            stayed_during: coarse(),
            window_deliveries: 0,
            deliveries: 0,
            slow_deliveries: 0,
            window_bytes: 0,
            bytes: 0,
            images: 0,
            skipped: 0,
            gaps: 0,
            faults: BTreeMap::new(),
            findings: Vec::new(),
            missing: 0,
            undelivered: 0,
            reads: 0,
            failed: Reasons::default(),
            ended: Reasons::default(),
            refused: Reasons::default(),
            tls: Reasons::default(),
            closed: 0,
            connected: 0,
            window_published: 0,
            published: 0,
            window_due: 0,
            late: 0,
            forgiven: 0,
            window_cpu_ns: 0,
        }
    }

    /// Counts a fault.
    pub(crate) fn fault(&mut self, finding: Finding) {
        *self.faults.entry(finding.fault).or_default() += finding.updates;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    /// Takes back a loss: the update was only late. It was counted as lost, and perhaps listed, when a later one
    /// arrived.
    pub(crate) fn take_back_lost(&mut self, subscriber: u32, topic: &str, seq: u64) {
        if let Some(lost) = self.faults.get_mut(&Fault::Lost) {
            *lost = lost.saturating_sub(1);
        }
        let holds = |finding: &Finding| {
            let of_it = (finding.fault, finding.subscriber, finding.topic.as_str()) == (Fault::Lost, subscriber, topic);
            of_it && (finding.seq..finding.seq + finding.updates).contains(&seq)
        };
        let Some(at) = self.findings.iter().rposition(holds) else { return };
        let found = self.findings.remove(at);
        let behind = found.seq + found.updates - seq - 1;
        // The updates before it and after it stay lost.
        for (seq, updates) in [(seq + 1, behind), (found.seq, seq - found.seq)] {
            if updates > 0 {
                self.findings.insert(at, Finding { seq, updates, ..found.clone() });
            }
        }
        self.findings.truncate(FINDINGS_MAX);
    }

    pub(crate) fn faults_of(&self, fault: Fault) -> u64 {
        self.faults.get(&fault).copied().unwrap_or_default()
    }

    /// Adds the counts of another thread.
    pub(crate) fn merge(&mut self, other: &Self) {
        let both = "histograms of the same bounds";
        self.corrected.add(&other.corrected).expect(both);
        self.raw.add(&other.raw).expect(both);
        self.connect.add(&other.connect).expect(both);
        self.reconnect.add(&other.reconnect).expect(both);
        self.stayed_before.add(&other.stayed_before).expect(both);
        self.stayed_during.add(&other.stayed_during).expect(both);
        let sums = [
            (&mut self.window_deliveries, other.window_deliveries),
            (&mut self.deliveries, other.deliveries),
            (&mut self.slow_deliveries, other.slow_deliveries),
            (&mut self.window_bytes, other.window_bytes),
            (&mut self.bytes, other.bytes),
            (&mut self.images, other.images),
            (&mut self.skipped, other.skipped),
            (&mut self.gaps, other.gaps),
            (&mut self.missing, other.missing),
            (&mut self.undelivered, other.undelivered),
            (&mut self.reads, other.reads),
            (&mut self.closed, other.closed),
            (&mut self.connected, other.connected),
            (&mut self.window_published, other.window_published),
            (&mut self.published, other.published),
            (&mut self.window_due, other.window_due),
            (&mut self.late, other.late),
            (&mut self.forgiven, other.forgiven),
            (&mut self.window_cpu_ns, other.window_cpu_ns),
        ];
        sums.into_iter().for_each(|(sum, more)| *sum += more);
        other.faults.iter().for_each(|(fault, updates)| *self.faults.entry(*fault).or_default() += updates);
        let room = FINDINGS_MAX - self.findings.len();
        self.findings.extend(other.findings.iter().take(room).cloned());
        self.failed.merge(&other.failed);
        self.ended.merge(&other.ended);
        self.refused.merge(&other.refused);
        self.tls.merge(&other.tls);
    }
}

/// The counts of a thread in about a second.
#[derive(Debug)]
pub(crate) struct Interval {
    /// The second of the run, from when publishing began.
    pub(crate) second: u32,
    pub(crate) corrected: Histogram<u64>,
    pub(crate) deliveries: u64,
    pub(crate) bytes: u64,
    pub(crate) published: u64,
    /// Subscribers whose subscriptions are in effect, at the end of the second.
    pub(crate) open: u32,
}

impl Interval {
    pub(crate) fn new(second: u32) -> Self {
        Self { second, corrected: coarse(), deliveries: 0, bytes: 0, published: 0, open: 0 }
    }
}
