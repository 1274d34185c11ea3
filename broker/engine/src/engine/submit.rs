//! With a journal: a command is checked by what this broker knows now, and waits for its place in the log. It is applied
//! when the log is read.

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::{Publication, Refusal};
use broker_protocol::topic::is_reserved;

use super::{Engine, Publisher, check_writable, refuse};
use crate::journal::{Journal, ReplyTo};
use crate::log::{Entry, Settings};
use crate::sources::SOURCES_MAX;

impl Engine {
    /// Hands a client's update to the journal. `reply_to` is told what comes of it, unless it is refused at once.
    ///
    /// # Errors
    /// `bad_topic` and `forbidden`, `limit` if it would begin one topic too many or if images or sources take what they
    /// may, and `unavailable` while the log cannot be written.
    pub fn submit_publish(
        &self,
        journal: &Journal,
        update: &Publication<'_>,
        reply_to: ReplyTo,
    ) -> Result<(), Refusal> {
        check_writable(&update.topic, Publisher::Client)?;
        let begins = journal.gathering().may_end(&update.topic) || self.directory.read().get(&update.topic).is_none();
        self.check_sums(journal, &update.topic, begins)?;
        journal.gathering().publish(update, begins, reply_to)
    }

    /// Hands the end of a topic to the journal.
    ///
    /// # Errors
    /// Those of [`Engine::delete`], and `unavailable` while the log cannot be written.
    pub fn submit_end(&self, journal: &Journal, name: &str, reply_to: ReplyTo) -> Result<(), Refusal> {
        self.check_end(name, Publisher::Client)?;
        journal.gathering().submit(&Entry::End { topic: name, only: None }, reply_to)
    }

    /// Hands the settings on which it depends what comes of commands to the journal, if they differ from those in force.
    ///
    /// # Errors
    /// `unavailable` while the log cannot be written, and `bad_request` for more rules than a record may have.
    pub fn submit_settings(&self, journal: &Journal) -> Result<(), Refusal> {
        let own = self.own_settings();
        if journal.settings().as_ref() == Some(&own) {
            return Ok(());
        }
        journal.gathering().submit(&Entry::Settings(own), ReplyTo::Nobody)
    }

    /// This broker's own settings on which it depends what comes of commands.
    pub fn own_settings(&self) -> Settings {
        Settings {
            image_bytes: self.limits.image_bytes(),
            message_bytes: self.limits.message_bytes,
            topics_max: self.limits.topics_max(),
            images_bytes_max: self.limits.images_bytes_max(),
            topic_sources: SOURCES_MAX as u64,
            rules: self.limits.rules().kinds(),
        }
    }

    /// Maximum bytes of one topic's image: with a journal, what its log says.
    pub(crate) fn image_bytes(&self) -> u64 {
        let own = || self.limits.image_bytes();
        self.journal.as_ref().map_or_else(own, |journal| journal.rules.image_bytes())
    }

    /// Takes on the settings of a log.
    pub fn adopt_settings(&self, settings: &Settings) {
        if let Some(journal) = &self.journal {
            journal.rules.adopt(settings);
        }
    }

    /// Refuses an update if a sum over all topics takes what it may. What waits for the log is not in the sums yet: so
    /// they may come to exceed their bounds by what `journal_queue_bytes` admits, but topics do not, unless other brokers
    /// begin some.
    fn check_sums(&self, journal: &Journal, name: &str, begins: bool) -> Result<(), Refusal> {
        if is_reserved(name) {
            return Ok(());
        }
        let topics_max = self.limits.topics_max();
        if begins && self.topics_len() as u64 + journal.gathering().beginning() >= topics_max {
            let message = format!("\"{name}\" would exceed topics_max ({topics_max})");
            return Err(refuse(ErrorCode::Limit, message));
        }
        let sums = [
            ("images", "images_bytes_max", self.budget.images(), self.limits.images_bytes_max()),
            ("sources", "sources_bytes_max", self.budget.sources(), self.limits.sources_bytes_max()),
        ];
        match sums.into_iter().find(|(_, _, held, max)| held >= max) {
            Some((what, setting, _, max)) => {
                let message = format!("\"{name}\": all {what} together take the {max} bytes that they may ({setting})");
                Err(refuse(ErrorCode::Limit, message))
            }
            None => Ok(()),
        }
    }
}
