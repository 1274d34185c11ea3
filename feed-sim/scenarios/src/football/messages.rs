//! The messages of a match, as bytes.

use super::fixture::{Match, Phase};
use crate::sports::{Side, clock};
use feed_player::publication::{Kind, Publication};

/// The fields of an event beside its time.
pub(super) enum Detail {
    /// An event of the match as a whole: kick-off and whistle.
    Plain(&'static str),
    /// An event of the match or of its coverage, with a reason.
    Because {
        what: &'static str,
        reason: &'static str,
    },
    /// An event by a player.
    By {
        what: &'static str,
        side: Side,
        player: u32,
    },
    Shot {
        side: Side,
        player: u32,
        on_target: bool,
    },
    RedCard {
        side: Side,
        player: u32,
        second_yellow: bool,
    },
    Substitution {
        side: Side,
        player: u32,
        player_on: u32,
    },
    /// The withdrawal of an earlier event.
    TakenBack {
        what: &'static str,
        side: Side,
        corrects: u64,
        reason: &'static str,
    },
    /// The correction of an earlier event that was another player's.
    PlayerWas {
        corrects: u64,
        player: u32,
    },
    /// The correction of an earlier event that was at another time of the same half.
    ClockWas {
        corrects: u64,
        clock_s: u32,
    },
}

/// Makes an event of the match.
pub(super) fn event(game: &Match, id: u64, detail: Detail) -> Publication {
    let of = |side| game.clubs.of(side);
    let by = |side, player| game.clubs.by(side, player);
    let (what, rest) = match detail {
        Detail::Plain(what) => (what, String::new()),
        Detail::Because { what, reason } => (what, format!(r#","reason":"{reason}""#)),
        Detail::By { what, side, player } => (what, by(side, player)),
        Detail::Shot { side, player, on_target } => {
            ("shot", format!(r#"{},"on_target":{on_target}"#, by(side, player)))
        }
        Detail::RedCard { side, player, second_yellow } => {
            ("red_card", format!(r#"{},"second_yellow":{second_yellow}"#, by(side, player)))
        }
        Detail::Substitution { side, player, player_on } => {
            ("substitution", format!(r#"{},"player_on":{player_on}"#, by(side, player)))
        }
        Detail::TakenBack { what, side, corrects, reason } => {
            (what, format!(r#"{},"corrects":{corrects},"reason":"{reason}""#, of(side)))
        }
        Detail::PlayerWas { corrects, player } => {
            ("correction", format!(r#","corrects":{corrects},"set":{{"player":{player}}}"#))
        }
        Detail::ClockWas { corrects, clock_s } => {
            ("correction", format!(r#","corrects":{corrects},"set":{{"clock":"{}"}}"#, clock(clock_s)))
        }
    };
    let data = format!(
        r#"{{"id":{id},"match":{},"type":"{what}","period":{},"clock":"{}"{rest}}}"#,
        game.number,
        game.period,
        clock(game.clock_s)
    );
    Publication::new(&game.clubs.topic("event"), Kind::Event, data)
}

/// Makes the scoreboard of the match.
pub(super) fn score(game: &Match) -> Publication {
    let status = match (game.phase, game.period) {
        (Phase::Playing, 1) => "first_half",
        (Phase::Playing, _) => "second_half",
        (Phase::HalfTime, _) => "half_time",
        (Phase::FullTime, _) => "full_time",
        (Phase::Interrupted, _) => "interrupted",
    };
    let data = format!(
        r#"{{"match":{},"home":"{}","away":"{}","home_goals":{},"away_goals":{},"status":"{status}","period":{},"clock":"{}","coverage":"{}"}}"#,
        game.number,
        game.clubs.name(Side::Home),
        game.clubs.name(Side::Away),
        game.goals[0],
        game.goals[1],
        game.period,
        clock(game.clock_s),
        if game.is_covered { "live" } else { "suspended" }
    );
    Publication::new(&game.clubs.topic("score"), Kind::State, data)
}
