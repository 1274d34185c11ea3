//! What a subscriber of a topic gets: every update, in order, once. No subscriber in these histories falls behind.

use super::message::Message;
use super::model::Model;

/// How far a subscriber has come with a topic.
#[derive(Debug, Default)]
pub struct Stream {
    /// `None` while there is no topic.
    epoch: Option<usize>,
    seq: u64,
}

impl Stream {
    /// Begins as an entry of `subscribed`, or `topic`, says.
    pub fn begin(&mut self, model: &Model, topic: &str, message: &Message<'_>) -> Result<(), String> {
        if self.epoch.is_some() {
            return Err(format!("{topic} begins and had not ended"));
        }
        *self = Self::default();
        if let Some(name) = message.optional_text("epoch")? {
            (self.epoch, self.seq) = (Some(model.epoch(topic, &name)?), message.number("seq")?);
        }
        Ok(())
    }

    /// The epoch's index and the `seq` that it has come to, if there is a topic.
    pub fn position(&self) -> Option<(usize, u64)> {
        Some((self.epoch?, self.seq))
    }

    pub fn take(&mut self, model: &Model, topic: &str, message: &Message<'_>) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{topic}: {what} in epoch {:?} at {}", self.epoch, self.seq));
        let Some(epoch) = self.epoch.map(|at| &model.topics[topic][at]) else { return wrong("something before it") };
        let is_at = |seq: u64, values: &[serde_json::Value]| {
            let value = values.get((seq as usize).wrapping_sub(1)).ok_or("a seq that was not published")?;
            let data: serde_json::Value = serde_json::from_str(message.raw("data")?).map_err(|e| e.to_string())?;
            if data == *value { Ok(()) } else { Err(format!("{topic}: the data of {seq} is {data}, not {value}")) }
        };
        match message.op() {
            "closed" if epoch.closed && self.seq == epoch.seq() => self.epoch = None,
            "image" => {
                let seq = message.number("seq")?;
                if seq < self.seq || message.text("epoch")? != epoch.name {
                    return wrong("an image");
                }
                is_at(seq, &epoch.states)?;
                self.seq = seq;
            }
            "update" | "patch" => {
                let seq = message.number("seq")?;
                if seq != self.seq + 1 {
                    return wrong(&format!("update {seq}"));
                }
                is_at(seq, &epoch.updates)?;
                self.seq = seq;
            }
            other => return wrong(other),
        }
        Ok(())
    }

    /// Whether everything that was published has come.
    pub fn is_complete(&self, model: &Model, topic: &str) -> bool {
        let epochs = model.topics.get(topic).map_or(&[][..], |epochs| epochs);
        match (self.epoch, epochs.last()) {
            (Some(at), Some(newest)) => at + 1 == epochs.len() && self.seq == newest.seq() && !newest.closed,
            (None, newest) => newest.is_none_or(|newest| newest.closed),
            (Some(_), None) => false,
        }
    }
}
