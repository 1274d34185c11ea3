//! Events that withdraw an earlier event, which they name.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::publication::{Kind, Publication};

/// The id of an event, under its venue's name for it: `id` in our own scenarios and most replays, `t` in Binance's
/// trades.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    t: Option<&'a RawValue>,
    #[serde(borrow)]
    trade_id: Option<&'a RawValue>,
}

/// The correction of a publication, if it is an event and has an id.
pub(super) fn correction_of(event: &Publication) -> Option<Publication> {
    if event.kind != Kind::Event {
        return None;
    }
    let named: Named<'_> = serde_json::from_str(&event.data).ok()?;
    let id = named.id.or(named.t).or(named.trade_id)?.get();
    let is_name = id.starts_with('"') || id.bytes().all(|byte| byte.is_ascii_digit());
    is_name.then(|| Publication::new(&event.topic, Kind::Event, format!("{{\"corrects\":{id},\"action\":\"cancel\"}}")))
}

/// Corrections that wait until they are due.
#[derive(Default)]
pub(super) struct Waiting {
    /// By time and, for equal times, in the order in which they were put in.
    times: BinaryHeap<Reverse<(u64, u64)>>,
    corrections: std::collections::BTreeMap<u64, Publication>,
    number: u64,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    pub(super) fn push(&mut self, due_us: u64, correction: Publication) {
        self.times.push(Reverse((due_us, self.number)));
        self.corrections.insert(self.number, correction);
        self.number += 1;
    }

    /// Takes out the next correction that is due at `until_us` or before.
    pub(super) fn pop(&mut self, until_us: u64) -> Option<(u64, Publication)> {
        let Reverse((due_us, _)) = *self.times.peek()?;
        if due_us > until_us {
            return None;
        }
        let Reverse((due_us, number)) = self.times.pop()?;
        Some((due_us, self.corrections.remove(&number)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_named_as_its_venue_names_it() {
        for (kind, data, corrected) in [
            (Kind::Event, r#"{"id":7,"px":"1"}"#, Some("7")),
            (Kind::Event, r#"{"s":"X","t":91}"#, Some("91")),
            (Kind::Event, r#"{"id":"a\"b"}"#, Some(r#""a\"b""#)),
            (Kind::Event, r#"{"id":null,"px":"1"}"#, None),
            (Kind::Event, r#"{"px":"1"}"#, None),
            (Kind::Event, "5", None),
            (Kind::State, r#"{"id":7}"#, None),
        ] {
            let correction = correction_of(&Publication::new("a", kind, data.into()));
            let expected = corrected.map(|id| format!("{{\"corrects\":{id},\"action\":\"cancel\"}}"));
            assert_eq!(correction.map(|correction| correction.data), expected, "{data}");
        }
    }
}
