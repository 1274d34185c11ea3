//! Load for long: brokers come to the same, and say so to each other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::common::Client;
use crate::common::nats::{CURRENT, Options, Servers};
use crate::load::pass;
use crate::node::{Node, patiently};
use crate::numbered::{Follower, Load};

/// Updates of a batch.
const BATCH: u64 = 64;
/// Topics of a publisher of batches.
const TOPICS: u64 = 20;
/// The digests of whole blocks of so many commands are compared.
const BLOCK: u64 = 4096;
/// Each of these differs if brokers have come to something else.
const FAULTS: [&str; 2] = ["tickcast_journal_differing_total", "tickcast_journal_in_doubt"];

#[test]
fn two_brokers_come_to_the_same() {
    soak(1, seconds().unwrap_or(5));
}

#[test]
#[ignore = "an hour, or as many SOAK_SECONDS: make cluster-test"]
fn two_brokers_come_to_the_same_for_long() {
    soak(3, seconds().unwrap_or(3600));
}

fn seconds() -> Option<u64> {
    let text = std::env::var("SOAK_SECONDS").ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("SOAK_SECONDS is {text:?}: expected a number of seconds")))
}

/// What publishers share.
#[derive(Debug, Default)]
struct Shared {
    is_over: AtomicBool,
    /// Updates that were answered as published.
    published: AtomicU64,
}

/// Publishes batches to topics of its own until it is over: states with patches that grow, and events.
fn batches(address: SocketAddr, name: &'static str, shared: &Arc<Shared>) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        let mut client = Client::connect(address);
        let mut sent = 0;
        for id in 1.. {
            if shared.is_over.load(Ordering::Relaxed) {
                return;
            }
            let updates: Vec<String> = (0..BATCH).map(|index| update(name, sent + index)).collect();
            client.say(&format!(r#"{{"op":"publish","id":{id},"batch":[{}]}}"#, updates.join(",")));
            let answer = client.skip_to(serde_json::json!({"id": id}));
            assert_eq!((answer.op(), answer["accepted"].as_u64()), ("published", Some(BATCH)), "{answer:?}");
            sent += BATCH;
            shared.published.fetch_add(BATCH, Ordering::Relaxed);
        }
    })
}

fn update(name: &str, n: u64) -> String {
    let (topic, round) = (n % TOPICS, n / TOPICS);
    let (kind, data) = match (topic % 2, round % 10) {
        (0, _) => ("event", format!("{{\"n\":{n}}}")),
        (_, 0) => ("state", format!("{{\"n\":{n},\"book\":{{}}}}")),
        _ => ("patch", format!("{{\"n\":{n},\"book\":{{\"k{}\":{n},\"k{}\":null}}}}", n % 7, (n + 3) % 7)),
    };
    format!(r#"{{"topic":"{name}.{topic}","kind":"{kind}","source":"{name}","source_seq":{},"data":{data}}}"#, n + 1)
}

fn soak(count: usize, seconds: u64) {
    let Some(servers) = Servers::start(CURRENT, count, Options::default()) else { return };
    let replicas = count.to_string();
    let flags = ["--journal-replicas", &replicas, "--journal-unavailable-ms", "60000", "--journal-bytes-max", "256MiB"];
    let nodes = ["a", "b"].map(|name| Node::start(&servers.url(), name, &flags));
    let [first, second] = &nodes;
    let shared = Arc::<Shared>::default();
    let publishers = [batches(first.address, "x", &shared), batches(second.address, "y", &shared)];
    let load = Load::on(first.address, "numbered", Duration::from_millis(2));
    let mut follower = Follower::of(second, "numbered");
    let (end, published) = (Instant::now() + Duration::from_secs(seconds), || shared.published.load(Ordering::Relaxed));
    while Instant::now() < end {
        // All that is there: one that reads less than is published is slow, and closed in the end.
        follower.until_seq(second.seq("numbered").max(follower.seq + 1));
        pass(Duration::from_millis(100));
        nodes.iter().for_each(assert_agrees);
    }
    // However slow the machine is, some blocks are compared.
    patiently("several blocks of commands", || {
        assert!(publishers.iter().all(|publisher| !publisher.is_finished()), "a publisher was answered wrongly");
        published() > 4 * BLOCK
    });
    shared.is_over.store(true, Ordering::Relaxed);
    publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
    follower.until_seq(load.end(&[first, second]));
    // Each says once a second what it has come to.
    for node in &nodes {
        let position = || node.metric("tickcast_journal_position");
        let begin = position();
        patiently("some beats of both", || position() >= begin + 6.0);
    }
    for topic in (0..TOPICS).flat_map(|topic| [format!("x.{topic}"), format!("y.{topic}")]) {
        patiently(&format!("both to have all of {topic}"), || first.seq(&topic) == second.seq(&topic));
        assert_eq!(first.history(&topic), second.history(&topic));
        let images = nodes.each_ref().map(|node| node.http(&format!("GET /v1/topics/{topic}"), "").body);
        assert_eq!(images[0], images[1]);
    }
    nodes.iter().for_each(assert_agrees);
    println!("{} updates in batches in {seconds} s", published());
}

#[track_caller]
fn assert_agrees(node: &Node) {
    FAULTS.iter().for_each(|name| assert_eq!(node.metric(name), 0.0, "{name}"));
}
