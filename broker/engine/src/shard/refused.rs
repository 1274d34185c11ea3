//! The refused entries of a request: listed up to a bound, and counted beyond it. A message can hold tens of thousands
//! of entries like `0`, and the error for one entry is about fifty times as long as the entry.

use std::sync::Arc;

use broker_protocol::codes::ErrorCode;

/// Approximate bytes of an answer that the list may take. A message of the default size full of short names, all of
/// them over the limit of subscriptions, is still answered name by name; and together with the default number of
/// subscriptions accepted, the answer stays within what every client accepts (the default `image_bytes`).
const LISTED_BYTES_MAX: usize = 820 * 1024;
/// Approximate bytes that the keys and the code of an entry take.
const KEYS_BYTES: usize = 56;

/// An entry by its index, and why it is refused.
pub(super) type Refusal<K> = (K, ErrorCode, Arc<str>);

/// The refused entries of one request, by their index. Entries that follow each other mostly have the same message: it
/// is kept once for them.
#[derive(Debug)]
pub(super) struct Refused<K> {
    listed: Vec<Refusal<K>>,
    listed_bytes: usize,
    /// The first that is not listed, and the number of entries from it on.
    more: Option<(K, u64)>,
}

impl<K> Refused<K> {
    pub(super) fn none() -> Self {
        Self { listed: Vec::new(), listed_bytes: 0, more: None }
    }

    /// Adds an entry whose identification takes `key_bytes` in the answer.
    pub(super) fn add(&mut self, key: K, key_bytes: usize, code: ErrorCode, message: &str) {
        let bytes = KEYS_BYTES + key_bytes + message.len();
        match &mut self.more {
            Some((_, count)) => *count += 1,
            None if self.listed_bytes + bytes > LISTED_BYTES_MAX => self.more = Some((key, 1)),
            None => {
                self.listed_bytes += bytes;
                let before = self.listed.last().map(|(.., before)| before).filter(|before| ***before == *message);
                let message = before.map_or_else(|| message.into(), Arc::clone);
                self.listed.push((key, code, message));
            }
        }
    }

    /// Roughly what it holds, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.listed.capacity() * size_of::<Refusal<K>>() + self.listed_bytes
    }

    /// The number of refused entries.
    pub(super) fn count(&self) -> u64 {
        self.listed.len() as u64 + self.more.as_ref().map_or(0, |(_, count)| *count)
    }

    /// The list; if it is cut, its last entry says so.
    pub(super) fn into_list(mut self) -> Vec<Refusal<K>>
    where
        K: Ord + Copy,
    {
        // With a journal, entries that were refused at once come before those that the log refused.
        self.listed.sort_by_key(|(key, ..)| *key);
        if let Some((key, count)) = self.more {
            let message = format!("from this entry on {count} entries were refused and are not listed");
            self.listed.push((key, ErrorCode::Limit, message.into()));
        }
        self.listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_to_a_bound_and_counted_beyond() {
        let mut refused = Refused::none();
        for index in 0..30_000 {
            refused.add(index, 5, ErrorCode::BadRequest, "wrong");
        }
        // After the first that did not fit, a short one that would have fitted is not listed either.
        assert_eq!(refused.count(), 30_000);
        let list = refused.into_list();
        let (key, code, message) = list.last().unwrap();
        assert_eq!((*key, *code), (list.len() - 1, ErrorCode::Limit));
        assert!(list.iter().enumerate().all(|(index, (key, ..))| index == *key));
        assert!((10_000..20_000).contains(&list.len()), "{}", list.len());
        assert!(message.contains(&format!("{} entries", 30_000 - key)), "{message}");
    }

    #[test]
    fn few_are_all_listed() {
        let mut refused = Refused::none();
        for (index, message) in ["empty", "full", "full"].into_iter().enumerate() {
            refused.add(index, 4, ErrorCode::BadTopic, message);
        }
        let list = refused.into_list();
        let texts: Vec<_> = list.iter().map(|(index, code, message)| (*index, *code, &**message)).collect();
        let code = ErrorCode::BadTopic;
        assert_eq!(texts, [(0, code, "empty"), (1, code, "full"), (2, code, "full")]);
        assert!(Arc::ptr_eq(&list[1].2, &list[2].2), "it is kept twice");
    }
}
