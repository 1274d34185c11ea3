//! Recorded Binance spot streams.
//!
//! A line is `<local receive time, ns> <raw JSON>`: messages of a combined stream, and the REST depth snapshot that was
//! fetched meanwhile. Trades and tickers go out exactly as the venue wrote them; depth becomes a book.

mod book;
mod fields;

use std::collections::VecDeque;

use crate::publication::{BadRecord, Counts, Feed, Kind, Publication, Timed};
use crate::replay::clock::Clock;
use crate::replay::lines::Lines;
use crate::replay::{Reader, is_segment};
use book::Books;
use fields::{Depth, Envelope, Identified, Snapshot};

/// What `feed-sim describe binance` prints.
pub const DESCRIPTION: &str = "\
Binance spot, combined streams; a line is `<local receive time, ns> <raw JSON>`, gzip or plain:
  binance.SYM.ticker  state  `data` of SYM@bookTicker, as the venue wrote it
  binance.SYM.trade   event  `data` of SYM@trade, as the venue wrote it
  binance.SYM.depth   state  the REST snapshot, {\"u\",\"bids\":{PX:QTY},\"asks\":{PX:QTY}}
                      patch  SYM@depth after it, {\"E\",\"u\",\"bids\",\"asks\"} with QTY null where a level is gone; what the
                             snapshot includes already is left out, as the venue's manual asks for";

/// The feed of a recording.
pub struct Binance {
    lines: Lines,
    books: Books,
    pending: VecDeque<Publication>,
    clock: Clock,
    now_us: u64,
    records: u64,
    bad: u64,
}

impl Binance {
    /// From the beginning of a recording.
    pub fn new(reader: Reader) -> Self {
        Binance {
            lines: Lines::new(reader),
            books: Books::default(),
            pending: VecDeque::new(),
            clock: Clock::default(),
            now_us: 0,
            records: 0,
            bad: 0,
        }
    }

    fn read(&mut self) -> Option<Result<(), BadRecord>> {
        let result = match self.lines.next()? {
            Ok(line) => {
                self.records += 1;
                let record = split(line).and_then(|(received_ns, json)| {
                    publications(json, &mut self.books, &mut self.pending).map(|()| received_ns)
                });
                match record {
                    Ok(received_ns) => {
                        self.now_us = self.clock.advance_us(received_ns);
                        Ok(())
                    }
                    Err(reason) => Err(self.lines.bad(reason)),
                }
            }
            Err(bad) => {
                self.records += 1;
                Err(bad)
            }
        };
        self.bad += u64::from(result.is_err());
        Some(result)
    }
}

impl Iterator for Binance {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(publication) = self.pending.pop_front() {
                return Some(Ok(Timed { due_us: self.now_us, publication }));
            }
            match self.read() {
                Some(Ok(())) => {}
                Some(Err(bad)) => return Some(Err(bad)),
                None => {
                    // Updates that never saw their snapshot.
                    self.books.let_go(&mut self.pending);
                    if self.pending.is_empty() {
                        return None;
                    }
                }
            }
        }
    }
}

impl Feed for Binance {
    fn counts(&self) -> Counts {
        Counts {
            records: self.records,
            bad: self.bad,
            superseded: self.books.superseded,
            venue_gaps: self.books.venue_gaps,
        }
    }
}

/// Receive time and JSON of a line.
fn split(line: &[u8]) -> Result<(u64, &str), String> {
    let line = str::from_utf8(line).map_err(|error| format!("not UTF-8: {error}"))?;
    let (received_ns, json) = line.split_once(' ').ok_or("no blank after the receive time")?;
    let received_ns = received_ns.parse().map_err(|_| "the receive time is no number of nanoseconds")?;
    Ok((received_ns, json))
}

/// What a message publishes. An error has published nothing.
fn publications(json: &str, books: &mut Books, out: &mut VecDeque<Publication>) -> Result<(), String> {
    let envelope: Envelope<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let (Some(stream), Some(data)) = (envelope.stream, envelope.data) else {
        let mut bytes = json.as_bytes().to_vec();
        let snapshot: Snapshot<'_> = parse(&mut bytes)?;
        return books.snapshot(&snapshot, out);
    };
    let mut bytes = data.get().as_bytes().to_vec();
    let name = stream.split_once('@').map_or("", |(_, name)| name);
    match name.split('@').next() {
        Some("depth") => {
            let depth: Depth<'_> = parse(&mut bytes)?;
            books.depth(symbol(depth.symbol)?, &depth, out)
        }
        Some("bookTicker") => as_it_is(&mut bytes, data.get(), "ticker", Kind::State, out),
        Some("trade") => as_it_is(&mut bytes, data.get(), "trade", Kind::Event, out),
        _ => Err(format!("stream \"{stream}\" is none that we publish")),
    }
}

/// The venue's own object, checked and otherwise untouched.
fn as_it_is(
    bytes: &mut [u8],
    data: &str,
    what: &str,
    kind: Kind,
    out: &mut VecDeque<Publication>,
) -> Result<(), String> {
    let identified: Identified<'_> = parse(bytes)?;
    let topic = format!("binance.{}.{what}", symbol(identified.symbol)?);
    // A line break can only stand between its tokens, where it says nothing, and our lines may have none.
    let data = if data.contains(['\n', '\r']) { data.replace(['\n', '\r'], " ") } else { data.to_owned() };
    out.push_back(Publication::new(&topic, kind, data));
    Ok(())
}

fn parse<'a, T: serde::Deserialize<'a>>(bytes: &'a mut [u8]) -> Result<T, String> {
    simd_json::serde::from_slice(bytes).map_err(|error| error.to_string())
}

fn symbol(symbol: &str) -> Result<&str, String> {
    if is_segment(symbol) { Ok(symbol) } else { Err(format!("symbol {symbol:?} cannot be part of a topic")) }
}
