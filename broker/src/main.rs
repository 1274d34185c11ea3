//! The `broker` command: configuration, start, signal, drain.

use std::process::ExitCode;

use anyhow::Context as _;
use broker::cli::{Cli, Task};
use broker::config::{self, Loaded};
use broker::{Broker, health, logging};
use tokio::signal::unix::{SignalKind, signal};

mod demo;

// The allocator that the measurements were made with: the system's gives less back to a thread that another one's
// frames are freed on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::from_process();
    let loaded = match config::load(&cli.flags, cli.config_file.clone()) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if cli.task == Task::Config {
        print!("{}", config::show(&loaded));
        return ExitCode::SUCCESS;
    }
    if cli.task == Task::Health {
        return match health::check(loaded.config.admin_listen) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        };
    }
    match serve(cli.task, loaded) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(task: Task, Loaded { config, warnings, .. }: Loaded) -> anyhow::Result<()> {
    logging::start(config.log_format, &config.log_level);
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if let Some(warning) = config::raise_open_files(config.connections_max) {
        tracing::warn!("{warning}");
    }
    // Shards have threads and runtimes of their own; this one accepts and serves HTTP.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be waited for")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be waited for")?;
        let broker = Broker::start(config).await?;
        let demo = (task == Task::Demo).then(|| demo::start(&broker));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if let Some(demo) = demo {
            demo.stop().await;
        }
        // A second signal does not wait.
        tokio::select! {
            () = broker.stop() => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        anyhow::Ok(())
    })
}
