//! How the messages of an instrument follow one another in time.
//!
//! An arrival is a moment at which there were messages, however many: a trade and the book and quote that it changes
//! are one arrival.

use super::correlation::Autocorrelation;
use super::moments::Moments;

/// Gaps between arrivals, and numbers of arrivals in windows.
#[derive(Debug, Clone)]
pub struct Arrivals {
    first_us: Option<u64>,
    last_us: u64,
    gaps: Moments,
    memory: Autocorrelation<1>,
    windows: [Windows; 2],
}

/// Numbers of arrivals in windows of a fixed length, including empty windows, excluding the last one, which is not
/// over.
#[derive(Debug, Clone, Copy)]
struct Windows {
    length_us: u64,
    number: u64,
    arrivals: u64,
    counts: Moments,
}

impl Windows {
    fn arrive(&mut self, since_first_us: u64) {
        let number = since_first_us / self.length_us;
        if number > self.number {
            self.counts.push(self.arrivals as f64);
            self.counts.push_times(0.0, number - self.number - 1);
            self.number = number;
            self.arrivals = 0;
        }
        self.arrivals += 1;
    }
}

impl Default for Arrivals {
    fn default() -> Self {
        let windows = |length_us| Windows { length_us, number: 0, arrivals: 0, counts: Moments::default() };
        Arrivals {
            first_us: None,
            last_us: 0,
            gaps: Moments::default(),
            memory: Autocorrelation::new([1]),
            windows: [windows(1_000_000), windows(10_000_000)],
        }
    }
}

impl Arrivals {
    /// Notes a message at that time, in microseconds; times do not go back.
    pub fn arrive(&mut self, at_us: u64) {
        let first_us = match self.first_us {
            None => *self.first_us.insert(at_us),
            Some(_) if at_us <= self.last_us => return,
            Some(first_us) => {
                let gap_us = (at_us - self.last_us) as f64;
                self.gaps.push(gap_us);
                self.memory.push(gap_us);
                first_us
            }
        };
        self.last_us = at_us;
        self.windows.iter_mut().for_each(|windows| windows.arrive(at_us - first_us));
    }

    /// The number of arrivals.
    pub fn count(&self) -> u64 {
        self.gaps.count() + u64::from(self.first_us.is_some())
    }

    /// The gaps between arrivals, in microseconds.
    pub fn gaps(&self) -> &Moments {
        &self.gaps
    }

    /// The burstiness parameter B = (σ − μ) / (σ + μ) of the gaps: −1 for a clock, 0 for a Poisson process, nearer to 1
    /// the burstier. K.-I. Goh and A.-L. Barabási, "Burstiness and memory in complex systems", EPL 81, 48002 (2008).
    pub fn burstiness(&self) -> Option<f64> {
        let (deviation, mean) = (self.gaps.deviation()?, self.gaps.mean()?);
        (deviation + mean > 0.0).then(|| (deviation - mean) / (deviation + mean))
    }

    /// The correlation of each gap with the next: the memory coefficient of the same paper.
    pub fn memory(&self) -> Option<f64> {
        self.memory.correlations()[0]
    }

    /// Fano factors, variance over mean, of the numbers of arrivals in windows of one and of ten seconds: 1 for a
    /// Poisson process. `None` for fewer than ten windows. U. Fano, "Ionization yield of radiations. II", Phys. Rev.
    /// 72, 26 (1947).
    pub fn fano(&self) -> [Option<f64>; 2] {
        const WINDOWS_MIN: u64 = 10;
        self.windows.map(|windows| windows.counts.dispersion().filter(|_| windows.counts.count() >= WINDOWS_MIN))
    }
}
