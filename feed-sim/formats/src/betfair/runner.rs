//! A runner of a market: its ladders, its last price and the total matched on it.

use std::collections::VecDeque;

use super::plan::{Last, RunnerPlan};
use crate::venue::book::Book;
use crate::venue::level::{Best, Change};
use crate::venue::text::push_venue_ts;
use feed_player::publication::{Kind, Publication};

/// The ladders, in the order of [`LADDERS`]. The first two make the quote.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ladder {
    Atb,
    Atl,
    Trd,
    Spb,
    Spl,
    Batb,
    Batl,
    Bdatb,
    Bdatl,
}

/// The ladders' names and best ends. A price that is available to back is one that somebody offers to lay at: the
/// higher, the better for the backer.
const LADDERS: [(&str, Best); 9] = [
    ("atb", Best::Highest),
    ("atl", Best::Lowest),
    ("trd", Best::Lowest),
    ("spb", Best::Lowest),
    ("spl", Best::Lowest),
    ("batb", Best::Lowest),
    ("batl", Best::Lowest),
    ("bdatb", Best::Lowest),
    ("bdatl", Best::Lowest),
];

/// The known state of a runner.
pub(super) struct Runner {
    last_topic: String,
    book: Book,
    last: Last,
}

impl Runner {
    pub(super) fn new(market: &str, runner: &str) -> Self {
        let topic = |what: &str| format!("betfair.{market}.{runner}.{what}");
        let book = Book::new(topic("book"), Some(topic("quote")), &LADDERS);
        Runner { last_topic: topic("last"), book, last: Last::default() }
    }

    /// Applies a message's changes of the runner; with `image` they replace everything known about it.
    pub(super) fn take(
        &mut self,
        plan: RunnerPlan,
        image: bool,
        fields: &str,
        venue_ts: i64,
        out: &mut VecDeque<Publication>,
    ) -> Result<(), String> {
        self.levels(plan.changes, image, fields, venue_ts, out)?;
        let new = plan.last;
        if new != Last::default() {
            let known = if image { Last::default() } else { std::mem::take(&mut self.last) };
            self.last = Last {
                px: new.px.or(known.px),
                volume: new.volume.or(known.volume),
                sp_near: new.sp_near.or(known.sp_near),
                sp_far: new.sp_far.or(known.sp_far),
            };
            out.push_back(self.last_publication(venue_ts));
        }
        Ok(())
    }

    /// Empties the ladders, because an image does not contain the runner.
    pub(super) fn empty(&mut self, fields: &str, venue_ts: i64, out: &mut VecDeque<Publication>) -> Result<(), String> {
        self.levels(Vec::new(), true, fields, venue_ts, out)
    }

    fn levels(
        &mut self,
        changes: Vec<Change>,
        image: bool,
        fields: &str,
        venue_ts: i64,
        out: &mut VecDeque<Publication>,
    ) -> Result<(), String> {
        if image {
            self.book.replace(changes)?;
        } else if changes.is_empty() {
            return Ok(());
        } else {
            self.book.change(changes)?;
        }
        self.book.publish(fields, Some(venue_ts), out);
        Ok(())
    }

    fn last_publication(&self, venue_ts: i64) -> Publication {
        let mut data = String::from("{");
        let fields = [
            ("px", self.last.px.clone().map(Some)),
            ("volume", self.last.volume.clone().map(Some)),
            ("sp_near", self.last.sp_near.clone()),
            ("sp_far", self.last.sp_far.clone()),
        ];
        for (name, value) in fields {
            let comma = if data.len() == 1 { "" } else { "," };
            match value {
                Some(Some(value)) => data += &format!(r#"{comma}"{name}":"{value}""#),
                Some(None) => data += &format!(r#"{comma}"{name}":null"#),
                None => {}
            }
        }
        push_venue_ts(&mut data, Some(venue_ts));
        data.push('}');
        Publication::new(&self.last_topic, Kind::State, data)
    }
}
