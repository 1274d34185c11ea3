//! Listings that have to visit very many topics. They are answered on a thread that other clients need too.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::patterns::{holders, name};
use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::http;
use crate::link::Link;
use crate::patience::Stop;
use crate::tally::Tally;
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "pipelined_listings",
        what: "3 connections pipeline 500 listings each that match none of 100,000 topics",
        prepare: many_topics,
        run: |stage| list(stage, 3, "/v1/topics?match=*.*.*.zzz"),
        ..Attack::PLAIN
    },
    Attack {
        name: "pattern_listings",
        what: "4 connections hold 1,024 patterns each; 3 more list the 1,000 topics that all of them match",
        run: |stage| {
            let mut holders = holders(stage, stage.size.pick(4, 2))?;
            // The topics begin now: patterns that come later would be counted first, which is another attack.
            stage.publish((0..1000).map(|number| format!(r#"{{"topic":"{}","data":1}}"#, name(number))))?;
            holders.turn(Duration::from_millis(100), |_, _| {});
            list(stage, 3, "/v1/topics?limit=1000")
        },
        seconds: (8.0, 1.0),
        ..Attack::PLAIN
    },
];

/// The requests in flight on one connection.
const PIPELINED: usize = 500;

/// The most listings that may be answered while another client waits for one answer.
const MEANWHILE: usize = 50;

/// The name of one of the many topics.
pub(super) fn many(number: usize) -> String {
    format!("m.{}.{number}.q", number % 100)
}

/// Publishes the many topics.
pub(super) fn many_topics(stage: &Stage<'_>) -> io::Result<()> {
    let topics = 0..stage.size.pick(100_000, 20_000);
    let rejected =
        stage.publish(topics.map(|number| format!(r#"{{"topic":"{}","kind":"state","data":1}}"#, many(number))))?;
    if rejected > 0 { Err(io::Error::other(format!("{rejected} topics were refused"))) } else { Ok(()) }
}

fn list(stage: &mut Stage<'_>, connections: usize, path: &str) -> io::Result<()> {
    let mut crowd = Crowd::new(true)?;
    let request: Arc<[u8]> = http::get(stage.broker.listen, path).repeat(PIPELINED).into_bytes().into();
    crowd.join(stage.broker.listen, connections, Options::attacker(), &request, &stage.to_the_end())?;
    let (mut answered, mut asked) = (Tally::new("HTTP/1.1 200"), vec![PIPELINED; connections]);
    let (all, stop) = (Arc::new(AtomicUsize::new(0)), Stop::default());
    let witness = witness(stage, all.clone(), stop.clone());
    while !stage.is_over() {
        crowd.turn(Duration::from_millis(10), |member, bytes| {
            all.fetch_add(answered.count(member, bytes), Ordering::Relaxed);
        });
        for (member, asked) in asked.iter_mut().enumerate() {
            if answered.of(member) >= *asked {
                crowd.say(member, &request);
                *asked += PIPELINED;
            }
        }
    }
    stop.stop();
    let [newcomer, probe] = witness.join().map_err(|_| io::Error::other("the witness panicked"))??;
    stage.note(format!("answered while one newcomer was served: {newcomer}, while one probe was: {probe}"));
    stage.check(newcomer <= MEANWHILE, || format!("{newcomer} listings were answered while one newcomer waited"));
    stage.check(probe <= MEANWHILE, || format!("{probe} listings were answered while one probe waited"));
    stage.check(crowd.ended() == 0, || format!("{} of {connections} connections were closed", crowd.ended()));
    stage.note(format!("{} listings answered", answered.all()));
    Ok(())
}

/// Counts the listings that are answered while a newcomer is served, and while a probe is. Returns the most of each.
fn witness(stage: &Stage<'_>, answered: Arc<AtomicUsize>, stop: Stop) -> JoinHandle<io::Result<[usize; 2]>> {
    let (listen, admin, patience) = (stage.broker.listen, stage.broker.admin, stage.patience().or(&stop));
    let request = http::get(admin, "/healthz");
    std::thread::spawn(move || {
        let mut most = [0; 2];
        while !stop.is_stopped() {
            for (index, most) in most.iter_mut().enumerate() {
                let before = answered.load(Ordering::Relaxed);
                let result = match index {
                    0 => Link::connect(listen, Options::default(), &patience).map(drop).map_err(io::Error::from),
                    _ => http::exchange(admin, Options::default(), &[request.as_bytes()], &patience).map(drop),
                };
                // A client that was not served until the end counts as well.
                *most = (answered.load(Ordering::Relaxed) - before).max(*most);
                if !stop.is_stopped() {
                    result?;
                }
            }
        }
        Ok(most)
    })
}
