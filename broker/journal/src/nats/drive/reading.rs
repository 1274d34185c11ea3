//! Reading on after the consumer or a connection was lost, and beginning a generation if the log went back.

use super::{Drive, End};
use crate::nats::error::NatsError;
use crate::nats::generation::{Begins, begin, newest};
use crate::nats::trust::{Verdict as Trust, look};
use crate::status::set;

/// The pause before a consumer is made that could not be, in µs.
const READ_AGAIN_US: u64 = 250_000;
/// How long a log has to look like another one until it counts as that: a leader that is new may not know its end yet, in µs.
const OTHER_US: u64 = 5_000_000;
/// Above the ids that other brokers may have given out, in µs.
const IDS_APART_US: u64 = 60_000_000;

impl Drive {
    /// Makes the consumer if there is none, or if a connection was made since: then it is looked whether the log is the same.
    pub(super) async fn read_on(&mut self, now_us: u64) -> Result<(), NatsError> {
        let made = self.log.links.made();
        if self.reader.is_open() && self.made == made || now_us < self.read_again_us {
            return Ok(());
        }
        self.read_again_us = now_us + READ_AGAIN_US;
        if let Err(error) = self.reader.open().await {
            tracing::debug!(%error, "the log cannot be read at present");
            self.trouble = error.to_string();
            return Ok(());
        }
        self.made = made;
        // After the consumer was made: whatever it brings is from a log that is at least as new as the one that is looked at.
        match look(&self.log.stream, self.read.as_ref()).await {
            Ok(Trust::Same { last }) => {
                self.other_since_us = None;
                self.trouble.clear();
                set(&self.log.nats.log_end, last);
                return Ok(());
            }
            Ok(Trust::CutBeyond) => {
                let why = "the log was cut off behind what this broker has read: it was away for long, or is slow";
                self.end = Some(End::Again(why.into()));
            }
            Ok(Trust::WentBack(why)) => {
                let since_us = *self.other_since_us.get_or_insert(now_us);
                tracing::warn!(why, "the log looks as if it had gone back");
                if now_us >= since_us + OTHER_US {
                    self.begin_generation(&why).await?;
                }
            }
            Err(error) => tracing::debug!(%error, "the log cannot be looked at"),
        }
        self.reader.close();
        Ok(())
    }

    /// The log has lost what was read: all epochs have to be new.
    pub(super) async fn begin_generation(&mut self, why: &str) -> Result<(), NatsError> {
        let generation = self.log.generation;
        // No id may be given out twice.
        let given_us = generation.start_us + self.engine.feed().ordinal() + IDS_APART_US;
        let nonce = generation.nonce.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (self.log.clock)().wall_us;
        let begins = Begins::new(nonce, (self.log.clock)().wall_us.max(given_us), why);
        let before = match newest(&self.log.stream, &self.log.options).await {
            // Another broker was faster. An earlier one may stand there as well, if the log went back behind this broker's.
            Ok(Some((found, _))) if found.start_us > generation.start_us => {
                self.end = Some(End::Again(format!("another generation of the log has begun: {why}")));
                return Ok(());
            }
            Ok(newest) => newest.map_or(0, |(_, position)| position),
            Err(error) => {
                tracing::warn!(%error, "the log went back, and its generation cannot be read yet");
                return Ok(());
            }
        };
        match begin(&self.log.links.js, &self.log.stream, &self.log.options, before, &begins).await {
            Ok(_) => {
                tracing::error!("the log went back ({why}): all epochs are new, and clients are told to begin anew");
                self.end = Some(End::Again(format!("the log went back: {why}")));
            }
            Err(error) => tracing::warn!(%error, "the log went back, and a new generation cannot be begun yet"),
        }
        Ok(())
    }
}
