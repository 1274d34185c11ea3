//! Histograms of latencies (HdrHistogram, hdrhistogram.org), which keep three digits of every value, whatever its size.

use hdrhistogram::Histogram;

/// Nanoseconds up to an hour.
const HIGHEST_NS: u64 = 3_600_000_000_000;

/// Makes a histogram for a whole run.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, HIGHEST_NS, 3).expect("bounds that a histogram can have")
}

/// Makes a histogram for a second of a run: two digits, in a tenth of the memory.
pub(crate) fn coarse() -> Histogram<u64> {
    Histogram::new_with_bounds(1000, HIGHEST_NS, 2).expect("bounds that a histogram can have")
}
