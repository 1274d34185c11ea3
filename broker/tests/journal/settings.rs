//! Settings on which it depends what becomes of a publish: whatever they say later, what was taken stays taken, and what
//! was refused stays refused.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::common::{ask, until};
use crate::kept::Kept;

/// A broker with a configuration file.
struct Configured(Kept);

impl Configured {
    fn start(file: &str) -> Self {
        let mut kept = Kept::new(&[]);
        let path = kept.folder.path().join("tickcast.toml");
        kept.set_flags(&["--config", path.to_str().unwrap()]);
        let mut configured = Self(kept);
        configured.write(file);
        configured.0.go();
        configured
    }

    fn write(&mut self, file: &str) {
        let path = self.0.folder.path().join("new.toml");
        std::fs::write(&path, file).unwrap();
        std::fs::rename(&path, self.0.folder.path().join("tickcast.toml")).unwrap();
    }

    /// Reloads this file, by a signal.
    fn hang_up(&mut self, file: &str, marker: u64) {
        self.write(&format!("connections_max = {marker}\n{file}"));
        self.0.process().signal(Signal::HUP);
        let admin = self.0.process().admin;
        let wanted = format!("tickcast_connections_max {marker}\n");
        until("the reload", || ask(admin, "GET /metrics", &[], b"").body.contains(&wanted));
    }
}

fn state(bytes: usize) -> String {
    json!({ "x": "y".repeat(bytes) }).to_string()
}

#[test]
fn a_smaller_image_bytes_does_not_undo_what_was_taken() {
    let with = |bytes: u64| format!("image_bytes = {bytes}\nmessage_bytes = 1000\n");
    let mut broker = Configured::start(&with(4_000));
    // Patches that together need more than the later bound.
    broker.0.publish("s", "state", &state(900));
    for part in ["a", "b", "c"] {
        broker.0.publish("s", "patch", &json!({ part: "z".repeat(900) }).to_string());
    }
    let refused = broker.0.http("POST /v1/topics/s?kind=patch", &json!({ "d": "z".repeat(900) }).to_string());
    assert_eq!((refused.status, refused.code().as_str()), (413, "too_large"));
    let before = broker.0.all();
    assert_eq!(broker.0.history("s", 1)["seq"], 4);

    broker.hang_up(&with(2_000), 500);
    broker.0.publish("other", "state", &state(10));
    broker.0.http("DELETE /v1/topics/other", "");
    assert_eq!(broker.0.all(), before);
    for _ in 0..2 {
        broker.0.kill_and_go();
        assert_eq!(broker.0.all(), before);
    }
    // And the other way round: what was refused was not taken by a larger one later.
    broker.write(&with(100_000));
    broker.0.stop_and_go();
    assert_eq!(broker.0.all(), before);
    broker.0.kill_and_go();
    assert_eq!(broker.0.all(), before);
}

#[test]
fn other_kinds_do_not_change_topics_that_are_there() {
    let with = |kind: &str| format!("[[topics]]\npattern = \"k.*\"\nkind = \"{kind}\"\n");
    let mut broker = Configured::start(&with("state"));
    let publish =
        |broker: &Configured, topic: &str, data: &str| broker.0.http(&format!("POST /v1/topics/{topic}"), data);
    assert_eq!(publish(&broker, "k.one", "{\"n\":1}").status, 200);
    assert_eq!(broker.0.history("k.one", 1)["kind"], "state");
    // Refused then, whatever the rules say later.
    assert_eq!(broker.0.http("POST /v1/topics/k.two?kind=event", "1").code(), "kind_mismatch");
    let before = broker.0.all();

    broker.hang_up(&with("event"), 500);
    assert_eq!(publish(&broker, "k.one", "{\"n\":2}").status, 200);
    assert_eq!(broker.0.history("k.one", 1)["kind"], "state");
    let later = broker.0.all();
    assert_ne!(later, before);
    for _ in 0..2 {
        broker.0.kill_and_go();
        assert_eq!(broker.0.all(), later);
    }
    // What begins now is told the same before and after the next start, whichever rules count for it.
    assert_eq!(publish(&broker, "k.three", "{\"n\":1}").status, 200);
    let all = broker.0.all();
    let kinds =
        |all: &Value| -> Vec<Value> { all.as_array().unwrap().iter().map(|topic| topic[0]["kind"].clone()).collect() };
    assert_eq!(kinds(&all).len(), 2);
    broker.write(&with("state"));
    broker.0.stop_and_go();
    assert_eq!(broker.0.all(), all);
}
