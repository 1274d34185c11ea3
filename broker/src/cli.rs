//! The command line: what to do, and the flags, which are made from the table of settings so that none can be missing.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::config::{SETTINGS, Setting};

/// What the process is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Run the broker.
    Serve,
    /// Run it with simulated feeds coming in.
    Demo,
    /// Print every setting and stop.
    Config,
    /// Ask the broker on this machine whether it takes connections, and stop.
    Health,
}

/// A command line that made sense as far as words go; the values are checked with the rest of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cli {
    /// What to do.
    pub task: Task,
    /// `--config`.
    pub config_file: Option<PathBuf>,
    /// The settings given as flags, with their values as typed.
    pub flags: Vec<(&'static str, OsString)>,
}

impl Cli {
    /// Reads the process's arguments. Does not come back from `--help`, `--version` and what is no flag of ours.
    pub fn from_process() -> Cli {
        Cli::from_matches(&command().get_matches())
    }

    /// The same for arguments from anywhere, the program's name first.
    pub fn parse(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Cli, clap::Error> {
        Ok(Cli::from_matches(&command().try_get_matches_from(arguments)?))
    }

    fn from_matches(matches: &ArgMatches) -> Cli {
        let (task, matches) = match matches.subcommand() {
            Some(("demo", inner)) => (Task::Demo, inner),
            Some(("config", inner)) => (Task::Config, inner),
            Some(("health", inner)) => (Task::Health, inner),
            Some((_, inner)) => (Task::Serve, inner),
            None => (Task::Serve, matches),
        };
        // Flags are global: clap hands those before the subcommand down to it.
        let flags = SETTINGS.iter().filter_map(|setting| {
            let values: Vec<OsString> = matches.get_many::<OsString>(setting.name)?.cloned().collect();
            Some((setting.name, values.join(std::ffi::OsStr::new(","))))
        });
        Cli { task, config_file: matches.get_one::<PathBuf>("config").cloned(), flags: flags.collect() }
    }
}

fn command() -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .global(true)
        .help("A TOML file with settings (also TICKCAST_CONFIG)");
    Command::new("broker")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Tickcast: a live data pub/sub broker over WebSocket")
        .after_help(
            "Every flag is also an environment variable (--retain-updates: TICKCAST_RETAIN_UPDATES) and a line of the file \
             (retain_updates). Flags count before the environment, that before the file.",
        )
        .subcommand(Command::new("serve").about("Run the broker (what plain `broker` does)"))
        .subcommand(Command::new("demo").about("Run the broker with simulated feeds"))
        .subcommand(Command::new("config").about("Print every setting: meaning, unit, range, default, value, source"))
        .subcommand(Command::new("health").about("Ask the broker at admin_listen whether it takes connections; 0 is yes, 1 is no"))
        .arg(config)
        .args(SETTINGS.iter().map(flag))
}

fn flag(setting: &'static Setting) -> Arg {
    let default = if setting.default.is_empty() { "none" } else { setting.default };
    let arg = Arg::new(setting.name)
        .long(setting.flag())
        .value_parser(value_parser!(OsString))
        .help(format!("{} [default: {default}]", setting.meaning))
        .help_heading(setting.group)
        .hide_short_help(!matches!(setting.group, "Listeners" | "Threads" | "Logs"))
        .value_name(if setting.unit.is_empty() { "VALUE" } else { setting.unit })
        .global(true);
    if setting.switch {
        // `--pin` and `--pin=false`, but not `--pin serve`, which would eat the subcommand.
        arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL")
    } else if setting.list {
        arg.action(ArgAction::Append)
    } else {
        arg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::parse(line.split(' '))
    }

    #[test]
    fn the_command_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn plain_broker_serves() {
        for (line, task) in [
            ("broker", Task::Serve),
            ("broker --shards 2", Task::Serve),
            ("broker serve --shards 2", Task::Serve),
            ("broker demo", Task::Demo),
            ("broker --pin config", Task::Config),
            ("broker health --admin-listen 127.0.0.1:9001", Task::Health),
        ] {
            assert_eq!(parse(line).unwrap().task, task, "{line}");
        }
    }

    #[test]
    fn flags_count_before_and_after_the_subcommand() {
        for line in ["broker --shards 2 --pin config", "broker config --shards=2 --pin=true"] {
            assert_eq!(parse(line).unwrap().flags, [("shards", "2".into()), ("pin", "true".into())], "{line}");
        }
    }

    #[test]
    fn lists_repeat_and_single_values_do_not() {
        let cli = parse("broker --allow-host a.example --allow-host b.example").unwrap();
        assert_eq!(cli.flags, [("allow_host", "a.example,b.example".into())]);
        assert!(parse("broker --shards 1 --shards 2").is_err());
    }

    #[test]
    fn an_unknown_flag_is_refused() {
        assert!(parse("broker --retain-update 3").unwrap_err().to_string().contains("--retain-update"));
    }
}
