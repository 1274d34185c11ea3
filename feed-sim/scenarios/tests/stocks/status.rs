//! The phases of the day: their order and their times.

use serde_json::{Value, json};

use crate::DAY_US;

#[derive(Default)]
pub(crate) struct Status {
    /// Each phase (with the auction's name) and when it began.
    phases: Vec<(String, u64)>,
    auction: Option<String>,
}

impl Status {
    /// The phase, without the auction's name; empty before the first.
    pub(crate) fn now(&self) -> &str {
        let phase = self.phases.last().map_or("", |(phase, _)| phase);
        phase.split(' ').next().expect("a word")
    }

    pub(crate) fn auction(&self) -> Option<&str> {
        self.auction.as_deref()
    }

    pub(crate) fn count(&self, phase: &str) -> usize {
        self.phases.iter().filter(|(name, _)| name == phase).count()
    }

    pub(crate) fn change(&mut self, now_us: u64, data: &Value) {
        let name = data["status"].as_str().expect("a string");
        self.auction = data.get("auction").map(|auction| auction.as_str().expect("a string").to_owned());
        let phase = self.auction.as_ref().map_or(name.to_owned(), |auction| format!("{name} {auction}"));
        let (before, since_us) = self.phases.last().map_or(("", 0), |(phase, since_us)| (phase.as_str(), *since_us));
        if before == phase {
            assert_eq!(name, "auction", "only an auction has more to say");
            assert!(data["indicative_px"].is_null() == data["indicative_qty"].is_null());
            return;
        }
        let (day_us, lasted_us) = (now_us % DAY_US, now_us - since_us);
        let in_time = match (before, phase.as_str()) {
            ("", "pre_open") => now_us < 500_000,
            ("closed", "pre_open") => day_us < 500_000,
            ("pre_open", "auction opening") => day_us == 1_500_000,
            ("auction opening", "open") => (4_000_000..4_800_000).contains(&day_us),
            ("open", "halted") => true,
            ("halted", "auction reopening") => lasted_us == 10_000_000,
            ("auction reopening", "open") => (5_000_000..5_800_000).contains(&lasted_us),
            ("open", "auction closing") => day_us == 1_770_000_000,
            ("auction closing", "closed") => (1_780_000_000..1_780_800_000).contains(&day_us),
            _ => panic!("{phase:?} after {before:?}"),
        };
        assert!(in_time, "{phase:?} after {before:?}, which lasted {lasted_us} us, at {day_us} us of the day");
        assert_eq!(data.get("reason"), (phase == "halted").then(|| json!("volatility")).as_ref());
        self.phases.push((phase, now_us));
    }
}
