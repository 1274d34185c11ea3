//! Attacks on a broker in a process of its own, while ordinary clients are connected.
//!
//! While an attack runs, four bystanders are watched: a publisher and its subscriber on the shard that is attacked,
//! another pair on the other shard, a newcomer that connects again and again, and a supervisor that requests
//! `/healthz`. A control run has the same broker, the same topics and the same bystanders, but no attack.
//!
//! ```text
//! attack      an attack, and the stage on which it runs
//! attacks/    the attacks, one file for each family
//! watch/      the bystanders and their figures
//! bars        the bounds on the bystanders' figures
//! run         one run, several runs, the control
//! report      the table
//! broker      the broker's process
//! doors       keys, tokens and certificates
//! crowd, link, secured, wire, http   sockets: many at once, WebSocket, TLS, bytes, HTTP
//! tally       counting what a crowd receives
//! ```
//!
//! `make torture` runs it in full against the release build, and fails if a bar is missed. As a part of `cargo test` it
//! is short: small attacks, and bars on time so wide that a busy machine cannot miss them. `BROKER=PROGRAM` attacks
//! another build. `broker/docs/benchmarks.md` says how to read the table.

mod attack;
mod attacks;
mod bars;
mod broker;
mod crowd;
mod doors;
mod http;
mod link;
mod patience;
mod report;
mod run;
mod secured;
mod tally;
mod watch;
mod wire;

#[path = "../common/frames.rs"]
#[allow(dead_code, unused_imports, reason = "this program sends no malformed frames")]
mod frames;
#[path = "../../benches/publish/report.rs"]
mod tables;

use std::process::ExitCode;

use attack::Size;

/// The command line.
struct Ask {
    size: Size,
    runs: usize,
    list: bool,
    names: Vec<String>,
}

impl Ask {
    /// `[--full] [--runs N] [part of an attack's name]...`. Options of `cargo test` for other harnesses are ignored.
    fn from_process() -> Result<Self, String> {
        let mut ask = Self { size: Size::Short, runs: 0, list: false, names: Vec::new() };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--full" => ask.size = Size::Full,
                "--list" => ask.list = true,
                "--runs" => {
                    let runs = arguments.next().and_then(|runs| runs.parse().ok()).filter(|runs| *runs > 0);
                    ask.runs = runs.ok_or("--runs needs a number of runs, 1 or more")?;
                }
                name if !name.starts_with('-') => ask.names.push(name.to_owned()),
                _ => {}
            }
        }
        if ask.runs == 0 {
            ask.runs = ask.size.pick(3, 1);
        }
        Ok(ask)
    }

    fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|part| name.contains(part.as_str()))
    }
}

fn main() -> ExitCode {
    let ask = match Ask::from_process() {
        Ok(ask) => ask,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let chosen: Vec<_> = attacks::all().filter(|attack| ask.wants(attack.name)).collect();
    if ask.list {
        chosen.iter().for_each(|attack| println!("{}: test", attack.name));
        return ExitCode::SUCCESS;
    }
    broker::raise_open_files();
    let mut report = report::Report::new(ask.size);
    for attack in chosen {
        report.begin(attack);
        let verdict = run::best_of(attack, ask.size, ask.runs);
        report.end(verdict);
    }
    report.print();
    if report.all_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
