//! `loadgen run`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, ensure};

use crate::cli::{How, Out, Run, Speak};
use crate::protocol::{Name, Protocol};
use crate::report::progress::Watch;
use crate::report::{self, Report};
use crate::run::{self, Setup, Target};
use crate::scenario::Scenario;

pub(super) fn run(command: &Run) -> anyhow::Result<ExitCode> {
    let mut scenario = Scenario::find(&command.scenario)?;
    command.change.apply(&mut scenario);
    scenario.check()?;
    let label = command.out.label.clone().unwrap_or_else(|| command.scenario.clone());
    let setup = setup(scenario, &command.target, &command.speak, &command.how)?;
    let report = measure(&setup, command.speak.protocol, &label, &command.target, command.out.quiet)?;
    write(&report, &command.out)?;
    let whole = report.continuity.is_clean() || !command.how.verify;
    Ok(if whole && report.ended_early.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All that a run needs, checked.
pub(super) fn setup(scenario: Scenario, target: &str, speak: &Speak, how: &How) -> anyhow::Result<Setup> {
    ensure!((1..=1024).contains(&how.threads), "--threads is {}: 1 to 1024", how.threads);
    let protocol = match speak.protocol {
        Name::Tickcast => Protocol::Tickcast,
        Name::Nats => Protocol::Nats,
        Name::Mqtt => Protocol::Mqtt,
        Name::Generic => Protocol::Generic(speak.templates()),
    };
    ensure!(
        scenario.publishes() || speak.protocol == Name::Tickcast,
        "listening to a feed that somebody else publishes needs the server's own time stamps: --protocol tickcast"
    );
    ensure!(
        speak.protocol != Name::Generic || scenario.subscribers.follow == crate::scenario::Follow::Name,
        "subscribers.follow = \"pattern\" needs a protocol with patterns: tickcast, nats or mqtt"
    );
    Ok(Setup {
        scenario: Arc::new(scenario),
        protocol,
        target: Target::parse(target, &how.source)?,
        threads: how.threads,
        cores: how.cores.clone(),
        server_pid: how.server_pid,
        verify: how.verify,
    })
}

/// Runs and makes a report of it.
pub(super) fn measure(setup: &Setup, name: Name, label: &str, target: &str, quiet: bool) -> anyhow::Result<Report> {
    let mut watch = Watch::new(label, quiet);
    let measured = run::run(setup, &mut watch);
    watch.done();
    Ok(report::build(setup, name, label, target, &measured?))
}

fn write(report: &Report, out: &Out) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report).context("the report as JSON")?;
    let to_stdout = out.json.as_deref() == Some(Path::new("-"));
    if to_stdout {
        println!("{json}");
    } else {
        print!("{}", report::table(report));
    }
    if let Some(path) = out.json.as_ref().filter(|_| !to_stdout) {
        std::fs::write(path, json).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
