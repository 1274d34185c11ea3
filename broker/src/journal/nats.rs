//! `journal = "nats"`: the thread on which the connections to NATS live, and the log is read and driven.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use broker_engine::Engine;
use broker_journal::nats::{Connected as Log, End, NatsError, NatsStatus, Options};
use broker_journal::{Order, Status};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, interval_at};

use super::scratch::Scratch;
use super::{CHECKPOINT_BYTES, Journal, PROGRESS};
use crate::config::NatsJournal;
use crate::{clock, logging, systemd, vital};

/// A log to which this broker is connected, and that it has not read yet.
pub(crate) struct Connected {
    found: Found,
    read: oneshot::Receiver<anyhow::Result<()>>,
    closed: oneshot::Receiver<()>,
    useless: watch::Receiver<Option<String>>,
    engine: oneshot::Sender<Arc<Engine>>,
    wake: Arc<Notify>,
    stop: watch::Sender<bool>,
}

/// What there is to know of a log before it is read.
struct Found {
    nonce: u64,
    order: Order,
    status: Arc<Status>,
    nats: Arc<NatsStatus>,
}

/// What a running broker has of it.
pub(super) struct Running {
    pub(super) status: Arc<NatsStatus>,
    useless: watch::Receiver<Option<String>>,
}

impl Running {
    pub(super) async fn until_useless(&self) -> String {
        let mut useless = self.useless.clone();
        let why = match useless.wait_for(Option::is_some).await {
            Ok(why) => why.clone(),
            // The thread has ended for another reason, which is said elsewhere.
            Err(_) => std::future::pending().await,
        };
        why.unwrap_or_default()
    }
}

/// The thread's ends of what connects it with the broker.
struct Ends {
    found: oneshot::Sender<Result<Found, NatsError>>,
    engine: oneshot::Receiver<Arc<Engine>>,
    read: oneshot::Sender<anyhow::Result<()>>,
    useless: watch::Sender<Option<String>>,
    wake: Arc<Notify>,
    stop: watch::Receiver<bool>,
}

/// Starts the thread, and waits until it has found the log.
///
/// # Errors
/// The settings are wrong, the servers refuse, or what is there cannot be used.
pub(super) async fn connect(config: &NatsJournal) -> anyhow::Result<Connected> {
    let scratch = Scratch::make().context("a directory for checkpoints on their way cannot be made (TMPDIR)")?;
    let options = options(config, scratch.path());
    let (say_found, found) = oneshot::channel();
    let (engine, to_engine) = oneshot::channel();
    let (say_read, read) = oneshot::channel();
    let (say_closed, closed) = oneshot::channel();
    let (say_useless, useless) = watch::channel(None);
    let (stop, stopping) = watch::channel(false);
    let wake = Arc::<Notify>::default();
    let ending = Arc::new(AtomicBool::new(false));
    let ended = ending.clone();
    let ends = Ends {
        found: say_found,
        engine: to_engine,
        read: say_read,
        useless: say_useless,
        wake: wake.clone(),
        stop: stopping,
    };
    let make = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    vital::thread("journal".into(), ending, make, move |runtime| {
        runtime.block_on(run(options, ends, &ended));
        drop(scratch);
        let _ = say_closed.send(());
    })
    .context("the thread of the journal could not be started")?;
    let begin = Instant::now();
    let mut ticks = interval_at(begin + PROGRESS, PROGRESS);
    let mut found = found;
    let found = loop {
        tokio::select! {
            found = &mut found => break found.context("the thread of the journal has ended")?,
            _ = ticks.tick() => systemd::extend_start(),
        }
    };
    let found = found.context("the journal in NATS cannot be used")?;
    Ok(Connected { found, read, closed, useless, engine, wake, stop })
}

impl Connected {
    pub(super) fn of_engine(&self) -> (u64, Order, Box<dyn Fn() + Send + Sync>) {
        let wake = self.wake.clone();
        (self.found.nonce, self.found.order, Box::new(move || wake.notify_one()))
    }

    pub(super) fn start(self, engine: Arc<Engine>) -> Journal {
        let Self { found, read, closed, useless, engine: to_engine, wake: _, stop } = self;
        // Fails if the thread has ended, and then nobody says that the log is read.
        let _ = to_engine.send(engine);
        let stop = move || _ = stop.send(true);
        let journal = Journal::new(found.status, Box::new(stop), read, closed);
        Journal { nats: Some(Running { status: found.nats, useless }), ..journal }
    }
}

/// The thread's life.
async fn run(options: Options, ends: Ends, ended: &AtomicBool) {
    let Ends { found, engine, read, useless, wake, mut stop } = ends;
    let nonce = rand::random();
    let connected = tokio::select! {
        connected = Log::connect(options, nonce, clock::now) => connected,
        // The broker is stopped before it has started.
        _ = stop.wait_for(|stop| *stop) => return ended.store(true, Ordering::Release),
    };
    let connected = match connected {
        Ok(connected) => connected,
        Err(error) => {
            ended.store(true, Ordering::Release);
            return drop(found.send(Err(error)));
        }
    };
    let what = Found {
        nonce: connected.nonce(),
        order: connected.order(),
        status: connected.status().clone(),
        nats: connected.nats_status().clone(),
    };
    let _ = found.send(Ok(what));
    // Nobody needs it if the broker has ended meanwhile.
    let Ok(engine) = engine.await else { return ended.store(true, Ordering::Release) };
    let drive = tokio::select! {
        drive = connected.read(engine.clone()) => drive.context("the journal cannot be read"),
        _ = stop.wait_for(|stop| *stop) => return ended.store(true, Ordering::Release),
    };
    let drive = match drive {
        Ok(drive) => drive,
        // The broker does not start: its caller says why.
        Err(error) => {
            ended.store(true, Ordering::Release);
            return drop(read.send(Err(error)));
        }
    };
    engine.end_reading();
    let _ = read.send(Ok(()));
    let end = drive.run(&wake, &mut stop).await;
    ended.store(true, Ordering::Release);
    match end {
        Ok(End::Stopped) => {}
        Ok(End::Again(why)) => _ = useless.send(Some(why)),
        Err(error) => {
            // Nothing may be answered or delivered any more.
            tracing::error!(target: logging::EACH, "the journal: {error}");
            logging::flush();
            std::process::exit(1);
        }
    }
}

/// What a log of this configuration is used with.
pub(crate) fn options(config: &NatsJournal, scratch: &Path) -> Options {
    Options {
        servers: config.servers.0.clone(),
        credentials: config.credentials.clone(),
        ca: config.ca.clone(),
        certificate: config.certificate.clone(),
        name: config.name.clone(),
        node: config.node.clone(),
        replicas: config.replicas as usize,
        bytes_max: config.bytes_max,
        record_bytes_max: config.record_bytes_max,
        in_flight: config.in_flight as usize,
        ack_ms: config.ack_ms.into(),
        stale_ms: config.stale_ms.into(),
        unready_ms: config.unready_ms.into(),
        recreate: config.recreate,
        inbound: config.inbound,
        scratch: scratch.into(),
        checkpoint_bytes: CHECKPOINT_BYTES,
    }
}
