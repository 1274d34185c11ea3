//! Which symbol an instrument's number stands for, and when.

use std::collections::HashMap;

use ::dbn::{Metadata, SType};

/// The names of instruments.
pub(super) struct Symbols {
    /// From the metadata: names and the days on which they hold, from the first to before the last.
    mapped: HashMap<u32, Vec<Interval>>,
    /// From records; a live stream has no mappings in its metadata.
    told: HashMap<u32, Told>,
    /// Grows with each change, so that others need not ask every time.
    pub(super) edition: u64,
}

struct Interval {
    first_day: i64,
    end_day: i64,
    symbol: String,
}

struct Told {
    symbol: String,
    /// From a symbol mapping and not from a definition: it is the symbol that was asked for.
    by_mapping: bool,
}

/// 1970-01-01 as a Julian day.
const UNIX_EPOCH_JULIAN_DAY: i64 = 2_440_588;
const DAY_NS: u64 = 24 * 3_600 * 1_000_000_000;

/// The day of a time in nanoseconds since the UNIX epoch.
pub(super) fn day(time_ns: u64) -> i64 {
    (time_ns / DAY_NS) as i64
}

impl Symbols {
    pub(super) fn new(metadata: &Metadata) -> Self {
        let mut mapped: HashMap<u32, Vec<Interval>> = HashMap::new();
        for mapping in &metadata.mappings {
            for interval in &mapping.intervals {
                // One of the two is the number, the other one the name.
                let (id, symbol) = match metadata.stype_in {
                    Some(SType::InstrumentId) => (&mapping.raw_symbol, &interval.symbol),
                    _ => (&interval.symbol, &mapping.raw_symbol),
                };
                let unix_day = |date: i32| i64::from(date) - UNIX_EPOCH_JULIAN_DAY;
                if let Ok(id) = id.parse()
                    && !symbol.is_empty()
                {
                    mapped.entry(id).or_default().push(Interval {
                        first_day: unix_day(interval.start_date.to_julian_day()),
                        end_day: unix_day(interval.end_date.to_julian_day()),
                        symbol: symbol.clone(),
                    });
                }
            }
        }
        Symbols { mapped, told: HashMap::new(), edition: 0 }
    }

    /// A symbol mapping record.
    pub(super) fn map(&mut self, id: u32, symbol: String) {
        self.tell(id, Told { symbol, by_mapping: true });
    }

    /// A definition.
    pub(super) fn define(&mut self, id: u32, symbol: &str) {
        if self.told.get(&id).is_none_or(|told| !told.by_mapping) {
            self.tell(id, Told { symbol: symbol.to_owned(), by_mapping: false });
        }
    }

    fn tell(&mut self, id: u32, told: Told) {
        if told.symbol.is_empty() || self.told.get(&id).is_some_and(|before| before.symbol == told.symbol) {
            return;
        }
        self.told.insert(id, told);
        self.edition += 1;
    }

    /// The symbol on a day since the UNIX epoch; the number where there is none.
    pub(super) fn symbol(&self, id: u32, day: i64) -> String {
        let intervals = self.mapped.get(&id).map_or(&[][..], Vec::as_slice);
        let mapped = intervals.iter().find(|interval| (interval.first_day..interval.end_day).contains(&day));
        let told = self.told.get(&id).map(|told| &told.symbol);
        mapped.map(|interval| &interval.symbol).or(told).cloned().unwrap_or_else(|| id.to_string())
    }
}
