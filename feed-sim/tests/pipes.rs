//! Replays of a recording that is still being written: a pipe that stays open.
#![cfg(unix)]

mod scripted;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use scripted::Scripted;

/// The longest wait: longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program, with its standard input as a pipe that we write to.
struct Piped {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Piped {
    fn start(args: &[&str]) -> Piped {
        let mut child = Command::new(env!("CARGO_BIN_EXE_feed-sim"))
            .args(["replay", "ndjson", "-", "--quiet"])
            .args(args)
            .env_remove("FEED_SIM_TO")
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stdin = child.stdin.take();
        let (found, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| found.send(line)));
        Piped { child, stdin, lines }
    }

    fn write(&mut self, text: &str) {
        self.stdin.as_mut().expect("open").write_all(text.as_bytes()).expect("the program reads");
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line comes while the pipe is open")
    }

    /// Interrupts the program once it catches the signal, and returns its standard error; the pipe stays open
    /// meanwhile.
    fn interrupt(&mut self) -> String {
        let status = format!("/proc/{}/status", self.child.id());
        wait_until("it catches SIGINT", || {
            let status = std::fs::read_to_string(&status).expect("it runs");
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a mask");
            u64::from_str_radix(caught.trim(), 16).expect("hexadecimal") & 0b10 != 0
        });
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("it is ours");
        self.finish()
    }

    /// Waits for the program's end, and returns its standard error.
    fn finish(&mut self) -> String {
        wait_until("it ends", || self.child.try_wait().expect("it is ours").is_some());
        let mut stderr = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("UTF-8");
        assert!(self.child.wait().expect("it ended").success(), "{stderr}");
        stderr
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[allow(clippy::disallowed_methods, reason = "between two checks of the condition")]
fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < PATIENCE, "timed out: {what}");
        sleep(Duration::from_millis(2));
    }
}

fn update(number: u32) -> String {
    format!("{{\"topic\":\"a.b\",\"kind\":\"event\",\"data\":{number}}}\n")
}

#[test]
fn an_update_comes_out_as_soon_as_it_is_written() {
    for speed in ["1", "max"] {
        let mut piped = Piped::start(&["--to", "stdout", "--speed", speed]);
        for number in 0..5 {
            piped.write(&update(number));
            assert_eq!(piped.line() + "\n", update(number), "with nothing written after it");
        }
        piped.write(&(update(5) + &update(6)));
        assert_eq!([piped.line(), piped.line()].map(|line| line + "\n"), [update(5), update(6)]);
        piped.stdin = None;
        let stderr = piped.finish();
        assert!(stderr.contains("published     7 to stdout") && stderr.contains("7 read, 0 bad"), "{stderr}");
    }
}

/// A pipe that was silent for a while does not make the feed late.
#[test]
#[allow(clippy::disallowed_methods, reason = "the silence itself is what is tested")]
fn an_update_that_is_written_late_is_not_lag() {
    let mut piped = Piped::start(&["--to", "stdout"]);
    piped.write(&update(0));
    piped.line();
    sleep(Duration::from_millis(300));
    piped.write(&update(1));
    piped.line();
    let stderr = piped.interrupt();
    let lag_ms = stderr.split("lag ").last().and_then(|lag| lag.split_whitespace().next()).expect("the summary has it");
    assert!(lag_ms.parse::<u64>().is_ok_and(|lag_ms| lag_ms < 300), "{stderr}");
}

#[test]
fn an_interrupt_ends_it_whatever_is_in_the_pipe() {
    // Half an update does not count.
    let half = "{\"topic\":\"a.b\",";
    for (written, lines, counts) in [
        (String::new(), 0, None),
        ("{".to_owned(), 0, None),
        (update(0) + half, 1, Some("1 read, 0 bad")),
        (update(0) + "no update\n" + &update(1), 2, Some("3 read, 1 bad")),
    ] {
        let mut piped = Piped::start(&["--to", "stdout"]);
        piped.write(&written);
        for _ in 0..lines {
            piped.line();
        }
        let stderr = piped.interrupt();
        assert!(stderr.contains(&format!("published     {lines} to stdout")), "{written}: {stderr}");
        assert!(counts.is_none_or(|counts| stderr.contains(counts)), "{written}: {stderr}");
    }
}

/// If faults lose the updates of the pipe, there is nothing to hand over, and the program waits for the next update.
#[test]
fn an_interrupt_is_noticed_in_a_gap() {
    let mut piped = Piped::start(&["--to", "stdout", "--fault", "gap=50%:3"]);
    piped.write(&(0..200).map(update).collect::<String>());
    let first = piped.line();
    assert!(first.starts_with("{\"topic\":\"a.b\""), "{first}");
    let stderr = piped.interrupt();
    assert!(stderr.contains("from the feed") && stderr.contains("left out"), "{stderr}");
}

#[test]
fn a_silent_pipe_does_not_outlast_the_duration() {
    let mut piped = Piped::start(&["--to", "stdout", "--duration", "0.2"]);
    let stderr = piped.finish();
    assert!(stderr.contains("published     0 to stdout"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_has_it_at_once() {
    let (broker, url) = Scripted::start(vec![]).await;
    tokio::task::spawn_blocking(move || {
        let mut piped = Piped::start(&["--to", &url]);
        for number in 1..=3 {
            piped.write(&update(number as u32));
            wait_until("the broker has it", || broker.taken.lock().expect("nobody panicked").updates.len() == number);
        }
        let stderr = piped.interrupt();
        assert!(stderr.contains("acknowledged  3"), "{stderr}");
    })
    .await
    .expect("it holds");
}
