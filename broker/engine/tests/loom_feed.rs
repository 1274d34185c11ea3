//! Every interleaving of publishers and shards at the feed: nothing is lost, no shard sleeps while there is an entry
//! for it, and the order holds across the end of a segment (which under loom has three slots, of which two are used).
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p broker-engine --test loom_feed`, in a separate target directory.

#![cfg(loom)]

use broker_engine::feed::{Draft, EntryKind, Feed, Reader};
use broker_protocol::frame::Frame;
use loom::sync::{Arc, Notify};
use loom::thread;

/// A feed for this many shards, and what each of them sleeps on.
fn feed(shards: usize) -> (Arc<Feed>, Vec<Arc<Notify>>) {
    let sleepers: Vec<_> = (0..shards).map(|_| Arc::new(Notify::new())).collect();
    let notify = sleepers.iter().map(|sleeper| -> Box<dyn Fn() + Send + Sync> {
        let sleeper = sleeper.clone();
        Box::new(move || sleeper.notify())
    });
    let notify = notify.collect();
    (Arc::new(Feed::new(1 << 30, notify)), sleepers)
}

fn publish(feed: &Feed, topic: u32, seq: u64) {
    let interest = feed.all_shards();
    let (kind, frame) = (EntryKind::Update, Frame::text(b"{}"));
    feed.append(Draft { topic, place: None, seq, oldest: 1, interest, taken_us: 0, kind, frame });
    feed.wake_all(interest);
}

/// The loop of a shard until it has read this many entries: read, announce sleep, look once more, sleep.
fn read(feed: &Feed, reader: &mut Reader, index: usize, sleeper: &Notify, entries: usize) -> Vec<(u64, u32, u64)> {
    let mut seen = Vec::new();
    loop {
        while let Some(entry) = reader.peek() {
            seen.push((entry.ordinal, entry.topic, entry.seq));
            reader.advance();
        }
        reader.publish_progress(feed);
        if seen.len() == entries {
            return seen;
        }
        let wake = feed.wake(index);
        wake.about_to_sleep();
        if reader.peek().is_some() {
            wake.woke();
            continue;
        }
        sleeper.wait();
        wake.woke();
    }
}

fn check(test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    // Two preemptions per run find what there is to find here; without a bound it takes minutes.
    model.preemption_bound = Some(2);
    model.check(test);
}

/// Each topic's updates are in the order of their `seq`, and all of them in that of their ordinals.
fn in_order(seen: &[(u64, u32, u64)]) {
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "out of order: {seen:?}");
    for topic in seen.iter().map(|(_, topic, _)| *topic) {
        let seqs: Vec<u64> = seen.iter().filter(|(_, other, _)| *other == topic).map(|(_, _, seq)| *seq).collect();
        assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "topic {topic}: {seqs:?}");
    }
}

#[test]
fn a_shard_reads_all_across_the_end_of_a_segment() {
    check(|| {
        let (feed, sleepers) = feed(1);
        let mut reader = feed.reader(0);
        let producer = {
            let feed = feed.clone();
            thread::spawn(move || (1..=3).for_each(|seq| publish(&feed, 7, seq)))
        };
        let seen = read(&feed, &mut reader, 0, &sleepers[0], 3);
        in_order(&seen);
        producer.join().unwrap();
        assert!(reader.peek().is_none());
        assert_eq!(feed.backlog_bytes(), 0);
    });
}

#[test]
fn two_publishers_one_order() {
    check(|| {
        let (feed, sleepers) = feed(1);
        let mut reader = feed.reader(0);
        let producers = [1, 2].map(|topic| {
            let feed = feed.clone();
            thread::spawn(move || (1..=2).for_each(|seq| publish(&feed, topic, seq)))
        });
        let seen = read(&feed, &mut reader, 0, &sleepers[0], 4);
        in_order(&seen);
        producers.into_iter().for_each(|producer| producer.join().unwrap());
    });
}

#[test]
fn two_shards_see_the_same_and_neither_sleeps_on_it() {
    check(|| {
        let (feed, sleepers) = feed(2);
        let (mut first, mut second) = (feed.reader(0), feed.reader(1));
        let other = {
            let (feed, sleeper) = (feed.clone(), sleepers[1].clone());
            thread::spawn(move || read(&feed, &mut second, 1, &sleeper, 1))
        };
        let producer = {
            let feed = feed.clone();
            thread::spawn(move || publish(&feed, 1, 1))
        };
        let seen = read(&feed, &mut first, 0, &sleepers[0], 1);
        in_order(&seen);
        assert_eq!(other.join().unwrap(), seen);
        producer.join().unwrap();
    });
}

#[test]
fn a_reader_that_comes_late_starts_at_the_tail() {
    check(|| {
        let (feed, sleepers) = feed(1);
        publish(&feed, 1, 1);
        let producer = {
            let feed = feed.clone();
            thread::spawn(move || publish(&feed, 2, 1))
        };
        // The second is before or after the reader's start; the third is after it.
        let mut reader = feed.reader(0);
        producer.join().unwrap();
        publish(&feed, 3, 1);
        let before = feed.ordinal() - 1;
        let mut seen = Vec::new();
        while let Some(entry) = reader.peek() {
            seen.push(entry.ordinal);
            reader.advance();
        }
        assert!(seen == [before + 1] || seen == [before, before + 1], "{seen:?}");
        drop(sleepers);
    });
}
