//! What topics are before the window of a replay opens, so that whoever subscribes then has it whole.

use std::collections::BTreeMap;

use feed_player::image::{Image, PIECE_BYTES_MAX};
use feed_player::publication::{Kind, Publication};

/// The states of topics. Events have none.
#[derive(Default)]
pub(super) struct Images {
    topics: BTreeMap<String, Image>,
}

impl Images {
    /// Takes in an update that goes out to nobody.
    pub(super) fn take_in(&mut self, publication: Publication) {
        let Publication { topic, kind, data, .. } = publication;
        match kind {
            Kind::Event => {}
            Kind::State => self.topics.entry(topic).or_insert_with(Image::nothing).set(&data),
            Kind::Patch => self.topics.entry(topic).or_insert_with(Image::nothing).patch(&data),
        }
    }

    /// Lets go of the first topic by name: its state, and where that is too large the rest of it as patches.
    pub(super) fn pop(&mut self) -> Option<Vec<Publication>> {
        let (topic, mut image) = self.topics.pop_first()?;
        let kinds = std::iter::once(Kind::State).chain(std::iter::repeat(Kind::Patch));
        let texts = image.pieces(PIECE_BYTES_MAX).into_iter();
        Some(texts.zip(kinds).map(|(data, kind)| Publication::new(&topic, kind, data)).collect())
    }
}
