//! What a subscriber to games has seen of them, and the checks that hold for every sport.

use std::collections::BTreeMap;
use std::ops::Range;

use feed_player::publication::{Kind, Publication};
use feed_scenarios::find;
use serde_json::Value;

use crate::common::{data, merge};

/// The checks of one sport, and the state that they need.
pub(crate) trait Sport: Default {
    /// The name of the scenario.
    const NAME: &'static str;
    /// The field that numbers its games.
    const NUMBER: &'static str;
    /// Statistics are checked every this many tables, and whenever one is sent whole, because counting all events again
    /// takes a while.
    const TABLES: u32;

    /// The period, and seconds that only rise within it. `before` are those of the message before.
    fn clock(data: &Value, before: (u64, u64)) -> (u64, u64);

    /// Corrects an earlier event. Returns whether it still counts.
    fn correct(corrected: &mut Value, what: &str, data: &Value) -> bool;

    /// Checks that it can be this player.
    fn check_player(game: &mut Game<Self>, data: &Value, player: u64);

    /// Checks the score against the events.
    fn check_score(game: &Game<Self>, score: &Value);

    /// Checks the statistics against the events that count.
    fn check_stats(game: &Game<Self>, stats: &Value);
}

/// What a subscriber to one game has seen of it.
#[derive(Default)]
pub(crate) struct Game<S> {
    /// Events by their id, as corrected, without those that were withdrawn.
    pub(crate) events: BTreeMap<u64, Value>,
    /// The types of all events, in their order.
    pub(crate) types: Vec<String>,
    pub(crate) score: Value,
    pub(crate) clock: (u64, u64),
    pub(crate) sport: S,
    stats: Option<Value>,
    tables: u32,
    /// Whether the scoreboard after an event is still to come.
    owes_score: bool,
}

#[derive(Default)]
pub(crate) struct Seen<S> {
    /// The current game, by topic without its last segment.
    on: BTreeMap<String, u64>,
    last_id: BTreeMap<String, u64>,
    pub(crate) games: BTreeMap<u64, Game<S>>,
    /// The number of events of each type.
    pub(crate) types: BTreeMap<String, u64>,
}

/// Takes `updates` updates of `games` games at once from each of the seeds, and checks each update, and with `check`
/// everything seen in the end. Returns the number of events of each type.
pub(crate) fn watch<S: Sport>(
    seeds: Range<u64>,
    games: u32,
    updates: u32,
    check: impl Fn(&Seen<S>),
) -> BTreeMap<String, u64> {
    let mut types = BTreeMap::new();
    for seed in seeds {
        eprintln!("seed {seed}");
        let mut scenario = find(S::NAME).expect("in the catalogue").build(seed, Some(games));
        let mut seen = Seen::<S>::default();
        let mut due_us = 0;
        for _ in 0..updates {
            let timed = scenario.next();
            assert!(timed.due_us >= due_us);
            if timed.due_us > due_us {
                assert!(seen.games.values().all(|game| !game.owes_score), "the score follows at once");
            }
            due_us = timed.due_us;
            seen.take(&timed.publication);
        }
        check(&seen);
        for (what, count) in seen.types {
            *types.entry(what).or_default() += count;
        }
    }
    types
}

impl<S: Sport> Seen<S> {
    pub(crate) fn take(&mut self, publication: &Publication) {
        let data = data(publication);
        let (topic, what) = publication.topic.rsplit_once('.').expect("segments");
        if let Some(number) = data[S::NUMBER].as_u64() {
            self.on.insert(topic.to_owned(), number);
        }
        let game = self.games.entry(self.on[topic]).or_default();
        match (what, publication.kind) {
            ("event", Kind::Event) => {
                let id = data["id"].as_u64().expect("a number");
                let last_id = self.last_id.entry(topic.to_owned()).or_default();
                assert!(id > *last_id, "ids rise");
                *last_id = id;
                *self.types.entry(data["type"].as_str().expect("a string").to_owned()).or_default() += 1;
                game.take_event(id, data);
            }
            ("score", Kind::State) => game.take_score(data),
            ("stats", Kind::State) => game.stats = Some(data),
            ("stats", Kind::Patch) => merge(game.stats.as_mut().expect("a state came first"), &data),
            other => panic!("{other:?}"),
        }
        if what == "stats" {
            game.tables += 1;
            if publication.kind == Kind::State || game.tables.is_multiple_of(S::TABLES) {
                S::check_stats(game, game.stats.as_ref().expect("a state came first"));
            }
        }
    }
}

impl<S: Sport> Game<S> {
    fn take_event(&mut self, id: u64, data: Value) {
        self.move_clock(&data);
        let what = data["type"].as_str().expect("a string");
        self.types.push(what.to_owned());
        if let Some(earlier) = data.get("corrects").map(|id| id.as_u64().expect("a number")) {
            assert!(earlier < id);
            let corrected = self.events.get_mut(&earlier).expect("it corrects an earlier event of this game, and once");
            if !S::correct(corrected, what, &data) {
                self.events.remove(&earlier);
            }
        }
        if let Some(player) = data["player"].as_u64() {
            S::check_player(self, &data, player);
        }
        self.events.insert(id, data);
        self.owes_score = true;
    }

    fn take_score(&mut self, data: Value) {
        self.move_clock(&data);
        S::check_score(self, &data);
        self.score = data;
        self.owes_score = false;
    }

    /// Checks that the clocks of the scoreboard and of the events never go back.
    fn move_clock(&mut self, data: &Value) {
        let clock = S::clock(data, self.clock);
        assert!(clock >= self.clock, "{clock:?} after {:?}", self.clock);
        self.clock = clock;
    }

    /// The events of a team that count.
    pub(crate) fn of(&self, team: &str) -> impl Iterator<Item = &Value> {
        self.events.values().filter(move |event| event["team"] == *team)
    }
}

/// The period of a message.
pub(crate) fn period(data: &Value) -> u64 {
    data["period"].as_u64().expect("a number")
}

/// A clock in seconds.
pub(crate) fn seconds(clock: &Value) -> u64 {
    let (minutes, seconds) = clock.as_str().and_then(|clock| clock.split_once(':')).expect("minutes and seconds");
    minutes.parse::<u64>().expect("minutes") * 60 + seconds.parse::<u64>().expect("seconds")
}
