//! Which entries the ids of positions stand for.
//!
//! The broker tells a connection its position by an id: everything of what it followed was delivered up to there. So an id
//! stands for the entries that the broker had answered when the id came, and each entry keeps its own: a connection that is
//! lost before its first position leaves those of the connection before in force.

use std::collections::HashMap;

use crate::wire::outgoing::SubscribeOptions;

/// The entries that the broker has of us, or had on the connection before.
#[derive(Debug, Default)]
pub(super) struct Places {
    entries: HashMap<String, Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    /// The broker answered it on the connection that stands.
    answered: bool,
    conflated: bool,
    place: Option<Place>,
}

/// The last position that came while the entry was subscribed.
#[derive(Debug, Clone, Copy)]
struct Place {
    id: u64,
    /// It was conflated then: not every update up to there was delivered.
    conflated: bool,
}

impl Places {
    /// The broker took an entry with these options. One that was not resumed begins anew, and no id stands for it yet.
    pub(super) fn answered(&mut self, entry: &str, options: &SubscribeOptions, resumed: bool) {
        let standing = match self.entries.get_mut(entry) {
            Some(standing) => standing,
            None => self.entries.entry(entry.to_owned()).or_default(),
        };
        standing.answered = true;
        standing.conflated = options.conflate_ms > 0;
        if !resumed {
            standing.place = None;
        }
    }

    /// A position came.
    pub(super) fn position(&mut self, id: u64) {
        for standing in self.entries.values_mut().filter(|standing| standing.answered) {
            standing.place = Some(Place { id, conflated: standing.conflated });
        }
    }

    /// The connection is gone.
    pub(super) fn lost(&mut self) {
        self.entries.values_mut().for_each(|standing| standing.answered = false);
    }

    /// Nobody is subscribed to the entry any more.
    pub(super) fn left(&mut self, entry: &str) {
        self.entries.remove(entry);
    }

    /// The id that an entry can go on from with these options. One that was conflated and no longer is cannot: it would
    /// go on without its image.
    pub(super) fn id(&self, entry: &str, options: &SubscribeOptions) -> Option<u64> {
        let place = self.entries.get(entry)?.place?;
        (options.conflate_ms > 0 || !place.conflated).then_some(place.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(conflate_ms: u32) -> SubscribeOptions {
        SubscribeOptions { conflate_ms, ..SubscribeOptions::default() }
    }

    #[test]
    fn an_id_stands_for_what_was_answered_when_it_came() {
        let mut places = Places::default();
        places.answered("a.*", &every(0), false);
        places.position(7);
        places.answered("b.*", &every(0), false);
        assert_eq!((places.id("a.*", &every(0)), places.id("b.*", &every(0))), (Some(7), None));
        places.position(8);
        assert_eq!((places.id("a.*", &every(0)), places.id("b.*", &every(0))), (Some(8), Some(8)));

        // On the next connection one of them is answered before its first position, and then that is lost too.
        places.lost();
        places.answered("a.*", &every(0), true);
        assert_eq!(places.id("a.*", &every(0)), Some(8));
        places.position(9);
        places.lost();
        assert_eq!((places.id("a.*", &every(0)), places.id("b.*", &every(0))), (Some(9), Some(8)));

        // Subscribed anew: it begins where the new subscription does.
        places.answered("a.*", &every(0), false);
        assert_eq!(places.id("a.*", &every(0)), None);
        places.left("b.*");
        assert_eq!(places.id("b.*", &every(0)), None);
    }

    #[test]
    fn what_was_conflated_then_begins_with_its_image() {
        let mut places = Places::default();
        places.answered("a.*", &every(100), false);
        places.position(7);
        assert_eq!((places.id("a.*", &every(0)), places.id("a.*", &every(50))), (None, Some(7)));
        // Every update from now on, and then a position that says so.
        places.answered("a.*", &every(0), false);
        places.position(8);
        assert_eq!((places.id("a.*", &every(0)), places.id("a.*", &every(50))), (Some(8), Some(8)));
    }
}
