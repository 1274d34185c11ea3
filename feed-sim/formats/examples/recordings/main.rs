//! Makes the synthetic recordings in `feed-sim/formats`: `make recordings` writes them, and the test here checks that
//! the files in the repository are exactly those.
//!
//! None of their content was recorded. The messages are made up from what each venue publishes about its format; the
//! file of a format names that source. They have the fields that are read and some of those that are passed on.

mod betfair;
mod binance;
mod coinbase;
mod dbn;
mod itch;
mod kraken;
mod lobster;
mod nba;
mod statsbomb;
mod tables;

use std::path::{Path, PathBuf};

use serde_json::{Number, Value};

/// The files, by their paths in this crate.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let (messages, order_book) = lobster::recording();
    vec![
        ("mappings/exchange.ndjson", tables::exchange().into_bytes()),
        ("mappings/sensors.csv", tables::sensors().into_bytes()),
        ("recordings/XY_2026-01-05_34200000_57600000_message_2.csv", messages.into_bytes()),
        ("recordings/XY_2026-01-05_34200000_57600000_orderbook_2.csv", order_book.into_bytes()),
        ("recordings/betfair.ndjson", betfair::recording().into_bytes()),
        ("recordings/binance.txt", binance::recording().into_bytes()),
        ("recordings/coinbase.txt", coinbase::recording().into_bytes()),
        ("recordings/databento_mbo.dbn", dbn::recording()),
        ("recordings/itch50.bin", itch::recording()),
        ("recordings/kraken_v1.txt", kraken::version_1().into_bytes()),
        ("recordings/kraken_v2.txt", kraken::version_2().into_bytes()),
        ("recordings/nba_playbyplay.json", nba::recording().into_bytes()),
        ("recordings/statsbomb_90001.json", statsbomb::recording().into_bytes()),
        ("recordings/updates.ndjson", tables::updates().into_bytes()),
    ]
}

fn in_this_crate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Each value on a line of its own.
fn lines(values: impl IntoIterator<Item = Value>) -> String {
    values.into_iter().map(|value| format!("{value}\n")).collect()
}

/// A number with the zeros that a literal would lose: `1.50`. An exponent is not kept as it is spelled.
fn number(text: &str) -> Value {
    text.parse::<Number>().expect("a number as JSON has it").into()
}

fn main() -> std::io::Result<()> {
    std::fs::create_dir_all(in_this_crate("recordings"))?;
    files().into_iter().try_for_each(|(name, bytes)| std::fs::write(in_this_crate(name), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_in_the_repository_are_those_that_are_made_here() {
        let files = files();
        for (name, bytes) in &files {
            let there = std::fs::read(in_this_crate(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(there == *bytes, "{name} differs from what is made here: run `make recordings`");
            assert!(bytes.len() < 8_000, "{name} has {} bytes", bytes.len());
        }
        let folder = std::fs::read_dir(in_this_crate("recordings")).expect("a folder");
        for entry in folder {
            let name = format!("recordings/{}", entry.expect("an entry").file_name().display());
            assert!(files.iter().any(|(made, _)| *made == name), "{name} is not made here");
        }
    }
}
