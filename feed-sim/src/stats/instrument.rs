//! What is measured of each instrument: a few hundred bytes and, without quotes, its book's prices.

use super::Arrivals;
use super::best::Best;
use super::correlation::Autocorrelation;
use super::decimal::{Price, as_number};
use super::observe::Observation;
use super::returns::Returns;
use super::spreads::Spreads;

/// Lags of the autocorrelation of the signs of trades, in trades.
pub(super) const SIGN_LAGS: [usize; 2] = [1, 10];

/// An instrument.
pub(super) struct Instrument {
    pub(super) arrivals: Arrivals,
    pub(super) returns: Returns,
    pub(super) signs: Autocorrelation<2>,
    pub(super) spreads: Spreads,
    /// Of who publishes quotes the book says nothing new.
    has_quotes: bool,
    /// There was a bid and an ask: the price is the middle between them. Before, and of who has neither, it is the trades'.
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
    /// Takes in what was said at that time, and says the best prices where they are new.
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
