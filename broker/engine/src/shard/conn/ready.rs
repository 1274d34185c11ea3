//! `ready`: reports to a client, once, that everything a request asked for has begun.
//!
//! Every want and walk that the request created holds its token until it has begun. Whatever removes a want (the end of
//! the topic, another request) drops the token with it, so that nothing has to be counted in two places.

use std::sync::Arc;

/// Holds back the `ready` of one request while there is a clone of it.
#[derive(Clone, Debug)]
pub(crate) struct Token(Arc<()>);

impl Token {
    pub(crate) fn new() -> Self {
        Self(Arc::new(()))
    }

    /// Whether there is no other clone.
    fn is_last(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

/// The requests of a connection whose `ready` is still to be sent. `None` for most connections.
#[derive(Debug, Default)]
#[allow(clippy::box_collection, reason = "most connections have none: eight bytes instead of 24")]
pub(crate) struct Readies(Option<Box<Vec<Waiting>>>);

/// A request's `id`, and what holds its `ready` back.
type Waiting = (Option<Box<[u8]>>, Token);

/// What one costs in memory in bytes, with an `id` of the usual length.
const READY_BYTES: usize = 128;

impl Readies {
    pub(crate) fn push(&mut self, id: Option<Box<[u8]>>, token: Token) {
        self.0.get_or_insert_default().push((id, token));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |list| list.capacity() * READY_BYTES)
    }

    pub(crate) fn take_begun(&mut self) -> Vec<Option<Box<[u8]>>> {
        let Some(list) = &mut self.0 else { return Vec::new() };
        let begun = list.extract_if(.., |(_, token)| token.is_last()).map(|(id, _)| id).collect();
        if list.is_empty() {
            self.0 = None;
        }
        begun
    }
}
