//! Any CSV and any NDJSON, with a mapping.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use common::{all, data};
use feed_formats::{Mapping, Playback, find};
use feed_player::publication::{BadRecord, Counts, Timed};
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tempfile::NamedTempFile;

fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("it is written");
    file
}

/// Plays `bytes`, or returns why they cannot be opened.
fn replayed(format: &str, bytes: &[u8], mapping: &str) -> Result<(Vec<Timed>, Vec<BadRecord>, Counts), String> {
    let (recording, mapping) = (file(bytes), file(mapping.as_bytes()));
    let playback = Playback { mapping: Some(mapping.path().to_owned()), ..Playback::default() };
    let feed = playback.feed(find(format).expect("a format"), recording.path(), Arc::default());
    feed.map(all).map_err(|error| error.to_string())
}

/// `due_us topic kind data` of each update.
fn lines(timed: &[Timed]) -> Vec<String> {
    let line = |Timed { due_us, publication }: &Timed| {
        format!("{due_us} {} {} {}", publication.topic, publication.kind.as_str(), publication.data)
    };
    timed.iter().map(line).collect()
}

#[track_caller]
fn check(format: &str, text: &str, mapping: &str, expected: &[&str]) {
    let (timed, bad, counts) = replayed(format, text.as_bytes(), mapping).expect("it opens");
    assert_eq!(bad, []);
    assert_eq!(lines(&timed), expected);
    assert!(counts.records + counts.images >= timed.len() as u64 && counts.bad == 0);
}

#[test]
fn the_examples() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/mappings"));
    for (format, name, first, updates) in [
        (
            "csv",
            "sensors",
            r#"0 iot.greenhouse-1.temperature state {"value":18.40,"unit":"°C","at":"2026-03-01T06:00:00.000Z"}"#,
            6,
        ),
        (
            "ndjson",
            "exchange",
            r#"0 exchange.ACME.quote state {"bid":"10.10","ask":"10.12","venue_ts":1772346600000}"#,
            4,
        ),
    ] {
        let playback = Playback { mapping: Some(folder.join(format!("{name}.toml"))), ..Playback::default() };
        let recording = folder.join(format!("{name}.{format}"));
        let (timed, bad, _) =
            all(playback.feed(find(format).expect("a format"), &recording, Arc::default()).expect("it opens"));
        assert_eq!(bad, []);
        assert_eq!((lines(&timed)[0].as_str(), timed.len()), (first, updates));
    }
}

#[test]
fn csv_of_all_kinds() {
    // Columns become what the mapping says, in its order; a number keeps its digits.
    check(
        "csv",
        "ts,sym,side,px\n1000.5,AAPL,T,1.50\n1002,MSFT,Q,\n",
        "topic = \"x.{sym}\"\ntime = { field = \"ts\", unit = \"ms\" }\n\
         kind = { field = \"side\", values = { T = \"event\", Q = \"state\" } }\n\
         [data]\nz = { field = \"px\", as = \"number\" }\na = \"px\"\n",
        &[r#"0 x.AAPL event {"z":1.50,"a":"1.50"}"#, r#"1500 x.MSFT state {"z":null,"a":""}"#],
    );
    // The whole record; delimiters and line breaks within quotes; a kind that is skipped.
    check(
        "csv",
        "k;v\nevent;'a;\"b''\nc'\nskip;2\nevent;3\n",
        "topic = \"x\"\ntime = { every = \"20ms\" }\ndata = \"record\"\n\
         kind = { field = \"k\", values = { event = \"event\", skip = \"skip\" } }\n\
         [csv]\ndelimiter = \";\"\nquote = \"'\"\n",
        &[r#"0 x event {"k":"event","v":"a;\"b'\nc"}"#, r#"40000 x event {"k":"event","v":"3"}"#],
    );
    // No header, no quotes; JSON in a column; a state before the first patch.
    check(
        "csv",
        "10\t\"a\t{\"n\": [1,2]}\n11\t\"b\tnull\n",
        "topic = \"x\"\ntime = { field = \"1\", unit = \"s\", since = \"midnight\" }\nkind = \"patch\"\n\
         [data]\nname = \"2\"\nraw = { field = \"3\", as = \"json\" }\n[csv]\nheader = false\nquote = \"\"\ndelimiter = \"\\t\"\n",
        &[
            "0 x state {}",
            r#"0 x patch {"name":"\"a","raw":{"n": [1,2]}}"#,
            r#"1000000 x patch {"name":"\"b","raw":null}"#,
        ],
    );
    // Names from the mapping; times of day past midnight.
    check(
        "csv",
        "23:59:59.5,a\n00:00:01,b\n",
        "topic = \"x.{s}\"\ntime = { field = \"t\", unit = \"hh:mm:ss\" }\nkind = \"event\"\n[csv]\nheader = [\"t\", \"s\"]\n",
        &[r#"0 x.a event {"t":"23:59:59.5","s":"a"}"#, r#"1500000 x.b event {"t":"00:00:01","s":"b"}"#],
    );
    check("csv", "ts\n", "topic = \"x\"\ntime = { field = \"ts\", unit = \"s\" }\nkind = \"event\"\n", &[]);
}

#[test]
fn json_of_all_kinds() {
    // Pointers and keys; fields with their own types and with those of a mapping; a field that is missing.
    check(
        "ndjson",
        "{\"t\":\"2026-03-01T06:00:00Z\",\"a\":{\"b\":[{\"c\":1.250}]},\"x/y\":true,\"s\":\"[1]\",\"n\":null}\n\n\
         {\"t\":\"2026-03-01T06:00:00.5Z\",\"a\":{\"b\":[{\"c\":\"two\"}]},\"x/y\":false,\"s\":\"7\"}\n",
        "topic = \"x.{x/y}\"\ntime = { field = \"t\", unit = \"rfc3339\" }\nkind = \"event\"\n\
         [data]\nc = \"/a/b/0/c\"\ntext = { field = \"x/y\", as = \"string\" }\ns = { field = \"s\", as = \"json\" }\n\
         n = \"n\"\na = \"a\"\n",
        &[
            r#"0 x.true event {"c":1.250,"text":"true","s":[1],"n":null,"a":{"b":[{"c":1.250}]}}"#,
            r#"500000 x.false event {"c":"two","text":"false","s":7,"a":{"b":[{"c":"two"}]}}"#,
        ],
    );
    // The whole line, unchanged.
    check(
        "ndjson",
        "{\"v\": 1.50,  \"w\":[]}\n",
        "topic = \"x\"\ntime = { every = \"1s\" }\nkind = \"state\"\n",
        &[r#"0 x state {"v": 1.50,  "w":[]}"#],
    );
}

#[test]
fn updates_as_they_are_published() {
    let text = "{\"topic\":\"a.b\",\"kind\":\"state\",\"data\":{\"x\": 1.50}}\n\
                {\"topic\":\"a.c\",\"data\":[1],\"due_us\":2500,\"source\":\"s\",\"source_seq\":1,\"source_ts\":5}\n\
                {\"topic\":\"a\\u002ed\",\"kind\":\"patch\",\"data\":{\"y\":null}}\n\
                {\"topic\":\"a.b\",\"kind\":\"event\",\"data\":0,\"due_us\":4000}\n";
    let (timed, bad, counts) = all(find("ndjson").expect("a format").of_bytes(text.into()).expect("readable"));
    assert_eq!((bad, counts.images), (vec![], 1));
    assert_eq!(
        lines(&timed),
        [
            r#"0 a.b state {"x": 1.50}"#,
            "2500 a.c event [1]",
            // A patch needs a state to change.
            "2500 a.d state {}",
            r#"2500 a.d patch {"y":null}"#,
            "4000 a.b event 0"
        ]
    );
    for (line, reason) in [
        (r#"{"kind":"state","data":1}"#, "missing field `topic`"),
        (r#"{"topic":"a","kind":"tick","data":1}"#, "not one of event, state, patch"),
        (r#"{"topic":"a..b","kind":"state","data":1}"#, "segment"),
        (r#"{"topic":"a","kind":"state"}"#, "missing field `data`"),
        (r#"{"topic":"a","kind":"state","data":1,"due_ms":4}"#, "unknown field `due_ms`"),
        (r#"{"topic":"a","kind":"state","data":{"x":}}"#, "not an update"),
        ("[1]", "not an update"),
    ] {
        let (timed, bad, counts) =
            all(find("ndjson").expect("a format").of_bytes(format!("\n{line}\n").into()).expect("readable"));
        assert_eq!((timed.len(), bad.len(), counts.records), (0, 1, 1), "{line}");
        assert!(bad[0].position == "line 2" && bad[0].reason.contains(reason), "{}", bad[0]);
    }
}

const GOOD: &str = "topic = \"x.{s}\"\ntime = { field = \"t\", unit = \"s\" }\nkind = { field = \"k\" }\n\
                    [data]\nn = { field = \"n\", as = \"number\" }\n";

#[test]
fn bad_records_are_reported_skipped_and_counted() {
    for (row, reason) in [
        ("soon,a,event,1", "the time \"soon\" is not a number of seconds"),
        ("1,a.b,event,1", "contains a dot"),
        ("1,*,event,1", "is a pattern"),
        ("1,,event,1", "segment"),
        ("1,a,tick,1", "not one of the mapping's values, event, patch, state"),
        ("1,a,event,1.", "\"n\": \"1.\" is not a number"),
        ("1,a,event,NaN", "is not a number"),
        ("1,a,event", "3 columns, but the records before have 4"),
        ("1,a,event,1,1", "5 columns"),
    ] {
        let text = format!("t,s,k,n\n1,a,event,1\n{row}\n2,a,event,2\n");
        let (timed, bad, counts) = replayed("csv", text.as_bytes(), GOOD).expect("it opens");
        assert_eq!(lines(&timed), [r#"0 x.a event {"n":1}"#, r#"1000000 x.a event {"n":2}"#], "{row}");
        assert_eq!((bad.len(), counts.records, counts.bad), (1, 3, 1), "{row}");
        assert!(bad[0].position == "line 3" && bad[0].reason.contains(reason), "{}", bad[0]);
    }
    let good = r#"{"t":1,"s":"a","k":"event","n":1}"#;
    for (row, reason) in [
        ("{", "EOF"),
        (r#"{"s":"a","k":"event"}"#, "there is no field \"t\""),
        (r#"{"t":null,"s":"a","k":"event"}"#, "\"t\" is null"),
        (r#"{"t":1,"s":[],"k":"event"}"#, "\"s\" is neither a text nor a number"),
        (r#"{"t":1,"s":"a","k":"event","n":true}"#, "\"true\" is not a number"),
    ] {
        let (timed, bad, _) = replayed("ndjson", format!("{good}\n{row}\n{good}").as_bytes(), GOOD).expect("it opens");
        assert_eq!((timed.len(), bad.len()), (2, 1), "{row}");
        assert!(bad[0].position == "line 2" && bad[0].reason.contains(reason), "{}", bad[0]);
    }
    let (timed, bad, _) = replayed("csv", b"t,s,k,n\n1,a,event,1\n1,\xff,event,1\n", GOOD).expect("it opens");
    assert_eq!((timed.len(), bad.len()), (1, 1));
    assert!(bad[0].reason.contains("not UTF-8"), "{}", bad[0]);
}

/// With a quote that is never closed the rest of the file would be one column.
#[test]
fn a_record_is_bounded() {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"t,s,k,n\n1,a,event,1\n1,\"").expect("memory");
    (0..64).for_each(|_| encoder.write_all(&[b'a'; 1 << 20]).expect("memory"));
    let (timed, bad, _) = replayed("csv", &encoder.finish().expect("memory"), GOOD).expect("it opens");
    assert_eq!((timed.len(), bad.len()), (1, 1));
    assert!(bad[0].ends_recording && bad[0].reason.contains("is a quote not closed?"), "{}", bad[0]);
}

#[test]
fn a_mapping_that_is_wrong_says_where() {
    for (from, to, reason) in [
        ("topic", "topics", "there is no key topics; the keys are topic, time, kind, data, csv"),
        ("topic = \"x.{s}\"", "", "topic is missing"),
        ("x.{s}", "x.{s", "topic: a { has no }"),
        ("x.{s}", "x.{}", "{} in \"x.{}\" does not name a field"),
        ("x.{s}", "x..{s}", "topic: "),
        ("x.{s}", "$SYS.{s}", "the broker's own"),
        ("time = { field = \"t\", unit = \"s\" }", "", "time is missing: { field"),
        ("time = { field = \"t\", unit = \"s\" }", "time = 5", "time must be a table, not a number"),
        ("unit = \"s\"", "unit = \"sec\"", "time.unit: \"sec\" is not one of s, ms, us, ns, rfc3339, hh:mm:ss"),
        ("unit = \"s\"", "units = \"s\"", "there is no key time.units; the keys are field, unit, since"),
        (", unit = \"s\"", "", "time.unit is missing: one of s, ms"),
        ("unit = \"s\"", "unit = \"rfc3339\", since = \"epoch\"", "time.since is for units that are numbers"),
        ("unit = \"s\"", "unit = \"s\", since = \"noon\"", "time.since: \"noon\" is not one of epoch, midnight"),
        ("field = \"t\", unit = \"s\"", "every = \"often\"", "time.every: \"often\" is not a duration such as"),
        ("field = \"t\"", "every = \"1s\"", "there is no key time.unit; the keys are every"),
        ("{ field = \"k\" }", "\"tick\"", "kind: \"tick\" is not one of event, state, patch"),
        (
            "{ field = \"k\" }",
            "{ field = \"k\", values = { T = \"trade\" } }",
            "kind.values.T: \"trade\" is not one of event",
        ),
        ("field = \"k\"", "column = \"k\"", "there is no key kind.column; the keys are field, values"),
        ("as = \"number\"", "as = \"float\"", "data.n.as: \"float\" is not one of string, number, json"),
        ("[data]\nn = { field = \"n\", as = \"number\" }", "data = \"all\"", "data: \"all\" is neither \"record\" nor"),
        ("n = { field", "n = 5\nm = { field", "data.n must be a string, not a number"),
        ("[data]", "[csv]\ndelimiter = \"ab\"\n[data]", "csv.delimiter: \"ab\" is not a single ASCII character"),
        ("[data]", "[csv]\nquote = \",\"\n[data]", "csv.quote is the same as csv.delimiter"),
        ("[data]", "[csv]\nheader = \"no\"\n[data]", "csv.header is true, false, or a list of names"),
        ("[data]", "[data", "not TOML"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let error = Mapping::parse(&GOOD.replacen(from, to, 1)).expect_err(to).to_string();
        assert!(error.contains(reason), "{error}");
    }
    Mapping::parse(GOOD).expect("the mapping that the others were made from");
    // Errors that depend on the file.
    for (text, mapping, reason) in [
        (
            "t,sym,k,n\n",
            GOOD.to_owned(),
            "topic of the mapping names the column \"s\", which does not exist; the columns are t, sym, k, n",
        ),
        ("t,s,k,m\n", GOOD.to_owned(), "data.n of the mapping names the column \"n\""),
        ("t,s,k,n,t\n", GOOD.to_owned(), "two columns are called \"t\""),
        ("1,2\n", format!("{GOOD}[csv]\nheader = [\"t\"]\n"), "names 1 columns, but the file has 2"),
        ("", GOOD.to_owned(), "names the column"),
    ] {
        let error = replayed("csv", text.as_bytes(), &mapping).expect_err(text);
        assert!(error.contains(reason), "{error}");
    }
}

proptest! {
    /// With any content, every record is counted once, and everything published is JSON on one line.
    #[test]
    fn damaged_tables(edits in prop::collection::vec((0..400usize, any::<u8>()), 0..12), format in prop_oneof!["csv", "ndjson"]) {
        let mut bytes = match format.as_str() {
            "csv" => (0..12).map(|nth| format!("{nth},a,event,\"{nth}\"\n")).collect::<String>(),
            _ => (0..12).map(|nth| format!("{{\"t\":{nth},\"s\":\"a\",\"k\":\"event\",\"n\":1e1}}\n")).collect(),
        }
        .into_bytes();
        for (at, byte) in edits {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let mapping = format!("{GOOD}[csv]\nheader = [\"t\", \"s\", \"k\", \"n\"]\n");
        if let Ok((timed, bad, counts)) = replayed(&format, &bytes, &mapping) {
            prop_assert_eq!(counts.records, (timed.len() + bad.len()) as u64);
            prop_assert_eq!(counts.bad, bad.len() as u64);
            for timed in &timed {
                data(&timed.publication);
            }
        }
    }
}
