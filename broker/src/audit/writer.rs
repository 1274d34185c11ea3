//! The thread that writes the audit log's lines, and its queue.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::clock::now;

/// The most lines that wait to be written: as many as of the log.
const LINES_MAX: usize = 1024;
/// The most bytes of one line; of a longer one only the fact is written.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Writes lines to one file.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Sender<Vec<u8>>,
    lost: Arc<AtomicU64>,
}

struct Thread {
    queue: Receiver<Vec<u8>>,
    out: Box<dyn Write + Send>,
    lost: Arc<AtomicU64>,
    /// Of the lost lines, those that the file tells of.
    told: u64,
}

impl Writer {
    /// Starts the thread that writes to `out`. It ends once everything is written and this is dropped.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start(out: Box<dyn Write + Send>) -> io::Result<Writer> {
        let (queue, lines) = bounded(LINES_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let mut thread = Thread { queue: lines, out, lost: lost.clone(), told: 0 };
        std::thread::Builder::new().name("audit".into()).spawn(move || thread.run())?;
        Ok(Writer { queue, lost })
    }

    /// Queues a line, or loses it.
    pub(super) fn write(&self, line: Vec<u8>) {
        if line.len() > LINE_BYTES_MAX || self.queue.try_send(line).is_err() {
            self.lose(1);
        }
    }

    /// Counts lines as lost.
    pub(super) fn lose(&self, lines: u64) {
        self.lost.fetch_add(lines, Ordering::Relaxed);
    }

    /// Lines that were lost.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Thread {
    fn run(&mut self) {
        while let Ok(line) = self.queue.recv() {
            self.tell_lost();
            if self.out.write_all(&line).is_err() {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.tell_lost();
    }

    /// Writes how many lines are missing, before the next one.
    fn tell_lost(&mut self) {
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > self.told {
            let line = serde_json::json!({ "ts": now().wall_us, "event": "lost", "lines": lost - self.told });
            // If this fails too, it is told the next time.
            if self.out.write_all(format!("{line}\n").as_bytes()).is_ok() {
                self.told = lost;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};
    use std::time::{Duration, Instant};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        fn lines(&self) -> Vec<serde_json::Value> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    /// Writes nothing before it may, and fails as often as it is told to.
    struct Out(mpsc::Receiver<bool>, Written);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Without a word from the test, it writes.
            match self.0.recv().unwrap_or(true) {
                true => self.1.0.lock().unwrap().write(bytes),
                false => Err(io::ErrorKind::StorageFull.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn until(mut condition: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !condition() {
            assert!(Instant::now() < end, "waited in vain");
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_is_lost_is_counted_and_told() {
        let (word, words) = mpsc::channel();
        let written = Written::default();
        let writer = Writer::start(Box::new(Out(words, written.clone()))).unwrap();
        // The disk is full for the first line, and the thread stuck at the second.
        word.send(false).unwrap();
        let lines = LINES_MAX + 100;
        for line in 0..lines {
            writer.write(format!("{line}\n").into_bytes());
        }
        writer.write(vec![b'x'; LINE_BYTES_MAX + 1]);
        writer.lose(1);
        let lost = writer.lost.clone();
        assert!(writer.lost() >= 100, "{}", writer.lost());
        drop((word, writer));
        // Every line is either there or told as lost.
        until(|| {
            let found = written.lines();
            let told: u64 = found.iter().filter_map(|line| line["lines"].as_u64()).sum();
            let whole = found.iter().filter(|line| line.is_u64()).count();
            told == lost.load(Ordering::Relaxed) && whole as u64 + told == lines as u64 + 2
        });
    }

    #[test]
    fn the_thread_writes_all_and_ends() {
        let (word, words) = mpsc::channel();
        let written = Written::default();
        let writer = Writer::start(Box::new(Out(words, written.clone()))).unwrap();
        (0..50).for_each(|line| writer.write(format!("{line}\n").into_bytes()));
        drop((writer, word));
        until(|| written.lines().len() == 50);
        assert_eq!(written.lines()[49], 49);
    }
}
