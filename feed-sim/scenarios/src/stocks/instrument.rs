//! One instrument: its day, its book, its arrivals, and the messages that it publishes.

use super::Desk;
use super::bars::Bars;
use super::book::Level;
use super::factor::Fair;
use super::hawkes::Hawkes;
use super::listing::Listing;
use super::market::Market;
use super::messages::Messages;
use super::parameters::{CALL_RATE_FACTOR, CALL_RATE_MIN_PER_S, OPENING_BURST};
use super::session::{ACTIVITY, Phase, Session};
use feed_player::random::Random;

/// The shortest time between indicative prices in a call.
const INDICATIVE_GAP_US: u64 = 500_000;

/// The random streams of an instrument: a change of one part of its behaviour leaves the others as they were.
pub(super) struct Streams {
    pub(super) orders: Random,
    pub(super) arrivals: Random,
    pub(super) fair: Random,
    pub(super) day: Random,
}

/// An instrument.
pub(super) struct Instrument {
    market: Market,
    fair: Fair,
    hawkes: Hawkes,
    session: Session,
    bars: Bars,
    messages: Messages,
    /// For the day's phases, and arrivals in calls.
    random: Random,
    call_rate_per_s: f64,
    /// When the next order arrives in a call.
    call_us: u64,
    /// The last indicative price of a call, and when it was published.
    indicated: Option<Level>,
    indicated_us: u64,
}

impl Instrument {
    pub(super) fn new(listing: Listing, mut streams: Streams) -> Self {
        Instrument {
            market: Market::new(&listing, streams.orders),
            fair: Fair::new(listing.start_ticks, listing.sector, streams.fair),
            hawkes: Hawkes::new(listing.events_per_s, streams.arrivals),
            session: Session::new(&mut streams.day),
            bars: Bars::default(),
            call_rate_per_s: (CALL_RATE_FACTOR * listing.events_per_s).max(CALL_RATE_MIN_PER_S),
            messages: Messages::new(listing.symbol, listing.tick),
            random: streams.day,
            call_us: u64::MAX,
            indicated: None,
            indicated_us: 0,
        }
    }

    /// When [`Instrument::wake`] is next due.
    pub(super) fn next_us(&self) -> u64 {
        self.bars.due_us().min(self.session.ends_us()).min(self.hawkes.next_us()).min(self.call_us)
    }

    /// Does what is due now: first bars end, then a phase of the day, then an order arrives.
    pub(super) fn wake(&mut self, desk: &mut Desk) {
        let now_us = self.next_us();
        if self.bars.due_us() == now_us {
            self.close_bars(now_us, desk);
        } else if self.session.ends_us() == now_us {
            self.next_phase(now_us, desk);
        } else {
            let fair = self.fair.ticks(now_us, &desk.factors, (ACTIVITY.at)(now_us));
            if self.call_us == now_us {
                self.arrive_in_call(now_us, fair, desk);
            } else {
                self.arrive(now_us, fair, desk);
            }
        }
    }

    fn arrive(&mut self, now_us: u64, fair: f64, desk: &mut Desk) {
        let arrived = self.hawkes.arrive();
        let outcome = self.market.act(arrived, fair, self.session.may_halt(now_us), desk);
        self.emit(now_us, desk);
        if outcome.halts {
            self.session.halt(now_us);
            self.hawkes.pause();
            self.emit_phase(desk);
        } else {
            self.hawkes.excite(outcome.kind, ACTIVITY);
        }
        desk.pending.extend(self.messages.quote(&self.market.book, self.session.phase()));
    }

    fn arrive_in_call(&mut self, now_us: u64, fair: f64, desk: &mut Desk) {
        self.market.act_in_call(fair, desk);
        self.call_us = self.next_call_us(now_us);
        self.emit(now_us, desk);
        let in_auction = self.session.phase().auction().is_some();
        if in_auction && now_us - self.indicated_us >= INDICATIVE_GAP_US {
            let indicative = self.market.indicative();
            if indicative != self.indicated {
                (self.indicated, self.indicated_us) = (indicative, now_us);
                desk.pending.push_back(self.messages.status(self.session.phase(), indicative));
            }
        }
    }

    fn next_call_us(&mut self, now_us: u64) -> u64 {
        now_us + 1 + (self.random.exponential() / self.call_rate_per_s * 1e6) as u64
    }

    /// Begins the next phase. A call that ends publishes the print, the book after it, then the new phase.
    fn next_phase(&mut self, now_us: u64, desk: &mut Desk) {
        let fair = self.fair.ticks(now_us, &desk.factors, (ACTIVITY.at)(now_us));
        if let Some(auction) = self.session.phase().auction() {
            self.market.uncross(auction, fair, desk);
            self.emit(now_us, desk);
        }
        let phase = self.session.advance(&mut self.random);
        (self.indicated, self.indicated_us) = (None, now_us);
        self.emit_phase(desk);
        match phase {
            Phase::PreOpen => {
                self.market.fill_book(fair, desk);
                self.call_us = self.next_call_us(now_us);
            }
            Phase::OpeningAuction | Phase::ReopeningAuction | Phase::ClosingAuction => {
                self.hawkes.pause();
                self.market.begin_call(fair, desk);
                self.call_us = self.next_call_us(now_us);
            }
            Phase::Open => {
                self.call_us = u64::MAX;
                self.hawkes.restart(now_us, OPENING_BURST, ACTIVITY);
            }
            Phase::Closed => {
                self.call_us = u64::MAX;
                self.market.expire(desk);
            }
            Phase::Halted => unreachable!("no phase ends in a halt: an order begins it"),
        }
        self.emit(now_us, desk);
        desk.pending.extend(self.messages.quote(&self.market.book, phase));
    }

    fn emit_phase(&mut self, desk: &mut Desk) {
        desk.pending.push_back(self.messages.status(self.session.phase(), None));
    }

    /// Publishes the trades, then the changes of the book.
    fn emit(&mut self, now_us: u64, desk: &mut Desk) {
        for trade in desk.trades.drain(..) {
            self.bars.trade(now_us, trade.ticks, trade.qty);
            desk.pending.push_back(self.messages.trade(trade));
        }
        if !desk.changed.is_empty() {
            desk.changed.sort_unstable();
            desk.changed.dedup();
            desk.pending.push_back(self.messages.book(&self.market.book, &desk.changed));
            desk.changed.clear();
        }
    }

    fn close_bars(&mut self, now_us: u64, desk: &mut Desk) {
        let closing = self.bars.close(now_us);
        desk.pending.extend(closing.second.map(|bar| self.messages.second_bar(&bar)));
        if let Some((bar, over)) = closing.minute {
            desk.pending.push_back(self.messages.minute_bar(&bar, over));
            if over {
                self.market.move_reference(bar.close);
            }
        }
    }
}
