//! With a journal: the answers for which an HTTP request waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker_engine::journal::{Journal, ReplyTo, Waiter, unknown};
use broker_engine::{Outcome, Published};
use broker_protocol::request::Refusal;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::sync::lock;

/// What came of an update.
pub(super) type Answer = Result<Published, Refusal>;

/// So many updates of one request may be on their way to the log.
const OPEN_MAX: usize = 1024;

/// The updates of one request, by the numbers that it gave them. What came of them is told in their order.
pub(super) struct Awaiting<'a> {
    pub(super) journal: &'a Journal,
    answers: Arc<Answers>,
    /// Those of which it is not told yet; with a refusal if they were refused at once.
    open: VecDeque<(u64, Option<Refusal>)>,
    unavailable: Duration,
}

#[derive(Default)]
struct Answers {
    back: Mutex<VecDeque<(u64, Result<Outcome, Refusal>)>>,
    changed: Notify,
}

impl Waiter for Answers {
    fn answered(&self, number: u64, result: Result<Outcome, Refusal>) {
        lock(&self.back).push_back((number, result));
        self.changed.notify_one();
    }
}

impl<'a> Awaiting<'a> {
    pub(super) fn new(journal: &'a Journal) -> Self {
        let unavailable = Duration::from_millis(journal.unavailable_ms());
        Self { journal, answers: Arc::default(), open: VecDeque::new(), unavailable }
    }

    /// Where the answer to an update goes. It is to be noted with [`Awaiting::submitted`].
    pub(super) fn reply_to(&self, number: u64) -> ReplyTo {
        ReplyTo::Waiter(self.answers.clone(), number)
    }

    /// Notes that an update was submitted, or refused at once.
    pub(super) fn submitted(&mut self, number: u64, result: Result<(), Refusal>) {
        self.open.push_back((number, result.err()));
    }

    /// Whether answers have to be taken before the next update.
    pub(super) fn is_full(&self) -> bool {
        self.open.len() >= OPEN_MAX
    }

    /// Waits until it is known what came of the next update; `None` if there is none. If that takes too long, it is
    /// `unavailable`, and so are those after it that are not back yet.
    pub(super) async fn next(&mut self) -> Option<(u64, Answer)> {
        let (number, _) = self.open.front()?;
        let (number, end) = (*number, Instant::now() + self.unavailable);
        loop {
            if let Some(answer) = self.take() {
                return Some(answer);
            }
            if timeout_at(end, self.answers.changed.notified()).await.is_err() {
                self.open.pop_front();
                self.unavailable = Duration::ZERO;
                return Some((number, Err(unknown())));
            }
        }
    }

    /// Tells what came of the next update, if that is known.
    pub(super) fn take(&mut self) -> Option<(u64, Answer)> {
        if let Some((number, refusal @ Some(_))) = self.open.front_mut() {
            let answer = refusal.take().map(|refusal| (*number, Err(refusal)));
            self.open.pop_front();
            return answer;
        }
        loop {
            let (number, result) = lock(&self.answers.back).pop_front()?;
            // One that was given up is not open any more.
            if self.open.front().is_some_and(|(open, _)| *open == number) {
                self.open.pop_front();
                return Some((number, result.and_then(|outcome| outcome.published().ok_or_else(unknown))));
            }
        }
    }
}
