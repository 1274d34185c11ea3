//! A runner of a market: its ladders, its last price and what was matched on it.

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

/// What is available to back is a price that somebody wants to lay at: the higher, the better for who backs.
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

/// What is known of a runner.
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

    /// Takes in what a message says about the runner; `image` if that is all there is.
    pub(super) fn take(
        &mut self,
        plan: RunnerPlan,
        image: bool,
        fields: &str,
        venue_ts: i64,
        out: &mut VecDeque<Publication>,
    ) -> Result<(), String> {
        self.levels(plan.changes, image, fields, venue_ts, out)?;
        let said = plan.last;
        if said != Last::default() {
            let known = if image { Last::default() } else { std::mem::take(&mut self.last) };
            self.last = Last {
                px: said.px.or(known.px),
                volume: said.volume.or(known.volume),
                sp_near: said.sp_near.or(known.sp_near),
                sp_far: said.sp_far.or(known.sp_far),
            };
            out.push_back(self.last_publication(venue_ts));
        }
        Ok(())
    }

    /// An image did not tell of the runner: it has no ladders any more.
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
