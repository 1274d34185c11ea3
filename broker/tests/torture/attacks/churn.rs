//! Subscribing and unsubscribing at full speed.

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
];

fn churn(stage: &mut Stage<'_>, connections: usize, entries: &[String]) -> io::Result<()> {
    let both: Arc<[u8]> = [text(&subscribe(entries, "")), text(&unsubscribe(entries))].concat().into();
    let mut crowd = Crowd::new(true)?;
    crowd.join_websockets(stage.broker.listen, connections, Options::attacker(), &both, &stage.to_the_end())?;
    let (mut answered, before) = (0, stage.broker.metrics(&stage.patience())?);
    while !stage.is_over() {
        crowd.keep_saying(&both);
        crowd.turn(Duration::from_millis(10), |_, bytes| answered += bytes.len());
    }
    let after = stage.broker.metrics(&stage.patience())?;
    stage.note(format!("{:.0} MB of answers in {:.0} rounds", answered as f64 / 1e6, after.rounds(&before)));
    stage.check(crowd.ended() == 0, || format!("{} of {connections} connections were closed", crowd.ended()));
    Ok(())
}
