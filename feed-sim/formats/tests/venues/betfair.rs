//! Betfair.

use std::collections::BTreeMap;

use feed_player::publication::{Counts, Kind};
use serde_json::json;

use crate::common::{data, synthetic_text};
use crate::{check_bad_lines, images, lines, of_text};

/// One of each message.
pub(crate) fn fixture() -> String {
    synthetic_text("betfair.ndjson")
}

const NONE: &str = r#""spb":{},"spl":{},"batb":{},"batl":{},"bdatb":{},"bdatl":{}}"#;

#[test]
fn each_message() {
    let (timed, bad, counts) = of_text("betfair", &fixture());
    assert_eq!(bad, []);
    assert_eq!(counts, Counts { records: 10, bad: 0, superseded: 0, venue_gaps: 0, ..Counts::default() });
    let expected = [
        r#"0 betfair.1-23.market state {"status":"OPEN","inPlay":false,"betDelay":0,"version":77,"runners":[{"id":5}]}"#,
        r#"0 betfair.1-23.status state {"status":"open","venue_status":"OPEN","in_play":false,"bet_delay":0,"version":77,"venue_ts":1000000}"#,
        r#"0 betfair.1-23.5.book state {"venue_ts":1000000,"conflated":false,"atb":{"1.50":"10.00","1.49":"2.25"},"atl":{"1.51":"7.00"},"trd":{"1.50":"12.50"},"spb":{},"spl":{},"batb":{"0":{"px":"1.50","qty":"10.00"},"1":{"px":"1.49","qty":"2.25"}},"batl":{},"bdatb":{},"bdatl":{}}"#,
        r#"0 betfair.1-23.5.quote state {"bid":"1.50","bid_qty":"10.00","ask":"1.51","ask_qty":"7.00","venue_ts":1000000}"#,
        r#"0 betfair.1-23.5.last state {"px":"1.50","volume":"12.50","venue_ts":1000000}"#,
        r#"0 betfair.1-23.6@-1_5.book state {"venue_ts":1000000,"conflated":false,"atb":{},"atl":{},"trd":{},"spb":{"1000.00":"3.00"},"spl":{"1.01":"4.00"},"batb":{},"batl":{},"bdatb":{},"bdatl":{}}"#,
        r#"0 betfair.1-23.6@-1_5.quote state {"bid":null,"bid_qty":null,"ask":null,"ask_qty":null,"venue_ts":1000000}"#,
        r#"0 betfair.1-23.6@-1_5.last state {"sp_near":null,"sp_far":"4.25","venue_ts":1000000}"#,
        r#"0 betfair.1-23.last state {"volume":"12.50","venue_ts":1000000}"#,
        // The runner is in the message twice and changes once.
        r#"1000000 betfair.1-23.5.book patch {"venue_ts":2000000,"conflated":true,"atb":{"1.48":"10000000.00","1.50":null},"atl":{"1.51":null,"2.00":"8.00"},"batb":{"0":{"px":"1.49","qty":"2.25"},"1":null}}"#,
        r#"1000000 betfair.1-23.5.quote state {"bid":"1.49","bid_qty":"2.25","ask":"2.00","ask_qty":"8.00","venue_ts":2000000}"#,
        r#"2000000 betfair.1-23.6@-1_5.last state {"sp_near":"4.50","sp_far":"4.25","venue_ts":3000000}"#,
        r#"2000000 betfair.1-24.market state {"status":"INACTIVE"}"#,
        r#"2000000 betfair.1-24.status state {"status":"pre_open","venue_status":"INACTIVE","in_play":false,"bet_delay":0,"venue_ts":3000000}"#,
        r#"3000000 betfair.1-23.market state {"status":"SUSPENDED","inPlay":true,"betDelay":5}"#,
        r#"3000000 betfair.1-23.status state {"status":"halted","venue_status":"SUSPENDED","in_play":true,"bet_delay":5,"venue_ts":4000000}"#,
        // An image: what it does not contain is gone.
        &format!(
            r#"4000000 betfair.1-23.6@-1_5.book state {{"venue_ts":5000000,"atb":{{}},"atl":{{}},"trd":{{}},{NONE}"#
        ),
        &format!(
            r#"4000000 betfair.1-23.5.book state {{"venue_ts":5000000,"atb":{{}},"atl":{{"3.00":"1.00"}},"trd":{{}},{NONE}"#
        ),
        r#"4000000 betfair.1-23.5.quote state {"bid":null,"bid_qty":null,"ask":"3.00","ask_qty":"1.00","venue_ts":5000000}"#,
        r#"4000000 betfair.1-23.5.last state {"px":"2.00","venue_ts":5000000}"#,
        r#"5000000 betfair.1-23.market state {"status":"CLOSED","inPlay":true,"betDelay":5}"#,
        r#"5000000 betfair.1-23.status state {"status":"closed","venue_status":"CLOSED","in_play":true,"bet_delay":5,"venue_ts":6000000}"#,
        r#"5000000 betfair.1-23.last state {"volume":"20.00","venue_ts":6000000}"#,
        // The market was closed, and starts anew.
        &format!(
            r#"6000000 betfair.1-23.5.book state {{"venue_ts":7000000,"atb":{{}},"atl":{{"4.00":"1.00"}},"trd":{{}},{NONE}"#
        ),
        r#"6000000 betfair.1-23.5.quote state {"bid":null,"bid_qty":null,"ask":"4.00","ask_qty":"1.00","venue_ts":7000000}"#,
    ];
    assert_eq!(lines(&timed), expected);
}

#[test]
fn every_256th_message_is_whole() {
    let mut text = String::new();
    let mut expected = BTreeMap::new();
    for nth in 0..1_000 {
        let (px, size) = (2 + nth % 30, nth % 4);
        text +=
            &format!(r#"{{"op":"mcm","pt":{nth},"mc":[{{"id":"1.1","rc":[{{"id":9,"atl":[[{px}.0,{size}]]}}]}}]}}"#);
        text.push('\n');
        expected.insert(format!("{px}.00"), json!(format!("{size}.00")));
    }
    expected.retain(|_, size| *size != json!("0.00"));
    let (timed, bad, _) = of_text("betfair", &text);
    assert_eq!(bad, []);
    let books: Vec<_> = timed.iter().filter(|timed| timed.publication.topic.ends_with("book")).collect();
    let whole: Vec<usize> = (0..books.len()).filter(|&nth| books[nth].publication.kind == Kind::State).collect();
    assert_eq!((books.len(), whole), (1_000, vec![0, 256, 512, 768]));
    assert_eq!(images(&timed)["betfair.1-1.9.book"]["atl"], json!(expected));
    assert_eq!(data(&books[999].publication)["venue_ts"], 999_000);
}

#[test]
fn bad_records() {
    let runner = |fields: &str| {
        format!(r#"{{"op":"mcm","pt":8000,"mc":[{{"id":"1.9","rc":[{{"id":7}},{{"id":5{fields}}}]}}]}}"#)
    };
    check_bad_lines(
        "betfair",
        &fixture(),
        &[
            ("{", "EOF"),
            ("[]", ""),
            ("{}", "missing field `op`"),
            (r#"{"op":"ocm","pt":1}"#, "\"ocm\" is not supported"),
            (r#"{"op":"mcm"}"#, "without pt"),
            (r#"{"op":"mcm","pt":-1}"#, ""),
            (r#"{"op":"mcm","pt":18446744073709551615}"#, "not a time in milliseconds"),
            (r#"{"op":"mcm","pt":8000,"mc":[{"id":"1.*"}]}"#, "part of a topic"),
            (r#"{"op":"mcm","pt":8000,"mc":[{}]}"#, "missing field `id`"),
            (r#"{"op":"mcm","pt":8000,"mc":[{"id":"1.9","tv":"much"}]}"#, "not a price or size"),
            (
                r#"{"op":"mcm","pt":8000,"mc":[{"id":"1.9","marketDefinition":{"status":"LOST"}}]}"#,
                "\"LOST\" is not a status",
            ),
            (r#"{"op":"mcm","pt":8000,"mc":[{"id":"1.9","marketDefinition":[]}]}"#, "marketDefinition"),
            (&runner(r#","atb":[[1.5,1],[1.6]]"#), ""),
            (&runner(r#","atb":[[1.5,-1]]"#), "-1 is not a price or size"),
            (&runner(r#","atb":[[1.5,"1"]]"#), "not a price or size"),
            (&runner(r#","batb":[[-1,1.5,1]]"#), ""),
            (&runner(r#","batb":[[70000,1.5,1]]"#), ""),
            (&runner(r#","ltp":null,"tv":[1]"#), "not a price or size"),
            (&runner(r#","hc":"half""#), "not a handicap"),
            (&runner(r#","hc":1e30"#), "not a handicap"),
        ],
    );
}
