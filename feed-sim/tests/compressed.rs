//! Recordings in any form: compressed in any way, in pieces, truncated, damaged, or as a decompression bomb.

mod common;

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use bzip2::write::BzEncoder;
use common::all;
use feed_formats::{Reader, find};
use feed_player::publication::Timed;
use flate2::write::GzEncoder;

type Compress = fn(&[u8]) -> Vec<u8>;

/// Plain comes first; the others can be truncated.
const COMPRESSIONS: [(&str, Compress); 4] =
    [("plain", <[u8]>::to_vec), ("gzip", gzip), ("bzip2", bzip2), ("zstd", zstd)];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    // The smallest blocks, so that the records before a cut can be read.
    let mut encoder = BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("memory");
    encoder.include_checksum(true).expect("a known option");
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Trades with numbers that do not compress to nothing.
fn trades(count: u64) -> String {
    (0..count)
        .map(|nth| {
            let noise = (nth + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!("{nth}000 {{\"stream\":\"x@trade\",\"data\":{{\"s\":\"XY\",\"t\":{nth},\"x\":{noise}}}}}\n")
        })
        .collect()
}

fn data(timed: &[Timed]) -> Vec<&str> {
    timed.iter().map(|timed| timed.publication.data.as_str()).collect()
}

#[test]
fn every_compression_from_a_file_and_from_standard_input() {
    let text = trades(5_000);
    let (plain, bad, _) = all(find("binance").expect("a format").of_bytes(text.clone().into()).expect("readable"));
    assert_eq!((plain.len(), bad.len()), (5_000, 0));
    let (first, second) = text.split_at(text.len() / 3);
    for (name, compress) in COMPRESSIONS {
        // Two concatenated members, streams or frames are one recording.
        for bytes in [compress(text.as_bytes()), [compress(first.as_bytes()), compress(second.as_bytes())].concat()] {
            let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
            file.write_all(&bytes).expect("it is written");
            let (timed, bad, _) = all(find("binance").expect("a format").open(file.path()).expect("it opens"));
            assert_eq!(bad, [], "{name}");
            assert!(data(&timed) == data(&plain), "{name}");
            assert_eq!(through_standard_input(&bytes), 5_000, "{name}");
        }
    }
}

/// The number of lines that the program makes of the bytes, which are written in small pieces, the first of a single
/// byte.
fn through_standard_input(bytes: &[u8]) -> usize {
    let mut child = Command::new(env!("CARGO_BIN_EXE_feed-sim"))
        .args(["replay", "binance", "-", "--speed", "max", "--to", "stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || {
        let (first, rest) = bytes.split_at(1);
        stdin.write_all(first).expect("it reads");
        rest.chunks(1_000).for_each(|chunk| stdin.write_all(chunk).expect("it reads"));
    });
    let mut text = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut text).expect("UTF-8");
    writer.join().expect("all was written");
    assert!(child.wait().expect("it ended").success());
    text.lines().count()
}

#[test]
fn records_before_a_cut_are_published() {
    let text = trades(40_000);
    for (name, compress) in &COMPRESSIONS[1..] {
        let whole = compress(text.as_bytes());
        for kept_bytes in [whole.len() / 2, whole.len() - 1] {
            let cut = whole[..kept_bytes].to_vec();
            let (timed, bad, counts) = all(find("binance").expect("a format").of_bytes(cut).expect("readable"));
            assert!(timed.len() > 10_000, "{name}: {}", timed.len());
            assert!(
                timed.iter().zip(0..).all(|(timed, nth)| timed.publication.data.contains(&format!("\"t\":{nth},")))
            );
            assert_eq!(bad.len(), 1, "{name}, {kept_bytes} bytes");
            assert!(bad[0].ends_recording && bad[0].reason.contains("cannot be read from here on"), "{}", bad[0]);
            assert_eq!(counts.bad, 1);
        }
    }
}

#[test]
fn damage_is_reported() {
    let text = trades(10_000);
    for (name, compress) in &COMPRESSIONS[1..] {
        let mut damaged = compress(text.as_bytes());
        let middle = damaged.len() / 2;
        damaged[middle..middle + 40].iter_mut().for_each(|byte| *byte ^= 0x55);
        let (_, bad, _) = all(find("binance").expect("a format").of_bytes(damaged).expect("readable"));
        assert!(bad.last().is_some_and(|bad| bad.ends_recording), "{name}");
    }
}

/// A hundred megabytes on a single line, in less than two: it is skipped while it is read.
#[test]
fn a_bomb_is_one_bad_record() {
    let piece = vec![b'x'; 1 << 20];
    for (name, bomb) in [
        ("gzip", {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            (0..100).for_each(|_| encoder.write_all(&piece).expect("memory"));
            encoder.finish().expect("memory")
        }),
        ("zstd", {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("memory");
            (0..100).for_each(|_| encoder.write_all(&piece).expect("memory"));
            encoder.finish().expect("memory")
        }),
    ] {
        assert!(bomb.len() < 2 << 20, "{name}");
        let (timed, bad, counts) = all(find("binance").expect("a format").of_bytes(bomb).expect("readable"));
        assert_eq!((timed.len(), bad.len(), counts.records), (0, 1, 1), "{name}");
        assert!(bad[0].reason.contains("longer than"), "{}", bad[0]);
    }
}

#[test]
fn progress_counts_the_bytes_of_the_file() {
    let bytes = gzip(trades(5_000).as_bytes());
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(&bytes).expect("it is written");
    let progress = std::sync::Arc::default();
    let reader = Reader::open(file.path(), &progress).expect("it opens");
    assert_eq!(progress.whole_bytes(), Some(bytes.len() as u64));
    all(find("binance").expect("a format").of_reader(reader).expect("readable"));
    assert_eq!(progress.read_bytes(), bytes.len() as u64);
}
