//! `loadgen compare`.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};

use crate::cli::Compare;
use crate::compare::{File, Plan, Prepared, Server, rounds, table, version};
use crate::report::{self, Report, html};
use crate::say;

pub(super) fn compare(command: &Compare) -> anyhow::Result<ExitCode> {
    ensure!(command.repeats >= 1, "--repeats is 0: at least 1");
    let mut file = File::read(&command.file)?;
    // Until the last server has ended.
    let _prepared = Prepared::new(&mut file)?;
    let mut servers = file.choose(&command.servers)?;
    if command.equal_frames {
        // The others' frames are made as long as those of the first server.
        let others = servers.iter().skip(1).filter(|server| !server.is_floor());
        let again: Vec<Server> = others.map(Server::with_equal_frames).collect();
        servers.extend(again);
    }
    servers.extend(command.floors.iter().filter(|frames| **frames > 0).map(|frames| Server::floor(*frames)));
    let scenarios = command.scenarios.iter().map(|name| Ok((name, command.change.find(name)?)));
    let scenarios: Vec<_> = scenarios.collect::<anyhow::Result<_>>()?;
    let base = command
        .base
        .clone()
        .or_else(|| servers.iter().find(|server| server.is_floor()).map(|floor| floor.name.clone()));
    if let Some(base) = &base {
        ensure!(
            servers.iter().any(|server| server.name == *base),
            "--base: there is no server {base:?} in this comparison"
        );
    }
    let mut text = head(command, &file, &servers);
    say::output(&text)?;
    let mut wrong = false;
    for (name, scenario) in &scenarios {
        let plan = Plan {
            scenario,
            label: name,
            servers: &servers,
            folder: &file.folder,
            repeats: command.repeats,
            server_cores: &command.server_cores,
            load_cores: &command.cores,
            threads: command.threads,
            verify: command.verify,
            quiet: command.quiet,
        };
        let results = rounds(&plan);
        wrong |= !results.failed.is_empty();
        let section = format!("\n## {}\n\n{}\n\n{}", file_name(name), scenario.about, table(&results, base.as_deref()));
        say::output(&section)?;
        text.push_str(&section);
        if let Some(folder) = &command.out {
            fs::create_dir_all(folder).with_context(|| format!("the folder {}", folder.display()))?;
            let reports: Vec<_> = results.of.iter().flat_map(|(_, reports)| reports).cloned().collect();
            let write = |file: String, text: &str| {
                let path = folder.join(file);
                fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
            };
            write(format!("{}.json", file_name(name)), &serde_json::to_string(&reports)?)?;
            let typical: Vec<Report> = results.of.iter().filter_map(|(_, reports)| typical(reports)).cloned().collect();
            write(format!("{}.html", file_name(name)), &html::page(name, &typical))?;
            write("tables.md".to_owned(), &text)?;
        }
    }
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The middle run by rate, or at a fixed rate by median latency: the one to plot.
fn typical(reports: &[Report]) -> Option<&Report> {
    let mut sorted: Vec<&Report> = reports.iter().collect();
    sorted.sort_by(|a, b| {
        let rate = a.delivery.deliveries_per_second.total_cmp(&b.delivery.deliveries_per_second);
        // Rates of a fixed-rate scenario differ only by chance.
        let same = a.scenario.publish.in_flight.is_none();
        if same { a.corrected.p50.total_cmp(&b.corrected.p50) } else { rate }
    });
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

/// The head of the tables: the machine, the cores, and the servers' versions.
fn head(command: &Compare, file: &File, servers: &[Server]) -> String {
    let machine = report::machine();
    let mut text = format!(
        "{} on {} cores, Linux {}; servers on core {:?}, load on core {:?}; {} rounds in turns: median (min..max)\n\n",
        machine.processor, machine.cores, machine.kernel, command.server_cores, command.cores, command.repeats
    );
    for server in servers {
        if let Some(version) = version(server, &file.folder) {
            text.push_str(&format!("- {}: {version}\n", server.name));
        }
    }
    text
}

/// The scenario's name for use in file names: a scenario may be a file itself.
fn file_name(scenario: &str) -> &str {
    let name = scenario.rsplit('/').next().unwrap_or(scenario);
    name.strip_suffix(".toml").unwrap_or(name)
}
