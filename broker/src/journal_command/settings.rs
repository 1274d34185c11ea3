//! `tickcast journal settings`: what decides in the log what becomes of a publish, and what the configuration says.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use broker::config::Config;
#[cfg(feature = "nats")]
use broker::config::NatsJournal;
#[cfg(feature = "nats")]
use broker_engine::Engine;
use broker_engine::log::{Rule, Settings};

use super::open;
use crate::say;

/// The command.
const COMMAND: &str = "tickcast journal settings";
/// What becomes of settings that differ, with a journal on this machine.
const AT_START: &str = "At its next start with this configuration the broker writes its settings into the log. They count \
                        from there on; what was published before stays as it is.";
/// The same with one in NATS.
#[cfg(feature = "nats")]
const IN_NATS: &str = "Those in the log count on all of its brokers. `tickcast journal settings --apply` writes those of this \
                       configuration into it: they count from there on.";

pub(super) fn run(dir: &Path, config: &Config) -> anyhow::Result<ExitCode> {
    let start = open(dir)?.start(&config.engine_limits())?;
    let found = text(start.settings().as_ref(), &start.own_settings(), AT_START);
    Ok(say::output(COMMAND, &found))
}

/// The same of a log in NATS, beside its brokers. With `apply`, the settings of the configuration are written into it.
#[cfg(feature = "nats")]
pub(super) fn in_nats(nats: &NatsJournal, config: &Config, apply: bool) -> anyhow::Result<ExitCode> {
    let own = Engine::new(config.engine_limits(), 0, Vec::new()).own_settings();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(broker::journal_settings(nats, apply.then(|| own.clone())))?;
    Ok(say::output(COMMAND, &text(found.as_ref(), &own, IN_NATS)))
}

fn text(log: Option<&Settings>, own: &Settings, differ: &str) -> String {
    let mut out = format!("{:<24} {:<24} {}\n", "setting", "in the log", "in the configuration");
    let numbers =
        |of: &Settings| [of.image_bytes, of.message_bytes, of.topics_max, of.images_bytes_max, of.topic_sources];
    let names = ["image_bytes", "message_bytes", "topics_max", "images_bytes_max", "sources of a topic"];
    for (index, name) in names.into_iter().enumerate() {
        row(&mut out, name, log.map(|log| numbers(log)[index].to_string()), &numbers(own)[index].to_string());
    }
    let rules = |of: &Settings| of.rules.iter().map(rule).collect::<Vec<_>>();
    let (of_log, of_own) = (log.map(rules), rules(own));
    let count = of_own.len().max(of_log.as_ref().map_or(0, Vec::len));
    let at = |rules: &[String], index: usize| rules.get(index).map_or("-", String::as_str).to_owned();
    for index in 0..count {
        let of_log = of_log.as_ref().map(|rules| at(rules, index));
        row(&mut out, &format!("[[topics]] {}", index + 1), of_log, &at(&of_own, index));
    }
    let sentence = match log {
        None => {
            "The log has no settings yet. A broker with a journal writes those of its configuration into it when it starts."
        }
        Some(log) if log == own => "They are the same.",
        Some(_) => differ,
    };
    let _ = writeln!(out, "\n{sentence}");
    out
}

fn row(out: &mut String, name: &str, log: Option<String>, own: &str) {
    let log = log.unwrap_or_else(|| "-".into());
    let differs = if log == own { "" } else { "   differs" };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{name:<24} {log:<24} {own}{differs}");
}

fn rule(rule: &Rule) -> String {
    format!("{} {}", rule.pattern.as_str(), rule.kind.map_or("of any kind", |kind| kind.as_str()))
}
