//! Publishers and operators that are no connections, as those that come by HTTP: each waits for its own commands.

use std::sync::Mutex;

use broker_engine::Outcome;
use broker_engine::journal::Waiter;
use broker_protocol::request::Refusal;

use super::model;
use super::offer::Told;

/// What one command came to, as its publisher was told.
type Answered = (u64, Result<Outcome, Refusal>);

/// Somebody who waits.
#[derive(Default)]
pub struct Producer(Mutex<Vec<Answered>>);

impl Waiter for Producer {
    fn answered(&self, number: u64, result: Result<Outcome, Refusal>) {
        self.0.lock().expect("nobody panics").push((number, result));
    }
}

impl Producer {
    /// Takes out the only answer that came, and compares it with what it must be.
    pub fn check(&self, number: u64, right: &Answer) -> Result<(), String> {
        let answers = std::mem::take(&mut *self.0.lock().expect("nobody panics"));
        let [(told, result)] = &answers[..] else { return Err(format!("{} answers for {number}", answers.len())) };
        let same = *told == number
            && match (right, result) {
                (Answer::Update(Told::Done { epoch, seq, duplicate }), Ok(Outcome::Published(done))) => {
                    done.topic.epoch() == epoch && done.seq == *seq && done.duplicate == *duplicate
                }
                (Answer::Update(Told::Refused(code)), Err(refusal)) => refusal.code.as_str() == *code,
                (Answer::End(model::Outcome::Ended { seq }), Ok(Outcome::Ended(done))) => done.seq == *seq,
                (Answer::End(model::Outcome::WentOn), Ok(Outcome::WentOn)) => true,
                (Answer::End(model::Outcome::Refused(code)), Err(refusal)) => refusal.code.as_str() == *code,
                _ => false,
            };
        if same { Ok(()) } else { Err(format!("a producer was told {result:?} of {number}, and not {right:?}")) }
    }
}

/// What a producer must be told.
#[derive(Debug)]
pub enum Answer {
    Update(Told),
    End(model::Outcome),
}
