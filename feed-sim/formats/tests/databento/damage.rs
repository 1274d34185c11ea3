//! Damaged recordings: bad records, cuts, noise.

use ::dbn::{MboMsg, rtype};
use feed_formats::find;
use proptest::prelude::*;

use crate::common::{all, data};
use crate::records::{mbo, metadata};
use crate::{file, replayed};

#[test]
fn bad_records_are_reported_skipped_and_counted() {
    let good = mbo(1, b'A', b'B', 1, 400, 10, true);
    let edited = |edit: fn(&mut [u8])| {
        let mut bytes: Vec<u8> = mbo(2, b'A', b'B', 2, 400, 10, true).as_ref().to_vec();
        edit(&mut bytes);
        bytes
    };
    let made = |message: MboMsg| message.as_ref().to_vec();
    let start = metadata(3).len() + good.as_ref().len();
    for (record, reason) in [
        (edited(|bytes| bytes[1] = 0xff), "no record type 0xff"),
        (edited(|bytes| bytes[1] = rtype::MBP_10), "type 0x0a has 368 bytes, but this one has 56"),
        (edited(|bytes| bytes[1] = rtype::INSTRUMENT_DEF), "type 0x13 has 520 bytes, but this one has 56"),
        (made(mbo(2, b'x', b'B', 2, 400, 10, true)), "no action 'x'"),
        (made(mbo(2, b'A', b'N', 2, 400, 10, true)), "no side"),
        (made(mbo(2, b'A', b'B', 2, 0, 10, true)), "no price"),
        (made(mbo(2, b'A', b'B', 2, 400, 0, true)), "quantity of 0"),
        (made(mbo(2, b'A', b'B', 1, 400, 1, true)), "order 1 is already in the book"),
        (made(mbo(2, b'C', b'B', 1, 400, 11, true)), "a quantity of 10, which cannot be reduced by 11"),
        (made(mbo(2, b'M', b'B', 1, 400, 0, true)), "quantity of 0"),
        (made(mbo(2, b'T', b'B', 0, 0, 1, true)), "the trade has no price"),
    ] {
        let (timed, bad, counts) =
            replayed(file(&[good.as_ref(), &record, mbo(3, b'C', b'B', 1, 400, 10, true).as_ref()]));
        assert_eq!((timed.len(), bad.len(), counts.records, counts.bad), (4, 1, 3, 1), "{reason}");
        assert!(bad[0].reason.contains(reason) && !bad[0].ends_recording, "{}", bad[0]);
        assert_eq!(bad[0].position, format!("byte {start}"));
    }
    // With a length that no record has, the beginning of the next record is unknown.
    for length in [0, 3, 13] {
        let mut record = made(mbo(2, b'A', b'B', 2, 400, 10, true));
        record[0] = length;
        let (timed, bad, counts) = replayed(file(&[good.as_ref(), &record, good.as_ref()]));
        assert_eq!((timed.len(), bad.len(), counts.records), (2, 1, 2));
        assert!(bad[0].ends_recording && bad[0].reason.contains("where the next one begins"), "{}", bad[0]);
    }
}

#[test]
fn a_recording_that_is_cut_says_so() {
    let (first, second) = (mbo(1, b'A', b'B', 1, 400, 10, true), mbo(2, b'A', b'B', 2, 400, 10, true));
    let bytes = file(&[first.as_ref(), second.as_ref()]);
    let begin = metadata(3).len();
    for cut in 0..bytes.len() {
        let feed = find("dbn").expect("a format").of_bytes(bytes[..cut].to_vec());
        assert_eq!(feed.is_ok(), cut >= begin, "{cut}");
        let Ok(feed) = feed else { continue };
        let (_, bad, _) = all(feed);
        assert_eq!(bad.len(), usize::from(!(cut - begin).is_multiple_of(56)), "{cut}");
        assert!(bad.iter().all(|bad| bad.ends_recording));
    }
    for (text, reason) in [
        ("DBZ.....", "does not begin"),
        ("DBN\x03\u{7f}\u{7f}\u{7f}\u{7f}", "more than"),
        ("DBN\u{63}\0\x02\0\0", "middle"),
    ] {
        let error = find("dbn").expect("a format").of_bytes(text.into()).err().expect("no DBN");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

proptest! {
    /// Any file is either not DBN, or every record is counted once and everything published is JSON.
    #[test]
    fn damaged_recordings(edits in prop::collection::vec((any::<u16>(), any::<u8>()), 0..12), only_records: bool) {
        let records: Vec<MboMsg> = (1..20).map(|nth| mbo(nth, b"ARCMTF"[nth as usize % 6], b'B', 1, 400, 10, true)).collect();
        let records: Vec<&[u8]> = records.iter().map(AsRef::as_ref).collect();
        let mut bytes = file(&records);
        let from = if only_records { metadata(3).len() } else { 0 };
        for (at, byte) in edits {
            let at = from + usize::from(at) % (bytes.len() - from);
            bytes[at] = byte;
        }
        if let Ok(feed) = find("dbn").expect("a format").of_bytes(bytes) {
            let (timed, bad, counts) = all(feed);
            prop_assert_eq!(counts.bad, bad.len() as u64);
            for timed in &timed {
                data(&timed.publication);
            }
        }
    }

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..4_000)) {
        let (timed, bad, counts) = replayed(file(&[&bytes]));
        prop_assert_eq!(counts.bad, bad.len() as u64);
        for timed in &timed {
            data(&timed.publication);
        }
    }
}
