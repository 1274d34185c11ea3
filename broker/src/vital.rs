//! The threads and tasks that must not end while the broker runs: the shards, accepting, the admin listener, the
//! housekeeping. Without one of them a broker would only look healthy. So it ends as a whole and says why, and its
//! supervisor restarts it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use tokio::task::AbortHandle;

use crate::logging;

/// `EX_SOFTWARE` of sysexits(3): an internal error.
const EXIT_SOFTWARE: i32 = 70;

/// Spawns a task that must not end. It may be aborted.
pub(crate) fn spawn(what: &'static str, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    let task = tokio::spawn(task);
    let abort = task.abort_handle();
    tokio::spawn(async move {
        match task.await {
            Err(error) if !error.is_panic() => {}
            Err(_) => end(what, "panicked"),
            Ok(()) => end(what, "ended"),
        }
    });
    abort
}

/// Starts a thread that must not end before `ending` is set. `make` runs on the thread first and makes what it needs;
/// if that fails, the thread ends and counts as not started.
///
/// # Errors
/// The system has no further thread, or `make` failed.
pub(crate) fn thread<T>(
    name: String,
    ending: Arc<AtomicBool>,
    make: impl FnOnce() -> io::Result<T> + Send + 'static,
    run: impl FnOnce(T) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let (made, is_made) = mpsc::channel();
    let what = name.clone();
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        let needed = match make() {
            Ok(needed) => needed,
            // The caller waits for this.
            Err(error) => return drop(made.send(Err(error))),
        };
        let _vital = Vital { what, ending };
        drop(made.send(Ok(())));
        run(needed);
    })?;
    match is_made.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other("the thread ended while it started")),
    }
}

/// Lives on a thread while that runs, and ends the process when it is dropped too early.
struct Vital {
    what: String,
    ending: Arc<AtomicBool>,
}

impl Drop for Vital {
    fn drop(&mut self) {
        if std::thread::panicking() {
            end(&self.what, "panicked");
        }
        if !self.ending.load(Ordering::Acquire) {
            end(&self.what, "ended");
        }
    }
}

fn end(what: &str, how: &str) {
    tracing::error!(target: logging::EACH, "{what} {how}: this is a bug, and the broker ends");
    logging::flush();
    std::process::exit(EXIT_SOFTWARE);
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    /// Runs a test of this file that ends the process, in a process of its own.
    fn exit_code_of(test: &str) -> Option<i32> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &format!("vital::tests::{test}"), "--include-ignored", "--nocapture"]);
        command.output().unwrap().status.code()
    }

    #[test]
    fn the_process_ends_with_a_vital_task_or_thread() {
        assert_eq!(exit_code_of("a_task_panics"), Some(EXIT_SOFTWARE));
        assert_eq!(exit_code_of("a_task_ends"), Some(EXIT_SOFTWARE));
        assert_eq!(exit_code_of("a_thread_panics"), Some(EXIT_SOFTWARE));
        assert_eq!(exit_code_of("a_thread_ends"), Some(EXIT_SOFTWARE));
        assert_eq!(exit_code_of("a_thread_or_task_that_was_told_to_end_may_end"), Some(0));
    }

    #[test]
    fn a_thread_whose_make_fails_is_not_started() {
        let make = || Err::<(), _>(io::Error::other("no more of it"));
        let error = thread("a thread".into(), Arc::default(), make, |()| unreachable!()).unwrap_err();
        assert_eq!(error.to_string(), "no more of it");
    }

    async fn forever() {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }

    #[tokio::test]
    #[ignore = "ends the process: run by the test above"]
    async fn a_task_panics() {
        spawn("a task", async { panic!("on purpose") });
        forever().await;
    }

    #[tokio::test]
    #[ignore = "ends the process: run by the test above"]
    async fn a_task_ends() {
        spawn("a task", async {});
        forever().await;
    }

    fn on_a_thread(may_end: bool, run: impl FnOnce(()) + Send + 'static) {
        let ending = Arc::new(AtomicBool::new(may_end));
        let _ = thread("a thread".into(), ending, || Ok(()), run).unwrap().join();
    }

    #[test]
    #[ignore = "ends the process: run by the test above"]
    fn a_thread_panics() {
        on_a_thread(true, |()| panic!("on purpose"));
    }

    #[test]
    #[ignore = "ends the process: run by the test above"]
    fn a_thread_ends() {
        on_a_thread(false, |()| {});
    }

    #[tokio::test]
    #[ignore = "run by the test above"]
    async fn a_thread_or_task_that_was_told_to_end_may_end() {
        on_a_thread(true, |()| {});
        let task = spawn("a task", forever());
        task.abort();
        while !task.is_finished() {
            tokio::task::yield_now().await;
        }
    }
}
