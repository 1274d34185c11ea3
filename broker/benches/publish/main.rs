//! Publishers at full speed into ten thousand topics without subscribers: updates per second, and the broker's cost of
//! each. There is one connection per shard; a thread for each writes bytes that were made before.
//!
//! A run ends with the answer to a ping after the last update: then every update was taken in.
//!
//! `cargo bench -p broker --bench publish [-- [--seconds N] [--repeats N] [ROW]...]`

mod report;
mod server;
mod update;
mod upgrade;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use report::{Ask, Series, Table};
use server::Server;
use update::{Kind, entry, message};
use upgrade::upgrade;
use ws_frames::{FIN, TEXT, masked};

/// The time-out of an answer.
const PATIENCE: Duration = Duration::from_secs(60);

const TOPICS: usize = 10_000;
/// The updates in one `publish` message with a `batch`.
const BATCH: usize = 64;

struct Row {
    name: &'static str,
    kind: Kind,
    batch: bool,
    shards: usize,
}

const ROWS: &[Row] = &[
    Row { name: "event, single", kind: Kind::Event, batch: false, shards: 2 },
    Row { name: "event, batches of 64", kind: Kind::Event, batch: true, shards: 2 },
    Row { name: "state, single", kind: Kind::State, batch: false, shards: 2 },
    Row { name: "state, batches of 64", kind: Kind::State, batch: true, shards: 2 },
    Row { name: "one shard: event, single", kind: Kind::Event, batch: false, shards: 1 },
    Row { name: "one shard: event, batches of 64", kind: Kind::Event, batch: true, shards: 1 },
];

fn main() {
    let ask = Ask::from_process();
    let topics = ask.pick(TOPICS, 200);
    let repeats = ask.repeats(5);
    let wanted: Vec<&Row> = ROWS.iter().filter(|row| ask.wants(row.name)).collect();
    let mut series = vec![<[Series; 3]>::default(); wanted.len()];
    for _ in 0..repeats {
        for (row, series) in wanted.iter().zip(&mut series) {
            let figures = run(row, topics, Duration::from_secs_f64(ask.seconds(4.0, 0.2)));
            series.iter_mut().zip(figures).for_each(|(series, value)| series.push(value));
        }
    }
    let title = format!("{topics} topics, {repeats} repeats, median (min..max); cores shared with the load");
    let mut table = Table::new(title, &["row", "updates/s", "CPU ns/update", "RSS MB at the end"]);
    for (row, series) in wanted.iter().zip(&series) {
        let [a, b, c] = series;
        table.row(&[&row.name, a, b, c]);
    }
    table.print();
}

fn run(row: &Row, topics: usize, duration: Duration) -> [f64; 3] {
    let server = Server::start(row.shards);
    // Topics are dealt to the publishers in turn: a batch has 64 different topics, and each publisher has its own.
    let passes: Vec<Vec<u8>> = (0..row.shards).map(|shard| pass(row, shard, topics)).collect();
    let connections: Vec<TcpStream> = passes.iter().map(|_| connect(server.listen)).collect();
    let (start, start_cpu_ns) = (Instant::now(), server.cpu_ns());
    let count: u64 = std::thread::scope(|scope| {
        let publishers = passes
            .iter()
            .zip(connections)
            .map(|(pass, connection)| scope.spawn(move || publish(connection, pass, start + duration)));
        let threads: Vec<_> = publishers.collect();
        threads.into_iter().map(|thread| thread.join().expect("a publisher finishes")).sum()
    });
    let seconds = start.elapsed().as_secs_f64();
    let updates = (count * (topics / row.shards) as u64) as f64;
    let cpu_ns = (server.cpu_ns() - start_cpu_ns) as f64;
    assert!(server.metric("tickcast_published_total") >= updates, "{updates} updates were sent");
    [updates / seconds, cpu_ns / updates, server.rss_bytes() as f64 / 1e6]
}

/// Makes one update for each of a publisher's topics.
fn pass(row: &Row, shard: usize, topics: usize) -> Vec<u8> {
    let numbers: Vec<usize> = (shard..topics).step_by(row.shards).take(topics / row.shards).collect();
    let mut out = Vec::new();
    if !row.batch {
        numbers.iter().for_each(|&number| masked(&mut out, FIN | TEXT, message(number, row.kind).as_bytes()));
        return out;
    }
    for batch in numbers.chunks(BATCH) {
        let entries: Vec<String> = batch.iter().map(|&number| entry(number, row.kind)).collect();
        masked(&mut out, FIN | TEXT, format!(r#"{{"op":"publish","batch":[{}]}}"#, entries.join(",")).as_bytes());
    }
    out
}

fn connect(address: SocketAddr) -> TcpStream {
    upgrade(address, PATIENCE).expect("a publisher connects")
}

/// Publishes passes until the time is over, and waits until all were taken in. Returns their number.
fn publish(mut connection: TcpStream, pass: &[u8], until: Instant) -> u64 {
    let mut count = 0;
    while Instant::now() < until {
        connection.write_all(pass).expect("the broker reads");
        count += 1;
    }
    let mut ping = Vec::new();
    masked(&mut ping, FIN | TEXT, br#"{"op":"ping","id":"last"}"#);
    connection.write_all(&ping).expect("the broker reads");
    let mut answers = Vec::new();
    let mut buffer = [0; 4096];
    while !answers.windows(4).any(|four| four == b"last") {
        let read = connection.read(&mut buffer).expect("the broker answers");
        assert!(read > 0, "the broker closed a publisher's connection");
        answers.extend(&buffer[..read]);
        let text = String::from_utf8_lossy(&answers);
        assert!(!text.contains(r#""op":"error""#) && !text.contains(r#""rejected":[{"#), "{text}");
    }
    count
}
