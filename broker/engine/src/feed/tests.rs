use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use broker_protocol::frame::Frame;

use super::{Draft, EntryKind, Feed};

#[test]
fn waiting_for_a_shard_wakes_it() {
    let woken = Arc::new(AtomicBool::new(false));
    let flag = woken.clone();
    let feed = Feed::new(64 << 20, vec![Box::new(move || flag.store(true, Ordering::Relaxed))]);
    let mut reader = feed.reader(0);
    feed.wake(0).about_to_sleep();
    // Nothing of this concerns the shard, so appending does not wake it.
    for seq in 1..=8 {
        let frame = Frame::text(&[b' '; 1000]);
        feed.append(Draft {
            topic: 0,
            place: None,
            seq,
            oldest: 1,
            interest: 0,
            taken_us: 0,
            kind: EntryKind::Update,
            frame,
        });
    }
    assert!(feed.keeps_up(16_000));
    assert!(!woken.load(Ordering::Relaxed), "woken though it keeps up");
    assert!(!feed.keeps_up(4_000));
    assert!(woken.load(Ordering::Relaxed), "waited for, but asleep");
    while reader.peek().is_some() {
        reader.advance();
    }
    reader.publish_progress(&feed);
    assert!(feed.keeps_up(4_000));
}
