//! What a subscriber to games knows of them, and the checks that hold for every sport.

use std::collections::BTreeMap;
use std::ops::Range;

use feed_player::publication::{Kind, Publication};
use feed_scenarios::find;
use serde_json::Value;

use crate::common::{data, merge};

/// What is a sport's own, and what its referee remembers.
pub(crate) trait Sport: Default {
    /// What the scenario is called.
    const NAME: &'static str;
    /// The field that numbers its games.
    const NUMBER: &'static str;
    /// Counting all events anew takes a while: it is done for every so-manieth table, and for each that is told whole.
    const TABLES: u32;

    /// The period, and seconds that only rise within it. `before` is what they were.
    fn clock(data: &Value, before: (u64, u64)) -> (u64, u64);

    /// Corrects an earlier event. `false`: it does not count any more.
    fn correct(corrected: &mut Value, what: &str, data: &Value) -> bool;

    /// Whether it can be this player.
    fn check_player(game: &mut Game<Self>, data: &Value, player: u64);

    /// The score is that of the events.
    fn check_score(game: &Game<Self>, score: &Value);

    /// The statistics are those of the events that count.
    fn check_stats(game: &Game<Self>, stats: &Value);
}

/// What a subscriber to one game knows of it.
#[derive(Default)]
pub(crate) struct Game<S> {
    /// Events by their id, as corrected; those that were taken back are gone.
    pub(crate) events: BTreeMap<u64, Value>,
    /// The types of all events, in their order.
    pub(crate) told: Vec<String>,
    pub(crate) score: Value,
    pub(crate) clock: (u64, u64),
    pub(crate) sport: S,
    stats: Option<Value>,
    tables: u32,
    /// An event came and the scoreboard after it has not yet.
    owes_score: bool,
}

#[derive(Default)]
pub(crate) struct Seen<S> {
    /// By topic, without its last segment: the game that is on.
    on: BTreeMap<String, u64>,
    last_id: BTreeMap<String, u64>,
    pub(crate) games: BTreeMap<u64, Game<S>>,
    /// Events of each type.
    pub(crate) told: BTreeMap<String, u64>,
}

/// So many updates of `games` at once from each of the seeds, each update checked, and what was seen in the end as well. Returns
/// how many events of each type came.
pub(crate) fn watch<S: Sport>(
    seeds: Range<u64>,
    games: u32,
    updates: u32,
    check: impl Fn(&Seen<S>),
) -> BTreeMap<String, u64> {
    let mut told = BTreeMap::new();
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
        for (what, count) in seen.told {
            *told.entry(what).or_default() += count;
        }
    }
    told
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
                *self.told.entry(data["type"].as_str().expect("a string").to_owned()).or_default() += 1;
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
        self.told.push(what.to_owned());
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

    /// The clock of the scoreboard and that of the events never go back.
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
