//! Recorded Binance spot streams.
//!
//! A line is `<local receive time, ns> <raw JSON>`: messages of a combined stream, and the REST depth snapshot that was
//! fetched during the recording. Trades and tickers are published exactly as the venue wrote them; depth becomes a
//! book.

mod book;
mod fields;

use std::collections::VecDeque;

use crate::Reader;
use crate::venue::line_feed::{Decode, LineFeed};
use crate::venue::text::{segment, unchanged};
use book::Books;
use feed_player::publication::{Feed, Kind, Publication};
use fields::{Depth, Envelope, Identified, Snapshot};

/// What `feed-sim describe binance` prints.
pub(super) const DESCRIPTION: &str = "\
Binance spot, combined streams; a line is `<local receive time, ns> <raw JSON>`:
  binance.SYM.ticker  state  `data` of SYM@bookTicker, as the venue wrote it
  binance.SYM.trade   event  `data` of SYM@trade, as the venue wrote it
  binance.SYM.depth   state  the REST snapshot, {\"u\",\"bids\":{PX:QTY},\"asks\":{PX:QTY}}
                      patch  SYM@depth after it, {\"E\",\"u\",\"bids\",\"asks\"} with QTY null if a level is gone; updates that
                             the snapshot includes are left out, as the venue's manual requires";

/// The feed of a recording.
pub(super) fn feed(reader: Reader) -> impl Feed {
    LineFeed::new(reader, Binance::default())
}

#[derive(Default)]
struct Binance {
    books: Books,
}

impl Decode for Binance {
    fn decode(&mut self, line: &[u8], out: &mut VecDeque<Publication>) -> Result<Option<u64>, String> {
        let (received_ns, json) = split(line)?;
        publications(json, &mut self.books, out)?;
        Ok(Some(received_ns))
    }

    fn finish(&mut self, out: &mut VecDeque<Publication>) {
        self.books.release(out);
    }

    fn superseded(&self) -> u64 {
        self.books.superseded
    }

    fn venue_gaps(&self) -> u64 {
        self.books.venue_gaps
    }
}

/// Splits a line into receive time and JSON.
fn split(line: &[u8]) -> Result<(u64, &str), String> {
    let line = str::from_utf8(line).map_err(|error| format!("not UTF-8: {error}"))?;
    let (received_ns, json) = line.split_once(' ').ok_or("no blank after the receive time")?;
    let received_ns = received_ns.parse().map_err(|_| "the receive time is not a number of nanoseconds")?;
    Ok((received_ns, json))
}

/// Appends what a message publishes. An error publishes nothing.
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
            books.depth(segment(depth.symbol)?, &depth, out)
        }
        Some("bookTicker") => publish_unchanged(&mut bytes, data.get(), "ticker", Kind::State, out),
        Some("trade") => publish_unchanged(&mut bytes, data.get(), "trade", Kind::Event, out),
        _ => Err(format!("stream {stream:?} is not supported")),
    }
}

/// Publishes the venue's own object, checked and otherwise unchanged.
fn publish_unchanged(
    bytes: &mut [u8],
    data: &str,
    what: &str,
    kind: Kind,
    out: &mut VecDeque<Publication>,
) -> Result<(), String> {
    let identified: Identified<'_> = parse(bytes)?;
    let topic = format!("binance.{}.{what}", segment(identified.symbol)?);
    out.push_back(Publication::new(&topic, kind, unchanged(data)?));
    Ok(())
}

fn parse<'a, T: serde::Deserialize<'a>>(bytes: &'a mut [u8]) -> Result<T, String> {
    simd_json::serde::from_slice(bytes).map_err(|error| error.to_string())
}
