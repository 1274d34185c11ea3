//! The messages of a game, as bytes.

use super::game::{Game, Phase};
use crate::sports::{Side, clock};
use feed_player::publication::{Kind, Publication};

/// The fields of an event beside its time.
pub(super) enum Detail {
    /// An event of the game as a whole.
    Plain(&'static str),
    /// An event of a team: a time-out, or the ball after it went out.
    Team {
        what: &'static str,
        side: Side,
    },
    By {
        what: &'static str,
        side: Side,
        player: u32,
    },
    Shot {
        side: Side,
        player: u32,
        points: u32,
        made: bool,
        assist: Option<u32>,
    },
    FreeThrow {
        side: Side,
        player: u32,
        number: u32,
        of: u32,
        made: bool,
    },
    Rebound {
        side: Side,
        player: u32,
        kind: &'static str,
    },
    Foul {
        side: Side,
        player: u32,
        kind: &'static str,
    },
    Substitution {
        side: Side,
        player: u32,
        player_on: u32,
    },
    /// The withdrawal of a basket.
    Cancelled {
        side: Side,
        corrects: u64,
        reason: &'static str,
    },
    /// The correction of a field of an earlier event.
    Correction {
        corrects: u64,
        field: &'static str,
        value: u32,
    },
}

/// Makes an event of the game.
pub(super) fn event(game: &Game, id: u64, detail: Detail) -> Publication {
    let of = |side| game.teams.of(side);
    let by = |side, player| game.teams.by(side, player);
    let (what, rest) = match detail {
        Detail::Plain(what) => (what, String::new()),
        Detail::Team { what, side } => (what, of(side)),
        Detail::By { what, side, player } => (what, by(side, player)),
        Detail::Shot { side, player, points, made, assist } => {
            let assist = assist.map_or(String::new(), |assist| format!(r#","assist":{assist}"#));
            ("shot", format!(r#"{},"points":{points},"made":{made}{assist}"#, by(side, player)))
        }
        Detail::FreeThrow { side, player, number, of, made } => {
            ("free_throw", format!(r#"{},"points":1,"made":{made},"number":{number},"of":{of}"#, by(side, player)))
        }
        Detail::Rebound { side, player, kind } => ("rebound", format!(r#"{},"kind":"{kind}""#, by(side, player))),
        Detail::Foul { side, player, kind } => ("foul", format!(r#"{},"kind":"{kind}""#, by(side, player))),
        Detail::Substitution { side, player, player_on } => {
            ("substitution", format!(r#"{},"player_on":{player_on}"#, by(side, player)))
        }
        Detail::Cancelled { side, corrects, reason } => {
            ("basket_cancelled", format!(r#"{},"corrects":{corrects},"reason":"{reason}""#, of(side)))
        }
        Detail::Correction { corrects, field, value } => {
            ("correction", format!(r#","corrects":{corrects},"set":{{"{field}":{value}}}"#))
        }
    };
    let data = format!(
        r#"{{"id":{id},"game":{},"type":"{what}","period":{},"clock":"{}"{rest}}}"#,
        game.number,
        game.period,
        clock(game.clock_s)
    );
    Publication::new(&game.teams.topic("event"), Kind::Event, data)
}

/// Makes the scoreboard of the game.
pub(super) fn score(game: &Game) -> Publication {
    let status = match game.phase {
        Phase::Playing => "playing",
        Phase::Timeout => "timeout",
        Phase::Break => "break",
        Phase::Final => "final",
    };
    let data = format!(
        r#"{{"game":{},"home":"{}","away":"{}","home_points":{},"away_points":{},"status":"{status}","period":{},"clock":"{}","possession":"{}","home_fouls":{},"away_fouls":{}}}"#,
        game.number,
        game.teams.name(Side::Home),
        game.teams.name(Side::Away),
        game.points(Side::Home),
        game.points(Side::Away),
        game.period,
        clock(game.clock_s),
        game.attack.name(),
        game.period_fouls[0],
        game.period_fouls[1],
    );
    Publication::new(&game.teams.topic("score"), Kind::State, data)
}
