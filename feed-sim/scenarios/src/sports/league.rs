//! The teams of a sport, and who plays whom.

use super::Side;

/// The teams of a sport. All of them are made up.
pub(crate) struct League {
    /// The name of the sport in topics.
    pub(crate) sport: &'static str,
    /// The code of a team in topics, and its name.
    pub(crate) known: &'static [(&'static str, &'static str)],
    /// The code and name of further teams, before their number.
    pub(crate) others: (&'static str, &'static str),
}

/// Each ground has teams of its own, so that no team plays twice at once.
const TEAMS_PER_GROUND: u32 = 4;

impl League {
    /// The teams of round `round` on ground number `ground`. Pairings repeat after twelve rounds, so that a feed that
    /// runs for a week has no more topics than after some hours.
    pub(crate) fn pairing(&self, ground: u32, round: u32) -> Teams {
        let home = round % TEAMS_PER_GROUND;
        let away = (home + 1 + (round / TEAMS_PER_GROUND) % (TEAMS_PER_GROUND - 1)) % TEAMS_PER_GROUND;
        let team = |number| self.team(ground * TEAMS_PER_GROUND + number);
        Teams { sport: self.sport, teams: [team(home), team(away)] }
    }

    fn team(&self, number: u32) -> Team {
        let (letter, word) = self.others;
        match self.known.get(number as usize) {
            Some(&(code, name)) => Team { code: code.to_owned(), name: name.to_owned() },
            None => Team { code: format!("{letter}{number:02}"), name: format!("{word} {number}") },
        }
    }
}

struct Team {
    code: String,
    name: String,
}

/// The two teams of a game, as topics and events name them.
pub(crate) struct Teams {
    sport: &'static str,
    teams: [Team; 2],
}

impl Teams {
    pub(crate) fn name(&self, side: Side) -> &str {
        &self.teams[side as usize].name
    }

    /// A topic of the game, such as `sports.football.NOR-HAR.score`.
    pub(crate) fn topic(&self, what: &str) -> String {
        let [home, away] = &self.teams;
        format!("sports.{}.{}-{}.{what}", self.sport, home.code, away.code)
    }

    /// The fields of an event that name its side.
    pub(crate) fn of(&self, side: Side) -> String {
        format!(r#","team":"{}","club":"{}""#, side.name(), self.name(side))
    }

    /// The fields of an event that name its side and player.
    pub(crate) fn by(&self, side: Side, player: u32) -> String {
        format!(r#"{},"player":{player}"#, self.of(side))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn twelve_rounds_are_twelve_pairings() {
        let league = League { sport: "chess", known: &[("ONE", "First"), ("TWO", "Second")], others: ("T", "Team") };
        let rounds = |from: u32| -> BTreeSet<String> {
            (from..from + 12).map(|round| league.pairing(1, round).topic("score")).collect()
        };
        assert_eq!(rounds(0).len(), 12);
        assert_eq!(rounds(0), rounds(12));
        let distinct = |teams: Teams| teams.name(Side::Home) != teams.name(Side::Away);
        assert!((0..12).all(|round| distinct(league.pairing(0, round))));
        let teams = league.pairing(0, 1);
        assert_eq!(teams.topic("event"), "sports.chess.TWO-T02.event");
        assert_eq!(teams.by(Side::Away, 7), r#","team":"away","club":"Team 2","player":7"#);
    }
}
