//! The score of a match.

use super::fields::Event;
use feed_player::publication::push_string;

/// The period that is a penalty shoot-out: what is scored there is no goal of the match.
const SHOOT_OUT: u32 = 5;

/// The teams and their goals.
#[derive(Default)]
pub(super) struct Scoreboard {
    /// Home and away, in the order in which they appear.
    teams: Vec<String>,
    goals: [u32; 2],
    penalties: [u32; 2],
    period: u32,
    minute: u32,
    status: &'static str,
    /// As it was published last.
    published: String,
}

impl Scoreboard {
    /// Which of the two teams it is, 0 for the one at home.
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

    /// Takes in an event of a team; the new score where something changed.
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

/// What follows a period, as far as one can know: after the second half there may be extra time, which then begins.
fn ended(period: u32) -> &'static str {
    match period {
        1 => "half_time",
        3 => "extra_half_time",
        _ => "full_time",
    }
}
