//! The machine's clock is set while the broker runs: NTP makes a step, or the machine slept. Durations are measured by
//! a clock that does not step, and times by the wall clock never go back.
//!
//! libfaketime sits between the broker and the system for that. If it is missing, these tests report so and do nothing;
//! with `CI=true` that is a failure.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use crate::common::{PATIENCE, Process, ask, command, until};
use crate::source::{Block, Source};

const HOUR_US: u64 = 3_600_000_000;

/// A broker whose wall clock can be set.
struct Settable {
    process: Process,
    folder: PathBuf,
}

/// Debian's libfaketime, for programs of several threads.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let mut folders = folders.chain(["/usr/lib".into(), "/usr/local/lib".into()]);
    folders.find_map(|folder| Some(folder.join("faketime/libfaketimeMT.so.1")).filter(|path| path.exists()))
}

impl Settable {
    /// Starts a broker with these settings in its file; `None` if there is no libfaketime.
    fn start(settings: &str) -> Option<Self> {
        let Some(library) = library() else {
            let message = "** libfaketime is not installed (`make tools` does that): NOT TESTED is a clock that is set";
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{message}");
            // Not by `eprintln`, which is shown for failed tests only.
            let _ = writeln!(std::io::stderr(), "{message}");
            return None;
        };
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("clock-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = folder.join("broker.toml");
        std::fs::write(&config, settings).unwrap();
        set_to(&folder, 0);
        let mut command = command(&["--config", config.to_str().unwrap(), "--drain-ms", "0"]);
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", folder.join("offset"))
            .env("FAKETIME_NO_CACHE", "1")
            // The variable's name before and since version 0.9.9.
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Some(Self { process: Process::run(command), folder })
    }

    /// Sets the broker's wall clock off the real one by this many seconds.
    fn set_clock(&self, seconds: i64) {
        set_to(&self.folder, seconds);
    }

    #[track_caller]
    fn publish(&self, topic: &str, kind: &str, data: &str) {
        let line = format!("POST /v1/topics/{topic}?kind={kind}");
        let answer = ask(self.process.listen, &line, &["Content-Type: application/json"], data.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        let answer = self.process.get(self.process.listen, path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// Returns the newest update's `ts`.
    #[track_caller]
    fn newest_ts(&self, topic: &str) -> u64 {
        self.get(&format!("/v1/topics/{topic}/history?last=1"))["updates"][0]["ts"].as_u64().unwrap()
    }

    /// Returns the `seq` of a topic's newest update, and of the oldest that is kept.
    #[track_caller]
    fn kept(&self, topic: &str) -> (u64, u64) {
        let history = self.get(&format!("/v1/topics/{topic}/history?last=1"));
        (history["seq"].as_u64().unwrap(), history["oldest"].as_u64().unwrap())
    }
}

impl Drop for Settable {
    fn drop(&mut self) {
        // If that fails, the files remain in the build's own folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Replaces the file in one step, because the broker reads it whenever it asks for the time.
fn set_to(folder: &Path, seconds: i64) {
    let next = folder.join("next");
    std::fs::write(&next, format!("{seconds:+}")).unwrap();
    std::fs::rename(next, folder.join("offset")).unwrap();
}

#[test]
fn a_lifetime_of_an_hour_outlives_a_step_of_two_hours() {
    let settings =
        "topic_idle_ms = 3600000\nretain_ms = 3600000\n[[topics]]\npattern = \"z.witness\"\nretain_ms = 300\n";
    let Some(broker) = Settable::start(settings) else { return };
    for n in 1..=5 {
        broker.publish("c.event", "event", &n.to_string());
    }
    broker.publish("c.state", "state", "1");
    let before = broker.newest_ts("c.event");
    broker.set_clock(7200);
    // The housekeeping visits topics in the order of their names: once it has dropped this update, which was published
    // after the step, it has visited the others.
    broker.publish("z.witness", "event", "1");
    until("the housekeeping to come by", || broker.kept("z.witness") == (1, 2));
    assert_eq!(broker.kept("c.event"), (5, 1));
    assert_eq!(broker.kept("c.state"), (1, 1));
    broker.publish("c.event", "event", "6");
    assert_eq!(broker.kept("c.event"), (6, 1));
    // The clock was really set.
    assert!(broker.newest_ts("c.event") > before + HOUR_US);
}

#[test]
fn a_lifetime_of_a_second_ends_although_the_clock_was_set_back_by_an_hour() {
    let settings = "topic_idle_ms = 4000\n[[topics]]\npattern = \"short\"\nretain_ms = 300\n";
    let Some(broker) = Settable::start(settings) else { return };
    broker.publish("short", "event", "1");
    broker.publish("idle", "state", "1");
    broker.set_clock(-3600);
    // It ends far sooner than in an hour: otherwise the wait times out.
    let gone =
        |topic: &str| broker.process.get(broker.process.listen, &format!("/v1/topics/{topic}/history")).status == 404;
    until("the update to go, or its topic with it", || gone("short") || broker.kept("short") == (1, 2));
    until("the topics to end", || gone("short") && gone("idle"));
}

/// The clock is set back, far forward, and far back again.
const STEPS: [i64; 4] = [0, -3600, 7200, -7200];

#[test]
fn no_ts_goes_back_whichever_way_it_is_published() {
    let Some(broker) = Settable::start("") else { return };
    // Two publishers on two shards, and HTTP.
    let mut publishers = [broker.process.client(), broker.process.client()];
    let mut subscriber = broker.process.client();
    subscriber.subscribe(&["a"]);
    let mut ts = 0;
    for seconds in STEPS {
        broker.set_clock(seconds);
        for publisher in &mut publishers {
            publisher.say(r#"{"op":"publish","id":1,"topic":"a","kind":"event","data":1}"#);
            publisher.expect("published");
        }
        broker.publish("a", "event", "2");
        let before = ts;
        for _ in 0..3 {
            let update = subscriber.skip_to(json!({"op":"update"}));
            assert!(update.num("ts") >= ts, "{update:?} after {ts}");
            ts = update.num("ts");
        }
        // It follows the clock, and stays constant while the clock is behind.
        match seconds {
            0 => assert!(ts > before),
            7200 => assert!(ts > before + HOUR_US, "{ts} after {before}"),
            _ => assert_eq!(ts, before, "with the clock off by {seconds} s"),
        }
        assert_eq!(broker.newest_ts("a"), ts);
    }
}

#[test]
fn ids_keep_increasing_and_later_subscriptions_arrive() {
    let Some(broker) = Settable::start("") else { return };
    broker.publish("a", "state", "0");
    let mut source = Source::open(broker.process.listen, "topic=a", "");
    source.expect("hello");
    source.expect("subscribed");
    let mut newest = 0;
    for (round, seconds) in STEPS.into_iter().enumerate() {
        broker.set_clock(seconds);
        let mut rises = |id: &str, what: &str| {
            let id: u64 = id.parse().unwrap();
            assert!(id > newest, "{what}: {id} after {newest}, with the clock off by {seconds} s");
            newest = id;
        };
        let (last, end) = (source.last_id.clone(), Instant::now() + PATIENCE);
        while source.last_id == last {
            assert!(Instant::now() < end, "no id comes any more, with the clock off by {seconds} s");
            broker.publish("a", "state", &round.to_string());
            source.until(|message| message.op() == "update");
        }
        rises(&source.last_id, "events");

        // As the JavaScript client does it: a new topic begins in a stream of its own, and then both go on in one.
        let later = format!("later.{round}");
        broker.publish(&later, "state", "7");
        let mut begun = Source::open(broker.process.listen, &format!("topic={later}"), "");
        begun.until(|message| message.has(&json!({"op":"image","topic":later,"data":7})));
        while begun.last_id.is_empty() {
            assert_ne!(begun.block(), Block::End);
        }
        rises(&begun.last_id, "a stream that was opened later");
        broker.publish(&later, "state", "8");
        source = Source::open(broker.process.listen, &format!("topic=a&topic={later}"), &begun.last_id);
        source.until(|message| message.has(&json!({"op":"update","topic":later,"data":8})));

        let mut client = broker.process.client();
        client.say(&json!({"op":"subscribe","topics":["a",later],"positions":true}).to_string());
        client.skip_to(json!({"op":"image","topic":later,"data":8}));
        rises(&client.skip_to(json!({"op":"position"})).str("id"), "a position");
    }
}
