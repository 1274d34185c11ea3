//! Requests that wait for their answer.

use std::collections::BTreeMap;

use crate::request::Request;

/// The requests without an answer, by number.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// The number of the last request. Numbers are not reused, not even on another connection.
    last_id: u64,
    requests: BTreeMap<u64, Request>,
    /// The bytes of their updates.
    bytes: usize,
}

impl InFlight {
    /// The number for another request.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn insert(&mut self, id: u64, request: Request) {
        self.bytes += request.bytes();
        self.requests.insert(id, request);
    }

    /// Takes out the request that an answer is for.
    pub(super) fn remove(&mut self, id: u64) -> Option<Request> {
        let request = self.requests.remove(&id)?;
        self.bytes -= request.bytes();
        Some(request)
    }

    /// Takes out all requests, in the order in which they were written.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Request> + use<> {
        self.bytes = 0;
        std::mem::take(&mut self.requests).into_values()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Answers the flushes that have no request before them any more.
    pub(super) fn flush(&mut self) {
        while let Some(entry) = self.requests.first_entry()
            && matches!(entry.get(), Request::Flush { .. })
        {
            if let Request::Flush { answer } = entry.remove() {
                let _ = answer.send(());
            }
        }
    }
}
