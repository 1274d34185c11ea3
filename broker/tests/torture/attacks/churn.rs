//! Subscribing and unsubscribing at full speed, and many subscribers that are gone at once.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::listings::{many, many_topics};
use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::link::{subscribe, text, unsubscribe};
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "subscribe_churn",
        what: "200 connections subscribe to 100 topics and unsubscribe, at full speed",
        prepare: many_topics,
        run: |stage| churn(stage, 200, &(0..100).map(many).collect::<Vec<_>>()),
        ..Attack::PLAIN
    },
    Attack {
        name: "pattern_churn",
        what: "50 connections subscribe to all of 100,000 topics and unsubscribe, at full speed",
        prepare: many_topics,
        run: |stage| churn(stage, 50, &[">".to_owned()]),
        ..Attack::PLAIN
    },
    Attack {
        name: "wrong_entries",
        what: "10 connections subscribe to 10,000 wrong names in each message, at full speed",
        run: |stage| churn(stage, 10, &vec!["..".to_owned(); 10_000]),
        ..Attack::PLAIN
    },
    Attack {
        name: "pings",
        what: "500 connections send pings in JSON at full speed, each of which takes little work",
        run: |stage| keep_saying(stage, 500, text(r#"{"op":"ping"}"#).repeat(100)),
        ..Attack::PLAIN
    },
    Attack {
        name: "hang_ups",
        what: "4,000 subscribers of 20 topics each hang up at the same moment, come back, and do it again",
        prepare: many_topics,
        run: hang_ups,
        ..Attack::PLAIN
    },
];

/// What is in the answer to a subscription.
const SUBSCRIBED: &[u8] = b"\"op\":\"subscribed\"";

fn churn(stage: &mut Stage<'_>, connections: usize, entries: &[String]) -> io::Result<()> {
    keep_saying(stage, connections, [text(&subscribe(entries, "")), text(&unsubscribe(entries))].concat())
}

fn keep_saying(stage: &mut Stage<'_>, connections: usize, bytes: Vec<u8>) -> io::Result<()> {
    let bytes: Arc<[u8]> = bytes.into();
    let mut crowd = Crowd::new(true)?;
    crowd.join_websockets(stage.broker.listen, connections, Options::attacker(), &bytes, &stage.to_the_end())?;
    let (mut answered, before) = (0, stage.broker.metrics(&stage.patience())?);
    while !stage.is_over() {
        crowd.keep_saying(&bytes);
        crowd.turn(Duration::from_millis(10), |_, heard| answered += heard.len());
    }
    let after = stage.broker.metrics(&stage.patience())?;
    stage.note(format!("{:.0} MB of answers in {:.0} rounds", answered as f64 / 1e6, after.rounds(&before)));
    stage.check(crowd.ended() == 0, || format!("{} of {connections} connections were closed", crowd.ended()));
    Ok(())
}

fn hang_ups(stage: &mut Stage<'_>) -> io::Result<()> {
    let (listen, subscribers) = (stage.broker.listen, stage.size.pick(4_000, 500));
    let asks: Arc<[u8]> = text(&subscribe((0..20).map(many).collect::<Vec<_>>(), "")).into();
    let (mut waves, mut lost) = (0, 0);
    while !stage.is_over() {
        let mut crowd = Crowd::new(true)?;
        crowd.join_websockets(listen, subscribers, Options::attacker(), b"", &stage.to_the_end())?;
        (0..crowd.len()).for_each(|number| crowd.say(number, &asks));
        let mut answered = vec![false; crowd.len()];
        let mut left = crowd.len();
        while left > 0 && crowd.ended() == 0 && !stage.is_over() {
            crowd.turn(Duration::from_millis(10), |number, bytes| {
                if !answered[number] && bytes.windows(SUBSCRIBED.len()).any(|part| part == SUBSCRIBED) {
                    answered[number] = true;
                    left -= 1;
                }
            });
        }
        lost += crowd.ended();
        waves += usize::from(left == 0);
    }
    stage.note(format!("{waves} times"));
    stage.check(waves > 0, || format!("not all of {subscribers} could subscribe"));
    stage.check(lost == 0, || format!("{lost} connections were closed by the broker"));
    Ok(())
}
