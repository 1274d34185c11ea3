//! The command line: what to do, and the flags, which are made from the table of settings so that none can be missing.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
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
        Cli::parse(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// The same for arguments from anywhere, the program's name first.
    pub fn parse(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Cli, clap::Error> {
        let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        match command().try_get_matches_from(&arguments) {
            Ok(matches) => Ok(Cli::from_matches(&matches)),
            Err(error) => Err(switch_with_a_word(&arguments).filter(|_| error.use_stderr()).unwrap_or(error)),
        }
    }

    fn from_matches(matches: &ArgMatches) -> Cli {
        let (task, inner) = match matches.subcommand() {
            Some(("demo", inner)) => (Task::Demo, inner),
            Some(("config", inner)) => (Task::Config, inner),
            Some(("health", inner)) => (Task::Health, inner),
            Some((_, inner)) => (Task::Serve, inner),
            None => (Task::Serve, matches),
        };
        // Flags may stand before the subcommand and behind it; the last word counts, and lists are one list.
        let places: &[&ArgMatches] = if std::ptr::eq(matches, inner) { &[matches] } else { &[matches, inner] };
        let flags = SETTINGS.iter().filter_map(|setting| {
            let mut given = places.iter().filter_map(|place| place.get_many::<OsString>(setting.name));
            let values: Vec<OsString> = match setting.list {
                true => given.flatten().cloned().collect(),
                false => given.next_back()?.cloned().collect(),
            };
            (!values.is_empty()).then(|| (setting.name, values.join(std::ffi::OsStr::new(","))))
        });
        let config_file = places.iter().filter_map(|place| place.get_one::<PathBuf>("config")).next_back().cloned();
        Cli { task, config_file, flags: flags.collect() }
    }
}

fn command() -> Command {
    let all = |command: Command| command.arg(config()).args(SETTINGS.iter().map(flag));
    let asks = |setting: &Setting| setting.name == "admin_listen";
    let health = Command::new("health")
        .about("Ask the broker at admin_listen whether it takes connections; 0 is yes, 1 is no")
        .arg(config())
        // It is told where the broker listens as the broker is. The other settings may be given to it, too, and say nothing.
        .args(SETTINGS.iter().map(|setting| match asks(setting) {
            true => flag(setting).help_heading(None::<&str>),
            false => flag(setting).hide(true),
        }));
    all(Command::new("broker"))
        .version(env!("CARGO_PKG_VERSION"))
        .about("Tickcast: a live data pub/sub broker over WebSocket")
        .after_help(
            "Every flag is also an environment variable (--retain-updates: TICKCAST_RETAIN_UPDATES) and a line of the file \
             (retain_updates). Flags count before the environment, that before the file.",
        )
        .subcommand(all(Command::new("serve").about("Run the broker (what plain `broker` does)")))
        .subcommand(all(Command::new("demo").about("Run the broker with simulated feeds")))
        .subcommand(all(
            Command::new("config").about("Print every setting: meaning, unit, range, default, value, source")
        ))
        .subcommand(health)
}

fn config() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("A TOML file with settings (also TICKCAST_CONFIG)")
}

fn flag(setting: &'static Setting) -> Arg {
    let default = if setting.default.is_empty() { "none" } else { setting.default };
    let arg = Arg::new(setting.name)
        .long(setting.flag())
        .value_parser(value_parser!(OsString))
        .help(format!("{} [default: {default}]", setting.meaning))
        .help_heading(setting.group)
        .hide_short_help(!matches!(setting.group, "Listeners" | "Threads" | "Logs"))
        .value_name(if setting.unit.is_empty() { "VALUE" } else { setting.unit });
    if setting.switch {
        // `--pin` and `--pin=false`, but not `--pin serve`, which would eat the subcommand.
        arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL")
    } else if setting.list {
        arg.action(ArgAction::Append)
    } else {
        arg
    }
}

/// What is wrong where a switch is followed by a word: `--pin yes` is two arguments, of which the second is no command.
fn switch_with_a_word(arguments: &[OsString]) -> Option<clap::Error> {
    let mut command = command();
    let is_command = |word: &str| command.get_subcommands().any(|command| command.get_name() == word);
    let (flag, word) = arguments.windows(2).find_map(|pair| {
        let (flag, word) = (pair[0].to_str()?, pair[1].to_str()?);
        let is_switch =
            SETTINGS.iter().any(|setting| setting.switch && flag.strip_prefix("--") == Some(&*setting.flag()));
        (is_switch && !word.starts_with('-') && !is_command(word)).then_some((flag, word))
    })?;
    let message = format!(
        "{flag} {word}: a switch has its value behind an equals sign; write {flag} (or {flag}=true), or {flag}=false"
    );
    Some(command.error(ErrorKind::InvalidValue, message))
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
    fn lists_before_and_after_the_subcommand_are_one() {
        let cli = parse("broker --allow-host a.example serve --allow-host b.example").unwrap();
        assert_eq!(cli.flags, [("allow_host", "a.example,b.example".into())]);
        assert_eq!(parse("broker --shards 1 serve --shards 2").unwrap().flags, [("shards", "2".into())]);
        let cli = parse("broker --config one.toml serve --config two.toml").unwrap();
        assert_eq!(cli.config_file, Some("two.toml".into()));
    }

    #[test]
    fn a_switch_with_a_word_is_told_what_is_right() {
        for line in ["broker --open-publish yes", "broker serve --pin on --shards 2", "broker --pin true demo"] {
            let said = parse(line).unwrap_err().to_string();
            assert!(said.contains("behind an equals sign") && said.contains("=true"), "{line}: {said}");
        }
        assert!(parse("broker --pin demo").is_ok());
        // What is wrong for another reason is told as that.
        let said = parse("broker --pin --retain-update 3").unwrap_err().to_string();
        assert!(said.contains("--retain-update") && !said.contains("equals sign"), "{said}");
    }

    #[test]
    fn the_help_of_a_question_is_short() {
        let help = parse("broker health --help").unwrap_err().to_string();
        assert!(help.lines().count() < 20 && help.contains("--admin-listen"), "{help}");
        // It takes what the broker was started with all the same.
        let cli = parse("broker health --shards 2 --admin-listen 127.0.0.1:9001").unwrap();
        assert_eq!(cli.flags.len(), 2);
        assert!(parse("broker serve --help").unwrap_err().to_string().contains("--retain-updates"));
    }

    #[test]
    fn an_unknown_flag_is_refused() {
        assert!(parse("broker --retain-update 3").unwrap_err().to_string().contains("--retain-update"));
    }
}
