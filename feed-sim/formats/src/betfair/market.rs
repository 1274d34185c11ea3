//! A market: its definition, its status, and its runners.

use std::collections::{BTreeMap, VecDeque};

use super::plan::{DefinitionPlan, Plan, Status};
use super::runner::Runner;
use crate::venue::text::{id_text, push_venue_ts};
use feed_player::publication::{Kind, Publication};

/// The most runners of a market; the venue's largest have a few hundred, with all handicaps.
const RUNNERS_MAX: usize = 10_000;

/// The known state of a market.
pub(super) struct Market {
    id: String,
    status: Option<Status>,
    runners: BTreeMap<String, Runner>,
}

impl Market {
    /// Makes a market about which nothing is known; `id` is a segment of a topic.
    pub(super) fn new(id: &str) -> Self {
        Market { id: id.to_owned(), status: None, runners: BTreeMap::new() }
    }

    /// Whether its last definition says that it is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.names.1 == "closed")
    }

    /// Applies a market change, and appends what it publishes.
    pub(super) fn take(&mut self, plan: Plan, at_ms: u64, out: &mut VecDeque<Publication>) -> Result<(), String> {
        let venue_ts = i64::try_from(at_ms).ok().and_then(|at_ms| at_ms.checked_mul(1_000));
        let venue_ts = venue_ts.ok_or("pt is not a time in milliseconds")?;
        let new = plan.runners.iter().filter(|runner| !self.runners.contains_key(&runner.runner)).count();
        if self.runners.len() + new > RUNNERS_MAX {
            return Err(format!("market {} has more than {RUNNERS_MAX} runners", self.id));
        }
        if let Some(definition) = plan.definition {
            self.define(definition, venue_ts, out);
        }
        let mut fields = format!(r#""venue_ts":{venue_ts}"#);
        if let Some(conflated) = plan.conflated {
            fields += &format!(r#","conflated":{conflated}"#);
        }
        if plan.image {
            for (name, runner) in &mut self.runners {
                if plan.runners.iter().all(|change| change.runner != *name) {
                    runner.empty(&fields, venue_ts, out)?;
                }
            }
        }
        for change in plan.runners {
            let name = change.runner.clone();
            let runner = self.runners.entry(name).or_insert_with_key(|name| Runner::new(&self.id, name));
            runner.take(change, plan.image, &fields, venue_ts, out)?;
        }
        if let Some(volume) = plan.volume {
            let mut data = format!(r#"{{"volume":"{volume}""#);
            push_venue_ts(&mut data, Some(venue_ts));
            data.push('}');
            out.push_back(Publication::new(&self.topic("last"), Kind::State, data));
        }
        Ok(())
    }

    fn define(&mut self, definition: DefinitionPlan, venue_ts: i64, out: &mut VecDeque<Publication>) {
        out.push_back(Publication::new(&self.topic("market"), Kind::State, definition.json));
        if self.status.as_ref() != Some(&definition.status) {
            let Status { names: (venue_status, status), in_play, bet_delay } = &definition.status;
            let mut data = format!(
                r#"{{"status":"{status}","venue_status":"{venue_status}","in_play":{in_play},"bet_delay":{bet_delay}"#
            );
            if let Some(version) = definition.version {
                data += &format!(r#","version":{}"#, id_text(version));
            }
            push_venue_ts(&mut data, Some(venue_ts));
            data.push('}');
            out.push_back(Publication::new(&self.topic("status"), Kind::State, data));
            self.status = Some(definition.status);
        }
    }

    fn topic(&self, what: &str) -> String {
        format!("betfair.{}.{what}", self.id)
    }
}
