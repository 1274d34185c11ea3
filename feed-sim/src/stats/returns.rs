//! Returns of an instrument's price over one second, sampled at every whole second of the feed's clock.

use super::correlation::Autocorrelation;
use super::moments::Moments;

/// Lags of the autocorrelation of absolute returns, in seconds.
pub const RETURN_LAGS_S: [usize; 4] = [1, 5, 10, 30];

/// After a longer pause the market was closed, not quiet: the next return begins after the pause.
const PAUSE_S_MAX: u64 = 60;

/// Logarithmic returns.
#[derive(Debug, Clone)]
pub struct Returns {
    /// The current second, and the newest price in it.
    running: Option<(u64, f64)>,
    /// The price at the end of the second before.
    closed: Option<f64>,
    moments: Moments,
    absolute: Autocorrelation<4>,
}

impl Default for Returns {
    fn default() -> Self {
        Returns {
            running: None,
            closed: None,
            moments: Moments::default(),
            absolute: Autocorrelation::new(RETURN_LAGS_S),
        }
    }
}

impl Returns {
    /// Notes that the price is `price` from then on; times do not go back.
    pub fn price(&mut self, at_us: u64, price: f64) {
        let second = at_us / 1_000_000;
        if let Some((running, last)) = self.running
            && second > running
        {
            if second - running > PAUSE_S_MAX {
                self.closed = None;
                self.absolute.interrupt();
            } else {
                (running..second).for_each(|_| self.close(last));
            }
        }
        self.running = Some((second, price));
    }

    fn close(&mut self, price: f64) {
        if let Some(before) = self.closed.replace(price) {
            let step = (price / before).ln();
            self.moments.push(step);
            self.absolute.push(step.abs());
        }
    }

    /// The moments of the returns.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    /// The autocorrelation of their absolute values at [`RETURN_LAGS_S`].
    pub fn absolute(&self) -> [Option<f64>; 4] {
        self.absolute.correlations()
    }
}
