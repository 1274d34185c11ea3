//! `loadgen run`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, ensure};

use crate::cli::{Against, Out, Run};
use crate::compare::{Plan, Server, beside, table, verdict};
use crate::measure::process;
use crate::measure::tally::Tally;
use crate::protocol::{Name, Protocol};
use crate::report::progress::Watch;
use crate::report::{self, Report, hgrm, html};
use crate::run::{self, Measured, Setup, Target};
use crate::say;
use crate::scenario::{Follow, Scenario};

pub(super) fn run(command: &Run) -> anyhow::Result<ExitCode> {
    let against = &command.against;
    let scenario = against.change.find(&against.scenario)?;
    // A run that only listens does not do what the scenario's name says.
    let named = if scenario.publishes() { &against.scenario } else { "listening" };
    let label = command.out.label.clone().unwrap_or_else(|| named.to_owned());
    command.out.check()?;
    let setup = setup(scenario, against)?;
    if command.floor {
        return with_floor(command, &setup, &label);
    }
    let measured = watched(&setup, &label, command.out.quiet)?;
    let report = report::build(&setup, against.speak.protocol, &label, &against.target, &measured);
    write(&report, &measured.tally, &command.out)?;
    let whole = report.continuity.is_clean() || !against.how.verify;
    Ok(if whole && report.ended_early.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The server and the floor in turns; reports of the server's last round, and how the two compare over all rounds.
fn with_floor(command: &Run, setup: &Setup, label: &str) -> anyhow::Result<ExitCode> {
    ensure!(command.repeats >= 1, "--repeats is 0: at least 1");
    ensure!(setup.scenario.publishes(), "--floor needs a scenario that publishes: the floor has no feed of its own");
    // If the server runs on this machine and is restricted to some cores, the floor runs on the same cores.
    let Against { target, speak, how, .. } = &command.against;
    let cores = how.server_pid.and_then(process::cores).map(|list| process::core_list(&list));
    let floors = [Server::floor(1), Server::floor(16)];
    let plan = Plan {
        scenario: &setup.scenario,
        label,
        servers: &floors,
        folder: Path::new("."),
        repeats: command.repeats,
        server_cores: &cores.unwrap_or_default(),
        load_cores: &how.cores,
        threads: how.threads,
        verify: false,
        quiet: command.out.quiet,
    };
    let quiet = command.out.quiet;
    let mut last = None;
    let results = beside(&plan, label, |label| {
        let measured = last.insert(watched(setup, label, quiet)?);
        Ok(report::build(setup, speak.protocol, label, target, measured))
    })?;
    let (mut report, measured) = results.of(label).last().cloned().zip(last).context("a round")?;
    report.label = label.to_owned();
    write(&report, &measured.tally, &command.out)?;
    if command.out.json.as_deref() != Some(Path::new("-")) {
        let verdicts = ["floor", "floor-16"].map(|floor| verdict(&results, label, floor));
        say::output(&format!("\n{}\n{}\n", table(&results, Some("floor")), verdicts.join("\n")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that a run needs, checked.
pub(super) fn setup(scenario: Scenario, against: &Against) -> anyhow::Result<Setup> {
    let Against { target, speak, how, .. } = against;
    ensure!((1..=1024).contains(&how.threads), "--threads is {}: 1 to 1024", how.threads);
    let protocol = match speak.protocol {
        Name::Tickcast => Protocol::Tickcast,
        Name::Nats => Protocol::Nats,
        Name::Mqtt => Protocol::Mqtt,
        Name::Centrifugo => Protocol::Centrifugo,
        Name::Generic => Protocol::Generic(speak.templates()),
    };
    ensure!(
        scenario.publishes() || speak.protocol == Name::Tickcast,
        "listening to another publisher's feed needs the server's own time stamps: --protocol tickcast"
    );
    ensure!(
        !matches!(speak.protocol, Name::Generic | Name::Centrifugo) || scenario.subscribers.follow == Follow::Name,
        "subscribers.follow = \"pattern\" needs a protocol with patterns: tickcast, nats or mqtt"
    );
    Ok(Setup {
        scenario: Arc::new(scenario),
        protocol,
        target: Target::parse(target, &how.source, &against.access)?,
        threads: how.threads,
        cores: how.cores.clone(),
        server_pid: how.server_pid,
        verify: how.verify,
    })
}

/// Runs, and makes a report of the run.
pub(super) fn measure(setup: &Setup, against: &Against, label: &str, quiet: bool) -> anyhow::Result<Report> {
    Ok(report::build(setup, against.speak.protocol, label, &against.target, &watched(setup, label, quiet)?))
}

/// Runs, and shows the progress.
fn watched(setup: &Setup, label: &str, quiet: bool) -> anyhow::Result<Measured> {
    let mut watch = Watch::new(label, quiet);
    let measured = run::run(setup, &mut watch);
    watch.done();
    measured
}

/// Writes all requested outputs: the table, or JSON instead of it, and then the files.
fn write(report: &Report, tally: &Tally, out: &Out) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report).context("the report as JSON")?;
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    match &out.json {
        Some(path) if path == Path::new("-") => say::output(&format!("{json}\n"))?,
        path => {
            say::output(&report::table(report).to_string())?;
            files.extend(path.clone().map(|path| (path, json)));
        }
    }
    if let Some(path) = &out.hgrm {
        files.push((path.clone(), hgrm::distribution(&tally.corrected)));
        files.push((hgrm::raw_path(path), hgrm::distribution(&tally.raw)));
    }
    files.extend(out.html.clone().map(|path| (path, html::page(&report.label, std::slice::from_ref(report)))));
    for (path, text) in files {
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
