//! Measures every server in turn, round after round.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use super::file::Server;
use super::process::Running;
use crate::payload::{BYTES_MAX, BYTES_MIN};
use crate::report::progress::Watch;
use crate::report::{self, Report};
use crate::run::{self, Setup, Target};
use crate::scenario::Scenario;

/// The length of a server's frame head at the measured frame lengths (RFC 6455 §5.2).
const HEAD_BYTES: usize = 4;

/// The longest server's frame with a head of 2 bytes.
const SHORT_FRAME_BYTES: usize = 127;

/// The parameters of a comparison.
pub(crate) struct Plan<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) label: &'a str,
    pub(crate) servers: &'a [Server],
    pub(crate) folder: &'a Path,
    pub(crate) repeats: usize,
    pub(crate) server_cores: &'a [usize],
    pub(crate) load_cores: &'a [usize],
    pub(crate) threads: u32,
    pub(crate) verify: bool,
    pub(crate) quiet: bool,
}

/// The reports of every server, in the order of the rounds, and the errors.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) of: Vec<(String, Vec<Report>)>,
    pub(crate) failed: BTreeMap<String, Vec<String>>,
}

impl Results {
    pub(crate) fn of(&self, name: &str) -> &[Report] {
        self.of.iter().find(|(server, _)| server == name).map_or(&[], |(_, reports)| reports)
    }

    /// Mean length of a server's frames in bytes, once it has been measured.
    fn frame_bytes(&self, server: &str) -> Option<usize> {
        self.of(server).first().map(|report| report.delivery.frame_bytes.round() as usize)
    }

    /// The length of the payload that makes a server's frames as long as those of the first server other than a floor.
    /// `None` if it uses the scenario's own length, or if the others have not been measured.
    fn payload_bytes(&self, plan: &Plan<'_>, server: &Server) -> Option<usize> {
        let own = plan.scenario.publish.bytes;
        let first = plan.servers.iter().find(|server| !server.is_floor())?;
        let wanted = self.frame_bytes(&first.name)?;
        if server.is_floor() {
            return Some(wanted.saturating_sub(HEAD_BYTES).max(own));
        }
        let usual = self.frame_bytes(server.equal_frames_of.as_ref()?)?;
        // A longer payload may need a longer head.
        let more_head = if usual <= SHORT_FRAME_BYTES && wanted > SHORT_FRAME_BYTES + 2 { 2 } else { 0 };
        Some((own + wanted).saturating_sub(usual + more_head).clamp(BYTES_MIN, BYTES_MAX))
    }
}

/// Runs all rounds. A server that fails is reported and does not end the others' rounds.
pub(crate) fn rounds(plan: &Plan<'_>) -> Results {
    let mut results = Results {
        of: plan.servers.iter().map(|server| (server.name.clone(), Vec::new())).collect(),
        ..Results::default()
    };
    for round in 0..plan.repeats {
        // Entries with equal frames and floors come last in the first round, because the length of their frames depends
        // on the servers measured before.
        let mut order: Vec<&Server> = plan.servers.iter().collect();
        order.sort_by_key(|server| (server.is_floor(), server.equal_frames_of.is_some()));
        if round % 2 == 1 {
            order.reverse();
        }
        for server in order {
            let label = format!("{} {}/{} {}", plan.label, round + 1, plan.repeats, server.name);
            match once(plan, server, results.payload_bytes(plan, server), &label) {
                Ok(report) => {
                    if let Some((_, reports)) = results.of.iter_mut().find(|(name, _)| *name == server.name) {
                        reports.push(report);
                    }
                }
                Err(error) => results.failed.entry(server.name.clone()).or_default().push(format!("{error:#}")),
            }
        }
    }
    results
}

fn once(plan: &Plan<'_>, server: &Server, payload_bytes: Option<usize>, label: &str) -> anyhow::Result<Report> {
    let running = Running::start(server, plan.folder, plan.server_cores)?;
    let target = server.url(running.address);
    let mut scenario = plan.scenario.clone();
    scenario.publish.bytes = payload_bytes.unwrap_or(scenario.publish.bytes);
    let mut report = measure(plan, server, Some(running.pid()), scenario, &target, label)?;
    report.label = server.name.clone();
    Ok(report)
}

fn measure(
    plan: &Plan<'_>,
    server: &Server,
    pid: Option<u32>,
    scenario: Scenario,
    target: &str,
    label: &str,
) -> anyhow::Result<Report> {
    let (name, protocol) = server.protocol();
    let setup = Setup {
        scenario: Arc::new(scenario),
        protocol,
        target: Target::parse(target, &[], &server.access)?,
        threads: plan.threads,
        cores: plan.load_cores.to_vec(),
        server_pid: pid,
        verify: plan.verify && !server.is_floor(),
    };
    let mut watch = Watch::new(label, plan.quiet);
    let measured = run::run(&setup, &mut watch);
    watch.done();
    let measured = measured.with_context(|| format!("server {:?}", server.name))?;
    Ok(report::build(&setup, name, label, target, &measured))
}

/// Measures a server that runs already and the floors in turns; `of` measures the server.
pub(crate) fn beside(
    plan: &Plan<'_>,
    server: &str,
    mut of: impl FnMut(&str) -> anyhow::Result<Report>,
) -> anyhow::Result<Results> {
    let floors = plan.servers;
    let mut all: Vec<(String, Vec<Report>)> = vec![(server.to_owned(), Vec::new())];
    all.extend(floors.iter().map(|floor| (floor.name.clone(), Vec::new())));
    let mut results = Results { of: all, failed: BTreeMap::new() };
    for round in 0..plan.repeats {
        let label = format!("{} {}/{}", plan.label, round + 1, plan.repeats);
        let first = of(&format!("{label} {server}"))?;
        let payload_bytes = first.delivery.frame_bytes.round() as usize - HEAD_BYTES;
        let payload_bytes = payload_bytes.max(plan.scenario.publish.bytes);
        results.of[0].1.push(first);
        for (index, floor) in floors.iter().enumerate() {
            let report = once(plan, floor, Some(payload_bytes), &format!("{label} {}", floor.name))?;
            results.of[index + 1].1.push(report);
        }
    }
    Ok(results)
}
