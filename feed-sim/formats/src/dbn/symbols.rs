//! The symbols of instruments' numbers, by day.

use std::collections::HashMap;

use ::dbn::{Metadata, SType};

/// The names of instruments.
pub(super) struct Symbols {
    /// From the metadata: symbols and the days on which they are valid.
    mapped: HashMap<u32, Vec<Interval>>,
    /// From records: a live stream has no mappings in its metadata.
    from_records: HashMap<u32, FromRecord>,
    /// Incremented with each change, so that a lookup can be kept until then.
    pub(super) edition: u64,
}

struct Interval {
    first_day: i64,
    /// The day after the last.
    end_day: i64,
    symbol: String,
}

struct FromRecord {
    symbol: String,
    /// Whether it is from a symbol mapping, which has the symbol that was requested, and not from a definition.
    by_mapping: bool,
}

/// 1970-01-01 as a Julian day.
const UNIX_EPOCH_JULIAN_DAY: i64 = 2_440_588;
const DAY_NS: u64 = 24 * 3_600 * 1_000_000_000;

/// Returns the day since the UNIX epoch, of a time in nanoseconds since then.
pub(super) fn day(time_ns: u64) -> i64 {
    (time_ns / DAY_NS) as i64
}

impl Symbols {
    pub(super) fn new(metadata: &Metadata) -> Self {
        let mut mapped: HashMap<u32, Vec<Interval>> = HashMap::new();
        for mapping in &metadata.mappings {
            for interval in &mapping.intervals {
                // One of the two is the instrument's number, the other one is its symbol.
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
        Symbols { mapped, from_records: HashMap::new(), edition: 0 }
    }

    /// Takes the symbol of a symbol mapping record.
    pub(super) fn map(&mut self, id: u32, symbol: String) {
        self.learn(id, FromRecord { symbol, by_mapping: true });
    }

    /// Takes the symbol of a definition, unless a symbol mapping record had one.
    pub(super) fn define(&mut self, id: u32, symbol: &str) {
        if self.from_records.get(&id).is_none_or(|known| !known.by_mapping) {
            self.learn(id, FromRecord { symbol: symbol.to_owned(), by_mapping: false });
        }
    }

    fn learn(&mut self, id: u32, new: FromRecord) {
        if new.symbol.is_empty() || self.from_records.get(&id).is_some_and(|before| before.symbol == new.symbol) {
            return;
        }
        self.from_records.insert(id, new);
        self.edition += 1;
    }

    /// Returns the symbol on a day since the UNIX epoch, or the number if there is none.
    pub(super) fn symbol(&self, id: u32, day: i64) -> String {
        let intervals = self.mapped.get(&id).map_or(&[][..], Vec::as_slice);
        let mapped = intervals.iter().find(|interval| (interval.first_day..interval.end_day).contains(&day));
        let from_record = self.from_records.get(&id).map(|known| &known.symbol);
        mapped.map(|interval| &interval.symbol).or(from_record).cloned().unwrap_or_else(|| id.to_string())
    }
}
