//! A run adds up, however it ends.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use feed_player::publish::{Lines, Target, TargetGone};
use feed_player::run::{Play, RunError, run};
use feed_player::schedule::{Pace, Until};
use feed_scenarios::{Simulated, find};
use tokio::sync::Notify;

/// Keeps what is written, fails after `bytes_max`, and notifies of each write.
#[derive(Clone)]
struct Page {
    text: Arc<Mutex<Vec<u8>>>,
    bytes_max: usize,
    written: Arc<Notify>,
}

impl Page {
    fn new(bytes_max: usize) -> Self {
        Page { text: Arc::default(), bytes_max, written: Arc::default() }
    }

    fn target(&self) -> Target {
        Target::Lines(Lines::new(Box::new(self.clone())))
    }

    fn lines(&self) -> Vec<String> {
        let text = self.text.lock().expect("nobody panicked").clone();
        String::from_utf8(text).expect("UTF-8").lines().map(str::to_owned).collect()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = self.text.lock().expect("nobody panicked");
        if text.len() + bytes.len() > self.bytes_max {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        text.extend_from_slice(bytes);
        self.written.notify_one();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stocks() -> Simulated {
    Simulated(find("stocks").expect("in the catalogue").build(1, Some(5)))
}

fn play(pace: Pace, updates: Option<u64>) -> Play {
    Play { until: Until { duration: None, updates }, ..Play::at(pace) }
}

#[tokio::test]
async fn a_run_writes_the_requested_number_of_lines() {
    let page = Page::new(usize::MAX);
    let (summary, result) = run(stocks(), play(Pace::Max, Some(5_000)), page.target(), std::future::pending()).await;
    result.expect("it ends well");
    assert_eq!((summary.published, summary.acknowledged), (5_000, 5_000));
    assert_eq!(page.lines().len(), 5_000);
    for line in page.lines() {
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert!(line["topic"].is_string() && line["kind"].is_string() && line["data"].is_object());
    }
}

#[tokio::test]
async fn pacing_changes_when_and_never_what() {
    let fast = Page::new(usize::MAX);
    let slow = Page::new(usize::MAX);
    let at = |speed| play(Pace::Speed(speed), Some(300));
    let (summary, _) = run(stocks(), at(40.0), slow.target(), std::future::pending()).await;
    run(stocks(), play(Pace::Max, Some(300)), fast.target(), std::future::pending()).await.1.expect("it ends well");
    assert_eq!(slow.lines(), fast.lines());
    // The run does not end before the last update is due, at forty times the speed of its clock.
    let last = stocks().nth(299).expect("it never ends").expect("nothing in it is bad");
    let due = Duration::from_micros(last.due_us) / 40;
    assert!(due > Duration::from_millis(10) && summary.elapsed >= due, "{:?}, due after {due:?}", summary.elapsed);
}

#[tokio::test]
async fn a_stop_ends_it_and_it_adds_up() {
    let page = Page::new(usize::MAX);
    let written = page.written.clone();
    let stop = async move { written.notified().await };
    let (summary, result) = run(stocks(), play(Pace::Max, None), page.target(), stop).await;
    result.expect("a stop is not an error");
    assert!(summary.published > 0);
    assert_eq!(page.lines().len() as u64, summary.published);
    assert_eq!(summary.acknowledged, summary.published);
}

#[tokio::test]
async fn a_reader_that_leaves_ends_it() {
    let page = Page::new(100_000);
    let (summary, result) = run(stocks(), play(Pace::Max, None), page.target(), std::future::pending()).await;
    assert!(matches!(result, Err(RunError::TargetGone(TargetGone::ReaderLeft))));
    assert_eq!(summary.published, summary.acknowledged + summary.unanswered);
    assert_eq!(page.lines().len() as u64, summary.acknowledged);
}

#[tokio::test]
async fn strict_stops_at_a_bad_record_and_otherwise_it_goes_on() {
    let text =
        "1 {\"stream\":\"x@trade\",\"data\":{\"s\":\"XY\"}}\nbad\n2 {\"stream\":\"x@trade\",\"data\":{\"s\":\"XY\"}}\n";
    for (strict, published) in [(true, 1), (false, 2)] {
        let feed = feed_formats::find("binance").expect("a format").of_bytes(text.into()).expect("readable");
        let play = Play { strict, ..play(Pace::Max, None) };
        let (summary, result) = run(feed, play, Target::Nowhere, std::future::pending()).await;
        assert_eq!((summary.published, summary.read.bad), (published, 1));
        match result {
            Err(RunError::BadRecord(bad)) => assert!(strict && bad.position == "line 2"),
            result => assert!(!strict && result.is_ok()),
        }
    }
}
