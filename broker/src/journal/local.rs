//! `journal = "local"`: the thread that reads the log on disk, then drives it, and closes it in the end.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

use anyhow::Context as _;
use broker_engine::{Engine, Limits};
use broker_journal::{Drive, LastEnd, Opened, Options, Pause};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, interval_at};

use super::{CHECKPOINT_BYTES, Journal, PROGRESS};
use crate::config::LocalJournal;
use crate::{clock, logging, systemd, vital};

/// Opens the journal's directory. After a loss of power this reads all of it, and writes it as a new generation;
/// otherwise it is not read yet.
///
/// # Errors
/// It cannot be used: another broker has it, its files are damaged, or the system refuses.
pub(crate) async fn open(config: &LocalJournal, limits: &Limits) -> anyhow::Result<Opened> {
    let options = Options {
        dir: config.dir.clone(),
        sync_ms: config.sync_ms.into(),
        bytes_max: config.bytes_max,
        checkpoint_bytes: CHECKPOINT_BYTES,
    };
    let dir = Path::new(&config.dir).display();
    let limits = limits.clone();
    let mut opening = spawn_blocking(move || Opened::open(options, &limits, clock::now));
    let begin = Instant::now();
    let mut ticks = interval_at(begin + PROGRESS, PROGRESS);
    let opened = loop {
        tokio::select! {
            opened = &mut opening => break opened.context("the thread that opens the journal has ended")?,
            _ = ticks.tick() => {
                tracing::info!(seconds = begin.elapsed().as_secs(), "opening the journal");
                systemd::extend_start();
            }
        }
    };
    let opened = opened.map_err(|error| {
        let hint = hint(&error);
        anyhow::Error::from(error).context(format!("the journal in {dir} (journal_dir) cannot be used{hint}"))
    })?;
    match opened.last_end() {
        LastEnd::New | LastEnd::Clean => {}
        LastEnd::Killed => {
            tracing::info!(target: logging::EACH, "the broker was killed: the journal has all that it delivered")
        }
        LastEnd::PowerLost | LastEnd::Damaged => {
            tracing::warn!(
                target: logging::EACH,
                "the machine stopped before the journal was synced, or its end is damaged: the topics are there, but \
                 their newest updates may be missing. All epochs are new, so that clients are told to begin anew"
            );
        }
    }
    Ok(opened)
}

/// Returns advice for a directory that the system refuses.
fn hint(error: &(dyn Error + 'static)) -> &'static str {
    let causes = anyhow::Chain::new(error);
    match causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind).next() {
        Some(io::ErrorKind::PermissionDenied) => {
            " (the directory and its files have to belong to the user whom the broker runs as)"
        }
        Some(io::ErrorKind::NotFound) => {
            " (the broker makes the directory, and not the one that it is in: make that first)"
        }
        Some(io::ErrorKind::NotADirectory) => " (journal_dir names a file, or is below one: name a directory)",
        _ => "",
    }
}

/// Starts the thread. It reads the log into `engine`, and then drives it until it is stopped.
///
/// # Errors
/// The system has no further thread.
pub(super) fn start(opened: Opened, engine: Arc<Engine>, waker: &Waker) -> io::Result<Journal> {
    let (status, stop) = (opened.status().clone(), Arc::new(AtomicBool::new(false)));
    let (is_read, read) = oneshot::channel();
    let (is_closed, closed) = oneshot::channel();
    let stopping = stop.clone();
    let make = || Ok(opened);
    let handle = vital::thread("journal".into(), stop.clone(), make, move |opened| {
        let drive = opened.read(engine.clone()).context("the journal cannot be read");
        match drive {
            Ok(drive) => {
                engine.end_reading();
                let _ = is_read.send(Ok(()));
                run(drive, &stopping);
            }
            // The broker does not start: its caller says why.
            Err(error) => {
                stopping.store(true, Ordering::Release);
                let _ = is_read.send(Err(error));
            }
        }
        let _ = is_closed.send(());
    })?;
    let thread = handle.thread().clone();
    waker.wake(thread.clone());
    let stop = move || {
        stop.store(true, Ordering::Release);
        thread.unpark();
    };
    Ok(Journal::new(status, Box::new(stop), read, closed))
}

/// Wakes the journal's thread when something is gathered. The engine needs it before the thread exists.
#[derive(Clone, Default)]
pub(crate) struct Waker(Arc<OnceLock<Thread>>);

impl Waker {
    /// What the engine calls.
    pub(super) fn notifier(&self) -> Box<dyn Fn() + Send + Sync> {
        let thread = self.0.clone();
        Box::new(move || {
            if let Some(thread) = thread.get() {
                thread.unpark();
            }
        })
    }

    fn wake(&self, thread: Thread) {
        let thread = self.0.get_or_init(|| thread);
        // What was gathered before it was known.
        thread.unpark();
    }
}

fn run(mut drive: Drive, stopping: &AtomicBool) {
    while !stopping.load(Ordering::Acquire) {
        match drive.round() {
            Ok(Pause::None) => {}
            Ok(Pause::AtMost(pause)) => std::thread::park_timeout(pause),
            Err(error) => {
                // Nothing may be answered or delivered any more that is not in the log.
                tracing::error!(target: logging::EACH, "the journal: {error}");
                return;
            }
        }
    }
    if let Err(error) = drive.stop() {
        tracing::error!(%error, "the journal could not be closed; the next start reads it as after a crash");
    }
}
