//! The table of PROTOCOL §3: how a subscription begins.

use std::sync::Arc;

use broker_protocol::frame::Frame;
use broker_protocol::kind::Kind;

use super::*;
use crate::feed::Feed;
use crate::ids::Ids;
use crate::image::Tree;
use crate::limits::Retain;
use crate::topic::NewTopic;

/// A topic of ten updates, of which the last four are retained.
fn topic(kind: Kind, patches: bool) -> Topic {
    let retain = Retain { updates: 4, bytes: 1 << 20, ms: 0 };
    let topic = Topic::new(NewTopic {
        id: Ids::new(Arc::new(Feed::new(1, Vec::new()))).take(),
        name: "t",
        epoch: "e".into(),
        kind,
        retain,
        interest: 0,
        budget: Arc::default(),
    });
    let mut state = topic.lock();
    for ordinal in 0..10 {
        state.history.push(ordinal, 0, Frame::text(b"{}"));
        state.history.trim(&retain, 0);
    }
    state.has_patches = patches;
    if kind != Kind::Event {
        state.set_image(Some(Tree::from_json(b"{}")));
    }
    drop(state);
    topic
}

#[test]
fn as_the_protocol_specifies() {
    let live = (Start::Live, At::After { seq: 10, feed_position: 77 });
    let image = (Start::Image, At::Image(1));
    let history = |first| (Start::History, At::From(first));
    let table = [
        (Kind::Event, false, From::Image, false, live),
        (Kind::Event, false, From::Live, false, live),
        (Kind::Event, false, From::Last(0), false, live),
        (Kind::Event, false, From::Last(2), false, history(9)),
        (Kind::Event, false, From::Last(4), false, history(7)),
        (Kind::Event, false, From::Last(100), false, history(7)),
        (Kind::State, false, From::Image, false, image),
        (Kind::State, false, From::Live, false, live),
        (Kind::State, false, From::Last(0), false, live),
        (Kind::State, false, From::Last(2), false, history(9)),
        (Kind::State, true, From::Last(2), false, image),
        (Kind::State, true, From::Last(0), false, image),
        (Kind::State, true, From::Live, false, live),
        // With conflation, everything starts with its image; the caller does not conflate events.
        (Kind::State, false, From::Live, true, image),
        (Kind::State, false, From::Last(2), true, image),
        (Kind::State, true, From::Image, true, image),
    ];
    for (kind, patches, from, conflated, expected) in table {
        let topic = topic(kind, patches);
        let state = topic.lock();
        let told = start(&state, &topic, from, conflated, 77);
        assert_eq!(told, expected, "{kind:?} with patches: {patches}, from {from:?}, conflated: {conflated}");
    }
}

#[test]
fn nothing_retained_is_live() {
    let topic = topic(Kind::Event, false);
    let mut state = topic.lock();
    state.history.trim(&Retain { updates: 0, bytes: 0, ms: 0 }, 0);
    assert_eq!(start(&state, &topic, From::Last(3), false, 5), (Start::Live, At::After { seq: 10, feed_position: 5 }));
}
