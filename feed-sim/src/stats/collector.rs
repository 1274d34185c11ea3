//! Takes in a feed and keeps the data for its figures.

use std::collections::{BTreeMap, HashMap};

use super::decimal::as_number;
use super::instrument::Instrument;
use super::moments::Moments;
use super::observe::{Observation, instrument, observe};
use super::quantiles::Quantiles;
use super::sizes::Sizes;
use feed_player::publication::{BadRecord, Feed, Kind, Timed};

/// The most instruments measured individually; of further ones only the messages are counted.
pub const INSTRUMENTS_MAX: usize = 20_000;

/// What was seen of a feed so far.
pub struct Collector {
    /// Only the topics of this instrument are looked at.
    only: Option<String>,
    pub(super) events: u64,
    pub(super) states: u64,
    pub(super) patches: u64,
    pub(super) trades: u64,
    pub(super) crossed: u64,
    pub(super) bad_records: u64,
    pub(super) bytes: Quantiles,
    pub(super) sizes: Sizes,
    /// In hundredths of a percent of the mid price.
    pub(super) spread_bp: Quantiles,
    pub(super) spread_bp_moments: Moments,
    instruments: HashMap<String, Instrument>,
    pub(super) first_us: Option<u64>,
    pub(super) last_us: u64,
    /// The current second and its number of messages.
    second: (u64, u64),
    /// The most messages that a second had.
    peak: u64,
}

impl Collector {
    /// A collector of all instruments, or of the one with this symbol (`AAPL`) or with topics that are this without
    /// their last segment (`stocks.AAPL`).
    pub fn new(only: Option<&str>) -> Self {
        Collector {
            only: only.map(str::to_owned),
            events: 0,
            states: 0,
            patches: 0,
            trades: 0,
            crossed: 0,
            bad_records: 0,
            bytes: Quantiles::of_units(1.0),
            sizes: Sizes::default(),
            spread_bp: Quantiles::of_units(1e4),
            spread_bp_moments: Moments::default(),
            instruments: HashMap::new(),
            first_us: None,
            last_us: 0,
            second: (0, 0),
            peak: 0,
        }
    }

    /// Takes in a feed up to `until_us` on its own clock. An error means that the recording cannot be read to its end;
    /// everything before that has been taken in.
    pub fn take_feed(&mut self, feed: &mut dyn Feed, until_us: u64) -> Result<(), BadRecord> {
        for item in feed {
            match item {
                Ok(timed) if timed.due_us > until_us => break,
                Ok(timed) => self.take(&timed),
                Err(bad) => {
                    self.bad_records += 1;
                    if bad.ends_recording {
                        return Err(bad);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes in one publication.
    pub fn take(&mut self, timed: &Timed) {
        let Timed { due_us, publication } = timed;
        let (name, _) = instrument(&publication.topic);
        let is_it =
            |only: &String| name == only || name.strip_suffix(only.as_str()).is_some_and(|front| front.ends_with('.'));
        if !self.only.as_ref().is_none_or(is_it) {
            return;
        }
        self.count(*due_us, publication.kind);
        self.bytes.push(publication.data.len() as f64);
        let observation = observe(publication);
        if let Observation::Trade { size, .. } = observation {
            self.trades += 1;
            self.sizes.push(size);
        }
        if !self.instruments.contains_key(name) {
            if self.instruments.len() >= INSTRUMENTS_MAX {
                return;
            }
            self.instruments.insert(name.to_owned(), Instrument::default());
        }
        let Some(instrument) = self.instruments.get_mut(name) else { return };
        if let Some((bid, ask)) = instrument.take(*due_us, &observation) {
            if bid < ask {
                let (bid, ask) = (as_number(bid), as_number(ask));
                let spread_bp = (ask - bid) / ((ask + bid) / 2.0) * 1e4;
                self.spread_bp.push(spread_bp);
                self.spread_bp_moments.push(spread_bp);
            } else {
                self.crossed += 1;
            }
        }
    }

    fn count(&mut self, due_us: u64, kind: Kind) {
        match kind {
            Kind::Event => self.events += 1,
            Kind::State => self.states += 1,
            Kind::Patch => self.patches += 1,
        }
        self.first_us.get_or_insert(due_us);
        self.last_us = due_us;
        let second = due_us / 1_000_000;
        if second != self.second.0 {
            self.second = (second, 0);
        }
        self.second.1 += 1;
        self.peak = self.peak.max(self.second.1);
    }

    /// The number of messages of all kinds.
    pub(super) fn messages(&self) -> u64 {
        self.events + self.states + self.patches
    }

    /// The most messages in a second of the feed's clock.
    pub(super) fn peak(&self) -> u64 {
        self.peak
    }

    /// How many instruments there are (up to the bound).
    pub(super) fn instruments(&self) -> usize {
        self.instruments.len()
    }

    /// The instrument with the most arrivals; of equals, the first by name.
    pub(super) fn busiest(&self) -> Option<(&str, &Instrument)> {
        let busiest = self.instruments.iter().max_by(|a, b| {
            let arrivals = a.1.arrivals.count().cmp(&b.1.arrivals.count());
            arrivals.then_with(|| b.0.cmp(a.0))
        });
        busiest.map(|(name, instrument)| (name.as_str(), instrument))
    }

    /// How often each spread in ticks occurred, over all instruments.
    pub(super) fn spread_ticks(&self) -> BTreeMap<u64, u64> {
        let mut ticks = BTreeMap::new();
        self.instruments.values().for_each(|instrument| instrument.spreads.add_to(&mut ticks));
        ticks
    }
}
