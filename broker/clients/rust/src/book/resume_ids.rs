//! The position from which each entry can resume.
//!
//! The broker sends a connection its position as an id: everything of what it followed was delivered up to there. So an
//! id holds for the entries that the broker had accepted when the id came. Each entry keeps its own: if a connection is
//! lost before its first position, the ids of the connection before stay valid.

use std::collections::HashMap;

use crate::wire::outgoing::SubscribeOptions;

/// The entries that the broker has accepted, on this connection or the one before.
#[derive(Debug, Default)]
pub(super) struct ResumeIds {
    entries: HashMap<String, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    /// The broker accepted it on the current connection.
    accepted: bool,
    conflated: bool,
    /// It was asked for because an earlier connection had it.
    restored: bool,
    position: Option<Position>,
}

/// The last position that came while the entry was subscribed.
#[derive(Debug, Clone, Copy)]
struct Position {
    id: u64,
    /// The entry was conflated then, so not every update up to there was delivered.
    conflated: bool,
}

impl ResumeIds {
    /// Records that the broker accepted an entry with these options, which `restored` what an earlier connection had. An
    /// entry that did not resume begins anew, and no id holds for it yet.
    pub(super) fn accepted(&mut self, text: &str, options: &SubscribeOptions, restored: bool, resumed: bool) {
        let entry = match self.entries.get_mut(text) {
            Some(entry) => entry,
            None => self.entries.entry(text.to_owned()).or_default(),
        };
        entry.accepted = true;
        entry.restored = restored;
        entry.conflated = options.conflate_ms > 0;
        if !resumed {
            entry.position = None;
        }
    }

    /// Whether an entry was asked for because an earlier connection had it: the client has what came then.
    pub(super) fn is_restored(&self, text: &str) -> bool {
        self.entries.get(text).is_some_and(|entry| entry.accepted && entry.restored)
    }

    /// Records a position of the connection.
    pub(super) fn position(&mut self, id: u64) {
        for entry in self.entries.values_mut().filter(|entry| entry.accepted) {
            entry.position = Some(Position { id, conflated: entry.conflated });
        }
    }

    /// Records that the connection is lost.
    pub(super) fn lost(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.accepted = false);
    }

    /// Forgets an entry that no subscription has any more.
    pub(super) fn left(&mut self, text: &str) {
        self.entries.remove(text);
    }

    /// The id from which an entry can resume with these options. An entry that was conflated and no longer is has none:
    /// it would continue without its image.
    pub(super) fn id(&self, text: &str, options: &SubscribeOptions) -> Option<u64> {
        let position = self.entries.get(text)?.position?;
        (options.conflate_ms > 0 || !position.conflated).then_some(position.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(conflate_ms: u32) -> SubscribeOptions {
        SubscribeOptions { conflate_ms, ..SubscribeOptions::default() }
    }

    #[test]
    fn an_id_holds_for_what_was_accepted_when_it_came() {
        let mut ids = ResumeIds::default();
        ids.accepted("a.*", &every(0), false, false);
        ids.position(7);
        ids.accepted("b.*", &every(0), false, false);
        assert_eq!((ids.id("a.*", &every(0)), ids.id("b.*", &every(0))), (Some(7), None));
        ids.position(8);
        assert_eq!((ids.id("a.*", &every(0)), ids.id("b.*", &every(0))), (Some(8), Some(8)));

        // On the next connection one of them is accepted, and the connection is lost before its first position.
        ids.lost();
        ids.accepted("a.*", &every(0), true, true);
        assert_eq!(ids.id("a.*", &every(0)), Some(8));
        ids.position(9);
        ids.lost();
        assert_eq!((ids.id("a.*", &every(0)), ids.id("b.*", &every(0))), (Some(9), Some(8)));

        // Subscribed anew, it begins where the new subscription does.
        ids.accepted("a.*", &every(0), false, false);
        assert_eq!(ids.id("a.*", &every(0)), None);
        ids.left("b.*");
        assert_eq!(ids.id("b.*", &every(0)), None);
    }

    #[test]
    fn an_entry_that_was_conflated_begins_with_its_image() {
        let mut ids = ResumeIds::default();
        ids.accepted("a.*", &every(100), false, false);
        ids.position(7);
        assert_eq!((ids.id("a.*", &every(0)), ids.id("a.*", &every(50))), (None, Some(7)));
        // Every update from now on, then a position that covers them.
        ids.accepted("a.*", &every(0), false, false);
        ids.position(8);
        assert_eq!((ids.id("a.*", &every(0)), ids.id("a.*", &every(50))), (Some(8), Some(8)));
    }
}
