//! One-second and one-minute bars of an instrument's trades.

/// The lengths of bars.
const SECOND_US: u64 = 1_000_000;
const MINUTE_US: u64 = 60 * SECOND_US;

/// The trades from `start_us` on, aggregated: prices in ticks, volume in shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) start_us: u64,
    pub(super) open: u32,
    pub(super) high: u32,
    pub(super) low: u32,
    pub(super) close: u32,
    pub(super) volume: u64,
    pub(super) trades: u32,
}

impl Bar {
    fn add(bar: &mut Option<Bar>, start_us: u64, ticks: u32, qty: u32) {
        let first = Bar { start_us, open: ticks, high: ticks, low: ticks, close: ticks, volume: 0, trades: 0 };
        let bar = bar.get_or_insert(first);
        bar.high = bar.high.max(ticks);
        bar.low = bar.low.min(ticks);
        bar.close = ticks;
        bar.volume += u64::from(qty);
        bar.trades += 1;
    }
}

/// The bars to publish at the end of a second.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Closing {
    /// The second, if there were trades in it.
    pub(super) second: Option<Bar>,
    /// The minute so far, if it has changed or is over, and whether it is over.
    pub(super) minute: Option<(Bar, bool)>,
}

/// The current bars. Without trades there are none.
#[derive(Default)]
pub(super) struct Bars {
    second: Option<Bar>,
    minute: Option<Bar>,
}

impl Bars {
    /// Adds a trade. Bars that are over must have been closed before.
    pub(super) fn trade(&mut self, now_us: u64, ticks: u32, qty: u32) {
        Bar::add(&mut self.second, now_us - now_us % SECOND_US, ticks, qty);
        Bar::add(&mut self.minute, now_us - now_us % MINUTE_US, ticks, qty);
    }

    /// When [`Bars::close`] is next due.
    pub(super) fn due_us(&self) -> u64 {
        let second_us = self.second.map_or(u64::MAX, |bar| bar.start_us + SECOND_US);
        let minute_us = self.minute.map_or(u64::MAX, |bar| bar.start_us + MINUTE_US);
        second_us.min(minute_us)
    }

    /// Returns the bars to publish at `now_us`, which was due.
    pub(super) fn close(&mut self, now_us: u64) -> Closing {
        let second = self.second.take_if(|bar| bar.start_us + SECOND_US == now_us);
        let over = self.minute.is_some_and(|bar| bar.start_us + MINUTE_US == now_us);
        let minute = if over { self.minute.take() } else { self.minute };
        Closing { second, minute: minute.map(|bar| (bar, over)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_of_trades() {
        let mut bars = Bars::default();
        assert_eq!(bars.due_us(), u64::MAX);
        for (now_us, ticks, qty) in [(120_000_000, 10, 100), (120_999_999, 12, 50)] {
            bars.trade(now_us, ticks, qty);
        }
        let bar = Bar { start_us: 120_000_000, open: 10, high: 12, low: 10, close: 12, volume: 150, trades: 2 };
        assert_eq!(bars.due_us(), 121_000_000);
        assert_eq!(bars.close(121_000_000), Closing { second: Some(bar), minute: Some((bar, false)) });
        // No more trades in this minute: its bar is published once more, when it is over.
        assert_eq!(bars.due_us(), 180_000_000);
        assert_eq!(bars.close(180_000_000), Closing { second: None, minute: Some((bar, true)) });
        assert_eq!(bars.due_us(), u64::MAX);
        // A second that ends with its minute.
        bars.trade(239_500_000, 9, 7);
        let bar = Bar { start_us: 239_000_000, open: 9, high: 9, low: 9, close: 9, volume: 7, trades: 1 };
        let minute = Bar { start_us: 180_000_000, ..bar };
        assert_eq!(bars.due_us(), 240_000_000);
        assert_eq!(bars.close(240_000_000), Closing { second: Some(bar), minute: Some((minute, true)) });
        assert_eq!(bars.due_us(), u64::MAX);
    }
}
