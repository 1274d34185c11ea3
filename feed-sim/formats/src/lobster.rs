//! LOBSTER: the messages of a stock at NASDAQ as CSV, and in a second file the levels of the book after each message.
//!
//! Lines are split at their commas only: the format has only numbers and no quotes. So a line is bounded, which a
//! general CSV reader does not guarantee.
//!
//! Source: LOBSTER, "Data structure" (lobsterdata.com, the readme that comes with each file).

mod message;
mod rows;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Reader;
use super::decimal::Scale;
use super::instrument::{Instrument, Trade, push};
use super::lines::Lines;
use super::order_book::{Misfit, Order, OrderBook};
use super::played::{Played, Records};
use feed_player::publication::{BadRecord, Feed, Kind, Publication};
use message::{Event, Message};
use rows::Rows;

/// What `feed-sim describe lobster` prints.
pub(super) const DESCRIPTION: &str = "\
LOBSTER message files (time, type, order id, size, price x 10000, direction), `SYM_..._message_N.csv`; the symbol comes from
the file's name, and is LOBSTER if that has none:
  lobster.SYM.book    state, patch  {\"bids\":{PX:QTY},\"asks\":{PX:QTY}}: the N levels of `SYM_..._orderbook_N.csv`, if that file
                      is beside the message file; else the levels of the orders since the beginning of the recording
  lobster.SYM.quote   state  {\"bid\",\"bid_qty\",\"ask\",\"ask_qty\"}: the best levels of that book
  lobster.SYM.trade   event  {\"id\",\"px\",\"qty\",\"side\"} of types 4, 5 (\"hidden\":true) and 6 (\"cross\":true, no side); LOBSTER has no
                      trade ids, so the id is the line number
  lobster.SYM.status  state  {\"status\":\"halted\"|\"auction\"|\"open\"} of type 7
Everything has `venue_time_ns`, nanoseconds since midnight. A gap is counted if the two files contradict each other and, without
the second file, if a message is about an order from before the recording.";

const SCALE: Scale = Scale { decimals: 4, decimals_min: 4 };

/// Returns the feed of a message file, with the levels from the order book file if it is beside it.
pub(super) fn feed(reader: Reader) -> io::Result<impl Feed> {
    let symbol = reader.path().and_then(symbol).unwrap_or("LOBSTER");
    let instrument = Instrument::new("lobster", symbol, SCALE);
    let book = match reader.path().and_then(beside) {
        Some(path) => Book::Rows(Rows::new(Reader::open(&path, &Arc::default())?)),
        None => {
            tracing::info!("there is no order book file beside the message file: the book starts empty");
            Book::Orders(OrderBook::default())
        }
    };
    Ok(Played::new(Lobster { lines: Lines::new(reader), instrument, book, gaps: 0 }))
}

struct Lobster {
    lines: Lines,
    instrument: Instrument,
    book: Book,
    gaps: u64,
}

/// Where the book comes from.
enum Book {
    Rows(Rows),
    Orders(OrderBook),
}

impl Records for Lobster {
    fn read(&mut self, out: &mut VecDeque<Publication>) -> Option<Result<u64, BadRecord>> {
        let message = match self.lines.next() {
            Some(Ok(line)) => Message::parse(line),
            Some(Err(bad)) => {
                self.skip_row();
                return Some(Err(bad));
            }
            None => match &mut self.book {
                Book::Rows(rows) => return rows.leftover().map(Err),
                Book::Orders(_) => return None,
            },
        };
        let played = match message {
            Ok(message) => match &mut self.book {
                Book::Rows(rows) => match rows.advance() {
                    Ok(()) => self.play(&message, out),
                    Err(bad) => return Some(Err(bad)),
                },
                Book::Orders(_) => self.play(&message, out),
            }
            .map(|()| message.time_ns),
            Err(reason) => {
                self.skip_row();
                Err(reason)
            }
        };
        Some(played.map_err(|reason| self.lines.bad(reason)))
    }

    fn venue_gaps(&self) -> u64 {
        self.gaps
    }
}

impl Lobster {
    /// Keeps the two files in step after a message that cannot be used.
    fn skip_row(&mut self) {
        if let Book::Rows(rows) = &mut self.book {
            rows.skip();
        }
    }

    fn play(&mut self, message: &Message, out: &mut VecDeque<Publication>) -> Result<(), String> {
        let stamp = format!(r#""venue_time_ns":{}"#, message.time_ns);
        let fits = match &mut self.book {
            Book::Rows(rows) => rows.take_over(message),
            Book::Orders(orders) => apply(orders, message)?,
        };
        if !fits {
            self.gaps += 1;
            tracing::debug!(line = self.lines.number(), "the book does not follow from the message");
        }
        let id = self.lines.number();
        let trade = |resting, more| Trade { id, price: message.price, qty: message.size, resting, more };
        match message.event {
            Event::Execution => out.push_back(self.instrument.trade(&trade(Some(message.side), ""), &stamp)),
            Event::HiddenExecution => {
                let trade = trade(Some(message.side), r#","hidden":true"#);
                out.push_back(self.instrument.trade(&trade, &stamp));
            }
            Event::Cross => out.push_back(self.instrument.trade(&trade(None, r#","cross":true"#), &stamp)),
            Event::Status(status) => {
                let mut members = String::new();
                push(&mut members, format_args!(r#""status":"{status}",{stamp}"#));
                out.push_back(self.instrument.publication("status", Kind::State, &members));
            }
            Event::New | Event::Cancellation | Event::Deletion => {}
        }
        let levels = match &mut self.book {
            Book::Rows(rows) => &mut rows.levels,
            Book::Orders(orders) => &mut orders.levels,
        };
        self.instrument.changes(levels, &stamp, out);
        Ok(())
    }
}

/// Applies a message to the orders. Returns false if it is about an order from before the recording.
fn apply(orders: &mut OrderBook, message: &Message) -> Result<bool, String> {
    let id = message.order;
    let qty = || u32::try_from(message.size).map_err(|_| format!("a size of {} is too large", message.size));
    let done = match message.event {
        Event::New => orders.add(id, Order { price: message.price, qty: qty()?, side: message.side }),
        Event::Cancellation | Event::Execution => orders.reduce(id, qty()?).map(drop),
        Event::Deletion => orders.remove(id).map(drop),
        Event::HiddenExecution | Event::Cross | Event::Status(_) => Ok(()),
    };
    match done {
        Ok(()) => Ok(true),
        Err(Misfit::Unknown(_)) => Ok(false),
        Err(misfit) => Err(misfit.to_string()),
    }
}

/// Returns the symbol in a file's name: `AAPL` of `AAPL_2012-06-21_34200000_57600000_message_10.csv`.
fn symbol(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let (symbol, _) = name.split_once('_').filter(|_| name.contains("_message_"))?;
    (!symbol.is_empty()).then_some(symbol)
}

/// Returns the order book file beside a message file, if it exists.
fn beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let (before, after) = name.rsplit_once("_message_")?;
    let path = path.with_file_name(format!("{before}_orderbook_{after}"));
    path.exists().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_symbol_is_in_the_name() {
        for (name, expected) in [
            ("data/AAPL_2012-06-21_34200000_57600000_message_10.csv", Some("AAPL")),
            ("XY_message_1.csv.gz", Some("XY")),
            ("_message_1.csv", None),
            ("aapl_messages.csv", None),
            ("aapl", None),
        ] {
            assert_eq!(symbol(Path::new(name)), expected, "{name}");
        }
    }
}
