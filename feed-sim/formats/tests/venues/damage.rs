//! With any damage to a recording, nothing panics, every record is counted once, and everything published is JSON on
//! one line.

use feed_formats::find;
use feed_player::publication::Kind;
use proptest::prelude::*;

use crate::common::{all, data};

fn fixtures() -> Vec<(&'static str, String)> {
    vec![
        ("coinbase", crate::coinbase::fixture()),
        ("kraken", crate::kraken::fixture()),
        ("betfair", crate::betfair::fixture()),
        ("statsbomb", crate::statsbomb::fixture()),
        ("nba", crate::statsbomb::nba_fixture()),
    ]
}

/// Plays bytes, if they can be opened, and checks what is true of any recording.
fn check(format: &str, bytes: Vec<u8>) {
    let Ok(feed) = find(format).expect("a format").of_bytes(bytes) else { return };
    let (timed, bad, counts) = all(feed);
    assert_eq!(counts.bad, bad.len() as u64);
    assert!(counts.records >= counts.bad);
    for timed in &timed {
        let publication = &timed.publication;
        let data = data(publication);
        assert!(publication.kind == Kind::Event || data.is_object(), "{}", publication.data);
        let segments: Vec<&str> = publication.topic.split('.').collect();
        assert!(segments.len() <= 4 && segments.iter().all(|segment| !segment.is_empty()), "{}", publication.topic);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn single_bytes(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        for (format, text) in fixtures() {
            let mut bytes = text.into_bytes();
            for (at, byte) in &edits {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            check(format, bytes);
        }
    }

    #[test]
    fn pieces_left_out_doubled_and_cut(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()) {
        for (format, text) in fixtures() {
            let bytes = text.into_bytes();
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            let (from, to) = (from.min(to), from.max(to));
            check(format, [&bytes[..from], &bytes[to..]].concat());
            check(format, [&bytes[..to], &bytes[from..]].concat());
            check(format, bytes[..cut.index(bytes.len())].to_vec());
        }
    }

    /// Other values instead of the venue's: of another type, too large, too deep, too long.
    #[test]
    fn other_values(nth in any::<prop::sample::Index>(), value in prop::sample::select(vec![
        "null", "-1", "1e400", "99999999999999999999999999999999999999999", "\"\"", "\"a\\nb\"", "[]", "{}", "[[[]]]", "true", "\"\\ud800\"",
    ])) {
        for (format, text) in fixtures() {
            let starts: Vec<usize> = text.match_indices(':').map(|(at, _)| at + 1).collect();
            let start = starts[nth.index(starts.len())];
            let end = text[start..].find([',', '}', ']', '\n']).map_or(text.len(), |length| start + length);
            check(format, format!("{}{value}{}", &text[..start], &text[end..]).into_bytes());
        }
    }

    #[test]
    fn noise(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for format in ["coinbase", "kraken", "betfair", "statsbomb", "nba"] {
            check(format, bytes.clone());
            check(format, [b"[".as_slice(), &bytes].concat());
            check(format, [b"1 {".as_slice(), &bytes].concat());
        }
    }
}
