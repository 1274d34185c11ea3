//! Recorded feeds, read as a stream: a recording of a whole day needs no more memory than one of a minute.
//!
//! A new format is a file here with a [`Feed`] in it, and an entry in [`FORMATS`]. Recordings are untrusted input:
//! every record either becomes publications or is reported with its position.

mod begun;
mod betfair;
mod binance;
mod clock;
mod coinbase;
pub mod csv;
mod dbn;
pub mod decimal;
mod exact;
mod images;
mod input;
mod instrument;
mod itch;
mod kraken;
mod levels;
mod lines;
mod live;
mod lobster;
mod mapped;
mod mapping;
mod moment;
pub mod nba;
pub mod ndjson;
mod order_book;
mod output;
mod playback;
mod played;
mod repeated;
mod selected;
mod statsbomb;
mod venue;
mod window;

use std::io::{self, BufRead};
use std::path::Path;
use std::sync::Arc;

use begun::Begun;
use feed_player::publication::Feed;
pub use input::Reader;
pub use mapping::{Mapping, MappingError};
pub use moment::Moment;
pub use output::{FILE_ENDINGS, create, is_file_name};
pub use playback::{Playback, PlaybackError, Rounds};

/// A format that can be replayed.
pub struct Format {
    /// Its name on the command line.
    pub name: &'static str,
    /// A summary of one line.
    pub summary: &'static str,
    /// What a file contains, and what is published from it.
    pub description: &'static str,
    open: fn(Reader) -> io::Result<Box<dyn Feed>>,
}

/// All formats.
pub const FORMATS: &[Format] = &[
    Format {
        name: "betfair",
        summary: "Betfair exchange streams: markets, ladders and last prices",
        description: betfair::DESCRIPTION,
        open: |reader| Ok(Box::new(betfair::feed(reader))),
    },
    Format {
        name: "binance",
        summary: "Binance spot streams: trades, tickers and books",
        description: binance::DESCRIPTION,
        open: |reader| Ok(Box::new(binance::feed(reader))),
    },
    Format {
        name: "coinbase",
        summary: "Coinbase Exchange WebSocket: books, quotes, trades and tickers",
        description: coinbase::DESCRIPTION,
        open: |reader| Ok(Box::new(coinbase::feed(reader))),
    },
    Format {
        name: "csv",
        summary: "any CSV, with a mapping",
        description: csv::DESCRIPTION,
        open: |_| {
            Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "CSV needs --mapping FILE.toml, which says what its columns mean",
            ))
        },
    },
    Format {
        name: "dbn",
        summary: "Databento DBN: books from market by order, trades, quotes, bars",
        description: dbn::DESCRIPTION,
        open: |reader| Ok(Box::new(dbn::feed(reader)?)),
    },
    Format {
        name: "itch",
        summary: "NASDAQ TotalView-ITCH 5.0: books rebuilt order by order, trades, status",
        description: itch::DESCRIPTION,
        open: |reader| Ok(Box::new(itch::feed(reader))),
    },
    Format {
        name: "kraken",
        summary: "Kraken WebSocket v2 and v1: verified books, quotes, trades and tickers",
        description: kraken::DESCRIPTION,
        open: |reader| Ok(Box::new(kraken::feed(reader))),
    },
    Format {
        name: "lobster",
        summary: "LOBSTER: messages and book of a stock, as CSV",
        description: lobster::DESCRIPTION,
        open: |reader| Ok(Box::new(lobster::feed(reader)?)),
    },
    Format {
        name: "nba",
        summary: "NBA play-by-play: actions and scores of a game",
        description: nba::DESCRIPTION,
        open: |reader| Ok(Box::new(nba::Nba::new(reader)?)),
    },
    Format {
        name: "ndjson",
        summary: "lines of JSON: updates as they are published, or any with a mapping",
        description: ndjson::DESCRIPTION,
        open: |reader| Ok(Box::new(ndjson::Ndjson::updates(reader))),
    },
    Format {
        name: "statsbomb",
        summary: "StatsBomb events: events, scores and statistics of a football match",
        description: statsbomb::DESCRIPTION,
        open: |reader| Ok(Box::new(statsbomb::StatsBomb::new(reader)?)),
    },
];

/// Returns the format of that name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

impl Format {
    /// Opens a file, or standard input for `-`; plain, gzip, bzip2 or zstd.
    pub fn open(&self, path: &Path) -> io::Result<Box<dyn Feed>> {
        self.of_reader(Reader::open(path, &Arc::default())?)
    }

    /// Opens bytes in memory, compressed or plain.
    pub fn of_bytes(&self, bytes: Vec<u8>) -> io::Result<Box<dyn Feed>> {
        self.of_stream(io::Cursor::new(bytes))
    }

    /// Opens a stream of bytes, compressed or plain.
    pub fn of_stream(&self, bytes: impl BufRead + Send + 'static) -> io::Result<Box<dyn Feed>> {
        self.of_reader(Reader::decompressing(bytes)?)
    }

    /// Makes the feed of a recording that is already open.
    pub fn of_reader(&self, reader: Reader) -> io::Result<Box<dyn Feed>> {
        Ok(Box::new(Begun::new((self.open)(reader)?)))
    }

    /// Makes the feed of a recording that is already open, with a mapping. A format that takes no mapping ignores it.
    fn of_mapped(&self, reader: Reader, mapping: Mapping) -> io::Result<Box<dyn Feed>> {
        match self.open_mapped() {
            Some(open) => Ok(Box::new(Begun::new(open(reader, mapping)?))),
            None => self.of_reader(reader),
        }
    }

    /// Returns the function that opens a recording of this format with a mapping; `None` for formats whose fields have
    /// a fixed meaning.
    fn open_mapped(&self) -> Option<OpenMapped> {
        match self.name {
            "csv" => Some(|reader, mapping| Ok(Box::new(csv::Csv::new(reader, mapping)?))),
            "ndjson" => Some(|reader, mapping| Ok(Box::new(ndjson::Ndjson::mapped(reader, mapping)))),
            _ => None,
        }
    }
}

type OpenMapped = fn(Reader, Mapping) -> io::Result<Box<dyn Feed>>;

/// Whether `text` can be a segment of a topic without changes: it has only characters that the broker allows, and is so
/// short that the whole topic stays within the broker's limit.
fn is_segment(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-:/=+@^$~".contains(&byte))
}
