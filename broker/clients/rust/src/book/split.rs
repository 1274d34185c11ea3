//! Long lists as messages that the broker takes.

use super::Book;
use super::take::Message;
use crate::ErrorCode;
use crate::event::EntryError;
use crate::request::Ask;
use crate::wire::outgoing::SubscribeEntry;

/// Entries in one `subscribe` or `unsubscribe`: each has a row in the answer, whose size the broker's limits do not bound.
pub(super) const ENTRIES_MAX: usize = 256;
/// `{"op":"subscribe",…}` without its entries.
const SUBSCRIBE_BYTES_MAX: usize = 384;

impl Book {
    /// Whether so many bytes of entries fit into one `subscribe`.
    pub(super) fn fits(&self, entries: usize, bytes: usize) -> bool {
        entries <= ENTRIES_MAX && SUBSCRIBE_BYTES_MAX + bytes <= self.message_bytes()
    }

    /// Splits entries into messages that the broker takes. What fits into none is refused here.
    pub(super) fn subscribe_messages(&mut self, ask: Ask) -> Vec<Message> {
        let Ask { subscription, entries, mut options, restores, ready } = ask;
        options.ready = !ready.is_empty();
        options.positions = self.asks_for_positions(&entries);
        let limit = self.message_bytes();
        let mut messages: Vec<Vec<SubscribeEntry>> = Vec::new();
        let mut bytes = 0;
        for entry in entries {
            let entry_bytes = entry.bytes_max();
            if SUBSCRIBE_BYTES_MAX + entry_bytes > limit {
                let message = format!("it does not fit into a message of {limit} bytes");
                let refused = EntryError { entry: entry.text, code: ErrorCode::TooLarge, message, retry: false };
                let told = self.refused(&refused);
                self.late.extend(told);
                continue;
            }
            match messages.last_mut() {
                Some(last) if last.len() < ENTRIES_MAX && bytes + entry_bytes <= limit => last.push(entry),
                _ => {
                    messages.push(vec![entry]);
                    bytes = SUBSCRIBE_BYTES_MAX;
                }
            }
            bytes += entry_bytes;
        }
        let ask = |entries| Ask { subscription, entries, options, restores, ready: ready.clone() };
        let messages: Vec<Message> = messages.into_iter().map(|entries| Message::Subscribe(ask(entries))).collect();
        for _ in &messages {
            self.subscriptions.message_sent(subscription);
            self.subscriptions.ready_asked(&ready);
        }
        messages
    }

    /// Splits names into messages that the broker takes.
    pub(super) fn entry_chunks(&self, names: Vec<String>) -> Vec<Vec<String>> {
        let limit = self.message_bytes();
        let mut chunks: Vec<Vec<String>> = Vec::new();
        let mut bytes = 0;
        for name in names {
            let name_bytes = name.len() + 3;
            match chunks.last_mut() {
                Some(last) if last.len() < ENTRIES_MAX && bytes + name_bytes <= limit => last.push(name),
                _ => {
                    chunks.push(vec![name]);
                    bytes = SUBSCRIBE_BYTES_MAX;
                }
            }
            bytes += name_bytes;
        }
        chunks
    }
}
