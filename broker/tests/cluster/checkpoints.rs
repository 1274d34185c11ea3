//! Starts from checkpoints: of a broker for which the log was cut off behind what it had read, and with checkpoints that are
//! broken or only half there.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::nats::{CURRENT, Link, OLDEST};
use crate::common::until;
use crate::kept::Kept;
use crate::load::pass;
use crate::members::{CHECKPOINTS, Cluster, LOG, SMALL};

/// The bytes of an update that makes the log long.
const LONG_BYTES: usize = 60_000;
/// The pause before each of them.
const PACE: Duration = Duration::from_millis(5);
/// The most of them: several times what is due for a checkpoint.
const LONG_MAX: u64 = 4 * SMALL / LONG_BYTES as u64;

/// What a broker calls the consumer by which it reads the log.
const READS: &[u8] = b"A Tickcast broker reads the log";
/// How long a broker may take to find out that it cannot go on.
const END_TIME: Duration = Duration::from_secs(60);

/// Publishes a long update of a topic, which cannot be compressed much.
fn lengthen(broker: &Kept, n: u64) {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let text: String = (0..LONG_BYTES / 16).map(|_| format!("{:016x}", next())).collect();
    let data = format!("{{\"n\":{n},\"x\":\"{text}\"}}");
    until("the log to take an update", || {
        // Checkpoints need some time, and a small log is full before.
        pass(PACE);
        let answer = broker.http("POST /v1/topics/long?kind=state", &data);
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        answer.status == 200
    });
}

/// Publishes until the log is cut off behind this position.
#[track_caller]
fn cut_behind(cluster: &Cluster, position: u64) {
    for n in 0..LONG_MAX {
        lengthen(&cluster.brokers[0], n);
        if n % 16 == 0 && cluster.state_of(LOG)["first_seq"].as_u64().unwrap() > position {
            return;
        }
    }
    panic!("the log is not cut off: {}", cluster.state_of(LOG));
}

/// Publishes some of everything, at each broker.
fn fill(cluster: &Cluster) {
    for (index, broker) in cluster.brokers.iter().enumerate() {
        for n in 1..=20 {
            broker.publish("e.all", "event", &json!({ "n": n }).to_string());
            broker.publish(&format!("s.{index}"), "state", &json!({ "n": n, "px": "189.10" }).to_string());
            broker.publish(&format!("s.{index}"), "patch", r#"{"bids":{"1":null,"5":"6"}}"#);
        }
        broker.publish("gone", "event", "1");
        assert_eq!(broker.http("DELETE /v1/topics/gone", "").status, 200);
    }
    let once = "POST /v1/topics/e.source?kind=event&source=feed&source_seq=7";
    assert_eq!(cluster.brokers[0].http(once, "1").json()["seq"], 1);
}

/// It runs, and has begun with a checkpoint.
#[track_caller]
fn assert_restored(broker: &mut Kept) {
    assert!(broker.process().runs());
    let restored = broker.process().metric("tickcast_journal_restored_topics");
    assert!(restored > 0.0, "it has read no checkpoint");
}

/// A broker has what the others have, by the same epochs, and clients go on there.
#[track_caller]
fn assert_goes_on(cluster: &mut Cluster, before: &Value) {
    cluster.assert_equal();
    let broker = cluster.brokers.last().unwrap();
    for topic in before.as_array().unwrap() {
        let name = topic[0]["topic"].as_str().unwrap();
        let entry = json!({ "topic": name, "epoch": topic[0]["epoch"], "seq": topic[0]["seq"] });
        let mut client = broker.client();
        client.say(&json!({ "op": "subscribe", "topics": [entry], "on_slow": "retain" }).to_string());
        let answer = client.skip_to(json!({ "op": "subscribed" }));
        let start = answer["topics"][0]["start"].as_str().unwrap();
        // Of what is long not all is retained.
        assert!(start == "resumed" || name == "long" && start == "reset", "{answer:?}");
        assert_eq!(answer["topics"][0]["epoch"], topic[0]["epoch"], "{answer:?}");
    }
    let once = "POST /v1/topics/e.source?kind=event&source=feed&source_seq=7";
    let again = broker.http(once, "1").json();
    assert_eq!((&again["duplicate"], &again["seq"]), (&json!(true), &json!(1)), "{again}");
    let seq = broker.publish("e.all", "event", "\"again\"");
    assert_eq!(seq, 41);
}

/// The broker is stopped while the log is cut off behind what it had read.
fn stopped_for_long(version: &str, servers: usize) {
    let Some(mut cluster) = Cluster::start(version, servers, 2, SMALL) else { return };
    fill(&cluster);
    cluster.assert_equal();
    let before = cluster.brokers[1].all();
    let position = cluster.state_of(LOG)["last_seq"].as_u64().unwrap();
    cluster.brokers[1].kill();
    cut_behind(&cluster, position);
    cluster.brokers[1].go();
    assert_restored(&mut cluster.brokers[1]);
    assert_goes_on(&mut cluster, &before);
}

#[test]
fn a_broker_that_was_stopped_for_long_has_the_same_epochs() {
    stopped_for_long(CURRENT, 1);
}

/// The broker runs, and is cut off from the servers meanwhile.
fn cut_off_for_long(version: &str, servers: usize) {
    let Some(mut cluster) = Cluster::start(version, servers, 2, SMALL) else { return };
    fill(&cluster);
    cluster.assert_equal();
    let before = cluster.brokers[1].all();
    let position = cluster.state_of(LOG)["last_seq"].as_u64().unwrap();
    cluster.links.iter().for_each(Link::cut);
    cut_behind(&cluster, position);
    cluster.links.iter().for_each(Link::heal);
    let process = cluster.brokers[1].process();
    process.until_logged("the broker starts again: the log was cut off");
    process.until_logged("serving");
    assert_restored(&mut cluster.brokers[1]);
    assert_goes_on(&mut cluster, &before);
}

#[test]
fn a_broker_that_was_cut_off_for_long_starts_again_with_the_same_epochs() {
    cut_off_for_long(CURRENT, 1);
}

/// The log is cut off while a broker starts, behind what it has read so far: it ends, which a supervisor sees, and begins with
/// a newer checkpoint the next time. A consumer would only ever bring what it cannot apply.
fn cut_off_at_the_start(version: &str, servers: usize) {
    let Some(mut cluster) = Cluster::start(version, servers, 2, SMALL) else { return };
    fill(&cluster);
    cluster.assert_equal();
    let before = cluster.brokers[1].all();
    let position = cluster.state_of(LOG)["last_seq"].as_u64().unwrap();
    cluster.brokers[1].kill();
    cluster.links.iter().for_each(|link| link.silence_after(READS));
    let mut starting = cluster.brokers[1].command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    until("it to begin with the log", || cluster.links.iter().any(Link::is_silent));
    cut_behind(&cluster, position);
    // What was on its way to it is gone.
    cluster.links.iter().for_each(Link::break_once);
    cluster.links.iter().for_each(Link::heal);
    let end = Instant::now() + END_TIME;
    while starting.try_wait().unwrap().is_none() && Instant::now() < end {
        pass(Duration::from_millis(50));
    }
    // Fails if it has ended.
    let _ = starting.kill();
    let ended = starting.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("start again, from a newer checkpoint"), "{said}");
    cluster.brokers[1].go();
    assert_restored(&mut cluster.brokers[1]);
    assert_goes_on(&mut cluster, &before);
}

#[test]
fn a_broker_for_which_the_log_is_cut_off_while_it_starts_ends_and_says_so() {
    cut_off_at_the_start(CURRENT, 1);
}

/// All brokers are killed as soon as the first part of a checkpoint is in the store. Another one is written all the same, by
/// whoever: that it was somebody's turn must not keep the others from it.
fn killed_meanwhile(version: &str, servers: usize) {
    let Some(mut cluster) = Cluster::start(version, servers, 2, SMALL) else { return };
    fill(&cluster);
    let mut n = 0;
    while cluster.state_of(CHECKPOINTS)["messages"] == 0 {
        lengthen(&cluster.brokers[0], n);
        n += 1;
        assert!(n < LONG_MAX, "nobody writes a checkpoint: {}", cluster.state_of(LOG));
    }
    cluster.brokers.iter_mut().for_each(Kept::kill);
    cluster.brokers.iter_mut().for_each(|broker| _ = broker.go());
    cluster.assert_equal();
    let before = cluster.brokers[1].all();
    let position = cluster.state_of(LOG)["last_seq"].as_u64().unwrap();
    cut_behind(&cluster, position);
    for broker in &mut cluster.brokers {
        // A full log would have begun one unasked.
        assert_eq!(broker.process().metric("tickcast_journal_failures_total"), 0.0);
    }
    assert_goes_on(&mut cluster, &before);
}

#[test]
fn brokers_are_killed_while_a_checkpoint_is_written() {
    killed_meanwhile(CURRENT, 1);
}

/// How a checkpoint is broken.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// One of its parts is gone.
    Part,
    /// All of them.
    All,
    /// A part has come twice.
    Doubled,
    /// What it says of itself is gone: it was not written to its end.
    Unfinished,
}

/// Breaks the newest checkpoint. All brokers are down, or have no need of it.
#[track_caller]
fn damage(cluster: &Cluster, how: Damage) {
    // The last message of the store says what its newest object is.
    let last = cluster.state_of(CHECKPOINTS)["last_seq"].as_u64().unwrap();
    let mut wire = cluster.servers.wire(0);
    let mut info = None;
    for seq in (1..=last).rev() {
        let Ok(found) = wire.jetstream(&format!("STREAM.MSG.GET.{CHECKPOINTS}"), &json!({ "seq": seq })) else {
            continue;
        };
        let subject = found["message"]["subject"].as_str().unwrap().to_owned();
        if subject.contains(".M.") {
            let data = found["message"]["data"].as_str().unwrap_or_default();
            let text = String::from_utf8(base64(data)).unwrap();
            let object: Value = serde_json::from_str(&text).unwrap();
            if object["deleted"] != true {
                info = Some((seq, object["nuid"].as_str().unwrap().to_owned()));
                break;
            }
        }
    }
    let (seq, nuid) = info.expect("there is a checkpoint");
    let parts = format!("$O.tickcast_CP.C.{nuid}");
    match how {
        Damage::Part => {
            let part =
                wire.jetstream(&format!("STREAM.MSG.GET.{CHECKPOINTS}"), &json!({ "last_by_subj": parts })).unwrap();
            let delete = json!({ "seq": part["message"]["seq"] });
            wire.jetstream(&format!("STREAM.MSG.DELETE.{CHECKPOINTS}"), &delete).unwrap();
        }
        Damage::All => {
            wire.jetstream(&format!("STREAM.PURGE.{CHECKPOINTS}"), &json!({ "filter": parts })).unwrap();
        }
        Damage::Doubled => wire.publish(&parts, b"again").unwrap(),
        Damage::Unfinished => {
            wire.jetstream(&format!("STREAM.MSG.DELETE.{CHECKPOINTS}"), &json!({ "seq": seq })).unwrap();
        }
    }
}

/// Decodes base64 (RFC 4648 section 4).
fn base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        bits = bits << 6 | LETTERS.iter().position(|known| *known == letter).unwrap() as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

/// The newest checkpoint cannot be used, and the older one is: the log still has all that follows it.
fn broken(version: &str, servers: usize, how: Damage) {
    let Some(mut cluster) = Cluster::start(version, servers, 2, SMALL) else { return };
    fill(&cluster);
    let position = cluster.state_of(LOG)["last_seq"].as_u64().unwrap();
    // When the log is cut off for the first time there are two.
    cut_behind(&cluster, position);
    cluster.assert_equal();
    let before = cluster.brokers[1].all();
    cluster.brokers[1].kill();
    damage(&cluster, how);
    cluster.brokers[1].go();
    let early = cluster.brokers[1].early();
    assert!(matches!(how, Damage::Unfinished) || early.contains("a checkpoint is damaged"), "{how:?}: {early}");
    assert_goes_on(&mut cluster, &before);
}

#[test]
fn a_broken_checkpoint_is_passed_over() {
    broken(CURRENT, 1, Damage::Part);
}

#[test]
#[ignore = "takes some minutes: make cluster-test"]
fn checkpoints_serve_in_every_case() {
    for version in [OLDEST, CURRENT] {
        stopped_for_long(version, 3);
        cut_off_for_long(version, 3);
        cut_off_at_the_start(version, 3);
        killed_meanwhile(version, 3);
        for how in [Damage::Part, Damage::All, Damage::Doubled, Damage::Unfinished] {
            broken(version, 3, how);
        }
    }
}
