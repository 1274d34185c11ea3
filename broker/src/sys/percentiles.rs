//! Percentiles of the last seconds, from histograms whose counts only grow.

use std::collections::VecDeque;

use broker_engine::BUCKETS;
use serde::Serialize;

/// The counts of a [`broker_engine::Histogram`].
pub(super) type Counts = [u64; BUCKETS];

/// The median and the 99th and 99.9th percentile, in microseconds; `None` if nothing was measured.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Percentiles {
    p50: Option<u64>,
    p99: Option<u64>,
    p999: Option<u64>,
}

/// The counts of the last few moments, oldest first.
#[derive(Debug)]
pub(super) struct Window {
    counts: VecDeque<Counts>,
    moments: usize,
}

impl Window {
    /// Makes a window of this many moments.
    pub(super) fn new(moments: usize) -> Window {
        Window { counts: VecDeque::from([[0; BUCKETS]]), moments }
    }

    /// Adds the present counts. Returns the percentiles of what was counted since the oldest moment.
    pub(super) fn slide(&mut self, now: Counts) -> Percentiles {
        let before = self.counts.front().copied().unwrap_or([0; BUCKETS]);
        let mut since = now;
        since.iter_mut().zip(before).for_each(|(now, before)| *now = now.saturating_sub(before));
        self.counts.push_back(now);
        if self.counts.len() > self.moments {
            self.counts.pop_front();
        }
        Percentiles { p50: percentile(&since, 0.5), p99: percentile(&since, 0.99), p999: percentile(&since, 0.999) }
    }
}

/// Computes a percentile as Prometheus' `histogram_quantile` does: values are spread evenly within a bucket, which ends
/// at a power of two. A value beyond the last bound counts as that bound.
fn percentile(counts: &Counts, share: f64) -> Option<u64> {
    let all: u64 = counts.iter().sum();
    if all == 0 {
        return None;
    }
    let rank = all as f64 * share;
    let mut seen = 0.0;
    for (power, count) in counts.iter().enumerate().take(BUCKETS - 1) {
        let here = *count as f64;
        if seen + here >= rank && here > 0.0 {
            let upper = (1u64 << power) as f64;
            let lower = if power == 0 { 0.0 } else { upper / 2.0 };
            return Some((lower + (upper - lower) * (rank - seen) / here).round() as u64);
        }
        seen += here;
    }
    Some(1 << (BUCKETS - 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(usize, u64)]) -> Counts {
        let mut counts = [0; BUCKETS];
        pairs.iter().for_each(|(power, count)| counts[*power] = *count);
        counts
    }

    #[test]
    fn percentiles_by_hand() {
        let cases = [
            (counts(&[]), [None, None, None]),
            // A hundred between 32 and 64 µs.
            (counts(&[(6, 100)]), [Some(48), Some(64), Some(64)]),
            // Ninety up to 1 µs, ten between 512 and 1024: the 99th is the ninth of these ten.
            (counts(&[(0, 90), (10, 10)]), [Some(1), Some(973), Some(1019)]),
            // All beyond the last bound.
            (counts(&[(BUCKETS - 1, 3)]), [Some(1 << 26), Some(1 << 26), Some(1 << 26)]),
        ];
        for (counts, [p50, p99, p999]) in cases {
            assert_eq!(Window::new(3).slide(counts), Percentiles { p50, p99, p999 }, "{counts:?}");
        }
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let mut window = Window::new(2);
        assert_eq!(window.slide(counts(&[(20, 1)])).p50, Some(786_432));
        // The first moment still counts here, and no longer after this.
        assert_eq!(window.slide(counts(&[(20, 1), (1, 9)])).p99, Some(996_147));
        assert_eq!(window.slide(counts(&[(20, 1), (1, 10)])).p999, Some(2));
        assert_eq!(window.slide(counts(&[(20, 1), (1, 10)])).p50, Some(2));
        assert_eq!(window.slide(counts(&[(20, 1), (1, 10)])), Percentiles::default());
    }
}
