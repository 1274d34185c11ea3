//! Many clients that leave at the same time.

use std::io;
use std::time::{Duration, Instant};

use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::link::{subscribe, text};
use crate::patience::Patience;
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[Attack {
    name: "leave_storm",
    what: "10,000 subscribers of one topic connect, and leave all at once",
    run: leave,
    seconds: (10.0, 1.0),
    ..Attack::PLAIN
}];

fn leave(stage: &mut Stage<'_>) -> io::Result<()> {
    let (listen, patience) = (stage.broker.listen, stage.to_the_end());
    let wanted = stage.size.pick(10_000, 500);
    let request = text(&subscribe(["crowd.topic"], r#","from":"live""#));
    let begin = Instant::now();
    let mut crowd = Crowd::new(true)?;
    // They connect in portions: a storm of arrivals is another attack.
    while crowd.len() < wanted && !stage.is_over() {
        crowd.join_websockets(listen, 250, Options::attacker(), &request, &patience)?;
        crowd.turn(Duration::from_millis(5), |_, _| {});
    }
    let subscribed =
        |patience: &Patience| stage.broker.metrics(patience).map(|metrics| metrics.get("tickcast_subscriptions"));
    let at_once = subscribed(&patience)?;
    while subscribed(&stage.patience())? < wanted as f64 && !stage.is_over() {
        crowd.turn(Duration::from_millis(50), |_, _| {});
    }
    let all = subscribed(&stage.patience())?;
    stage.check(all >= wanted as f64, || format!("{all:.0} of {wanted} subscriptions were made in time"));
    let came = begin.elapsed();
    let begin = Instant::now();
    drop(crowd);
    // Only the bystanders' connections are left.
    while stage.broker.metrics(&stage.patience())?.get("tickcast_connections") > 50.0 {
        crate::patience::pass(Duration::from_millis(10));
    }
    let (came, left) = (came.as_secs_f64() * 1e3, begin.elapsed().as_secs_f64() * 1e3);
    stage.note(format!(
        "{wanted} came in {came:.0} ms ({at_once:.0} subscribed when the last one connected), and were gone after {left:.0} ms"
    ));
    Ok(())
}
