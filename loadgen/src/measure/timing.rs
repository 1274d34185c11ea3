//! Latencies of about a second, each recorded only once if that is enough, because it happens millions of times a
//! second.

use hdrhistogram::Histogram;

use super::tally::Tally;
use super::{coarse, latencies};

/// The latencies since the last interval was taken.
pub(crate) struct Timing {
    /// Of updates due in the window and sent at once, like all updates in a closed loop: corrected and raw latency are
    /// equal.
    punctual: Histogram<u64>,
    /// Of updates due in the window and sent later.
    corrected: Histogram<u64>,
    raw: Histogram<u64>,
    /// Of updates due before or after the window: only the interval contains these.
    outside: Histogram<u64>,
}

impl Timing {
    pub(crate) fn new() -> Self {
        Self { punctual: latencies(), corrected: latencies(), raw: latencies(), outside: coarse() }
    }

    /// Records a delivery, this long after it was due and after it was sent.
    pub(crate) fn record(&mut self, corrected_ns: u64, raw_ns: u64, in_window: bool) {
        if !in_window {
            self.outside.saturating_record(corrected_ns);
        } else if corrected_ns == raw_ns {
            self.punctual.saturating_record(corrected_ns);
        } else {
            self.corrected.saturating_record(corrected_ns);
            self.raw.saturating_record(raw_ns);
        }
    }

    /// Adds everything to the interval's histogram and to the run's, and starts again from zero.
    pub(crate) fn take(&mut self, interval: &mut Histogram<u64>, tally: &mut Tally) {
        let both = "histograms of the same bounds";
        for (own, sum) in [(&self.corrected, &mut tally.corrected), (&self.raw, &mut tally.raw)] {
            sum.add(&self.punctual).expect(both);
            sum.add(own).expect(both);
        }
        for part in [&self.punctual, &self.corrected] {
            for bucket in part.iter_recorded() {
                interval.saturating_record_n(bucket.value_iterated_to(), bucket.count_since_last_iteration());
            }
        }
        interval.add(&self.outside).expect(both);
        for part in [&mut self.punctual, &mut self.corrected, &mut self.raw, &mut self.outside] {
            part.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_is_the_same_as_recording_each_latency_directly() {
        let (mut timing, mut tally, mut interval) = (Timing::new(), Tally::new(), coarse());
        let (mut corrected, mut raw, mut all) = (latencies(), latencies(), coarse());
        for second in 0..3u64 {
            for n in 0..1000u64 {
                let sent_late_ns = if n % 3 == 0 { 0 } else { n * 777 };
                let (raw_ns, in_window) = ((n * n * 997 + second) % 40_000_000, n % 5 != 0);
                timing.record(raw_ns + sent_late_ns, raw_ns, in_window);
                all.saturating_record(raw_ns + sent_late_ns);
                if in_window {
                    corrected.saturating_record(raw_ns + sent_late_ns);
                    raw.saturating_record(raw_ns);
                }
            }
            timing.take(&mut interval, &mut tally);
        }
        assert_eq!((&tally.corrected, &tally.raw), (&corrected, &raw));
        assert_eq!(interval.len(), all.len());
        // Recorded in finer buckets first, a value moves at most to the next coarse one.
        for quantile in [0.1, 0.5, 0.9, 0.99, 1.0] {
            let (through, direct) = (interval.value_at_quantile(quantile), all.value_at_quantile(quantile));
            assert!(through.abs_diff(direct) <= direct / 50, "{quantile}: {through} {direct}");
        }
    }
}
