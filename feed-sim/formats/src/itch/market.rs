//! The stocks of a day: their books, and what a message publishes.

use std::collections::{HashMap, VecDeque};

use super::message::{Header, Imbalance, Message};
use crate::decimal::{Scale, push_id};
use crate::instrument::{Instrument, Trade, push};
use crate::order_book::{Misfit, Order, OrderBook};
use feed_player::publication::{Kind, Publication, push_string};

const SCALE: Scale = Scale { decimals: 4, decimals_min: 4 };

/// All stocks, by their number of the day.
#[derive(Default)]
pub(super) struct Market {
    stocks: HashMap<u16, Stock, foldhash::fast::RandomState>,
    /// How many messages are about an order from before the recording.
    pub(super) gaps: u64,
}

struct Stock {
    symbol: String,
    instrument: Instrument,
    book: OrderBook,
}

impl Market {
    /// Applies a message and appends what it publishes. An error changes and publishes nothing.
    pub(super) fn play(
        &mut self,
        header: Header,
        message: &Message<'_>,
        out: &mut VecDeque<Publication>,
    ) -> Result<(), String> {
        let stamp = format!(r#""venue_time_ns":{}"#, header.time_ns);
        match *message {
            Message::System { event } => {
                if event == b'O' {
                    // No order outlives its day, and orders and stocks are numbered anew.
                    self.stocks.clear();
                }
                out.push_back(system(event, &stamp));
            }
            Message::Directory { symbol, .. }
            | Message::TradingAction { symbol, .. }
            | Message::HiddenTrade { symbol, .. }
            | Message::CrossTrade { symbol, .. }
            | Message::Imbalance(Imbalance { symbol, .. }) => {
                self.stock(header.locate, symbol)?.publish(message, &stamp, out);
            }
            Message::Add { order, side, shares, symbol, price } => {
                let stock = self.stock(header.locate, symbol)?;
                stock
                    .book
                    .add(order, Order { price: i64::from(price), qty: shares, side })
                    .map_err(|misfit| misfit.to_string())?;
                stock.changes(&stamp, out);
            }
            Message::BrokenTrade { .. } => self.known(header.locate)?.publish(message, &stamp, out),
            Message::Other => {}
            _ => match self.known(header.locate)?.change(message, &stamp, out) {
                Ok(()) => {}
                Err(Misfit::Unknown(order)) => {
                    self.gaps += 1;
                    tracing::debug!(order, "this order is from before the recording");
                }
                Err(misfit) => return Err(misfit.to_string()),
            },
        }
        Ok(())
    }

    /// Returns the stock of that number. The message has its symbol.
    fn stock(&mut self, locate: u16, symbol: &str) -> Result<&mut Stock, String> {
        let stock = self.stocks.entry(locate).or_insert_with(|| Stock::new(symbol));
        if stock.symbol == symbol {
            Ok(stock)
        } else {
            Err(format!("stock {locate} is {} and not {symbol}", stock.symbol))
        }
    }

    /// Returns the stock of that number. An earlier message had its symbol.
    fn known(&mut self, locate: u16) -> Result<&mut Stock, String> {
        self.stocks.get_mut(&locate).ok_or_else(|| format!("no message so far has the symbol of stock {locate}"))
    }
}

impl Stock {
    fn new(symbol: &str) -> Self {
        Stock {
            symbol: symbol.to_owned(),
            instrument: Instrument::new("itch", symbol, SCALE),
            book: OrderBook::default(),
        }
    }

    /// Applies a message that executes, reduces, deletes or replaces an order in the book.
    fn change(&mut self, message: &Message<'_>, stamp: &str, out: &mut VecDeque<Publication>) -> Result<(), Misfit> {
        match *message {
            Message::Executed { order, shares, trade } => self.execute(order, shares, trade, None, stamp, out)?,
            Message::ExecutedAt { order, shares, trade, printable, price } => {
                self.execute(order, shares, trade, Some((price, printable)), stamp, out)?;
            }
            Message::Cancel { order, shares } => _ = self.book.reduce(order, shares)?,
            Message::Delete { order } => _ = self.book.remove(order)?,
            Message::Replace { order, new_order, shares, price } => {
                self.book.replace(order, new_order, i64::from(price), shares)?;
            }
            _ => {}
        }
        self.changes(stamp, out);
        Ok(())
    }

    fn execute(
        &mut self,
        order: u64,
        shares: u32,
        id: u64,
        at: Option<(u32, bool)>,
        stamp: &str,
        out: &mut VecDeque<Publication>,
    ) -> Result<(), Misfit> {
        let resting = self.book.reduce(order, shares);
        let (price, side) = match (&resting, at) {
            (Ok(order), None) => (order.price, Some(order.side)),
            (Ok(order), Some((price, _))) => (i64::from(price), Some(order.side)),
            // The order is unknown, but the trade happened.
            (Err(Misfit::Unknown(_)), Some((price, _))) => (i64::from(price), None),
            _ => return resting.map(drop),
        };
        // The volume of a trade that is not printable is part of a cross, whose message has it again.
        let more = if at.is_some_and(|(_, printable)| !printable) { r#","printable":false"# } else { "" };
        let trade = Trade { id, price, qty: u64::from(shares), resting: side, more };
        out.push_back(self.instrument.trade(&trade, stamp));
        resting.map(drop)
    }

    fn changes(&mut self, stamp: &str, out: &mut VecDeque<Publication>) {
        self.instrument.changes(&mut self.book.levels, stamp, out);
    }

    /// Publishes a message that does not change the book.
    fn publish(&self, message: &Message<'_>, stamp: &str, out: &mut VecDeque<Publication>) {
        let instrument = &self.instrument;
        let mut members = String::new();
        out.push_back(match *message {
            Message::HiddenTrade { shares, price, trade, .. } => {
                let (price, qty) = (i64::from(price), u64::from(shares));
                instrument.trade(&Trade { id: trade, price, qty, resting: None, more: r#","hidden":true"# }, stamp)
            }
            // The venue also reports that a cross had no shares.
            Message::CrossTrade { shares: 0, .. } => return,
            Message::CrossTrade { shares, price, trade, cross, .. } => {
                push_letter(&mut members, "cross", cross);
                let price = i64::from(price);
                instrument.trade(&Trade { id: trade, price, qty: shares, resting: None, more: &members }, stamp)
            }
            Message::BrokenTrade { trade } => {
                members.push_str(r#""id":"#);
                push_id(&mut members, trade);
                push(&mut members, format_args!(r#","broken":true,{stamp}"#));
                instrument.publication("trade", Kind::Event, &members)
            }
            Message::TradingAction { state, reason, .. } => {
                let status = match state {
                    b'T' => "open",
                    b'Q' => "auction",
                    _ => "halted",
                };
                push(&mut members, format_args!(r#""status":"{status}""#));
                push_letter(&mut members, "trading_state", state);
                members.push_str(r#","reason":"#);
                push_string(&mut members, reason);
                push(&mut members, format_args!(",{stamp}"));
                instrument.publication("status", Kind::State, &members)
            }
            Message::Directory { category, financial_status, round_lot, etp, .. } => {
                members.push_str(r#""symbol":"#);
                push_string(&mut members, &self.symbol);
                push_letter(&mut members, "market_category", category);
                push_letter(&mut members, "financial_status", financial_status);
                push(&mut members, format_args!(r#","round_lot":"{round_lot}""#));
                push_letter(&mut members, "etp", etp);
                push(&mut members, format_args!(",{stamp}"));
                instrument.publication("directory", Kind::State, &members)
            }
            Message::Imbalance(Imbalance { paired, imbalance, direction, far, near, reference, cross, .. }) => {
                push(&mut members, format_args!(r#""paired":"{paired}","imbalance":"{imbalance}""#));
                push_letter(&mut members, "direction", direction);
                for (name, price) in [("far", far), ("near", near), ("ref", reference)] {
                    push(&mut members, format_args!(r#","{name}":"{}""#, instrument.price(i64::from(price))));
                }
                push_letter(&mut members, "cross", cross);
                push(&mut members, format_args!(",{stamp}"));
                instrument.publication("imbalance", Kind::State, &members)
            }
            _ => return,
        });
    }
}

/// `itch.system`: the hours of the market. Codes O and S are before the session, E and C after it.
fn system(event: u8, stamp: &str) -> Publication {
    let status = match event {
        b'O' | b'S' => "pre_open",
        b'Q' => "open",
        _ => "closed",
    };
    let data = format!(r#"{{"status":"{status}","event":"{}",{stamp}}}"#, char::from(event));
    Publication::new("itch.system", Kind::State, data)
}

fn push_letter(members: &mut String, name: &str, letter: u8) {
    push(members, format_args!(r#","{name}":"#));
    push_string(members, char::from(letter).encode_utf8(&mut [0; 4]));
}
