//! `tickcast journal` and its commands.

use std::path::PathBuf;

use broker_protocol::Pattern;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::{config, manual, only, page};

/// What is done with a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalTask {
    /// Print what is in it.
    Inspect {
        /// As JSON.
        json: bool,
    },
    /// Read all of it, and say what is damaged.
    Verify {
        /// A backup that is read instead.
        backup: Option<PathBuf>,
    },
    /// Write what a start would serve into a file.
    Backup {
        /// The file, which must not be there.
        file: PathBuf,
    },
    /// Make a journal of a backup.
    Restore {
        /// The backup.
        file: PathBuf,
    },
    /// Print what was published.
    Export {
        /// Only topics that one of these matches; all if there is none.
        topics: Vec<Pattern>,
        /// Only updates of the log from the record of this position on.
        from: Option<u64>,
    },
    /// Print the settings of the log beside those of the configuration.
    Settings {
        /// Write those of the configuration into a log in NATS.
        apply: bool,
    },
}

impl JournalTask {
    /// The task of a command of this name.
    pub(super) fn of(name: &str, matches: &ArgMatches) -> Option<JournalTask> {
        let file = || matches.get_one::<PathBuf>("file").cloned();
        Some(match name {
            "inspect" => JournalTask::Inspect { json: matches.get_flag("json") },
            "verify" => JournalTask::Verify { backup: file() },
            "backup" => JournalTask::Backup { file: file()? },
            "restore" => JournalTask::Restore { file: file()? },
            "export" => JournalTask::Export {
                topics: matches.get_many::<Pattern>("topic").into_iter().flatten().cloned().collect(),
                from: matches.get_one::<u64>("from").copied(),
            },
            "settings" => JournalTask::Settings { apply: matches.get_flag("apply") },
            _ => return None,
        })
    }
}

/// The command with all of its own.
pub(super) fn command() -> Command {
    let inspect = one("inspect", "say what is in a journal").arg(json());
    let verify = one("verify", "read a journal, or a backup, to its end, and say what is damaged")
        .arg(file("A backup to read instead of the journal").required(false));
    let backup = one("backup", "copy a journal into one file").arg(file("The file to write, which must not exist"));
    let restore = one("restore", "make a journal of a backup").arg(file("The backup"));
    let export = one("export", "print what was published, as NDJSON").args([topic(), from()]);
    let settings = one("settings", "print the settings in the log beside those of the configuration").arg(apply());
    let journal = Command::new("journal")
        .about("look at the journal of a broker that is stopped, back it up, or restore it")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(config())
        .args(only("journal_dir"))
        .subcommand(page(inspect, "tickcast journal inspect", manual::JOURNAL_INSPECT))
        .subcommand(page(verify, "tickcast journal verify", manual::JOURNAL_VERIFY))
        .subcommand(page(backup, "tickcast journal backup", manual::JOURNAL_BACKUP))
        .subcommand(page(restore, "tickcast journal restore", manual::JOURNAL_RESTORE))
        .subcommand(page(export, "tickcast journal export", manual::JOURNAL_EXPORT))
        .subcommand(page(settings, "tickcast journal settings", manual::JOURNAL_SETTINGS));
    page(journal, "tickcast journal", manual::JOURNAL)
}

/// A command on the journal that the broker has with the same settings.
fn one(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).arg(config()).args(only("journal_dir"))
}

fn file(help: &'static str) -> Arg {
    Arg::new("file").value_name("FILE").value_parser(value_parser!(PathBuf)).required(true).help(help)
}

fn apply() -> Arg {
    let help = "Write those of the configuration into a log in NATS: they count on all of its brokers from there on";
    Arg::new("apply").long("apply").action(ArgAction::SetTrue).help(help)
}

fn json() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON instead of a table")
}

fn topic() -> Arg {
    Arg::new("topic")
        .long("topic")
        .value_name("PATTERN")
        .action(ArgAction::Append)
        .value_parser(|text: &str| Pattern::parse(text).map_err(|error| error.to_string()))
        .help("Print only topics that this pattern matches, such as stocks.>; can be repeated")
}

fn from() -> Arg {
    Arg::new("from")
        .long("from")
        .value_name("POSITION")
        .value_parser(value_parser!(u64).range(1..))
        .help("Begin with the record of this position, and leave out what is only in checkpoints")
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Task};
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::parse(line.split(' '))
    }

    #[test]
    fn the_directory_is_that_of_the_broker() {
        for line in [
            "tickcast --journal-dir /a journal inspect",
            "tickcast journal --journal-dir /a inspect",
            "tickcast journal inspect --journal-dir /a",
            "tickcast --journal-dir /b journal --journal-dir /c inspect --journal-dir=/a",
        ] {
            let cli = parse(line).unwrap();
            assert_eq!((cli.task, cli.flags), (Task::Journal, vec![("journal_dir", "/a".into())]), "{line}");
            assert_eq!(cli.journal, Some(JournalTask::Inspect { json: false }), "{line}");
        }
        // The broker's other flags may stand there as well.
        let cli = parse("tickcast journal verify --config a.toml --shards 2 --journal local").unwrap();
        assert_eq!((cli.config_file, cli.flags.len()), (Some("a.toml".into()), 2));
    }

    #[test]
    fn each_command_has_its_own_arguments() {
        let task = |line: &str| parse(&format!("tickcast journal {line}")).map(|cli| cli.journal.unwrap());
        assert_eq!(task("verify").unwrap(), JournalTask::Verify { backup: None });
        assert_eq!(task("verify a").unwrap(), JournalTask::Verify { backup: Some("a".into()) });
        assert_eq!(task("settings").unwrap(), JournalTask::Settings { apply: false });
        assert_eq!(task("settings --apply").unwrap(), JournalTask::Settings { apply: true });
        let pattern = |text| Pattern::parse(text).unwrap();
        assert_eq!(
            task("export --topic a.> --topic b --from 7").unwrap(),
            JournalTask::Export { topics: vec![pattern("a.>"), pattern("b")], from: Some(7) }
        );
        for (line, complaint) in [
            ("backup", "FILE"),
            ("restore", "FILE"),
            ("export --topic a..b", "a..b"),
            ("export --from 0", "--from"),
            ("inspect --apply", "--apply"),
            ("rewind", "rewind"),
        ] {
            let error = task(line).unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains(complaint), "{line}: {error}");
        }
        assert_eq!(parse("tickcast journal").unwrap_err().exit_code(), 2);
    }

    #[test]
    fn the_help_is_short() {
        let help = parse("tickcast journal restore --help").unwrap_err().to_string();
        assert!(help.lines().count() < 40 && help.contains("--journal-dir"), "{help}");
    }
}
