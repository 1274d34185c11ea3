//! The score of a match.

use super::fields::Event;
use feed_player::publication::push_string;

/// The period of the penalty shoot-out, whose goals are not goals of the match.
const SHOOT_OUT: u32 = 5;

/// The teams and their goals.
#[derive(Default)]
pub(super) struct Scoreboard {
    /// The teams in the order in which they appear: home, away.
    teams: Vec<String>,
    goals: [u32; 2],
    penalties: [u32; 2],
    period: u32,
    minute: u32,
    status: &'static str,
    /// The score that was published last.
    published: String,
}

impl Scoreboard {
    /// Returns the index of a team: 0 for the home team, 1 for the other. An error if it is a third team.
    pub(super) fn team(&mut self, name: &str) -> Result<usize, String> {
        match self.teams.iter().position(|team| team == name) {
            Some(nth) => Ok(nth),
            None if self.teams.len() < 2 => {
                self.teams.push(name.to_owned());
                Ok(self.teams.len() - 1)
            }
            None => Err(format!("{name:?} is a third team")),
        }
    }

    /// Applies an event of a team. Returns the new score if it changed.
    pub(super) fn take(&mut self, event: &Event<'_>, team: Option<usize>) -> Option<String> {
        if let Some(team) = team.filter(|_| event.is_goal()) {
            let count = if event.period == SHOOT_OUT { &mut self.penalties } else { &mut self.goals };
            count[team] += 1;
        }
        // An event that was entered late does not turn the clock back.
        if (event.period, event.minute) >= (self.period, self.minute) {
            (self.period, self.minute) = (event.period, event.minute);
        }
        match &*event.kind.name {
            "Half End" => self.status = ended(event.period),
            "Half Start" => self.status = playing(event.period),
            _ if self.status.is_empty() => self.status = "pre_match",
            _ => {}
        }
        let [home, away] = self.teams.as_slice() else { return None };
        let text = self.text(home, away);
        if text == self.published {
            return None;
        }
        self.published.clone_from(&text);
        Some(text)
    }

    fn text(&self, home: &str, away: &str) -> String {
        let mut text = String::from("{\"home\":");
        push_string(&mut text, home);
        text.push_str(",\"away\":");
        push_string(&mut text, away);
        text += &format!(r#","home_goals":{},"away_goals":{}"#, self.goals[0], self.goals[1]);
        if self.period == SHOOT_OUT {
            text += &format!(r#","home_penalties":{},"away_penalties":{}"#, self.penalties[0], self.penalties[1]);
        }
        text += &format!(r#","status":"{}","period":{},"minute":{}}}"#, self.status, self.period, self.minute);
        text
    }
}

fn playing(period: u32) -> &'static str {
    match period {
        1 => "first_half",
        2 => "second_half",
        SHOOT_OUT => "shoot_out",
        _ => "extra_time",
    }
}

/// Returns the status after a period. After the second half the match may be over; extra time begins with its own
/// event.
fn ended(period: u32) -> &'static str {
    match period {
        1 => "half_time",
        3 => "extra_half_time",
        _ => "full_time",
    }
}
