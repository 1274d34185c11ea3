//! What is looked at now and then: checkpoints, how long nothing has come, the settings of the log.

use broker_engine::journal::{Journal, ReplyTo};
use broker_engine::log::Entry;

use super::Drive;
use crate::nats::checkpointing::ToDo;
use crate::nats::stream;
use crate::status::{get, set};

impl Drive {
    /// Carries on with checkpoints, and tells how long nothing has come.
    pub(super) async fn look(&mut self, now_us: u64) {
        let silent_us = now_us.saturating_sub(self.heard_us.0);
        set(&self.log.nats.silent_ms, silent_us / 1000);
        let is_stale = silent_us >= self.log.options.stale_ms * 1000;
        if is_stale != self.log.nats.is_stale() {
            match is_stale {
                true => {
                    let (silent_ms, why) = (silent_us / 1000, &self.trouble);
                    tracing::warn!(silent_ms, why, "nothing comes from the log: clients are told so");
                }
                false => tracing::info!("the log goes on"),
            }
            self.log.nats.set_stale(is_stale.then_some(self.heard_us.1 / 1000));
        }
        let engine = self.engine.clone();
        let Some(journal) = engine.journal() else { return };
        let completed = get(&self.log.status.checkpoints);
        let to_do = self.checkpointing.step(&self.log, &engine, &self.applied, self.read.as_ref()).await;
        let node = &self.log.options.node;
        let said = match &to_do {
            ToDo::Nothing => Ok(()),
            ToDo::Ask => journal.gathering().submit(&Entry::CheckpointBegins { node }, ReplyTo::Nobody),
            ToDo::Say(object) => {
                let entry = Entry::Checkpoint { position: object.begin.position, object: &object.name };
                journal.gathering().submit(&entry, ReplyTo::Nobody)
            }
        };
        if said.is_err() {
            self.checkpointing.forget_asking();
        }
        // One of this broker's own cuts the log before it stands in it, which it may not if the log was full.
        self.is_cut |= get(&self.log.status.checkpoints) > completed;
        if self.is_cut
            && self.log.links.stand()
            && let Ok(found) = stream::info(&self.log.stream).await
        {
            self.is_cut = false;
            set(&self.log.status.log_bytes, found.state.bytes);
        }
    }

    /// The settings of the log count, whatever this broker's are.
    pub(super) fn compare_settings(&self) {
        let Some(settings) = self.engine.journal().and_then(Journal::settings) else { return };
        let differ = settings != self.engine.own_settings();
        if differ && !self.log.nats.settings_differ() {
            tracing::warn!(
                "image_bytes, message_bytes, topics_max, images_bytes_max or the kinds of [[topics]] differ from those of \
                 the log, which count on all of its brokers: `tickcast journal settings` shows both, and with --apply writes \
                 this configuration's into the log"
            );
        }
        self.log.nats.set_settings_differ(differ);
    }
}
