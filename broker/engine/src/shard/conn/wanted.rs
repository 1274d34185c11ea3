//! A hold on a topic, counted in the sum of what connections want.

use std::ops::Deref;
use std::sync::Arc;

use super::want::WANT_BYTES;
use crate::topic::Topic;

/// A topic of which a connection wants something: what it holds is kept for that even when it ends.
#[derive(Debug)]
pub(crate) struct Wanted(Arc<Topic>);

impl Wanted {
    pub(crate) fn new(topic: Arc<Topic>) -> Self {
        topic.begin_wanting(WANT_BYTES);
        Self(topic)
    }
}

impl Clone for Wanted {
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl Deref for Wanted {
    type Target = Arc<Topic>;

    fn deref(&self) -> &Arc<Topic> {
        &self.0
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.end_wanting(WANT_BYTES);
    }
}
