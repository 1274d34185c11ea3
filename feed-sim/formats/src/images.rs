//! The states of topics before the window of a replay opens, so that a subscriber has them from the first moment.

use std::collections::BTreeMap;

use feed_player::image::{Image, PIECE_BYTES_MAX};
use feed_player::publication::{Kind, Publication};

/// The states of topics; events do not change them.
#[derive(Default)]
pub(super) struct Images {
    topics: BTreeMap<String, Image>,
}

impl Images {
    /// Merges an update that is not published.
    pub(super) fn take_in(&mut self, publication: Publication) {
        let Publication { topic, kind, data, .. } = publication;
        match kind {
            Kind::Event => {}
            Kind::State => self.topics.entry(topic).or_insert_with(Image::nothing).set(&data),
            Kind::Patch => self.topics.entry(topic).or_insert_with(Image::nothing).patch(&data),
        }
    }

    /// Removes the first topic by name and returns its state, followed by patches if the state is too large for one
    /// message.
    pub(super) fn pop(&mut self) -> Option<Vec<Publication>> {
        let (topic, mut image) = self.topics.pop_first()?;
        let kinds = std::iter::once(Kind::State).chain(std::iter::repeat(Kind::Patch));
        let texts = image.pieces(PIECE_BYTES_MAX).into_iter();
        Some(texts.zip(kinds).map(|(data, kind)| Publication::new(&topic, kind, data)).collect())
    }
}
