//! What an idle subscriber with one subscription costs the broker: its own memory in RAM, the kernel's not counted.
//!
//! The figure is the difference between many subscribers and a tenth of them, so that what the broker needs once is not
//! counted among them.
//!
//! `cargo bench -p broker --bench idle [-- [--repeats N] [ROW]...]`

mod load;

use load::report::{Ask, Series, Table};
use load::{CONNECTIONS_MAX, Cores, PATIENCE_NS, Server, Swarm, mono_ns};
use std::time::Duration;

/// Subscribers in the full mode, fewer where the process may not have so many files open.
const SUBSCRIBERS: usize = 10_000;
/// Files that the load and the broker need besides one per subscriber.
const OTHER_FILES: usize = 128;

/// How many names the subscribers subscribe to.
const ROWS: &[(&str, Names)] = &[("one topic for all", Names::One), ("a name for each", Names::Each)];

#[derive(Debug, Clone, Copy)]
enum Names {
    One,
    Each,
}

fn main() {
    let ask = Ask::from_process();
    let cores = Cores::of_process();
    let subscribers = open_files().saturating_sub(OTHER_FILES).min(ask.pick(SUBSCRIBERS, 200));
    let repeats = ask.repeats(3);
    let title = format!("{subscribers} idle subscribers, {repeats} repeats, median (min..max); {}", cores.describe());
    let mut table =
        Table::new(title, &["row", "bytes/subscriber", "before, MB", "after, MB", "connects/s", "CPU µs/connect"]);
    for (name, names) in ROWS.iter().filter(|(name, _)| ask.wants(name)) {
        let mut series = <[Series; 5]>::default();
        for _ in 0..repeats {
            let figures = run(&cores, *names, subscribers);
            series.iter_mut().zip(figures).for_each(|(series, value)| series.push(value));
        }
        let [a, b, c, d, e] = &series;
        table.row(&[name, a, b, c, d, e]);
    }
    table.print();
}

fn run(cores: &Cores, names: Names, subscribers: usize) -> [f64; 5] {
    let server = Server::alone(cores, &[CONNECTIONS_MAX, &(subscribers + 8).to_string()]);
    let mut swarm = Swarm::new();
    let topics = |number| match names {
        Names::One => vec![0],
        Names::Each => vec![number],
    };
    let before = settled(&server, &mut swarm);
    swarm.subscribe(server.listen, subscribers / 10, topics);
    let few = settled(&server, &mut swarm);
    let (start_ns, start_cpu_ns, more) = (mono_ns(), server.cpu_ns(), subscribers - swarm.len());
    swarm.subscribe(server.listen, more, topics);
    let seconds = (mono_ns() - start_ns) as f64 / 1e9;
    let cpu_us = (server.cpu_ns() - start_cpu_ns) as f64 / 1e3;
    let after = settled(&server, &mut swarm);
    let bytes = (after - few) / more as f64;
    [bytes, before / 1e6, after / 1e6, more as f64 / seconds, cpu_us / more as f64]
}

/// The broker's memory when it has not changed for a second: what connecting needed for a moment is given back.
fn settled(server: &Server, swarm: &mut Swarm) -> f64 {
    let until_ns = mono_ns() + PATIENCE_NS;
    let mut since = (mono_ns(), server.rss_bytes());
    loop {
        swarm.read(Duration::from_millis(50), |_, _, _| {});
        let now = (mono_ns(), server.rss_bytes());
        if now.1 != since.1 {
            since = now;
        } else if now.0 - since.0 > 1_000_000_000 {
            return now.1 as f64;
        }
        assert!(now.0 < until_ns, "the memory of an idle broker does not settle");
    }
}

/// Files that this process, and so the broker that it starts, may have open.
fn open_files() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // As many as the hard limit allows; where that fails there are fewer subscribers.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| files as usize)
}
