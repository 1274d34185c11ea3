//! The fields of an event that are used.

use std::borrow::Cow;

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Event<'a> {
    pub(super) period: u32,
    pub(super) timestamp: &'a str,
    #[serde(default)]
    pub(super) minute: u32,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Named<'a>,
    #[serde(borrow)]
    pub(super) team: Option<Named<'a>>,
    #[serde(borrow)]
    pub(super) possession_team: Option<Named<'a>>,
    #[serde(borrow)]
    pub(super) pass: Option<Pass<'a>>,
    #[serde(borrow)]
    pub(super) shot: Option<Shot<'a>>,
    #[serde(borrow)]
    pub(super) foul_committed: Option<Foul<'a>>,
    #[serde(borrow)]
    pub(super) bad_behaviour: Option<Foul<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Named<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
}

#[derive(Deserialize)]
pub(super) struct Pass<'a> {
    /// Present only if the pass did not arrive.
    #[serde(borrow)]
    pub(super) outcome: Option<Named<'a>>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Named<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Shot<'a> {
    #[serde(borrow)]
    pub(super) outcome: Named<'a>,
}

/// A foul, or a booking without one.
#[derive(Deserialize)]
pub(super) struct Foul<'a> {
    #[serde(borrow)]
    pub(super) card: Option<Named<'a>>,
}

impl Event<'_> {
    /// Whether it is a goal for its team. An own goal is two events: `Own Goal Against` of the team that scored it, and
    /// `Own Goal For` of the team that it counts for.
    pub(super) fn is_goal(&self) -> bool {
        match &*self.kind.name {
            "Shot" => self.shot.as_ref().is_some_and(|shot| shot.outcome.name == "Goal"),
            "Own Goal For" => true,
            _ => false,
        }
    }
}
