//! Everything at once: clients fill as much as they can of each budget in the table of memory (`operating.md`), at the
//! same time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::half_written::{change, image};
use super::stalled_wildcards::delete;
use crate::attack::{Attack, Stage};
use crate::broker::{Metrics, SHARDS};
use crate::crowd::Crowd;
use crate::http;
use crate::link::{subscribe, text};
use crate::tally::Tally;
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[Attack {
    name: "worst_mix",
    what: "every budget of memory is filled, one after the other, and all are held at once",
    settings: &[
        ("retain_bytes_max", ("64MiB", "8MiB")),
        ("images_bytes_max", ("64MiB", "16MiB")),
        ("images_encoded_bytes_max", ("32MiB", "4MiB")),
        ("images_partial_bytes_max", ("64MiB", "8MiB")),
        ("sources_bytes_max", ("16MiB", "1MiB")),
        ("publishers_bytes_max", ("2MiB", "256KiB")),
        ("feed_bytes_max", ("16MiB", "4MiB")),
        ("ring_bytes", ("4MiB", "1MiB")),
        ("topics_max", ("20000", "4000")),
        ("names_waited_bytes_max", ("16MiB", "2MiB")),
        ("subscriptions_bytes_max", ("16MiB", "2MiB")),
        ("connections_max", ("2000", "1000")),
        ("http_connections_max", ("256", "64")),
        ("buffers_bytes_max", ("16MiB", "2MiB")),
        ("behind_bytes_max", ("8MiB", "1MiB")),
        ("bodies_bytes_max", ("32MiB", "16MiB")),
    ],
    run: everything,
    seconds: (30.0, 6.0),
    // About the sum of the table for these settings. The attack computes it from the broker's metrics, and checks it.
    grows_mib: (453, 103),
    keeps_mib: (32, 32),
    ..Attack::PLAIN
}];

/// The largest body by default (`ndjson_bytes_max`).
const BODY_BYTES: usize = 8 << 20;
/// The least share of a budget that has to be filled. After its largest holder was closed, it may be just below half.
const FILLED: f64 = 0.4;

fn everything(stage: &mut Stage<'_>) -> io::Result<()> {
    let start_kib = stage.broker.resident_kib();
    image(stage, "big")?;
    let mut names = vec!["big".to_owned()];
    retained(stage, &mut names)?;
    // These subscribe first: once patterns have filled their budget, `>` may be refused too.
    let stalled = stall(stage, &names)?;
    let waited = hold(stage, "")?;
    let patterns = hold(stage, ".>")?;
    let half_written = half_written(stage)?;
    let incomplete = incomplete(stage)?;
    let bodies = bodies(stage)?;

    let metrics = stage.broker.metrics(&stage.patience())?;
    stage.note(format!("{} topics; {}", names.len(), metrics.bytes_held()));
    let mut sum = unnamed_bytes(&metrics, stage);
    for (name, bytes, max) in metrics.budgets() {
        sum += max;
        // Each shard has a share of the table of publishers, and so has HTTP; all updates here come over one of them.
        let share = if name.contains("publishers_bytes_max") { max / (SHARDS + 1) as f64 } else { max };
        // The feed fills only if a shard stops.
        let is_filled = bytes >= FILLED * share || name == "feed";
        stage.check(is_filled, || format!("{name}: {bytes:.0} of {max:.0} bytes, so this was not the worst"));
    }
    let (sum, grown) = (sum / 1024.0, stage.broker.peak_kib().saturating_sub(start_kib) as f64);
    stage.note(format!("{:.0} MiB more than at the start; the table allows {:.0}", grown / 1024.0, sum / 1024.0));
    stage.check(grown <= sum, || format!("the memory grew by {grown:.0} KiB, and the table allows {sum:.0}"));

    drop((waited, patterns, stalled, half_written, incomplete, bodies));
    delete(stage, &names)
}

/// The rows of the table that no metric names: rings, topics, connections, log lines.
fn unnamed_bytes(metrics: &Metrics, stage: &Stage<'_>) -> f64 {
    const KIB: f64 = 1024.0;
    let ring_bytes = stage.size.pick(4.0, 1.0) * KIB * KIB;
    SHARDS as f64 * 3.0 * ring_bytes
        + metrics.get("tickcast_topics_max") * (1.0 + SHARDS as f64 * 0.5) * KIB
        + metrics.get("tickcast_connections_max") * KIB
        + metrics.get("tickcast_http_connections_max") * (16.0 + 100.0) * KIB
        + 1024.0 * 16.0 * KIB
}

/// Publishes what stays until it is deleted: images, histories, sources, and topics up to `topics_max`.
fn retained(stage: &Stage<'_>, names: &mut Vec<String>) -> io::Result<()> {
    let value = "x".repeat(1000);
    let members: Vec<String> = (0..50).map(|member| format!(r#""k{member}":"{value}""#)).collect();
    let state = format!("{{{}}}", members.join(","));
    let mut images = Vec::new();
    let last = |name: &str| format!(r#"{{"topic":"{name}","kind":"state","data":{state}}}"#);
    until_refused(stage, "image", 20, &mut images, last)?;
    for name in &images {
        let request = http::get(stage.broker.listen, &format!("/v1/topics/{name}"));
        http::exchange(stage.broker.listen, Options::attacker(), &[request.as_bytes()], &stage.patience())?;
    }
    names.append(&mut images);

    let histories: Vec<String> = (0..50).map(|number| format!("history.{number}")).collect();
    let updates = stage.size.pick(80_000, 12_000);
    let event = |number: usize| format!(r#"{{"topic":"history.{}","data":"{value}"}}"#, number % histories.len());
    stage.publish((0..updates).map(event))?;
    names.extend(histories);

    let sources = stage.size.pick(9_000, 700);
    let source = |number: usize| {
        let name = format!("{:-<64}", number % 16);
        format!(r#"{{"topic":"source.{}","data":1,"source":"{name}","source_seq":1}}"#, number / 16)
    };
    stage.publish((0..sources * 16).map(source))?;
    names.extend((0..sources).map(|number| format!("source.{number}")));
    until_refused(stage, "topic", 1000, names, |name| format!(r#"{{"topic":"{name}","data":1}}"#))
}

/// Publishes the first updates of topics, `at_a_time`, until one is refused.
fn until_refused(
    stage: &Stage<'_>,
    beginning: &str,
    at_a_time: usize,
    names: &mut Vec<String>,
    line: impl Fn(&str) -> String,
) -> io::Result<()> {
    for first in (0..).step_by(at_a_time) {
        let some: Vec<String> = (first..first + at_a_time).map(|number| format!("{beginning}.{number}")).collect();
        let refused = stage.publish(some.iter().map(|name| line(name)))?;
        names.extend(some);
        if refused > 0 {
            break;
        }
    }
    Ok(())
}

/// Connects clients that subscribe to names of their own with this ending, more than fit.
fn hold(stage: &Stage<'_>, end: &str) -> io::Result<Crowd> {
    let (mut crowd, long) = (Crowd::new(true)?, "n".repeat(200));
    for connection in 0..stage.size.pick(120, 20) {
        let names = (0..250).map(|number| format!("{connection}.{number}.{long}{end}"));
        let request = text(&subscribe(names, ""));
        crowd.join_websockets(stage.broker.listen, 1, Options::attacker(), &request, &stage.patience())?;
        crowd.turn(Duration::ZERO, |_, _| {});
    }
    Ok(crowd)
}

/// Connects subscribers to everything that stop reading; then every topic changes.
fn stall(stage: &mut Stage<'_>, names: &[String]) -> io::Result<Crowd> {
    let (mut crowd, request) = (Crowd::new(true)?, text(&subscribe([">"], r#","from":"live""#)));
    let connections = stage.size.pick(10, 6);
    let options = Options::receiving(64 * 1024);
    crowd.join_websockets(stage.broker.listen, connections, options, &request, &stage.patience())?;
    // The broker's own topics are not introduced.
    let topics = stage.broker.metrics(&stage.patience())?.get("tickcast_topics") as usize;
    let (mut told, wanted) = (Tally::new(r#""op":"topic""#), connections * (topics - 10));
    let patience = stage.patience();
    while told.all() < wanted && !patience.is_over() {
        crowd.turn(Duration::from_millis(10), |member, bytes| _ = told.count(member, bytes));
    }
    let (told, ended) = (told.all(), crowd.ended());
    stage.check(told >= wanted, || format!("{told} of {wanted} introductions came in time; {ended} were closed"));
    let topics: Vec<&String> = names.iter().filter(|name| name.starts_with("topic.")).collect();
    let data = "y".repeat(100);
    for _ in 0..3 {
        stage.publish(topics.iter().map(|name| format!(r#"{{"topic":"{name}","data":"{data}"}}"#)))?;
    }
    Ok(crowd)
}

/// Opens connections that each hold a large image of their own, of which they read only a part.
fn half_written(stage: &mut Stage<'_>) -> io::Result<Crowd> {
    let (mut crowd, mut publisher, patience) = (Crowd::new(false)?, stage.link()?, stage.patience());
    let request = text(&subscribe(["big"], ""));
    for number in 0..stage.size.pick(90, 12) {
        crowd.join_websockets(stage.broker.listen, 1, Options::receiving(2048), &request, &patience)?;
        change(&mut publisher, stage, number)?;
    }
    Ok(crowd)
}

/// Opens connections that send most of a message.
fn incomplete(stage: &Stage<'_>) -> io::Result<Crowd> {
    let mut crowd = Crowd::new(false)?;
    let message = text(&format!(r#"{{"op":"ping","id":"{}"}}"#, "x".repeat(64_000)));
    let connections = stage.size.pick(400, 60);
    let options = Options::receiving(4096);
    crowd.join_websockets(stage.broker.listen, connections, options, &message[..60_000], &stage.patience())?;
    Ok(crowd)
}

/// Sends bodies without their ends.
fn bodies(stage: &Stage<'_>) -> io::Result<Crowd> {
    let (mut crowd, listen) = (Crowd::new(true)?, stage.broker.listen);
    let head = http::post(listen, "/v1/publish", "x-ndjson", BODY_BYTES);
    let request: Arc<[u8]> = [head.as_bytes(), &vec![b'\n'; BODY_BYTES - 32]].concat().into();
    crowd.join(listen, stage.size.pick(5, 3), Options::attacker(), &request, &stage.patience())?;
    Ok(crowd)
}
