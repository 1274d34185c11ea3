//! The settings on which it depends what comes of a command. With a journal they are those that stand in its log, so that
//! a restart, or another broker, comes to the same.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, RwLock};

use broker_protocol::kind::Kind;

use crate::log::{Full, Settings};
use crate::sync::unpoisoned;

/// The settings of the log that are in force, and what brokers have said in it that is at its bound.
#[derive(Default)]
pub(crate) struct Rules {
    settings: RwLock<Option<Arc<Settings>>>,
    /// The code of [`Full`].
    full: AtomicU8,
}

impl Rules {
    pub(crate) fn adopt(&self, settings: &Settings) {
        *unpoisoned(self.settings.write()) = Some(Arc::new(settings.clone()));
    }

    pub(crate) fn settings(&self) -> Option<Settings> {
        unpoisoned(self.settings.read()).as_deref().cloned()
    }

    pub(crate) fn adopt_full(&self, full: Full) {
        self.full.store(full.code(), Ordering::Relaxed);
    }

    pub(crate) fn full(&self) -> Full {
        Full::of_code(self.full.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// Maximum bytes of what a program publishes to the log itself; `None` while the log has no settings.
    pub(crate) fn message_bytes(&self) -> Option<u64> {
        unpoisoned(self.settings.read()).as_ref().map(|settings| settings.message_bytes)
    }

    /// Maximum number of topics, and maximum bytes of all images together.
    pub(crate) fn sums_max(&self) -> (u64, u64) {
        let settings = unpoisoned(self.settings.read());
        settings.as_ref().map_or((u64::MAX, u64::MAX), |settings| (settings.topics_max, settings.images_bytes_max))
    }

    /// The kind that a topic's updates must have, if one is fixed; a topic that grows by patches has that of states.
    pub(crate) fn kind_of(&self, topic: &str) -> Option<Kind> {
        let settings = unpoisoned(self.settings.read()).clone()?;
        let rule = settings.rules.iter().find(|rule| rule.pattern.matches(topic))?;
        rule.kind.map(Kind::of_topic)
    }

    /// The maximum bytes of one topic's image; without settings, there is none.
    pub(crate) fn image_bytes(&self) -> u64 {
        unpoisoned(self.settings.read()).as_ref().map_or(u64::MAX, |settings| settings.image_bytes)
    }
}
