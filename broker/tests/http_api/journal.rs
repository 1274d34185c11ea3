//! A journal for an engine that has no broker around it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

use broker::clock;
use broker_engine::journal::JournalOptions;
use broker_engine::{Engine, Limits};
use broker_journal::{Opened, Options, Pause};
use tempfile::TempDir;

/// A journal, and the thread that drives it until this is dropped.
pub(crate) struct Driven {
    is_over: Arc<AtomicBool>,
    _folder: TempDir,
}

impl Driven {
    /// Makes an engine with an empty journal.
    pub(crate) fn start(limits: Limits, notify: Vec<Box<dyn Fn() + Send + Sync>>) -> (Arc<Engine>, Self) {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("journal");
        let options = Options { dir, sync_ms: 10, bytes_max: 1 << 30, checkpoint_bytes: 256 << 20 };
        let opened = Opened::open(options, &limits, clock::now).unwrap();
        let driver: Arc<OnceLock<Thread>> = Arc::default();
        let woken = driver.clone();
        let options = JournalOptions {
            nonce: opened.nonce(),
            record_bytes: 256 << 10,
            queue_bytes: 64 << 20,
            unavailable_ms: 5_000,
            shared: false,
            stale_ms: 0,
            wake: Box::new(move || _ = woken.get().map(Thread::unpark)),
        };
        let engine = Engine::with_journal(limits, 7, notify, options);
        let is_over = Arc::new(AtomicBool::new(false));
        let (applied, ended) = (engine.clone(), is_over.clone());
        let mut drive = opened.read(engine.clone()).unwrap();
        applied.end_reading();
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Acquire) {
                if let Pause::AtMost(pause) = drive.round().unwrap() {
                    std::thread::park_timeout(pause);
                }
            }
        });
        driver.get_or_init(|| thread.thread().clone()).unpark();
        (engine, Self { is_over, _folder: folder })
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
    }
}
