//! The memory of a replay is that of the orders that rest in the books, for a recording of any length. The recordings
//! are made while they are read, and this test has a process of its own, so that the memory of the process is that of
//! the replay.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::io::{self, BufReader, Read};

use feed_formats::find;

/// The most memory that a replay may add. The recordings are at least twice as large, and what they publish ten times.
const GROWTH_KIB_MAX: u64 = 3 << 10;
const RECORDS: u64 = 200_000;

/// Appends the record of this number.
type Records = fn(u64, &mut Vec<u8>);

/// A reader of records that a function makes one by one.
struct Made<F> {
    make: F,
    nth: u64,
    record: Vec<u8>,
    at: usize,
}

impl<F: FnMut(u64, &mut Vec<u8>)> Read for Made<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.record.len() && self.nth < RECORDS {
            self.record.clear();
            self.at = 0;
            // As many at once as a read from a file.
            while self.record.len() < 64 << 10 && self.nth < RECORDS {
                (self.make)(self.nth, &mut self.record);
                self.nth += 1;
            }
        }
        let count = buffer.len().min(self.record.len() - self.at);
        buffer[..count].copy_from_slice(&self.record[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Adds orders, and deletes each a hundred orders later.
fn itch(nth: u64, record: &mut Vec<u8>) {
    let kind = if nth.is_multiple_of(2) { b'A' } else { b'D' };
    let order = if kind == b'A' { nth / 2 } else { (nth / 2).saturating_sub(100) };
    let start = record.len();
    record.extend_from_slice(&[0, 0, kind, 0, 7, 0, 0]);
    record.extend_from_slice(&nth.to_be_bytes()[2..]);
    record.extend_from_slice(&order.to_be_bytes());
    if kind == b'A' {
        record.extend_from_slice(b"B\0\0\0\x64SYM     ");
        record.extend_from_slice(&(10_000 + (nth % 40) as u32).to_be_bytes());
    }
    let length = (record.len() - start - 2) as u16;
    record[start..start + 2].copy_from_slice(&length.to_be_bytes());
}

fn lobster(nth: u64, record: &mut Vec<u8>) {
    let (event, order) = if nth.is_multiple_of(2) { (1, nth / 2) } else { (3, (nth / 2).saturating_sub(100)) };
    let line = format!("34200.{nth:09},{event},{order},100,{},-1\n", 1_000_000 + order % 40 * 100);
    record.extend_from_slice(line.as_bytes());
}

fn dbn(nth: u64, record: &mut Vec<u8>) {
    let adds = nth.is_multiple_of(2);
    if nth == 0 {
        let metadata = ::dbn::Metadata::builder()
            .dataset("XNAS.ITCH".to_owned())
            .schema(Some(::dbn::Schema::Mbo))
            .start(0)
            .stype_in(None)
            .stype_out(::dbn::SType::InstrumentId)
            .build();
        ::dbn::encode::dbn::MetadataEncoder::new(&mut *record).encode(&metadata).expect("it is written");
    }
    let order = if adds { nth / 2 } else { (nth / 2).saturating_sub(100) };
    let message = ::dbn::MboMsg {
        hd: ::dbn::RecordHeader::new::<::dbn::MboMsg>(::dbn::rtype::MBO, 2, 5, nth),
        order_id: order,
        price: (100 + (order % 40) as i64) * 1_000_000_000,
        size: 100,
        action: if adds { b'A' } else { b'C' } as _,
        side: b'A' as _,
        flags: ::dbn::FlagSet::new(::dbn::flags::LAST),
        ts_recv: nth,
        ..::dbn::MboMsg::default()
    };
    record.extend_from_slice(message.as_ref());
}

/// Returns the peak memory of this process.
#[cfg(target_os = "linux")]
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("readable");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_ascii_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number of KiB")
}

#[test]
#[cfg(target_os = "linux")]
fn a_long_recording_needs_no_more_memory_than_a_short_one() {
    let formats: [(&str, Records); 3] = [("itch", itch), ("lobster", lobster), ("dbn", dbn)];
    for (name, make) in formats {
        let bytes = BufReader::new(Made { make, nth: 0, record: Vec::new(), at: 0 });
        let mut feed = find(name).expect("a format").of_stream(bytes).expect("readable");
        let (mut published, mut before) = (0u64, 0);
        for item in feed.by_ref() {
            item.expect("no bad record");
            published += 1;
            // By now the replay has allocated everything that it keeps.
            if published == 10_000 {
                before = peak_kib();
            }
        }
        assert_eq!(feed.counts().records, RECORDS, "{name}");
        assert!(published > RECORDS / 2, "{name}: {published}");
        let growth = peak_kib() - before;
        assert!(growth < GROWTH_KIB_MAX, "{name}: {growth} KiB more after {published} updates");
    }
}
