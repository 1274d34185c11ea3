//! Batches of acknowledged updates: written as one message or several, answered as one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::oneshot;

use crate::error::PublishError;
use crate::publish::BatchAnswer;
use crate::sync::lock;
use crate::wire::entry::Entry;
use crate::wire::incoming::Rejected;

/// Some or all updates of a batch.
#[derive(Debug)]
pub(crate) struct BatchPart {
    pub(crate) entries: VecDeque<Entry>,
    /// The index of the first of them in the batch.
    pub(crate) first_index: usize,
    pub(crate) collector: Arc<Collector>,
}

impl BatchPart {
    /// Splits off the updates from index `at` of this part on; `None` if there are none.
    pub(crate) fn split_off(&mut self, at: usize) -> Option<BatchPart> {
        let entries = self.entries.split_off(at);
        let rest = BatchPart { entries, first_index: self.first_index + at, collector: self.collector.clone() };
        (!rest.entries.is_empty()).then_some(rest)
    }
}

/// Combines the answers to the parts of a batch.
#[derive(Debug)]
pub(crate) struct Collector(Mutex<Collected>);

#[derive(Debug)]
struct Collected {
    unanswered: usize,
    so_far: BatchAnswer,
    /// Taken when the batch ends, with success or with an error.
    answer: Option<oneshot::Sender<Result<BatchAnswer, PublishError>>>,
}

impl Collector {
    pub(crate) fn new(updates: usize, answer: oneshot::Sender<Result<BatchAnswer, PublishError>>) -> Collector {
        Collector(Mutex::new(Collected { unanswered: updates, so_far: BatchAnswer::default(), answer: Some(answer) }))
    }

    /// Whether no caller waits any more: the batch failed, or its future was dropped.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().answer.as_ref().is_none_or(|answer| answer.is_closed())
    }

    pub(crate) fn answered(
        &self,
        part: &BatchPart,
        accepted: u64,
        duplicates: u64,
        rejected: Vec<Rejected>,
        retry_ms: Option<u64>,
    ) {
        let mut collected = self.lock();
        collected.so_far.retry_ms = collected.so_far.retry_ms.max(retry_ms);
        collected.so_far.accepted += accepted;
        collected.so_far.duplicates += duplicates;
        let in_batch = rejected.into_iter().map(|one| (part.first_index + one.index, one.code, one.message));
        collected.so_far.rejected.extend(in_batch);
        collected.unanswered = collected.unanswered.saturating_sub(part.entries.len());
        if collected.unanswered == 0
            && let Some(answer) = collected.answer.take()
        {
            let _ = answer.send(Ok(std::mem::take(&mut collected.so_far)));
        }
    }

    pub(crate) fn fail(&self, error: PublishError) {
        if let Some(answer) = self.lock().answer.take() {
            let _ = answer.send(Err(error));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Collected> {
        lock(&self.0)
    }
}
