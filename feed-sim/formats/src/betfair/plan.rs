//! The checked content of a market change. Applying it cannot fail because of its content.

use serde_json::value::RawValue;

use super::fields::{Definition, MarketChange, PositionPriceSize, PriceSize, RunnerChange};
use super::numbers::{known, number, spelled};
use super::runner::Ladder;
use crate::venue::level::Change;
use crate::venue::text::{segment, unchanged};

/// A market change.
pub(super) struct Plan {
    /// The market as a segment of a topic.
    pub(super) market: String,
    pub(super) image: bool,
    pub(super) conflated: Option<bool>,
    pub(super) volume: Option<String>,
    pub(super) definition: Option<DefinitionPlan>,
    /// Each runner once, in the order of the message.
    pub(super) runners: Vec<RunnerPlan>,
}

/// A market definition.
pub(super) struct DefinitionPlan {
    pub(super) json: String,
    pub(super) status: Status,
    pub(super) version: Option<u64>,
}

/// The part of a market definition that is the status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    /// The venue's name and the name that all our feeds use.
    pub(super) names: (&'static str, &'static str),
    pub(super) in_play: bool,
    pub(super) bet_delay: u32,
}

/// The statuses of a market: the venue's names and ours.
const STATUSES: [(&str, &str); 4] =
    [("INACTIVE", "pre_open"), ("OPEN", "open"), ("SUSPENDED", "halted"), ("CLOSED", "closed")];

/// The changes of one runner.
pub(super) struct RunnerPlan {
    /// The runner as a segment of a topic.
    pub(super) runner: String,
    pub(super) changes: Vec<Change>,
    pub(super) last: Last,
}

/// A runner's trading apart from its ladders. `None` is unchanged, in an update; the inner `None` of a starting price
/// is unknown, as the venue says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) px: Option<String>,
    pub(super) volume: Option<String>,
    pub(super) sp_near: Option<Option<String>>,
    pub(super) sp_far: Option<Option<String>>,
}

impl Plan {
    /// Checks a market change.
    pub(super) fn of(change: &MarketChange<'_>) -> Result<Self, String> {
        let mut runners: Vec<RunnerPlan> = Vec::new();
        for runner_change in change.rc.iter().flatten() {
            let runner = runner_segment(runner_change)?;
            // Some recordings have one runner several times in a message: all of it is one change.
            let nth = runners.iter().position(|plan| plan.runner == runner).unwrap_or_else(|| {
                runners.push(RunnerPlan { runner, changes: Vec::new(), last: Last::default() });
                runners.len() - 1
            });
            runners[nth].add(runner_change)?;
        }
        Ok(Plan {
            market: segment(&change.id.replace('.', "-"))?.to_owned(),
            image: change.img == Some(true),
            conflated: change.con,
            volume: change.tv.map(|volume| number(volume).map(spelled)).transpose()?,
            definition: change.definition.map(DefinitionPlan::of).transpose()?,
            runners,
        })
    }
}

impl DefinitionPlan {
    fn of(raw: &RawValue) -> Result<Self, String> {
        let definition: Definition<'_> =
            serde_json::from_str(raw.get()).map_err(|error| format!("marketDefinition: {error}"))?;
        let names = STATUSES.into_iter().find(|(name, _)| *name == definition.status);
        let names = names.ok_or_else(|| format!("{:?} is not a status of a market", definition.status))?;
        let Definition { in_play, bet_delay, version, .. } = definition;
        Ok(DefinitionPlan { json: unchanged(raw.get())?, status: Status { names, in_play, bet_delay }, version })
    }
}

impl RunnerPlan {
    fn add(&mut self, change: &RunnerChange<'_>) -> Result<(), String> {
        let by_price = [
            (Ladder::Atb, &change.atb),
            (Ladder::Atl, &change.atl),
            (Ladder::Trd, &change.trd),
            (Ladder::Spb, &change.spb),
            (Ladder::Spl, &change.spl),
        ];
        for (ladder, levels) in by_price {
            for level in levels.iter().flatten() {
                self.changes.push(price_change(ladder, *level)?);
            }
        }
        let by_position = [
            (Ladder::Batb, &change.batb),
            (Ladder::Batl, &change.batl),
            (Ladder::Bdatb, &change.bdatb),
            (Ladder::Bdatl, &change.bdatl),
        ];
        for (ladder, levels) in by_position {
            for level in levels.iter().flatten() {
                self.changes.push(position_change(ladder, *level)?);
            }
        }
        let last = &mut self.last;
        if let Some(px) = change.ltp {
            last.px = Some(spelled(number(px)?));
        }
        if let Some(volume) = change.tv {
            last.volume = Some(spelled(number(volume)?));
        }
        if let Some(sp_near) = change.spn {
            last.sp_near = Some(known(sp_near)?);
        }
        if let Some(sp_far) = change.spf {
            last.sp_far = Some(known(sp_far)?);
        }
        Ok(())
    }
}

fn price_change(ladder: Ladder, (px, size): PriceSize<'_>) -> Result<Change, String> {
    let (rank, size) = (number(px)?, number(size)?);
    let value = if size.is_zero() { None } else { Some(format!(r#""{}""#, spelled(size)).into()) };
    Ok(Change { side: ladder as usize, rank, key: spelled(rank).into(), value })
}

fn position_change(ladder: Ladder, (position, px, size): PositionPriceSize<'_>) -> Result<Change, String> {
    let (px, size) = (number(px)?, number(size)?);
    let value = if size.is_zero() {
        None
    } else {
        Some(format!(r#"{{"px":"{}","qty":"{}"}}"#, spelled(px), spelled(size)).into())
    };
    Ok(Change { side: ladder as usize, rank: position.into(), key: position.to_string().into(), value })
}

/// Returns a selection's id, with its handicap if that is not zero. The point becomes `_`, because a segment of a topic
/// has no point.
fn runner_segment(change: &RunnerChange<'_>) -> Result<String, String> {
    let Some(handicap) = change.hc else { return Ok(change.id.to_string()) };
    let text = handicap.get();
    let (sign, size) = text.strip_prefix('-').map_or(("", text), |size| ("-", size));
    let raw: &RawValue = serde_json::from_str(size).map_err(|_| format!("{text} is not a handicap"))?;
    let size = number(raw).map_err(|_| format!("{text} is not a handicap"))?;
    if size.is_zero() {
        return Ok(change.id.to_string());
    }
    Ok(format!("{}@{sign}{}", change.id, size.to_string().replace('.', "_")))
}
