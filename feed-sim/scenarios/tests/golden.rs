//! The same seed gives the same bytes: today, tomorrow, and on every machine.

use feed_player::publication::{Kind, Timed};
use feed_scenarios::find;

const UPDATES: usize = 50_000;

fn updates(scenario: &str, seed: u64, instruments: u32) -> impl Iterator<Item = Timed> {
    let mut scenario = find(scenario).expect("in the catalogue").build(seed, Some(instruments));
    (0..UPDATES).map(move |_| scenario.next())
}

/// FNV-1a over times and lines.
fn hash(scenario: &str, seed: u64, instruments: u32) -> u64 {
    let mut line = String::new();
    updates(scenario, seed, instruments).fold(0xcbf2_9ce4_8422_2325, |hash, timed| {
        line.clear();
        line.push_str(&timed.due_us.to_string());
        timed.publication.write_line(&mut line);
        line.bytes().fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    })
}

/// Change these only on purpose: a user who recorded a run by its seed gets another run afterwards. Mention it in the
/// changelog.
#[test]
fn golden() {
    let runs = [("stocks", 1, 10), ("stocks", 2, 10)];
    let hashes = runs.map(|(scenario, seed, instruments)| hash(scenario, seed, instruments));
    assert_eq!(hashes, GOLDEN, "{hashes:#x?}");
}

const GOLDEN: [u64; 2] = [0x33d76322d486d958, 0x19e21281ae12cd80];

/// As above. `demo` consists of these and of stocks (`tests/scenarios.rs`).
#[test]
fn golden_sports_and_others() {
    let runs = [("football", 4), ("basketball", 3), ("status", 20), ("sensors", 50), ("chat", 4), ("game", 20)];
    let hashes = runs.map(|(scenario, instruments)| hash(scenario, 1, instruments));
    assert_eq!(hashes, GOLDEN_SPORTS_AND_OTHERS, "{hashes:#x?}");
}

const GOLDEN_SPORTS_AND_OTHERS: [u64; 6] = [
    0x1342ed05ffb0dea3,
    0x68ddf613e0d98635,
    0xe863a28e033f4359,
    0x708391eb9f5399b0,
    0xcf1d44f02c41d2c2,
    0x6fe7915ec4d01262,
];

#[test]
fn threads_make_no_difference() {
    let alone = hash("demo", 7, 3);
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(|| hash("demo", 7, 3))).collect();
    for thread in threads {
        assert_eq!(thread.join().expect("it does not panic"), alone);
    }
}

/// The messages of a stock are the same whether two or a hundred stocks are traded.
#[test]
fn an_instrument_does_not_depend_on_its_neighbours() {
    let of = |instruments| -> Vec<Timed> {
        let all = updates("stocks", 5, instruments);
        all.filter(|timed| timed.publication.topic.starts_with("stocks.AAPL.")).take(300).collect()
    };
    assert_eq!(of(2), of(100));
}

/// A topic has either events or states and patches, never both, and names are within the broker's limits.
#[test]
fn kinds_do_not_mix() {
    let mut events = std::collections::BTreeMap::new();
    for timed in updates("demo", 3, 40) {
        let is_event = timed.publication.kind == Kind::Event;
        assert!(timed.publication.topic.len() <= 255);
        assert_eq!(*events.entry(timed.publication.topic).or_insert(is_event), is_event);
    }
    assert!(events.len() > 600, "{} topics", events.len());
}
