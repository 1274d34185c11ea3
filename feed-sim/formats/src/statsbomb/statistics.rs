//! The statistics of both teams.

use super::fields::{Event, Foul};
use feed_player::publication::Kind;

/// The names of the counts, in the order of [`Count`].
const NAMES: [&str; 9] = [
    "passes",
    "passes_complete",
    "shots",
    "shots_on_target",
    "corners",
    "fouls",
    "yellow_cards",
    "red_cards",
    "substitutions",
];

#[derive(Debug, Clone, Copy)]
enum Count {
    Passes,
    PassesComplete,
    Shots,
    ShotsOnTarget,
    Corners,
    Fouls,
    YellowCards,
    RedCards,
    Substitutions,
}

const SIDES: [&str; 2] = ["home", "away"];
/// How many messages there are from one with all statistics to the next.
const WHOLE_EVERY: u32 = 256;

/// The statistics of a match.
#[derive(Default)]
pub(super) struct Statistics {
    counts: [[u32; NAMES.len()]; 2],
    possession: Option<usize>,
    messages: u32,
}

impl Statistics {
    /// Applies an event of a team. Returns what changed, to be published.
    pub(super) fn take(
        &mut self,
        event: &Event<'_>,
        team: Option<usize>,
        possession: Option<usize>,
    ) -> Option<(Kind, String)> {
        let counted = team.map_or(Vec::new(), |_| counted(event));
        if let Some(team) = team {
            for &count in &counted {
                self.counts[team][count as usize] += 1;
            }
        }
        let turned = possession.filter(|_| possession != self.possession);
        self.possession = possession.or(self.possession);
        if counted.is_empty() && turned.is_none() {
            return None;
        }
        let whole = self.messages.is_multiple_of(WHOLE_EVERY);
        self.messages += 1;
        if whole {
            return Some((Kind::State, self.whole()));
        }
        let mut parts = Vec::new();
        if let Some(team) = team.filter(|_| !counted.is_empty()) {
            parts.push(self.part(team, counted.iter().map(|&count| count as usize)));
        }
        if let Some(turned) = turned {
            parts.push(format!(r#""possession":"{}""#, SIDES[turned]));
        }
        Some((Kind::Patch, format!("{{{}}}", parts.join(","))))
    }

    fn whole(&self) -> String {
        let possession = self.possession.map_or("null".to_owned(), |team| format!(r#""{}""#, SIDES[team]));
        let [home, away] = [0, 1].map(|team| self.part(team, 0..NAMES.len()));
        format!(r#"{{{home},{away},"possession":{possession}}}"#)
    }

    fn part(&self, team: usize, counts: impl Iterator<Item = usize>) -> String {
        let counts: Vec<String> =
            counts.map(|count| format!(r#""{}":{}"#, NAMES[count], self.counts[team][count])).collect();
        format!(r#""{}":{{{}}}"#, SIDES[team], counts.join(","))
    }
}

/// Returns the counts that an event increments.
fn counted(event: &Event<'_>) -> Vec<Count> {
    let mut counted = match &*event.kind.name {
        "Pass" => passes(event),
        // A shoot-out is not part of a match's statistics.
        "Shot" if event.period <= 4 => shots(event),
        "Foul Committed" => vec![Count::Fouls],
        "Substitution" => vec![Count::Substitutions],
        _ => Vec::new(),
    };
    let cards = [&event.foul_committed, &event.bad_behaviour].into_iter().flatten().filter_map(card);
    // An event is either a foul or bad behaviour.
    counted.extend(cards.take(1));
    counted
}

fn passes(event: &Event<'_>) -> Vec<Count> {
    let mut counted = vec![Count::Passes];
    if let Some(pass) = &event.pass {
        if pass.outcome.is_none() {
            counted.push(Count::PassesComplete);
        }
        if pass.kind.as_ref().is_some_and(|kind| kind.name == "Corner") {
            counted.push(Count::Corners);
        }
    }
    counted
}

fn shots(event: &Event<'_>) -> Vec<Count> {
    let on_target =
        event.shot.as_ref().is_some_and(|shot| matches!(&*shot.outcome.name, "Goal" | "Saved" | "Saved To Post"));
    if on_target { vec![Count::Shots, Count::ShotsOnTarget] } else { vec![Count::Shots] }
}

/// Returns the count of a card; a second yellow card is a red one.
fn card(foul: &Foul<'_>) -> Option<Count> {
    match &*foul.card.as_ref()?.name {
        "Yellow Card" => Some(Count::YellowCards),
        "Red Card" | "Second Yellow" => Some(Count::RedCards),
        _ => None,
    }
}
