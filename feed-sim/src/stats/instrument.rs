//! What is measured of each instrument: a few hundred bytes and, if it has no quotes, its book's prices.

use super::Arrivals;
use super::best::Best;
use super::correlation::Autocorrelation;
use super::decimal::{Price, as_number};
use super::observe::Observation;
use super::returns::Returns;
use super::spreads::Spreads;

/// Lags of the autocorrelation of the signs of trades, in trades.
pub(super) const SIGN_LAGS: [usize; 2] = [1, 10];

/// The measurements of an instrument.
pub(super) struct Instrument {
    pub(super) arrivals: Arrivals,
    pub(super) returns: Returns,
    pub(super) signs: Autocorrelation<2>,
    pub(super) spreads: Spreads,
    /// Once an instrument publishes quotes, its book says nothing new and is ignored.
    has_quotes: bool,
    /// Once there was a bid and an ask, the price is the middle between them. Before that, and for an instrument that
    /// has neither, it is the price of the trades.
    has_best: bool,
    book: Best,
    best: (Option<Price>, Option<Price>),
}

impl Default for Instrument {
    fn default() -> Self {
        Instrument {
            arrivals: Arrivals::default(),
            returns: Returns::default(),
            signs: Autocorrelation::new(SIGN_LAGS),
            spreads: Spreads::default(),
            has_quotes: false,
            has_best: false,
            book: Best::default(),
            best: (None, None),
        }
    }
}

impl Instrument {
    /// Takes in an observation at that time, and returns the best prices if they are new.
    pub(super) fn take(&mut self, at_us: u64, observation: &Observation) -> Option<(Price, Price)> {
        if *observation != Observation::Clockwork {
            self.arrivals.arrive(at_us);
        }
        match observation {
            Observation::Trade { price, bought, .. } => {
                if let Some(price) = price
                    && !self.has_best
                {
                    self.returns.price(at_us, as_number(*price));
                }
                if let Some(bought) = bought {
                    self.signs.push(if *bought { 1.0 } else { -1.0 });
                }
                None
            }
            Observation::Quote { bid, ask } => {
                if !std::mem::replace(&mut self.has_quotes, true) {
                    self.book = Best::default();
                }
                self.quote(at_us, *bid, *ask)
            }
            Observation::Book { whole, bids, asks } if !self.has_quotes => {
                let best = self.book.book(*whole, bids, asks);
                if best == self.best {
                    return None;
                }
                self.best = best;
                self.quote(at_us, best.0, best.1)
            }
            _ => None,
        }
    }

    fn quote(&mut self, at_us: u64, bid: Option<Price>, ask: Option<Price>) -> Option<(Price, Price)> {
        let (bid, ask) = (bid?, ask?);
        if bid < ask && bid > 0 {
            self.has_best = true;
            self.spreads.push(bid, ask);
            self.returns.price(at_us, (as_number(bid) + as_number(ask)) / 2.0);
        }
        Some((bid, ask))
    }
}
