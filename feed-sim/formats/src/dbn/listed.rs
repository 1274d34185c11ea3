//! An instrument at a venue: its name, its book, and what a record about it publishes.

use std::collections::VecDeque;

use ::dbn::{Publisher, UNDEF_PRICE};

use super::records::{Body, Content, OrderRecord, Traded};
use super::symbols::{Symbols, day};
use crate::decimal::Scale;
use crate::instrument::{Instrument, Trade, push};
use crate::levels::Side;
use crate::order_book::{Misfit, Order, OrderBook};
use feed_player::publication::{Kind, Publication, push_string};

const SCALE: Scale = Scale { decimals: 9, decimals_min: 2 };

/// An instrument, without a name until its first record.
#[derive(Default)]
pub(super) struct Listed {
    named: Option<Named>,
}

struct Named {
    symbol: String,
    /// The day and the edition of the symbols for which the name was looked up.
    looked_up: (i64, u64),
    instrument: Instrument,
    book: OrderBook,
}

impl Listed {
    /// Looks up the instrument's name on the record's day. With a new name its book starts empty. `venue` is given if
    /// another venue published the instrument before.
    pub(super) fn name(&mut self, content: &Content, venue: Option<u16>, symbols: &Symbols) {
        let wanted = (day(content.time_ns), symbols.edition);
        if self.named.as_ref().is_some_and(|named| named.looked_up == wanted) {
            return;
        }
        let mut symbol = symbols.symbol(content.instrument_id, wanted.0);
        match venue.map(Publisher::try_from) {
            Some(Ok(publisher)) => push(&mut symbol, format_args!("@{}", publisher.venue().as_str())),
            Some(Err(_)) => push(&mut symbol, format_args!("@{}", content.publisher_id)),
            None => {}
        }
        match &mut self.named {
            Some(named) if named.symbol == symbol => named.looked_up = wanted,
            named => {
                let instrument = Instrument::new("dbn", &symbol, SCALE);
                *named = Some(Named { symbol, looked_up: wanted, instrument, book: OrderBook::default() });
            }
        }
    }

    /// Applies the record with this number in the file, and appends what it publishes. Returns false if it is about an
    /// order from before the recording. An error changes and publishes nothing.
    pub(super) fn play(
        &mut self,
        number: u64,
        content: &Content,
        out: &mut VecDeque<Publication>,
    ) -> Result<bool, String> {
        let Some(Named { symbol, instrument, book, .. }) = &mut self.named else {
            return Err("the instrument has no name".to_owned());
        };
        let stamp = stamp(content);
        let push_trade = |instrument: &Instrument, trade: Traded, out: &mut VecDeque<Publication>| {
            let Traded { price, qty, aggressor } = trade;
            if price == UNDEF_PRICE {
                return Err("the trade has no price".to_owned());
            }
            let resting = aggressor.map(|side| if side == Side::Bid { Side::Ask } else { Side::Bid });
            out.push_back(instrument.trade(&Trade { id: number, price, qty, resting, more: "" }, &stamp));
            Ok(())
        };
        match &content.body {
            Body::Order(record) => {
                let fits = change(book, record)?;
                if record.last {
                    instrument.changes(&mut book.levels, &stamp, out);
                }
                return Ok(fits);
            }
            Body::Trade(trade) => push_trade(instrument, *trade, out)?,
            Body::Quote(quote, trade) => {
                if let Some(trade) = trade {
                    push_trade(instrument, *trade, out)?;
                }
                instrument.quote(*quote, &stamp, out);
            }
            Body::Book { sides, trade, last } => {
                if let Some(trade) = trade {
                    push_trade(instrument, *trade, out)?;
                }
                book.levels.set_side(Side::Bid, &sides[0]);
                book.levels.set_side(Side::Ask, &sides[1]);
                if *last {
                    instrument.changes(&mut book.levels, &stamp, out);
                }
            }
            Body::Bar { what, prices, volume } => {
                let mut members = String::new();
                push(&mut members, format_args!(r#""start":{}"#, content.event_ns / 1_000));
                for (name, price) in ["open", "high", "low", "close"].into_iter().zip(*prices) {
                    push(&mut members, format_args!(r#","{name}":"{}""#, instrument.price(price)));
                }
                push(&mut members, format_args!(r#","volume":"{volume}",{stamp}"#));
                out.push_back(instrument.publication(what, Kind::State, &members));
            }
            Body::Status { status: None, .. } => {}
            Body::Status { action, status: Some(status) } => {
                let members = format!(r#""status":"{status}","action":{action},{stamp}"#);
                out.push_back(instrument.publication("status", Kind::State, &members));
            }
            Body::Definition { tick, .. } => {
                let mut members = String::from(r#""symbol":"#);
                push_string(&mut members, symbol);
                let tick = match *tick {
                    UNDEF_PRICE => "null".to_owned(),
                    tick => format!("\"{}\"", instrument.price(tick)),
                };
                push(&mut members, format_args!(r#","instrument_id":{},"tick":{tick},{stamp}"#, content.instrument_id));
                out.push_back(instrument.publication("definition", Kind::State, &members));
            }
            Body::Mapping(_) | Body::Nothing => {}
        }
        Ok(true)
    }
}

fn stamp(content: &Content) -> String {
    let mut stamp = format!(r#""venue_ts":{},"venue_ts_ns":"{}""#, content.event_ns / 1_000, content.event_ns);
    if let Some(sequence) = content.sequence {
        push(&mut stamp, format_args!(r#","venue_seq":{sequence}"#));
    }
    stamp
}

/// Applies a record to the book. Returns false if it is about an order from before the recording.
///
/// Source: Databento, "Limit order book" (how to maintain a book from market by order), and its table of actions.
fn change(book: &mut OrderBook, record: &OrderRecord) -> Result<bool, String> {
    let id = record.order_id;
    let misfit = |misfit: Misfit| misfit.to_string();
    match record.action {
        b'A' if record.top_of_book => {
            let side = record.side.ok_or("the level has no side")?;
            book.clear_side(side);
            // Without a price the side is now empty.
            if let Some(price) = record.price {
                // The record has no order id. There is one such order on each side, so the side's index is the id.
                book.add(side as u64, Order { price, qty: record.size, side }).map_err(misfit)?;
            }
        }
        b'A' => book.add(id, rested(record)?).map_err(misfit)?,
        b'C' => match book.reduce(id, record.size) {
            Ok(_) => {}
            Err(Misfit::Unknown(_)) => return Ok(false),
            Err(other) => return Err(misfit(other)),
        },
        b'M' => {
            let order = rested(record)?;
            let known = book.remove(id).is_ok();
            book.add(id, order).map_err(misfit)?;
            return Ok(known);
        }
        b'R' => book.clear(),
        // Fills inform the owner of an order; the reduction follows as a change or a cancellation.
        _ => {}
    }
    Ok(true)
}

/// Returns the order as it rests after a record.
fn rested(record: &OrderRecord) -> Result<Order, String> {
    let side = record.side.ok_or("the order has no side")?;
    let price = record.price.ok_or("the order has no price")?;
    if record.size == 0 {
        return Err(Misfit::Empty(record.order_id).to_string());
    }
    Ok(Order { price, qty: record.size, side })
}
