//! Databento DBN: normalised records of many venues, read with Databento's own crate.

mod listed;
mod records;
mod stream;
mod symbols;

use std::collections::{HashMap, VecDeque};
use std::io;

use ::dbn::VersionUpgradePolicy;

use super::Reader;
use super::played::{Played, Records};
use feed_player::publication::{BadRecord, Feed, Publication};
use listed::Listed;
use records::{Body, Content};
use stream::Stream;
use symbols::Symbols;

/// What `feed-sim describe dbn` prints.
pub(super) const DESCRIPTION: &str = "\
Databento DBN, versions 1 to 3; which topics there are depends on the schema:
  dbn.SYM.book        state, patch  {\"bids\":{PX:QTY},\"asks\":{PX:QTY}}, rebuilt from the orders of mbo and published at the end of
                      each event (flag LAST), or the ten levels of mbp-10
  dbn.SYM.quote       state  {\"bid\",\"bid_qty\",\"ask\",\"ask_qty\"} of that book, or of mbp-1, tbbo and bbo
  dbn.SYM.trade       event  {\"id\",\"px\",\"qty\",\"side\"} of mbo, mbp, tbbo and trades; DBN has no trade ids, so the id is the record's
                      number in the file
  dbn.SYM.bar_1s      state  {\"start\",\"open\",\"high\",\"low\",\"close\",\"volume\"} of ohlcv, with `start` in microseconds since the UNIX
                      epoch; also bar_1m, bar_1h, bar_1d
  dbn.SYM.status      state  {\"status\":\"pre_open\"|\"auction\"|\"open\"|\"halted\"|\"closed\",\"action\"}
  dbn.SYM.definition  state  {\"symbol\",\"instrument_id\",\"tick\"}
Symbols come from the file's mappings, its symbol mapping records or its definitions, else SYM is the instrument's number; if
several venues publish an instrument, those after the first are SYM@VENUE. Prices have at least two decimals. Everything has
`venue_ts` (microseconds since the UNIX epoch), `venue_ts_ns` (the same in nanoseconds, as a string) and, where the record has it,
`venue_seq`. Cancelling or changing an order from before the recording counts as a gap. Statistics, imbalances,
consolidated quotes and the gateway's own messages are read and publish nothing.";

/// The feed of a recording.
pub(super) fn feed(reader: Reader) -> io::Result<impl Feed> {
    let (stream, metadata) = Stream::open(reader)?;
    let symbols = Symbols::new(&metadata);
    let version = metadata.version;
    Ok(Played::new(Dbn { stream, version, symbols, listed: HashMap::default(), venues: HashMap::default(), gaps: 0 }))
}

/// A venue, and its number for the instrument.
type Key = (u16, u32);

struct Dbn {
    stream: Stream,
    version: u8,
    symbols: Symbols,
    listed: HashMap<Key, Listed, foldhash::fast::RandomState>,
    /// The venue that published an instrument of that number first.
    venues: HashMap<u32, u16, foldhash::fast::RandomState>,
    /// How many records are about an order from before the recording.
    gaps: u64,
}

/// Records are read in the version that the file has. Upgrading old ones is not needed, and the crate does not check
/// their lengths when it upgrades.
const UPGRADE: VersionUpgradePolicy = VersionUpgradePolicy::AsIs;

impl Records for Dbn {
    fn read(&mut self, out: &mut VecDeque<Publication>) -> Option<Result<u64, BadRecord>> {
        let Dbn { stream, version, symbols, listed, venues, gaps } = self;
        let number = stream.records() + 1;
        let content = match stream.next()? {
            Ok(record) => Content::of(record, *version),
            Err(bad) => return Some(Err(bad)),
        };
        let played = content.and_then(|content| {
            let time_ns = content.time_ns;
            match content.body {
                Body::Nothing => {}
                Body::Mapping(symbol) => symbols.map(content.instrument_id, symbol),
                _ => {
                    if let Body::Definition { symbol, .. } = &content.body {
                        symbols.define(content.instrument_id, symbol);
                    }
                    let first = *venues.entry(content.instrument_id).or_insert(content.publisher_id);
                    let venue = (first != content.publisher_id).then_some(content.publisher_id);
                    let listed = listed.entry((content.publisher_id, content.instrument_id)).or_default();
                    listed.name(&content, venue, symbols);
                    *gaps += u64::from(!listed.play(number, &content, out)?);
                }
            }
            Ok(time_ns)
        });
        Some(played.map_err(|reason| stream.bad(reason)))
    }

    fn venue_gaps(&self) -> u64 {
        self.gaps
    }
}
