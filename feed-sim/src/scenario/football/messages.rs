//! What a match publishes, as bytes.

use super::fixture::{Fixture, Phase, Team};
use crate::publication::{Kind, Publication};

/// What an event says beyond when it happened.
pub(super) enum Detail {
    /// Of the match as a whole: kick-off and whistle.
    Plain(&'static str),
    /// Done by somebody.
    By { what: &'static str, team: Team, player: u32 },
    /// A goal that does not count after all.
    Disallowed { team: Team, corrects: u64, reason: &'static str },
}

/// An event of the match.
pub(super) fn event(fixture: &Fixture, id: u64, detail: Detail) -> Publication {
    let (what, rest) = match detail {
        Detail::Plain(what) => (what, String::new()),
        Detail::By { what, team, player } => (what, format!(r#"{},"player":{player}"#, side(fixture, team))),
        Detail::Disallowed { team, corrects, reason } => {
            ("goal_disallowed", format!(r#"{},"corrects":{corrects},"reason":"{reason}""#, side(fixture, team)))
        }
    };
    let data = format!(
        r#"{{"id":{id},"match":{},"type":"{what}","period":{},"clock":"{}"{rest}}}"#,
        fixture.number,
        fixture.period,
        clock(fixture.clock_s)
    );
    Publication::new(&topic(fixture, "event"), Kind::Event, data)
}

/// The scoreboard of the match.
pub(super) fn score(fixture: &Fixture) -> Publication {
    let status = match (fixture.phase, fixture.period) {
        (Phase::Playing, 1) => "first_half",
        (Phase::Playing, _) => "second_half",
        (Phase::HalfTime, _) => "half_time",
        (Phase::FullTime, _) => "full_time",
    };
    let data = format!(
        r#"{{"match":{},"home":"{}","away":"{}","home_goals":{},"away_goals":{},"status":"{status}","period":{},"clock":"{}"}}"#,
        fixture.number,
        fixture.home.name,
        fixture.away.name,
        fixture.goals[0],
        fixture.goals[1],
        fixture.period,
        clock(fixture.clock_s)
    );
    Publication::new(&topic(fixture, "score"), Kind::State, data)
}

fn topic(fixture: &Fixture, what: &str) -> String {
    format!("sports.football.{}-{}.{what}", fixture.home.code, fixture.away.code)
}

fn side(fixture: &Fixture, team: Team) -> String {
    let word = match team {
        Team::Home => "home",
        Team::Away => "away",
    };
    format!(r#","team":"{word}","club":"{}""#, fixture.club(team).name)
}

fn clock(clock_s: u32) -> String {
    format!("{:02}:{:02}", clock_s / 60, clock_s % 60)
}
