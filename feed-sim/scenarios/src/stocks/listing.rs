//! The listed instruments: symbol, first price, tick, lot, sector and activity.

use super::parameters::{ACTIVITY_EXPONENT, EVENTS_PER_S, SECTORS};

/// An instrument as it is listed.
pub(super) struct Listing {
    pub(super) symbol: String,
    /// The price it starts from, in ticks.
    pub(super) start_ticks: u32,
    pub(super) tick: Tick,
    /// Shares of a round lot.
    pub(super) lot: u32,
    /// Below [`SECTORS`].
    pub(super) sector: usize,
    /// Orders and cancellations per second of continuous trading, on average.
    pub(super) events_per_s: f64,
}

/// The smallest step of a price. US stocks (Reg NMS rule 612): a cent from one dollar, a hundredth of a cent below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tick {
    Cent,
    HundredthOfCent,
}

impl Tick {
    /// How many decimals a price has.
    fn decimals(self) -> usize {
        match self {
            Tick::Cent => 2,
            Tick::HundredthOfCent => 4,
        }
    }

    fn per_dollar(self) -> u32 {
        match self {
            Tick::Cent => 100,
            Tick::HundredthOfCent => 10_000,
        }
    }

    /// Appends the price as text: every digit of the tick, trailing zeros too.
    pub(super) fn push_price(self, text: &mut String, ticks: u32) {
        text.push_str(itoa::Buffer::new().format(ticks / self.per_dollar()));
        text.push('.');
        let mut fraction = ticks % self.per_dollar();
        let mut digits = [0; 4];
        for digit in digits[..self.decimals()].iter_mut().rev() {
            *digit = fraction % 10;
            fraction /= 10;
        }
        text.extend(digits[..self.decimals()].iter().map(|&digit| char::from(b'0' + digit as u8)));
    }
}

/// The tick table: the lowest price of each row, in hundredths of a cent, and its tick. An instrument keeps the tick of
/// its first price, because its price never leaves the row.
const TICKS: [(u32, Tick); 2] = [(0, Tick::HundredthOfCent), (10_000, Tick::Cent)];

/// Round lots by price in hundredths of a cent (17 CFR 242.600(b)(93)): a hundred shares up to 250 dollars, then fewer.
const LOTS: [(u32, u32); 4] = [(0, 100), (2_500_001, 40), (10_000_001, 10), (100_000_001, 1)];

fn row<T: Copy>(table: &[(u32, T)], price: u32) -> T {
    table.iter().rev().find(|(from, _)| *from <= price).expect("the first row is from 0").1
}

/// Well-known symbols, with prices in hundredths of a cent and a sector. `PENY` is made up: a stock below one dollar,
/// with the finer tick.
const KNOWN: &[(&str, u32, usize)] = &[
    ("AAPL", 1_891_000, 0),
    ("MSFT", 4_152_000, 0),
    ("NVDA", 1_287_500, 0),
    ("AMZN", 1_823_000, 1),
    ("GOOG", 1_764_400, 2),
    ("META", 5_041_000, 2),
    ("TSLA", 2_486_600, 1),
    ("JPM", 2_048_000, 3),
    ("KO", 631_200, 4),
    ("PENY", 4_215, 5),
    ("AMD", 1_569_000, 0),
    ("NFLX", 6_412_000, 2),
    ("INTC", 306_700, 0),
    ("DIS", 1_025_500, 2),
    ("BA", 1_804_400, 6),
    ("WMT", 679_800, 4),
    ("XOM", 1_143_200, 7),
    ("V", 2_763_000, 3),
    ("PFE", 281_100, 5),
    ("NKE", 937_700, 1),
];

/// Instrument `number`, from 0, which is also its rank by activity. After the known symbols come `S00020`, `S00021` and
/// so on.
pub(super) fn listing(number: u32) -> Listing {
    let (symbol, price, sector) = match KNOWN.get(number as usize) {
        Some(&(symbol, price, sector)) => (symbol.to_owned(), price, sector),
        None => {
            // 10.00 to 509.99, spread without an obvious pattern.
            let cents = 1_000 + (number.wrapping_mul(2_654_435_761) >> 8) % 50_000;
            (format!("S{number:05}"), cents * 100, number as usize % SECTORS)
        }
    };
    let tick = row(&TICKS, price);
    let events_per_s = EVENTS_PER_S * libm::pow(f64::from(number) + 1.0, -ACTIVITY_EXPONENT);
    let start_ticks = price / (10_000 / tick.per_dollar());
    Listing { symbol, start_ticks, tick, lot: row(&LOTS, price), sector, events_per_s }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_keep_every_digit() {
        for (tick, ticks, text) in [
            (Tick::Cent, 18_910, "189.10"),
            (Tick::Cent, 5, "0.05"),
            (Tick::HundredthOfCent, 4_215, "0.4215"),
            (Tick::HundredthOfCent, 30, "0.0030"),
        ] {
            let mut price = String::new();
            tick.push_price(&mut price, ticks);
            assert_eq!(price, text);
        }
    }

    #[test]
    fn no_listed_price_can_leave_its_tick_size() {
        // An instrument stays between half and twice its first price (`parameters::LOG_PRICE_MAX`).
        for number in 0..1_000 {
            let listing = listing(number);
            match listing.tick {
                Tick::Cent => assert!(listing.start_ticks / 2 >= 100),
                Tick::HundredthOfCent => assert!(listing.start_ticks * 2 < 10_000),
            }
            assert!(listing.sector < SECTORS);
        }
    }

    #[test]
    fn the_tables_are_read_by_price() {
        let of = |symbol: &str| (0..20).map(listing).find(|listing| listing.symbol == symbol).expect("listed");
        assert_eq!((of("AAPL").start_ticks, of("AAPL").tick, of("AAPL").lot), (18_910, Tick::Cent, 100));
        assert_eq!((of("META").lot, of("V").lot), (40, 40));
        assert_eq!((of("PENY").start_ticks, of("PENY").tick), (4_215, Tick::HundredthOfCent));
    }
}
