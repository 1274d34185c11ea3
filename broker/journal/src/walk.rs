//! Writing a checkpoint while commands are applied: a thread of its own copies the topics and writes the file. What
//! belongs to a place in the log, where the walk begins and where it ends, is said by whoever applies the log.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use broker_engine::{Engine, Now, SavedTopic};

use crate::Clock;
use crate::checkpoint::{CheckpointError, CheckpointWriter, Head, Tail};

/// Bytes of topics that are copied at once.
const PORTION_BYTES: usize = 256 << 10;

/// A checkpoint that is being written.
pub(crate) struct Walk {
    /// Set when it is of no use any more.
    given_up: Arc<AtomicBool>,
    from: Receiver<Step>,
    to: Sender<Tail>,
    thread: JoinHandle<()>,
}

/// How far it is.
pub(crate) enum Step {
    /// Nothing has changed.
    Going,
    /// All topics are copied: [`Walk::complete`] has to say what they are complete with.
    Walked,
    /// The file is complete, with this many bytes; or it could not be written.
    Done(Result<u64, WalkError>),
}

/// Why a checkpoint was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalkError {
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] CheckpointError),
    /// It is of no use any more.
    #[error("the checkpoint was given up")]
    GivenUp,
    /// The thread that wrote it panicked.
    #[error("its thread has ended")]
    Ended,
}

impl Walk {
    /// Begins one at the place in the log that `head` has, up to which all is applied.
    ///
    /// # Errors
    /// The system has no further thread.
    pub(crate) fn start(engine: &Arc<Engine>, dir: PathBuf, clock: Clock, head: Head) -> io::Result<Self> {
        engine.begin_saving();
        let (say, from) = channel();
        let (to, hear) = channel();
        let given_up = Arc::new(AtomicBool::new(false));
        let writing = Writing { engine: engine.clone(), dir, clock, given_up: given_up.clone(), say, hear };
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(move || writing.run(&head))?;
        Ok(Self { given_up, from, to, thread })
    }

    pub(crate) fn step(&self) -> Step {
        match self.from.try_recv() {
            Ok(step) => step,
            Err(TryRecvError::Empty) => Step::Going,
            Err(TryRecvError::Disconnected) => Step::Done(Err(WalkError::Ended)),
        }
    }

    /// Completes it, after it has walked.
    pub(crate) fn complete(&self, tail: Tail) {
        // If the thread has ended, it has said why.
        let _ = self.to.send(tail);
    }

    /// Gives it up, and waits for the thread.
    pub(crate) fn give_up(self) {
        let Self { given_up, from, to, thread } = self;
        given_up.store(true, Ordering::Release);
        // It waits for nothing any more.
        drop((from, to));
        if thread.join().is_err() {
            tracing::error!("the thread that wrote a checkpoint panicked");
        }
    }
}

/// The thread's part.
struct Writing {
    engine: Arc<Engine>,
    dir: PathBuf,
    clock: Clock,
    given_up: Arc<AtomicBool>,
    say: Sender<Step>,
    hear: Receiver<Tail>,
}

impl Writing {
    fn run(self, head: &Head) {
        let result = self.write(head);
        // If nobody listens, the broker is stopping.
        let _ = self.say.send(Step::Done(result));
    }

    fn write(&self, head: &Head) -> Result<u64, WalkError> {
        let mut writer = CheckpointWriter::create(&self.dir, head)?;
        let mut begin = Instant::now();
        for topics in portions(&self.engine, self.clock, PORTION_BYTES) {
            for topic in &topics {
                writer.topic(topic)?;
            }
            if self.given_up.load(Ordering::Acquire) {
                return Err(WalkError::GivenUp);
            }
            // Half of a core at most: the shards need it more.
            std::thread::park_timeout(begin.elapsed());
            begin = Instant::now();
        }
        let _ = self.say.send(Step::Walked);
        let Ok(tail) = self.hear.recv() else { return Err(WalkError::GivenUp) };
        Ok(writer.finish(&tail)?.bytes)
    }
}

/// All topics in the byte order of their names, in portions of about so many bytes.
pub(crate) fn portions(engine: &Engine, now: impl Fn() -> Now, bytes: usize) -> impl Iterator<Item = Vec<SavedTopic>> {
    let (mut after, mut is_over) = (None, false);
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let (topics, next) = engine.save_topics(now(), after.as_deref(), bytes);
        is_over = next.is_none();
        after = next;
        Some(topics)
    })
}
