//! The thread that writes log lines, and its queue.

use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tracing_subscriber::fmt::MakeWriter;

use super::repeats::Repeats;

use crate::sync::lock;

/// The most lines that wait to be written.
const LINES_MAX: usize = 1024;
/// The most bytes of one line; longer ones are cut.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// How often the thread looks for lines that were left out.
const TICK: Duration = Duration::from_secs(1);

/// The writer that lines go to.
pub(super) struct Writer {
    queue: Sender<Message>,
    /// For the thread, until it is started.
    thread: Mutex<Option<Thread>>,
    lost: &'static AtomicU64,
}

enum Message {
    Line(Vec<u8>),
    /// Is answered once everything before it is written.
    Flush(Sender<()>),
}

struct Thread {
    queue: Receiver<Message>,
    out: Box<dyn Write + Send>,
    repeats: Repeats,
    lost: &'static AtomicU64,
}

impl Writer {
    /// Makes a writer that writes to `out` once it is started.
    pub(super) fn new(out: impl Write + Send + 'static, repeats: Repeats) -> Writer {
        let (queue, lines) = bounded(LINES_MAX);
        // There is one writer in a process, and it is never dropped.
        let lost: &'static AtomicU64 = Box::leak(Box::default());
        let thread = Thread { queue: lines, out: Box::new(out), repeats, lost };
        Writer { queue, thread: Mutex::new(Some(thread)), lost }
    }

    /// Starts the thread.
    pub(super) fn start(&self) -> io::Result<()> {
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            std::thread::Builder::new().name("log".into()).spawn(move || thread.run())?;
        }
        Ok(())
    }

    /// The number of lines that were lost.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until all lines so far are written, but not longer than `at_most`.
    pub(super) fn flush(&self, at_most: Duration) {
        let (done, written) = bounded(1);
        if self.queue.send_timeout(Message::Flush(done), at_most).is_ok() {
            // Fails if it is not done in time, or if the thread is gone: then there is nothing more to wait for.
            let _ = written.recv_timeout(at_most);
        }
    }
}

impl<'a> MakeWriter<'a> for &'static Writer {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { writer: self, bytes: Vec::new() }
    }
}

/// A line that is being made. It is queued when this is dropped.
pub(super) struct Line<'a> {
    writer: &'a Writer,
    bytes: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = LINE_BYTES_MAX.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() > room && self.bytes.last() != Some(&b'\n') {
            self.bytes.push(b'\n');
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let line = std::mem::take(&mut self.bytes);
        if !line.is_empty() && self.writer.queue.try_send(Message::Line(line)).is_err() {
            self.writer.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Thread {
    fn run(mut self) {
        loop {
            match self.queue.recv_timeout(TICK) {
                Ok(Message::Line(line)) => {
                    if self.out.write_all(&line).is_err() {
                        self.lost.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Ok(Message::Flush(done)) => {
                    // Fails if the caller no longer waits.
                    let _ = done.try_send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.repeats.report();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;

    /// Accepts a number of writes, then fails.
    struct Full(usize, Arc<Mutex<Vec<u8>>>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= 1;
            self.1.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn writer(out: impl Write + Send + 'static) -> &'static Writer {
        let writer = Box::leak(Box::new(Writer::new(out, Repeats::default())));
        writer.start().unwrap();
        writer
    }

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn lines_that_cannot_be_written_are_lost_and_counted() {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let writer = writer(Full(2, written.clone()));
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            writer.make_writer().write_all(line.as_bytes()).unwrap();
        }
        writer.flush(PATIENCE);
        assert_eq!((written.lock().unwrap().as_slice(), writer.lost()), (&b"one\ntwo\n"[..], 2));
    }

    /// Does not return from a write until it may.
    struct Stuck(mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Fails when the test is over.
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn logging_does_not_wait_for_a_reader_that_does_not_read() {
        let (may_go_on, stuck) = mpsc::channel();
        let writer = writer(Stuck(stuck));
        for _ in 0..LINES_MAX + 100 {
            writer.make_writer().write_all(b"line\n").unwrap();
        }
        // The thread may have taken one line out of the full queue already.
        assert!((99..=100).contains(&writer.lost()), "{}", writer.lost());
        writer.flush(Duration::from_millis(10));
        drop(may_go_on);
        writer.flush(PATIENCE);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut() {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let writer = writer(Full(10, written.clone()));
        writer.make_writer().write_all("x".repeat(3 * LINE_BYTES_MAX).as_bytes()).unwrap();
        writer.flush(PATIENCE);
        let written = written.lock().unwrap();
        assert_eq!((written.len(), written.last()), (LINE_BYTES_MAX + 1, Some(&b'\n')));
    }
}
