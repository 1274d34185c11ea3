//! `feed-sim`: simulated and recorded feeds from the command line.

mod cli;
mod say;
mod show;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::Parser;
use feed_formats::FORMATS;
use feed_player::Summary;
use feed_player::progress::Progress;
use feed_player::publication::Feed;
use feed_player::publish::TargetGone;
use feed_player::run::{Play, RunError, run_watched};
use feed_player::schedule::Pace;
use feed_scenarios::{CATALOGUE, Simulated};

use cli::{Cli, Command, Common, ReplayArgs, RunArgs, SummaryForm};
use show::{AboveLine, Shown};

// mimalloc, as in the broker, and as the README's figures were measured: each update is allocated by the thread that
// makes the feed and freed by the one that serves the connection.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let shown = Shown::new();
    let log = shown.clone();
    tracing_subscriber::fmt()
        .with_writer(move || AboveLine(log.clone()))
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_target(false)
        .init();
    let done = match cli.command {
        Command::List => list(),
        Command::Describe { name } => describe(&name),
        Command::Run(args) => in_runtime(simulate(args, shown)),
        Command::Replay(args) => in_runtime(play_back(args, shown)),
        Command::Faults => list_faults(),
        Command::Stats(args) => args.print(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::aside(&format!("feed-sim: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn list() -> anyhow::Result<()> {
    let scenarios = CATALOGUE.iter().map(|entry| (entry.name, entry.summary));
    let formats = FORMATS.iter().map(|format| (format.name, format.summary));
    let mut text = String::new();
    text.push_str("scenarios, for `feed-sim run`:\n");
    scenarios.for_each(|(name, summary)| text.push_str(&format!("  {name:10} {summary}\n")));
    text.push_str("formats, for `feed-sim replay`:\n");
    formats.for_each(|(name, summary)| text.push_str(&format!("  {name:10} {summary}\n")));
    Ok(say::output(&text)?)
}

fn list_faults() -> anyhow::Result<()> {
    Ok(say::output(&format!("{}\n", cli::faults_help()))?)
}

fn describe(name: &str) -> anyhow::Result<()> {
    let text = if let Some(entry) = feed_scenarios::find(name) {
        let (what, count) = entry.instruments;
        let rate = entry.build(1, None).updates_per_s();
        format!(
            "{}: {}\n\n{}\n\n--instruments counts {what}; {count} by default, which is about {rate:.0} updates/s by \
             itself.\n",
            entry.name, entry.summary, entry.description
        )
    } else {
        format!("{}\n", feed_formats::find(name).ok_or_else(|| unknown("scenario or format", name))?.description)
    };
    Ok(say::output(&text)?)
}

async fn simulate(args: RunArgs, shown: Shown) -> anyhow::Result<()> {
    let entry = feed_scenarios::find(&args.scenario).ok_or_else(|| unknown("scenario", &args.scenario))?;
    let scenario = entry.build(args.seed, args.instruments);
    let pace = args.rate.map_or(Pace::Speed(1.0), |rate| rate.pace(scenario.updates_per_s()));
    let play = args.common.play(pace, false);
    let feed = args.common.faults.inject(Simulated(scenario), args.seed)?;
    publish(feed, play, Progress::default(), &args.common, shown).await
}

/// The seed of a replay's faults unless `--fault-seed` is given.
const DEFAULT_SEED: u64 = 1;

async fn play_back(args: ReplayArgs, shown: Shown) -> anyhow::Result<()> {
    let format = feed_formats::find(&args.format).ok_or_else(|| unknown("format", &args.format))?;
    let recording = Arc::default();
    let feed = args.part.playback().feed(format, &args.file, Arc::clone(&recording));
    let feed = feed.with_context(|| format!("cannot replay {}", args.file.display()))?;
    let play = args.common.play(args.speed.pace(1.0), args.strict);
    let feed = args.common.faults.inject(feed, DEFAULT_SEED)?;
    publish(feed, play, Progress::of_recording(recording), &args.common, shown).await
}

/// Plays the feed until it ends or is interrupted, and prints the summary in either case.
async fn publish(feed: impl Feed, play: Play, progress: Progress, common: &Common, shown: Shown) -> anyhow::Result<()> {
    let target = common.target().await?;
    let progress = Arc::new(progress);
    let following = (!common.is_quiet()).then(|| tokio::spawn(shown.clone().follow(progress.clone())));
    let (summary, result) = run_watched(feed, play, target, interrupted(), &progress).await;
    if let Some(following) = following {
        following.abort();
        // Without waiting for its end it might draw once more.
        let _ = following.await;
    }
    shown.end();
    print_summary(&summary, common)?;
    match result {
        Err(RunError::TargetGone(TargetGone::ReaderLeft)) => Ok(()),
        result => Ok(result?),
    }
}

fn print_summary(summary: &Summary, common: &Common) -> anyhow::Result<()> {
    match common.summary() {
        (SummaryForm::Text, _) => say::aside(&summary.to_string()),
        (SummaryForm::Json, false) => say::aside(&serde_json::to_string(summary)?),
        (SummaryForm::Json, true) => say::output(&format!("{}\n", serde_json::to_string(summary)?))?,
    }
    Ok(())
}

/// Completes at the first Ctrl-C or SIGTERM. A second one ends the process at once, because the orderly end may be
/// waiting for a reader of our output that does not read.
async fn interrupted() {
    wait_for_signal().await;
    tracing::warn!("stopping; interrupt again to stop at once");
    tokio::spawn(async {
        wait_for_signal().await;
        std::process::exit(130);
    });
}

async fn wait_for_signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => _ = signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}

/// Runs `work` on two threads: one makes the updates, the other one serves the connection.
fn in_runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(work)
}

fn unknown(what: &str, name: &str) -> anyhow::Error {
    let known: Vec<&str> =
        CATALOGUE.iter().map(|entry| entry.name).chain(FORMATS.iter().map(|format| format.name)).collect();
    anyhow!("there is no {what} \"{name}\" (there are {})", known.join(", "))
}
