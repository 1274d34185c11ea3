//! Images over HTTP while a shard has more to deliver than it can.
//!
//! Nothing here is measured by the clock. The test counts how far one makes progress while the other is done once.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use crate::common::{Client, FIN, Finally, Running, TEXT, ask, masked, until};

const TOPICS: usize = 300;
/// Each has some thousand members: a page ends before eight MiB.
const IMAGE_BYTES: usize = 40_000;
const PAGE_BYTES_MAX: usize = 8 << 20;
/// The subscribers to everything that is published, all on one shard.
const SUBSCRIBERS: usize = 40;
/// The least and the most quiet updates that are delivered one after the other meanwhile.
const QUIET: u64 = 50;
const QUIET_MAX: u64 = 2000;
/// The least pages of images that are answered meanwhile.
const PAGES_MIN: usize = 4;
/// The most pages of images that are answered, on average, while one quiet update is in flight. It is about one: the
/// update waits only for what was published before it.
const PAGES_PER_UPDATE_MAX: usize = 20;
/// The least deliveries on the shard, on average, while one page is answered. There are tens of thousands.
const DELIVERIES_PER_PAGE_MIN: f64 = 1000.0;

/// Connects clients to a broker of two shards. Connections are dealt to the shards in turn.
fn connect(broker: &Running) -> (Vec<Client>, Vec<Client>) {
    (0..=SUBSCRIBERS).map(|_| (broker.client(), broker.client())).unzip()
}

/// Reads and discards what comes, until the broker or the test hangs up.
fn swallow(client: &Client) {
    let mut stream = client.stream.try_clone().unwrap();
    // A reset is the end as well.
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

/// Requests all images, page by page. Returns their number.
fn all_images(broker: &Running, pages: &AtomicUsize) -> usize {
    let (mut after, mut images) = (String::new(), 0);
    loop {
        let answer = ask(broker.listen, &format!("GET /v1/images?match=p.*&limit=1000{after}"), &[], b"");
        assert_eq!(answer.status, 200, "{}", answer.head);
        pages.fetch_add(1, Ordering::Relaxed);
        assert!(answer.body.len() <= PAGE_BYTES_MAX, "{} bytes in a page", answer.body.len());
        // Parsing megabytes would be most of the test's work.
        images += answer.body.matches(r#"{"op":"image","#).count();
        let (_, next) = answer.body.rsplit_once("],\"next\":").expect("the page is whole");
        match next.strip_suffix('}').map(|next| next.trim_matches('"')) {
            Some("null") => return images,
            Some(next) => after = format!("&after={next}"),
            None => panic!("a page that ends with {next}"),
        }
    }
}

#[test]
fn images_are_answered_and_no_client_of_the_shard_waits_for_them() {
    let broker = Running::with(&[("shards", "2"), ("feed_bytes_max", "1MiB"), ("message_bytes", "65536")]);
    let fill = "x".repeat(IMAGE_BYTES);
    for n in 0..TOPICS {
        broker.publish(&format!("p.{n}"), "state", &format!(r#"{{"n":0,"fill":"{fill}"}}"#));
    }
    let (mut ours, mut others) = connect(&broker);
    let (mut quiet, publisher) = (ours.pop().unwrap(), others.pop().unwrap());
    quiet.subscribe(&["quiet"]);
    for client in &mut ours {
        client.say(r#"{"op":"subscribe","topics":["p.*"],"from":"live","on_slow":"retain"}"#);
        client.expect("subscribed");
    }
    let (done, pages) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        // As fast as the broker takes updates: the subscribers' shard is always behind.
        scope.spawn(|| {
            let lines: Vec<String> =
                (0..TOPICS).map(|n| format!(r#"{{"topic":"p.{n}","kind":"patch","data":{{"n":{n}}}}}"#)).collect();
            let batch = masked(FIN | TEXT, format!(r#"{{"op":"publish","batch":[{}]}}"#, lines.join(",")).as_bytes());
            // Until the test shuts the socket down.
            while (&publisher.stream).write_all(&batch).is_ok() {}
        });
        ours.iter().for_each(|client| drop(scope.spawn(|| swallow(client))));
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    assert_eq!(all_images(&broker, &pages), TOPICS);
                }
            });
        }
        let _end = Finally(|| {
            done.store(true, Ordering::Release);
            for client in ours.iter().chain([&publisher]) {
                let _ = client.stream.shutdown(std::net::Shutdown::Both);
            }
        });
        broker.until_metric("tickcast_feed_backlog_bytes", |bytes| bytes > 0.0);
        until("the first page", || pages.load(Ordering::Relaxed) > 0);
        let counts = || (pages.load(Ordering::Relaxed), broker.metric("tickcast_deliveries_total"));
        let (before, mut behind) = (counts(), 0);
        let mut seq = 0;
        // In the end both have made progress, whichever was faster.
        while seq < QUIET || pages.load(Ordering::Relaxed) - before.0 < PAGES_MIN {
            seq += 1;
            assert!(seq <= QUIET_MAX, "images are not answered: {} pages", pages.load(Ordering::Relaxed) - before.0);
            broker.publish("quiet", "event", &seq.to_string());
            behind += u64::from(broker.metric("tickcast_feed_backlog_bytes") > 0.0);
            quiet.skip_to(json!({"op":"update","topic":"quiet","seq":seq}));
        }
        let after = counts();
        let (answered, deliveries) = (after.0 - before.0, after.1 - before.1);
        let told = format!("{answered} pages and {deliveries} deliveries while {seq} updates came");
        assert!(answered <= PAGES_PER_UPDATE_MAX * seq as usize, "the quiet client was held up: {told}");
        assert!(deliveries >= DELIVERIES_PER_PAGE_MIN * answered as f64, "the shard was held up: {told}");
        assert!(behind > seq / 2, "the shard was behind {behind} of {seq} times");
        // The bodies that are being written are within their budget.
        let bytes = broker.metric(r#"tickcast_budget_bytes{budget="bodies_bytes_max"}"#);
        assert!(bytes <= 2.0 * PAGE_BYTES_MAX as f64, "{bytes} bytes for two pages");
    });
    drop((ours, others, quiet, publisher));
    broker.assert_settles();
}
