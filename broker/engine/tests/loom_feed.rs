//! Every interleaving, as far as loom goes, of publishers that append and wake with a shard that reads and sleeps: no
//! entry is lost, none comes twice or out of order, also across a segment's end (a segment has two slots here), and no
//! wake-up is lost: a shard that sleeps over an entry for ever is a deadlock, which loom reports.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p broker-engine --test loom_feed`
#![cfg(loom)]

use broker_engine::feed::{Draft, Feed, What};
use broker_protocol::frame::Frame;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// Where the shard sleeps: a flag that its notifier sets, as tokio's `Notify` keeps one permission.
#[derive(Default)]
struct Bed {
    notified: Mutex<bool>,
    called: Condvar,
}

impl Bed {
    fn notify(&self) {
        *self.notified.lock().unwrap() = true;
        self.called.notify_one();
    }

    fn sleep(&self) {
        let mut notified = self.notified.lock().unwrap();
        while !*notified {
            notified = self.called.wait(notified).unwrap();
        }
        *notified = false;
    }
}

fn publish(feed: &Feed, topic: u32, seq: u64) {
    let frame = Frame::text(b"x");
    feed.append(Draft { topic, seq, oldest: 1, interest: 1, taken_us: 0, what: What::Update, frame });
    feed.wake_all(1);
}

/// Runs publishers of `updates` each against one shard that looks once more before it sleeps, or does not.
fn run(publishers: u32, updates: u64, looks_once_more: bool) {
    let mut model = loom::model::Builder::new();
    // More preemptions than this find nothing new in a protocol of two flags, and take for ever.
    model.preemption_bound = Some(3);
    model.check(move || {
        let bed = Arc::new(Bed::default());
        let calls = bed.clone();
        let feed = Arc::new(Feed::new(1 << 20, vec![Box::new(move || calls.notify())]));
        let mut reader = feed.reader(0);
        let threads: Vec<_> = (0..publishers)
            .map(|topic| {
                let feed = feed.clone();
                thread::spawn(move || (1..=updates).for_each(|seq| publish(&feed, topic, seq)))
            })
            .collect();
        let mut seen = vec![0; publishers as usize];
        let mut ordinal = 0;
        while seen.iter().sum::<u64>() < u64::from(publishers) * updates {
            if let Some(entry) = reader.peek() {
                assert!(entry.ordinal > ordinal, "ordinal {} after {ordinal}", entry.ordinal);
                ordinal = entry.ordinal;
                let last = &mut seen[entry.topic as usize];
                assert_eq!(entry.seq, *last + 1, "topic {}", entry.topic);
                *last = entry.seq;
                reader.advance();
                reader.publish_progress(&feed);
                continue;
            }
            feed.wake(0).about_to_sleep();
            if looks_once_more && reader.peek().is_some() {
                feed.wake(0).woke();
                continue;
            }
            bed.sleep();
            feed.wake(0).woke();
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(reader.peek().is_none() && feed.has_room());
    });
}

#[test]
fn one_publisher_across_a_segments_end() {
    run(1, 3, true);
}

#[test]
fn two_publishers() {
    run(2, 2, true);
}

/// The model would notice: without the second look a shard sleeps for ever. In a process of its own, because loom cannot
/// unwind out of a deadlock through what it holds.
#[test]
fn a_shard_that_does_not_look_once_more_sleeps_for_ever() {
    const CHILD: &str = "TICKCAST_LOOM_DEADLOCK";
    if std::env::var_os(CHILD).is_some() {
        return run(1, 1, false);
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_shard_that_does_not_look_once_more_sleeps_for_ever", "--nocapture"]).env(CHILD, "1");
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("deadlock"), "{}: {said}", output.status);
}
