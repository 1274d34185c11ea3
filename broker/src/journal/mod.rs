//! The journal of a running broker: the thread that reads it at the start, then drives it, and closes it in the end.

mod local;
#[cfg(feature = "nats")]
pub(crate) mod nats;
#[cfg(feature = "nats")]
pub(crate) mod scratch;
#[cfg(feature = "nats")]
pub(crate) mod stale;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use broker_engine::journal::JournalOptions;
use broker_engine::{Engine, Limits, Now};
#[cfg(feature = "nats")]
use broker_journal::nats::NatsStatus;
use broker_journal::{Order, Status, get};
use tokio::sync::oneshot;
use tokio::time::{Instant, interval_at, timeout};

use crate::config::{Config, JournalMode};
use crate::sync::lock;
use crate::systemd;

/// How much the log grows before the first checkpoint, and between two small ones, in bytes.
const CHECKPOINT_BYTES: u64 = 256 << 20;
/// How long the journal may take to close: it writes what was published, and syncs.
const CLOSE_TIME: Duration = Duration::from_secs(10);
/// How often the start of a broker with a large journal says how far it is.
const PROGRESS: Duration = Duration::from_secs(2);

/// The thread that drives the journal, from outside.
pub(crate) struct Journal {
    status: Arc<Status>,
    #[cfg(feature = "nats")]
    nats: Option<nats::Running>,
    stop: Box<dyn Fn() + Send + Sync>,
    read: Mutex<Option<oneshot::Receiver<anyhow::Result<()>>>>,
    closed: Mutex<Option<oneshot::Receiver<()>>>,
}

/// A journal that is there and not read yet.
pub(crate) enum Opened {
    /// On this machine.
    Local(broker_journal::Opened, local::Waker),
    /// In NATS.
    #[cfg(feature = "nats")]
    Nats(nats::Connected),
}

/// Opens the journal, if the configuration has one. On this machine this reads all of it after a loss of power, and writes
/// it as a new generation; otherwise it is not read yet.
///
/// # Errors
/// It cannot be used.
pub(crate) async fn open(config: &Config, limits: &Limits) -> anyhow::Result<Option<Opened>> {
    if let Some(local) = config.local_journal() {
        let opened = local::open(&local, limits).await?;
        return Ok(Some(Opened::Local(opened, local::Waker::default())));
    }
    #[cfg(feature = "nats")]
    if let Some(nats) = config.nats_journal() {
        return Ok(Some(Opened::Nats(nats::connect(&nats).await?)));
    }
    Ok(None)
}

impl Opened {
    /// What an engine is made with that has this journal: its limits, and the journal's part.
    pub(crate) fn of_engine(&self, config: &Config, limits: Limits, begin: Now) -> (Limits, JournalOptions) {
        let (nonce, order, wake) = match self {
            Opened::Local(opened, waker) => (opened.nonce(), opened.order(), waker.notifier()),
            #[cfg(feature = "nats")]
            Opened::Nats(connected) => connected.of_engine(),
        };
        let Order { base, first, start_us } = order;
        let limits = Limits {
            order_base: base,
            order_first: first,
            order_base_mono_us: begin.mono_us,
            order_age_us: begin.wall_us.saturating_sub(start_us),
            node: config.nats_journal().map(|nats| nats.node),
            ..limits
        };
        let options = JournalOptions {
            nonce,
            record_bytes: config.journal_record_bytes as usize,
            queue_bytes: config.journal_queue_bytes,
            unavailable_ms: config.journal_unavailable_ms.into(),
            shared: config.journal == JournalMode::Nats,
            stale_ms: config.journal_stale_ms.into(),
            wake,
        };
        (limits, options)
    }

    /// Has it read into `engine`, and then driven until [`Journal::stop`].
    ///
    /// # Errors
    /// The system has no further thread.
    pub(crate) fn start(self, engine: Arc<Engine>) -> io::Result<Arc<Journal>> {
        let journal = match self {
            Opened::Local(opened, waker) => local::start(opened, engine, &waker)?,
            #[cfg(feature = "nats")]
            Opened::Nats(connected) => connected.start(engine),
        };
        Ok(Arc::new(journal))
    }
}

impl Journal {
    fn new(
        status: Arc<Status>,
        stop: Box<dyn Fn() + Send + Sync>,
        read: oneshot::Receiver<anyhow::Result<()>>,
        closed: oneshot::Receiver<()>,
    ) -> Self {
        Self {
            status,
            #[cfg(feature = "nats")]
            nats: None,
            stop,
            read: Mutex::new(Some(read)),
            closed: Mutex::new(Some(closed)),
        }
    }

    /// Waits until the log is read, and says now and then how far that is.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn until_read(&self) -> anyhow::Result<()> {
        let Some(mut read) = lock(&self.read).take() else { return Ok(()) };
        let begin = Instant::now();
        let mut ticks = interval_at(begin + PROGRESS, PROGRESS);
        let result = loop {
            tokio::select! {
                read = &mut read => break read.context("the thread of the journal has ended")?,
                _ = ticks.tick() => {
                    let (record, last) = (get(&self.status.read_to), get(&self.status.read_end));
                    let percent = (self.status.read_ratio() * 100.0) as u64;
                    tracing::info!(percent, record, last, "reading the journal");
                    systemd::extend_start();
                }
            }
        };
        let (records, commands) = (get(&self.status.position), get(&self.status.commands));
        let ms = begin.elapsed().as_millis() as u64;
        if result.is_ok() {
            tracing::info!(records, commands, ms, "the journal is read");
        }
        result
    }

    /// What it tells of itself.
    pub(crate) fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// What it tells of itself besides, if it is in NATS.
    #[cfg(feature = "nats")]
    pub(crate) fn nats_status(&self) -> Option<&Arc<NatsStatus>> {
        self.nats.as_ref().map(|running| &running.status)
    }

    /// Why clients should be sent to other brokers, if they should.
    pub(crate) fn unready(&self) -> Option<String> {
        #[cfg(feature = "nats")]
        return self.nats_status().and_then(|status| status.unready());
        #[cfg(not(feature = "nats"))]
        None
    }

    /// Waits until what this broker has is of no use any more, and says why: then it has to start again.
    pub(crate) async fn until_useless(&self) -> String {
        #[cfg(feature = "nats")]
        if let Some(running) = &self.nats {
            return running.until_useless().await;
        }
        std::future::pending().await
    }

    /// Writes what was published, answers it, and closes the journal.
    pub(crate) async fn stop(&self) {
        let Some(closed) = lock(&self.closed).take() else { return };
        (self.stop)();
        if timeout(CLOSE_TIME, closed).await.is_err() {
            tracing::warn!("the journal is not closed yet, and the broker ends: what was answered is in it");
        }
    }
}
