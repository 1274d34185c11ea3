//! The lines of an NDJSON body that were rejected, as the answer lists them.

use broker_protocol::codes::ErrorCode;
use broker_protocol::message::{published_lines_begin, published_lines_end, rejected_line};
use broker_protocol::request::Refusal;

use super::answer::Out;
use super::budget::Held;

/// Rejected lines that are listed one by one; a last entry counts the rest. A body can hold millions of bad lines.
const LISTED_MAX: u64 = 10_000;

/// The list of rejected lines, as the answer will contain it.
#[derive(Default)]
pub(super) struct Rejected {
    list: Vec<u8>,
    listed: u64,
    /// The first line that is not listed, the number of lines from it on, and the code of the first one.
    more: Option<(u64, u64, ErrorCode)>,
}

impl Rejected {
    /// Adds a line. The list counts as part of the body; once that was given up, no more lines are listed.
    pub(super) fn add(&mut self, line: u64, refusal: &Refusal, held: &Held) {
        if let Some((_, count, _)) = &mut self.more {
            *count += 1;
            return;
        }
        let before = self.list.len();
        rejected_line(&mut self.list, line, refusal.code, &refusal.message);
        self.listed += 1;
        if self.listed > LISTED_MAX || held.grow((self.list.len() - before) as u64).is_err() {
            self.list.truncate(before);
            self.more = Some((line, 1, refusal.code));
        }
    }

    /// Returns the whole answer. `retry_ms` says when the lines will fit that exceeded a quota.
    pub(super) fn answer(mut self, accepted: u64, duplicates: u64, retry_ms: Option<u64>) -> Out {
        if let Some((line, count, code)) = self.more {
            let message = format!("from this line on, {count} lines were rejected and are not listed");
            let code = if self.listed > LISTED_MAX { ErrorCode::Limit } else { code };
            rejected_line(&mut self.list, line, code, &message);
        }
        let mut out = Out::default();
        out.write(|out| published_lines_begin(out, accepted, duplicates));
        out.push(self.list);
        out.write(|out| published_lines_end(out, retry_ms));
        out
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::super::{BodyBudget, Peer};
    use super::*;

    fn reject(lines: u64, budget_bytes: u64) -> serde_json::Value {
        let held = BodyBudget::new(budget_bytes).hold(&Peer::new(IpAddr::from([192, 0, 2, 1])));
        let refusal = Refusal { code: ErrorCode::BadJson, message: "no JSON".into() };
        let mut rejected = Rejected::default();
        (1..=lines).for_each(|line| rejected.add(line, &refusal, &held));
        serde_json::from_slice(&rejected.answer(3, 1, None).into_bytes()).unwrap()
    }

    #[test]
    fn rejected_lines_are_listed_to_a_bound_and_counted_beyond() {
        let told = reject(LISTED_MAX, 10 << 20);
        assert_eq!(told["rejected"].as_array().unwrap().len() as u64, LISTED_MAX);
        let told = reject(LISTED_MAX + 5, 10 << 20);
        let list = told["rejected"].as_array().unwrap();
        assert_eq!((&told["accepted"], &told["duplicates"], list.len() as u64), (&3.into(), &1.into(), LISTED_MAX + 1));
        let last = &list[list.len() - 1];
        assert_eq!((&last["line"], &last["code"]), (&(LISTED_MAX + 1).into(), &"limit".into()));
        assert!(last["message"].as_str().unwrap().contains(" 5 lines"), "{last}");
    }

    #[test]
    fn the_list_is_within_the_budget() {
        let told = reject(100, 500);
        let list = told["rejected"].as_array().unwrap();
        assert!(list.len() < 20, "{told}");
        let last = &list[list.len() - 1];
        assert_eq!(last["code"], "bad_json");
        let listed = list.len() - 1;
        assert!(last["message"].as_str().unwrap().contains(&format!(" {} lines", 100 - listed)), "{last}");
    }
}
