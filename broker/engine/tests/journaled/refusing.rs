//! The log takes nothing any more, until the next session is opened.

use broker_engine::journal::{Waiting, unknown};

use super::log::{Command, Submitted};
use super::model;
use super::offer::Told;
use super::producer::Answer;
use super::world::World;

impl World {
    /// The log cannot be written any more: nobody knows of what is on its way, and what has not been sent is refused.
    pub fn refuse(&mut self) -> Result<(), String> {
        if self.log.is_refused {
            return Ok(());
        }
        self.log(|| "the log refuses".to_owned());
        self.met("refused by the log");
        while self.apply()? {}
        let waiting = self.journal().gathering().refuse("there is no room");
        self.log.is_refused = true;
        self.log.lost.clear();
        for mut sent in std::mem::take(&mut self.log.in_flight) {
            let (answered, commands) = (sent.waiting.take(), std::mem::take(&mut sent.commands));
            for (command, waiting) in commands.into_iter().zip(answered.into_iter().flatten()) {
                sent.commands.push(command.again());
                self.answer_unavailable(command, waiting, false)?;
            }
            self.log.lost.push_back(sent);
        }
        if waiting.len() != self.log.submitted.len() {
            return Err(format!("{} commands are refused, and {} wait", waiting.len(), self.log.submitted.len()));
        }
        for waiting in waiting {
            let Some(command) = self.log.submitted.pop_front() else { break };
            self.answer_unavailable(command, waiting, true)?;
        }
        Ok(())
    }

    fn answer_unavailable(&mut self, command: Submitted, waiting: Waiting, never: bool) -> Result<(), String> {
        if matches!(command.what, Command::Control) {
            return self.answer(command, waiting, None, None);
        }
        let told = Told::Refused("unavailable");
        let right = match &command.what {
            Command::Update { update, .. } => {
                (self.updates[*update].told, self.updates[*update].never) = (Some(told.clone()), never);
                Answer::Update(told)
            }
            _ => Answer::End(model::Outcome::Refused("unavailable")),
        };
        self.answer(command, waiting, Some(Err(unknown())), Some(right))
    }
}

impl Submitted {
    /// The same command, for which nobody waits.
    fn again(&self) -> Self {
        let what = match &self.what {
            Command::Update { update, offer, .. } => {
                Command::Update { update: *update, offer: offer.clone(), shard: None }
            }
            Command::End { topic, only } => Command::End { topic: topic.clone(), only: only.clone() },
            Command::Control => Command::Control,
        };
        Self { what, begins: false, waiter: None }
    }
}
