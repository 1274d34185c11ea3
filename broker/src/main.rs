//! The `tickcast` command: configuration, start, signal, drain.

use std::os::unix::process::CommandExt as _;
use std::pin::pin;
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use broker::cli::{Cli, Task};
use broker::config::{self, Config, Loaded, Reread};
use broker::{Broker, health, logging};
use tokio::runtime::Runtime;

use self::demo::Secure;
use self::signals::{Asked, Signals};

mod demo;
mod journal_command;
mod say;
mod signals;

// mimalloc, the allocator that the measurements were made with. The system's allocator reuses less of the memory that
// one thread allocated and another freed, as happens to frames.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::from_process();
    match cli.task {
        Task::Config => match load(&cli) {
            Ok(loaded) => {
                // Its output is a configuration file, so they are not part of it.
                loaded.warnings.iter().for_each(|warning| say::complaint(&format!("warning: {warning}")));
                say::output("tickcast config", &config::show(&loaded))
            }
            Err(code) => code,
        },
        Task::Health => check_health(&cli),
        Task::Journal => match load(&cli) {
            Ok(loaded) => journal_command::run(&cli, &loaded.config),
            Err(code) => code,
        },
        Task::Serve | Task::Demo => {
            let code = serve(&cli);
            logging::flush();
            code
        }
    }
}

fn check_health(cli: &Cli) -> ExitCode {
    let checked = match &cli.url {
        Some(url) => health::Probe::new(url, cli.ca.as_deref()).map_err(wrong).map(|probe| probe.check()),
        None => load(cli).map(|loaded| health::check(loaded.config.admin_listen)),
    };
    match checked {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            say::complaint(&format!("{error:#}"));
            ExitCode::FAILURE
        }
        Err(code) => code,
    }
}

/// Says what is wrong with the command line.
fn wrong(error: impl std::fmt::Display) -> ExitCode {
    say::complaint(&format!("{error:#}"));
    ExitCode::from(2)
}

fn load(cli: &Cli) -> Result<Loaded, ExitCode> {
    config::load(&cli.flags, cli.config_file.clone()).map_err(wrong)
}

/// The runtime looks at sockets and timers after this many tasks. A handshake takes several, and a burst of handshakes
/// should not delay other clients for long.
const TASKS_BETWEEN_LOOKS: u32 = 16;

fn serve(cli: &Cli) -> ExitCode {
    // Shards have threads and runtimes of their own; this one accepts and serves HTTP.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().event_interval(TASKS_BETWEEN_LOOKS).build();
    let started = runtime.context("the runtime cannot be started").and_then(|runtime| {
        // This comes first, so that no signal is missed while the broker starts.
        let signals = runtime.block_on(async { Signals::listen() })?;
        Ok((runtime, signals))
    });
    let (runtime, signals) = match started {
        Ok(started) => started,
        Err(error) => {
            say::complaint(&format!("{error:#}"));
            return ExitCode::FAILURE;
        }
    };
    let secure = match cli.secure.then(Secure::prepare).transpose() {
        Ok(secure) => secure,
        Err(error) => {
            say::complaint(&format!("{error:#}"));
            return ExitCode::FAILURE;
        }
    };
    let code = serve_as(cli, secure.as_ref(), runtime, signals);
    if let Some(secure) = secure {
        secure.remove();
    }
    code
}

fn serve_as(cli: &Cli, secure: Option<&Secure>, runtime: Runtime, signals: Signals) -> ExitCode {
    let config_file = secure.map(Secure::config_file).or_else(|| cli.config_file.clone());
    let loaded = match load(&Cli { config_file: config_file.clone(), ..cli.clone() }) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    if let Err(error) = logging::start(loaded.config.log_format, &loaded.config.log_level) {
        say::complaint(&format!("the thread that writes the log cannot be started: {error}"));
        return ExitCode::FAILURE;
    }
    loaded.warnings.iter().for_each(|warning| tracing::warn!(target: logging::EACH, "{warning}"));
    config::raise_open_files(loaded.config.capacity());
    let reread: Reread = {
        let (flags, config_file) = (cli.flags.clone(), config_file.clone());
        Box::new(move || config::load(&flags, config_file.clone()))
    };
    match runtime.block_on(run(cli.task, secure, loaded.config, reread, signals)) {
        Ok(Some(Stopped { starts_again: true, .. })) => start_again(),
        Ok(stopped) => {
            // Freeing a million topics one by one takes seconds. The process exits now, and the system takes back its
            // memory at once, so nothing is dropped.
            std::mem::forget((stopped.map(|stopped| stopped.broker), runtime));
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(target: logging::EACH, "{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until a signal stops it, or until it has to start again. `None` if it was stopped before it had started.
async fn run(
    task: Task,
    secure: Option<&Secure>,
    config: Config,
    reread: Reread,
    mut signals: Signals,
) -> anyhow::Result<Option<Stopped>> {
    let (mut start, mut again) = (pin!(Broker::start(config, reread)), false);
    // Reading a large journal takes a while, and nobody is served meanwhile.
    let broker = loop {
        tokio::select! {
            started = &mut start => break started?,
            asked = signals.next() => match asked {
                Asked::End => return Ok(None),
                Asked::Reload => again = true,
            },
        }
    };
    let demo = (task == Task::Demo).then(|| demo::start(&broker, secure));
    let useless = tokio::select! {
        () = reload_until_end(&broker, &mut signals, again) => None,
        why = broker.until_useless() => Some(why),
    };
    if let Some(why) = &useless {
        tracing::warn!(target: logging::EACH, "the broker starts again: {why}");
    }
    // A second signal ends the wait.
    tokio::select! {
        () = async {
            match demo {
                Some(demo) => demo.stop_with(broker.stop()).await,
                None => broker.stop().await,
            }
        } => {}
        () = signals.end() => {}
    }
    Ok(Some(Stopped { broker, starts_again: useless.is_some() }))
}

/// A broker that was stopped.
struct Stopped {
    /// It must not be dropped.
    broker: Broker,
    /// The process has to start again.
    starts_again: bool,
}

/// Runs this program again in this process, with the same arguments: whoever supervises it sees it go on.
fn start_again() -> ExitCode {
    logging::flush();
    let mut arguments = std::env::args_os();
    let own = arguments.next().unwrap_or_default();
    let program = std::env::current_exe().unwrap_or_else(|_| own.into());
    let error = Command::new(program).args(arguments).exec();
    say::complaint(&format!("the broker cannot start again: {error}"));
    ExitCode::FAILURE
}

/// Reloads on each SIGHUP, until a signal ends the broker, also in the middle of a reload. `again`: one came already.
async fn reload_until_end(broker: &Broker, signals: &mut Signals, mut again: bool) {
    while again || signals.next().await == Asked::Reload {
        again = false;
        // What comes of it is in the log.
        let mut reload = pin!(broker.reload());
        loop {
            tokio::select! {
                _ = &mut reload => break,
                asked = signals.next() => match asked {
                    Asked::End => return,
                    // The files may have changed after they were read.
                    Asked::Reload => again = true,
                },
            }
        }
    }
}
