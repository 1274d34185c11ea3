//! Damaged recordings: bad records, orders from before the recording, lost framing, cuts, noise.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::{apply, data};
use crate::messages::Field::{Text, U8, U32, U64};
use crate::messages::{add, framed, message};
use crate::{day, replayed, unframed};

#[test]
fn bad_records_are_reported_skipped_and_counted() {
    let begin = [framed(&message(b'S', 1, &[U8(b'O')])), framed(&add(1, 1, b'B', 300, 99_900))].concat();
    let position = format!("byte {}", begin.len());
    let end = framed(&add(9, 2, b'S', 300, 100_900));
    let order = |kind: u8, order: u64, shares: u32| message(kind, 2, &[U64(order), U32(shares)]);
    for (record, reason) in [
        (vec![b'Z', 1, 2], "no message type 'Z'"),
        (message(b'S', 24 * 3_600 * 1_000_000_000, &[U8(b'O')]), "not a time of day"),
        (message(b'S', 2, &[U8(b'o')]), "no system event 'o'"),
        (message(b'H', 2, &[Text("XY.A", 8), U8(b'x')]), "no trading state 'x'"),
        (add(2, 9, b'b', 1, 1), "no side 'b'"),
        (add(2, 9, b'B', 0, 1), "quantity of 0"),
        (add(2, 1, b'B', 1, 1), "order 1 is already in the book"),
        (order(b'E', 1, 301), "a quantity of 300, which cannot be reduced by 301"),
        (order(b'X', 1, 301), "a quantity of 300, which cannot be reduced by 301"),
        (message(b'U', 2, &[U64(1), U64(1), U32(0), U32(1)]), "quantity of 0"),
        (message(b'A', 2, &[U64(9), U8(b'B'), U32(1), Text("OTHER", 8), U32(1)]), "stock 7 is XY.A and not OTHER"),
        (message(b'A', 2, &[U64(9), U8(b'B'), U32(1), U64(u64::MAX)]), "is not text"),
        (message(b'A', 2, &[U64(9), U8(b'B'), U32(1), Text("", 8)]), "no symbol"),
        (message(b'C', 2, &[U64(1), U32(1), U64(1), U8(b'?')]), "no printable '?'"),
        ([&[b'D', 0, 8], &message(b'D', 2, &[U64(1)])[3..]].concat(), "the symbol of stock 8"),
    ] {
        let (timed, bad, counts) = replayed([begin.clone(), framed(&record), end.clone()].concat());
        assert_eq!(bad.len(), 1, "{reason}");
        assert!(bad[0].reason.contains(reason) && !bad[0].ends_recording, "{}", bad[0]);
        assert_eq!(bad[0].position, position);
        assert_eq!((counts.records, counts.bad, counts.venue_gaps), (4, 1, 0));
        // The book is the same as without the bad record.
        let mut book = Value::Null;
        timed
            .iter()
            .filter(|it| it.publication.topic.ends_with("book"))
            .for_each(|it| apply(&mut book, &it.publication));
        assert_eq!(book, json!({"bids":{"9.9900":"300"},"asks":{"10.0900":"300"},"venue_time_ns":9}));
    }
}

#[test]
fn orders_from_before_the_recording_are_gaps() {
    let bytes = [
        add(1, 1, b'B', 300, 99_900),
        message(b'E', 2, &[U64(9), U32(1), U64(50)]),
        message(b'C', 3, &[U64(9), U32(5), U64(51), U8(b'Y'), U32(99_900)]),
        message(b'X', 4, &[U64(9), U32(1)]),
        message(b'D', 5, &[U64(9)]),
        message(b'U', 6, &[U64(9), U64(10), U32(1), U32(1)]),
    ];
    let (timed, bad, counts) = replayed(bytes.iter().flat_map(|message| framed(message)).collect());
    assert_eq!(bad, []);
    assert_eq!((counts.records, counts.venue_gaps), (6, 5));
    // A trade with a price is published even if its order is unknown.
    assert_eq!(timed.len(), 3);
    assert_eq!(data(&timed[2].publication), json!({"id":51,"px":"9.9900","qty":"5","venue_time_ns":3}));
}

#[test]
fn framing_that_is_lost_ends_the_recording() {
    let good = framed(&message(b'S', 1, &[U8(b'Q')]));
    let (timed, bad, counts) = replayed([&good[..], &[0, 0, b'z'], &good[..]].concat());
    assert_eq!((timed.len(), counts.records), (1, 2));
    assert!(bad[0].ends_recording && bad[0].reason.contains("where the next record begins is unknown"), "{}", bad[0]);

    // The exchange marks the end of a file with a length of 0.
    let (timed, bad, counts) = replayed([&good[..], &[0, 0]].concat());
    assert_eq!((timed.len(), bad.len(), counts.records), (1, 0, 1));

    // Text instead of a recording.
    let (timed, bad, counts) = replayed(b"0123456789abcdef".repeat(4_000_000));
    assert_eq!(timed.len(), 0);
    assert!(counts.records <= 1_000);
    assert!(bad.last().is_some_and(|bad| bad.ends_recording));
}

#[test]
fn a_recording_that_is_cut_says_so() {
    let mut bytes = Vec::new();
    let mut ends = vec![0];
    for (nth, message) in day().iter().enumerate() {
        bytes.extend(if nth % 2 == 0 { framed(message) } else { unframed(message) });
        ends.push(bytes.len());
    }
    let (whole, ..) = replayed(bytes.clone());
    for cut in 0..bytes.len() {
        let (timed, bad, _) = replayed(bytes[..cut].to_vec());
        assert_eq!(timed, whole[..timed.len()]);
        // A cut after the two zeros before an unframed message looks like the exchange's mark for the end.
        let looks_whole =
            ends.contains(&cut) || (cut >= 2 && ends.contains(&(cut - 2)) && bytes[cut - 2..cut] == [0, 0]);
        assert_eq!(bad.len(), usize::from(!looks_whole), "{cut}");
        assert!(bad.iter().all(|bad| bad.ends_recording));
    }
}

proptest! {
    /// With any content, every record is counted once, and everything published is JSON.
    #[test]
    fn damaged_recordings(edits in prop::collection::vec((0..1_000usize, any::<u8>()), 0..20), zeros: bool) {
        let frame = if zeros { unframed } else { framed };
        let mut bytes: Vec<u8> = day().iter().flat_map(|message| frame(message)).collect();
        for (at, byte) in edits {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let (timed, bad, counts) = replayed(bytes);
        prop_assert_eq!(counts.bad, bad.len() as u64);
        for timed in &timed {
            data(&timed.publication);
        }
    }

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..4_000)) {
        let (timed, bad, counts) = replayed(bytes);
        prop_assert_eq!(counts.bad, bad.len() as u64);
        for timed in &timed {
            data(&timed.publication);
        }
    }
}
