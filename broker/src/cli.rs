//! The command line of `tickcast`: the commands, and the flags, which are made from the table of settings so that none
//! can be missing.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::config::{SETTINGS, Setting};

mod journal;
mod manual;

pub use self::journal::JournalTask;

/// The command that the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Run the broker.
    Serve,
    /// Run the broker with simulated feeds.
    Demo,
    /// Print every setting and exit.
    Config,
    /// Ask the broker on this machine whether it takes connections, or a listener whether it answers, and exit.
    Health,
    /// Look at the journal of a broker that does not run, copy it, or make one of a copy, and exit.
    Journal,
}

/// A parsed command line. The values of the settings are checked later, with the rest of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cli {
    /// The command.
    pub task: Task,
    /// `--config`.
    pub config_file: Option<PathBuf>,
    /// `--secure` of the demo: keys, certificates and users are made for it, and its configuration.
    pub secure: bool,
    /// `--url` of the health check: the listener that is asked instead of the configured admin listener.
    pub url: Option<String>,
    /// `--ca` of the health check: whose certificates are believed.
    pub ca: Option<PathBuf>,
    /// What is done with a journal, if that is the command.
    pub journal: Option<JournalTask>,
    /// The settings given as flags, with their values as typed.
    pub flags: Vec<(&'static str, OsString)>,
}

impl Cli {
    /// Parses the process's arguments. Exits the process after `--help`, `--version` or an error.
    pub fn from_process() -> Cli {
        Cli::parse(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// Parses the given arguments, the program's name first.
    ///
    /// # Errors
    /// A wrong command line, or `--help` or `--version`, whose text the error carries.
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
            Some(("journal", inner)) => (Task::Journal, inner),
            Some((_, inner)) => (Task::Serve, inner),
            None => (Task::Serve, matches),
        };
        // Flags may be given before and after the subcommand; the last value counts, and lists are joined.
        let mut levels = vec![matches];
        if !std::ptr::eq(matches, inner) {
            levels.push(inner);
        }
        let of_journal = inner.subcommand().filter(|_| task == Task::Journal);
        levels.extend(of_journal.map(|(_, innermost)| innermost));
        let journal = of_journal.and_then(|(name, innermost)| JournalTask::of(name, innermost));
        let flags = SETTINGS.iter().filter_map(|setting| {
            let mut given = levels.iter().filter_map(|level| level.get_many::<OsString>(setting.name));
            let values: Vec<OsString> = match setting.list {
                true => given.flatten().cloned().collect(),
                false => given.next_back()?.cloned().collect(),
            };
            (!values.is_empty()).then(|| (setting.name, values.join(std::ffi::OsStr::new(","))))
        });
        let config_file = levels.iter().filter_map(|level| level.get_one::<PathBuf>("config")).next_back().cloned();
        let secure = task == Task::Demo && inner.get_flag("secure");
        let of_health = |name| matches!(task, Task::Health).then(|| inner.get_one::<String>(name).cloned()).flatten();
        let (url, ca) = (of_health("url"), of_health("ca").map(PathBuf::from));
        Cli { task, config_file, secure, url, ca, journal, flags: flags.collect() }
    }
}

fn command() -> Command {
    let all = |command: Command| command.arg(config()).args(SETTINGS.iter().map(flag));
    let serve = Command::new("serve").about("run the broker, as `tickcast` without a command does");
    let demo = Command::new("demo").about("run the broker with simulated feeds").arg(secure());
    let print =
        Command::new("config").about("print every setting: meaning, unit, range, default, value and its source");
    let health = Command::new("health")
        .about("ask the broker on this machine whether it takes connections, or a listener by its URL")
        .args([config(), url(), ca()])
        // It learns the broker's address as the broker does.
        .args(only("admin_listen"));
    let program = all(Command::new("tickcast"))
        .version(env!("CARGO_PKG_VERSION"))
        .about("a live market data broker: publish and subscribe over WebSocket and HTTP")
        .after_help("All settings, environment, files, exit status and examples: tickcast --help")
        .after_long_help(manual::REST)
        .subcommand(page(all(serve), "tickcast serve", manual::SERVE))
        .subcommand(page(all(demo), "tickcast demo", manual::DEMO))
        .subcommand(page(all(print), "tickcast config", manual::CONFIG))
        .subcommand(page(health, "tickcast health", manual::HEALTH))
        .subcommand(journal::command());
    page(program, "tickcast", manual::PROGRAM)
}

/// The flags of a command that asks one setting. It accepts the other settings too, and does not show them.
fn only(name: &str) -> impl Iterator<Item = Arg> {
    SETTINGS.iter().map(move |setting| match setting.name == name {
        true => flag(setting).help_heading(None::<&str>),
        false => flag(setting).hide(true),
    })
}

/// Lays out the help of a command as a manual page.
fn page(command: Command, name: &str, description: &str) -> Command {
    // Settings are in groups with headings of their own below this one.
    let contents = if command.has_subcommands() { "COMMANDS AND OPTIONS" } else { "OPTIONS" };
    command.help_template(format!(
        "NAME\n    {name} - {{about}}\n\nSYNOPSIS\n    {{usage}}\n\nDESCRIPTION\n    {description}\n\n{contents}\n\n{{all-args}}{{after-help}}"
    ))
}

fn config() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("A TOML file with settings (also TICKCAST_CONFIG)")
}

fn secure() -> Arg {
    Arg::new("secure")
        .long("secure")
        .action(ArgAction::SetTrue)
        .conflicts_with("config")
        .help("Show TLS, tokens and permissions: make keys, a certificate and three users, for this run alone")
}

fn url() -> Arg {
    Arg::new("url")
        .long("url")
        .value_name("URL")
        .conflicts_with("config")
        .help("Ask this listener, over https:// or http://, instead of the one at admin_listen")
}

fn ca() -> Arg {
    Arg::new("ca")
        .long("ca")
        .value_name("FILE")
        .requires("url")
        .help("Trust the certificate authorities in this PEM file, instead of the system's")
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
        // `--pin` and `--pin=false`, but not `--pin serve`, which would take the subcommand as its value.
        arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL")
    } else if setting.list {
        arg.action(ArgAction::Append)
    } else {
        arg
    }
}

/// The error for a switch that is followed by a word: `--pin yes` is two arguments, and the second is not a command.
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
        "{flag} {word}: a switch takes its value after an equals sign; write {flag} (or {flag}=true), or {flag}=false"
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
    fn the_name_alone_serves() {
        for (line, task) in [
            ("tickcast", Task::Serve),
            ("tickcast --shards 2", Task::Serve),
            ("tickcast serve --shards 2", Task::Serve),
            ("tickcast demo", Task::Demo),
            ("tickcast demo --secure --shards 1", Task::Demo),
            ("tickcast --pin config", Task::Config),
            ("tickcast health --admin-listen 127.0.0.1:9001", Task::Health),
        ] {
            assert_eq!(parse(line).unwrap().task, task, "{line}");
        }
    }

    #[test]
    fn only_the_demo_is_secure_by_itself() {
        assert!(parse("tickcast demo --secure").unwrap().secure && !parse("tickcast demo").unwrap().secure);
        for line in ["tickcast --secure", "tickcast serve --secure", "tickcast demo --secure --config a.toml"] {
            assert!(parse(line).unwrap_err().to_string().contains("--secure"), "{line}");
        }
    }

    #[test]
    fn only_the_health_check_has_a_url() {
        let cli = parse("tickcast health --url https://md.example --ca ca.pem").unwrap();
        assert_eq!((cli.url.as_deref(), cli.ca), (Some("https://md.example"), Some("ca.pem".into())));
        for (line, flag) in
            [("tickcast --url x", "--url"), ("tickcast serve --ca x", "--ca"), ("tickcast health --ca x", "--url")]
        {
            assert!(parse(line).unwrap_err().to_string().contains(flag), "{line}");
        }
        assert!(parse("tickcast health --url https://md.example --config a.toml").is_err());
    }

    #[test]
    fn flags_count_before_and_after_the_subcommand() {
        for line in ["tickcast --shards 2 --pin config", "tickcast config --shards=2 --pin=true"] {
            assert_eq!(parse(line).unwrap().flags, [("shards", "2".into()), ("pin", "true".into())], "{line}");
        }
    }

    #[test]
    fn lists_repeat_and_single_values_do_not() {
        let cli = parse("tickcast --allow-host a.example --allow-host b.example").unwrap();
        assert_eq!(cli.flags, [("allow_host", "a.example,b.example".into())]);
        assert!(parse("tickcast --shards 1 --shards 2").is_err());
    }

    #[test]
    fn lists_before_and_after_the_subcommand_are_one() {
        let cli = parse("tickcast --allow-host a.example serve --allow-host b.example").unwrap();
        assert_eq!(cli.flags, [("allow_host", "a.example,b.example".into())]);
        assert_eq!(parse("tickcast --shards 1 serve --shards 2").unwrap().flags, [("shards", "2".into())]);
        let cli = parse("tickcast --config one.toml serve --config two.toml").unwrap();
        assert_eq!(cli.config_file, Some("two.toml".into()));
    }

    #[test]
    fn the_error_for_a_switch_with_a_word_says_what_is_right() {
        for line in ["tickcast --open-publish yes", "tickcast serve --pin on --shards 2", "tickcast --pin true demo"] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains("after an equals sign") && error.contains("=true"), "{line}: {error}");
        }
        assert!(parse("tickcast --pin demo").is_ok());
        // A command line that is wrong for another reason gets the error for that.
        let error = parse("tickcast --pin --retain-update 3").unwrap_err().to_string();
        assert!(error.contains("--retain-update") && !error.contains("equals sign"), "{error}");
    }

    #[test]
    fn the_help_of_a_question_is_short() {
        let help = parse("tickcast health --help").unwrap_err().to_string();
        assert!(help.lines().count() < 40 && help.contains("--admin-listen"), "{help}");
        // It still accepts the flags that the broker was started with.
        let cli = parse("tickcast health --shards 2 --admin-listen 127.0.0.1:9001").unwrap();
        assert_eq!(cli.flags.len(), 2);
        assert!(parse("tickcast serve --help").unwrap_err().to_string().contains("--retain-updates"));
    }

    #[test]
    fn the_help_is_a_manual_page() {
        let help = parse("tickcast --help").unwrap_err().to_string();
        let sections =
            ["NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS AND OPTIONS", "ENVIRONMENT", "FILES", "EXIT STATUS"];
        let mut rest = help.as_str();
        for section in sections.into_iter().chain(["EXAMPLES"]) {
            let (_, behind) = rest.split_once(&format!("{section}\n")).unwrap_or_else(|| panic!("{section}: {help}"));
            rest = behind;
        }
        for setting in SETTINGS {
            assert!(help.contains(&format!("--{}", setting.flag())), "{}", setting.name);
        }
        // Each command has a page of its own that says what it does.
        for name in ["serve", "demo", "config", "health", "journal inspect", "journal export"] {
            let help = parse(&format!("tickcast {name} --help")).unwrap_err().to_string();
            assert!(help.starts_with(&format!("NAME\n    tickcast {name} - ")), "{help}");
            assert!(help.contains(&format!("    tickcast {name} [OPTIONS]\n\nDESCRIPTION\n    ")), "{help}");
        }
    }

    #[test]
    fn an_unknown_flag_is_refused() {
        assert!(parse("tickcast --retain-update 3").unwrap_err().to_string().contains("--retain-update"));
    }
}
