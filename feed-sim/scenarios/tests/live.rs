//! Servers, sensors, chat rooms and games keep the promises of their descriptions, over long runs from several seeds.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{data, merge};
use feed_player::publication::{Kind, Publication};
use feed_scenarios::find;
use serde_json::{Value, json};

/// Takes the publications of a few seeds, each with its seed and its time in milliseconds.
fn publications(name: &str, instruments: u32, updates: usize, mut take: impl FnMut(u64, u64, &Publication)) {
    for seed in 0..3 {
        eprintln!("{name}, seed {seed}");
        let mut scenario = find(name).expect("in the catalogue").build(seed, Some(instruments));
        for _ in 0..updates {
            let timed = scenario.next();
            take(seed, timed.due_us / 1_000, &timed.publication);
        }
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a number"))
}

/// Checks that the ids of a topic rise by one.
#[derive(Default)]
struct Ids(BTreeMap<(u64, String), u64>);

impl Ids {
    fn check(&mut self, seed: u64, topic: &str, id: u64) {
        let last = self.0.entry((seed, topic.to_owned())).or_default();
        assert_eq!(id, *last + 1, "{topic}");
        *last = id;
    }
}

#[test]
fn servers_and_their_incidents_agree() {
    /// By server: the state after the last event, and the open incident with the id of its opening.
    type Servers = BTreeMap<(u64, String), (String, Option<(u64, u64)>)>;
    let (mut servers, mut ids, mut types) = (Servers::new(), Ids::default(), BTreeMap::<String, u32>::new());
    publications("status", 20, 40_000, |seed, at_ms, publication| {
        let data = data(publication);
        assert_eq!(number(&data["at_ms"]), at_ms);
        let server = data["server"].as_str().expect("a name").to_owned();
        let (state, open) = servers.entry((seed, server)).or_insert(("up".to_owned(), None));
        let said = data["state"].as_str().expect("a state");
        if publication.kind == Kind::State {
            assert_eq!(said, state, "the health agrees with the last event");
            assert_eq!(data["incident"], json!(open.map(|(incident, _)| incident)));
            for field in ["cpu_pct", "memory_pct", "requests_per_s", "latency_ms"] {
                assert_eq!(data[field].is_null(), said == "down", "{data}");
            }
            assert!(data["cpu_pct"].as_u64().is_none_or(|pct| pct <= 100));
            return;
        }
        ids.check(seed, &publication.topic, number(&data["id"]));
        let what = data["type"].as_str().expect("a type");
        let incident = number(&data["incident"]);
        match (what, *open) {
            ("opened", None) => *open = Some((incident, number(&data["id"]))),
            ("acknowledged", Some(_)) => assert_eq!(said, state),
            ("escalated", Some(_)) => assert_eq!((state.as_str(), said), ("degraded", "down")),
            ("resolved" | "withdrawn", Some((_, opened))) => {
                assert_eq!(data.get("corrects"), (what == "withdrawn").then_some(&json!(opened)));
                assert_eq!(said, "up");
                *open = None;
            }
            other => panic!("{other:?}"),
        }
        assert!(open.is_none_or(|(number, _)| number == incident));
        *state = said.to_owned();
        *types.entry(what.to_owned()).or_default() += 1;
    });
    assert_eq!(types.len(), 5, "{types:?}");
}

#[test]
fn sensors_alarms_and_silences_agree() {
    #[derive(Default)]
    struct Device {
        seq: u64,
        heard_ms: u64,
        online: bool,
        raised: BTreeMap<String, u64>,
        /// The last reading, in hundredths of a degree and percent.
        reading: Option<(i64, u64)>,
    }
    let (mut devices, mut ids) = (BTreeMap::<(u64, String), Device>::new(), Ids::default());
    let mut types = BTreeMap::<(String, String), u32>::new();
    let mut lost = 0;
    publications("sensors", 12, 30_000, |seed, at_ms, publication| {
        let data = data(publication);
        let device = devices.entry((seed, data["device"].as_str().expect("a name").to_owned())).or_default();
        match publication.topic.rsplit('.').next().expect("a segment") {
            "reading" => {
                let (seq, since_ms) = (number(&data["seq"]), at_ms - device.heard_ms);
                assert!(device.online && number(&data["at_ms"]) == at_ms);
                assert!(seq > device.seq);
                assert!(device.seq == 0 || since_ms == (seq - device.seq) * 5_000, "every five seconds, heard or not");
                lost += seq - device.seq - 1;
                (device.seq, device.heard_ms) = (seq, at_ms);
                let degrees = data["temperature_c"].as_str().expect("a decimal string");
                let hundredths = degrees.replace('.', "").parse().expect("digits");
                assert_eq!(degrees.rsplit_once('.').map(|(_, decimals)| decimals.len()), Some(2));
                device.reading = Some((hundredths, number(&data["battery_pct"])));
                assert!((-4_000..6_000).contains(&hundredths) && device.reading.is_some_and(|(_, pct)| pct <= 100));
            }
            "link" => {
                device.online = data["online"] == true;
                let last_seen_ms = number(&data["last_seen_ms"]);
                if device.online {
                    assert_eq!(last_seen_ms, at_ms);
                } else {
                    assert_eq!(last_seen_ms, device.heard_ms);
                    assert_eq!(at_ms - last_seen_ms, 15_000, "three intervals");
                }
            }
            _ => {
                let id = number(&data["id"]);
                ids.check(seed, &publication.topic, id);
                let (alarm, what) = (data["alarm"].as_str().expect("a name"), data["type"].as_str().expect("a type"));
                match what {
                    "raised" => assert_eq!(device.raised.insert(alarm.to_owned(), id), None),
                    _ => assert_eq!(device.raised.remove(alarm), Some(number(&data["raised"]))),
                }
                match (alarm, what, device.reading) {
                    ("silent", what, _) => assert_eq!(device.online, what == "cleared"),
                    ("battery_low", what, Some((_, pct))) => assert_eq!(pct < 20, what == "raised"),
                    (_, _, Some((hundredths, _))) => {
                        let value = data["value"].as_str().expect("a decimal string").replace('.', "");
                        assert_eq!(value.parse(), Ok(hundredths), "the value of the reading");
                    }
                    (alarm, _, None) => panic!("{alarm} before any reading"),
                }
                *types.entry((alarm.to_owned(), what.to_owned())).or_default() += 1;
            }
        }
    });
    assert_eq!(types.len(), 8, "four alarms raised and cleared: {types:?}");
    assert!(lost > 0);
}

#[test]
fn only_members_who_are_present_write() {
    #[derive(Default)]
    struct Room {
        people: Value,
        /// Messages that are not deleted, and their authors.
        messages: BTreeMap<u64, String>,
    }
    let (mut rooms, mut ids) = (BTreeMap::<(u64, String), Room>::new(), Ids::default());
    let (mut types, mut special, mut left) = (BTreeMap::<String, u32>::new(), BTreeSet::new(), 0);
    publications("chat", 5, 20_000, |seed, at_ms, publication| {
        let data = data(publication);
        let name = publication.topic.split('.').nth(1).expect("a room");
        let room = rooms.entry((seed, name.to_owned())).or_default();
        match publication.kind {
            Kind::State => {
                // It replaces a patch, which is about one person.
                assert!(room.people.is_null() || differing(&room.people, &data) <= 1, "{} {data}", room.people);
                room.people = data;
            }
            Kind::Patch => {
                let patch = data.as_object().expect("an object");
                assert_eq!(patch.len(), 1, "one person at a time");
                left += patch.values().filter(|person| person.is_null()).count();
                merge(&mut room.people, &data);
            }
            Kind::Event => {
                ids.check(seed, &publication.topic, number(&data["id"]));
                assert_eq!(number(&data["at_ms"]), at_ms);
                let user = data["user"].as_str().expect("a user").to_owned();
                let person = &room.people[&user];
                assert_eq!(person["name"], data["name"], "the author is present");
                let what = data["type"].as_str().expect("a type");
                match what {
                    "message" => {
                        assert_eq!((&person["typing"], &person["status"]), (&json!(true), &json!("here")));
                        assert!(data.get("reply_to").is_none_or(|id| room.messages.contains_key(&number(id))));
                        room.messages.insert(number(&data["id"]), user);
                    }
                    "edit" => assert_eq!(room.messages.get(&number(&data["corrects"])), Some(&user)),
                    _ => assert_eq!(room.messages.remove(&number(&data["corrects"])), Some(user)),
                }
                if let Some(text) = data["text"].as_str() {
                    let kinds = [("script", "<script>"), ("quote", "\""), ("emoji", "🚀"), ("line break", "\n")];
                    special.extend(kinds.into_iter().filter(|(_, sign)| text.contains(sign)).map(|(kind, _)| kind));
                }
                *types.entry(what.to_owned()).or_default() += 1;
            }
        }
        let people = room.people.as_object().expect("an object").len();
        assert!((3..=16).contains(&people));
    });
    assert_eq!((types.len(), special.len()), (3, 4), "{types:?} {special:?}");
    assert!(left > 0);
}

/// How many people differ between two states of a room.
fn differing(before: &Value, after: &Value) -> usize {
    let people = |room: &Value| room.as_object().expect("people").keys().cloned().collect::<BTreeSet<_>>();
    people(before).union(&people(after)).filter(|&name| before.get(name) != after.get(name)).count()
}

#[test]
fn players_keep_to_the_map_and_the_scoreboard_to_the_events() {
    #[derive(Default)]
    struct Arena {
        at_ms: u64,
        tick: u64,
        /// The last position and life of each player, and whether it is alive.
        players: BTreeMap<String, (i64, i64, u64, bool)>,
        spawned: BTreeMap<String, u64>,
        scoreboard: Value,
        counted: BTreeMap<String, [u64; 3]>,
        owes_scoreboard: bool,
    }
    let (mut arenas, mut ids) = (BTreeMap::<(u64, String), Arena>::new(), Ids::default());
    let mut types = BTreeMap::<String, u32>::new();
    publications("game", 20, 110_000, |seed, at_ms, publication| {
        let data = data(publication);
        let mut segments = publication.topic.split('.').skip(1);
        let name = segments.next().expect("an arena").to_owned();
        let offset_ms = if name == "a1" { 0 } else { 25 };
        let arena = arenas.entry((seed, name)).or_default();
        assert!(at_ms == arena.at_ms || !arena.owes_scoreboard, "the scoreboard follows at once");
        arena.at_ms = at_ms;
        match segments.next().expect("a segment") {
            "position" => {
                let player = segments.next().expect("a player").to_owned();
                let coordinate = |name: &str| data[name].as_i64().expect("an integer");
                let (x, y, tick) = (coordinate("x"), coordinate("y"), number(&data["tick"]));
                assert!((0..=10_000).contains(&x) && (0..=6_000).contains(&y), "{data}");
                assert!(tick == arena.tick || tick == arena.tick + 1, "every tick, and never back");
                assert_eq!(at_ms, (tick - 1) * 50 + offset_ms, "twenty times a second");
                arena.tick = tick;
                let life = number(&data["life"]);
                let alive = data["alive"] == true;
                assert_eq!(alive, number(&data["hp"]) > 0);
                if let Some(&(x_before, y_before, life_before, alive_before)) = arena.players.get(&player) {
                    if life == life_before {
                        let square = (x - x_before).pow(2) + (y - y_before).pow(2);
                        assert!(square <= 30 * 30, "{square}");
                        assert!(alive_before || (square == 0 && !alive), "a player who was killed does not move");
                    } else {
                        assert_eq!((life, arena.spawned.get(&player)), (life_before + 1, Some(&life)));
                    }
                }
                arena.players.insert(player, (x, y, life, alive));
            }
            "event" => {
                ids.check(seed, &publication.topic, number(&data["id"]));
                let who = |name: &str| data[name].as_str().expect("a player").to_owned();
                let what = data["type"].as_str().expect("a type");
                match what {
                    "round_start" => arena.counted.clear(),
                    "round_end" => {
                        let most = arena.counted.values().map(|counts| counts[0]).max().unwrap_or(0);
                        let best = arena.counted.iter().filter(|(_, counts)| counts[0] == most && most > 0);
                        let best: Vec<&String> = best.map(|(player, _)| player).collect();
                        assert_eq!(data["winner"], if let [winner] = best[..] { json!(winner) } else { Value::Null });
                    }
                    "spawn" => _ = arena.spawned.insert(who("player"), number(&data["life"])),
                    "pickup" => arena.counted.entry(who("player")).or_default()[2] += 1,
                    _ => {
                        assert!(who("killer") != who("victim") && number(&data["distance_cm"]) <= 1_500);
                        arena.counted.entry(who("killer")).or_default()[0] += 1;
                        arena.counted.entry(who("victim")).or_default()[1] += 1;
                    }
                }
                arena.owes_scoreboard |= ["round_start", "pickup", "kill"].contains(&what);
                *types.entry(what.to_owned()).or_default() += 1;
            }
            _ => {
                match publication.kind {
                    Kind::Patch => merge(&mut arena.scoreboard, &data),
                    _ => arena.scoreboard = data,
                }
                for (player, counts) in arena.scoreboard["players"].as_object().expect("players") {
                    let counted = arena.counted.get(player).copied().unwrap_or_default();
                    assert_eq!([&counts["kills"], &counts["deaths"], &counts["pickups"]].map(number), counted);
                }
                arena.owes_scoreboard = false;
            }
        }
    });
    assert_eq!(types.len(), 5, "{types:?}");
}
