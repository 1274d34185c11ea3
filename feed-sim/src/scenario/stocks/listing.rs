//! Which instruments there are: symbol, first price and tick.

/// An instrument as it is listed.
pub(super) struct Listing {
    pub(super) symbol: String,
    /// The price it starts from, in ticks.
    pub(super) start_ticks: u32,
    pub(super) tick: Tick,
}

/// The smallest step of a price. US stocks (Reg NMS rule 612): a cent from one dollar, a hundredth of a cent below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tick {
    Cent,
    HundredthOfCent,
}

impl Tick {
    /// The price as text: every digit of the tick, trailing zeros too.
    pub(super) fn price(self, ticks: u32) -> String {
        match self {
            Tick::Cent => format!("{}.{:02}", ticks / 100, ticks % 100),
            Tick::HundredthOfCent => format!("{}.{:04}", ticks / 10_000, ticks % 10_000),
        }
    }
}

/// Symbols people know, with prices in ticks. `PENY` is made up: a stock below one dollar, for its finer tick.
const KNOWN: &[(&str, u32, Tick)] = &[
    ("AAPL", 18_910, Tick::Cent),
    ("MSFT", 41_520, Tick::Cent),
    ("NVDA", 12_875, Tick::Cent),
    ("AMZN", 18_230, Tick::Cent),
    ("GOOG", 17_644, Tick::Cent),
    ("META", 50_410, Tick::Cent),
    ("TSLA", 24_866, Tick::Cent),
    ("JPM", 20_480, Tick::Cent),
    ("KO", 6_312, Tick::Cent),
    ("PENY", 4_215, Tick::HundredthOfCent),
    ("AMD", 15_690, Tick::Cent),
    ("NFLX", 64_120, Tick::Cent),
    ("INTC", 3_067, Tick::Cent),
    ("DIS", 10_255, Tick::Cent),
    ("BA", 18_044, Tick::Cent),
    ("WMT", 6_798, Tick::Cent),
    ("XOM", 11_432, Tick::Cent),
    ("V", 27_630, Tick::Cent),
    ("PFE", 2_811, Tick::Cent),
    ("NKE", 9_377, Tick::Cent),
];

/// Instrument `number`, from 0. Beyond the known symbols they are `S00020`, `S00021` and so on.
pub(super) fn listing(number: u32) -> Listing {
    match KNOWN.get(number as usize) {
        Some(&(symbol, start_ticks, tick)) => Listing { symbol: symbol.to_owned(), start_ticks, tick },
        None => Listing {
            symbol: format!("S{number:05}"),
            // 10.00 to 509.99, spread without any pattern that meets the eye.
            start_ticks: 1_000 + (number.wrapping_mul(2_654_435_761) >> 8) % 50_000,
            tick: Tick::Cent,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_keep_every_digit() {
        assert_eq!(Tick::Cent.price(18_910), "189.10");
        assert_eq!(Tick::Cent.price(5), "0.05");
        assert_eq!(Tick::HundredthOfCent.price(4_215), "0.4215");
    }

    #[test]
    fn no_listed_price_can_leave_its_tick_size() {
        // An instrument stays between half and twice its first price (`Instrument`).
        for number in 0..1_000 {
            let listing = listing(number);
            match listing.tick {
                Tick::Cent => assert!(listing.start_ticks / 2 >= 100),
                Tick::HundredthOfCent => assert!(listing.start_ticks * 2 < 10_000),
            }
        }
    }
}
