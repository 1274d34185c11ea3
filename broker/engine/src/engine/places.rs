//! A set of places in the log that are near each other: a bit for each command from the first on.

/// Even places, added in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    first: u64,
    bits: Vec<u8>,
}

impl Places {
    /// Adds a place that is above those before.
    pub(super) fn add(&mut self, place: u64) {
        if self.bits.is_empty() {
            self.first = place;
        }
        let (byte, bit) = self.index(place);
        if byte >= self.bits.len() {
            self.bits.resize(byte + 1, 0);
        }
        self.bits[byte] |= bit;
    }

    /// Whether it has a place.
    pub fn has(&self, place: u64) -> bool {
        let (byte, bit) = self.index(place);
        place >= self.first && self.bits.get(byte).is_some_and(|bits| bits & bit != 0)
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }

    /// The first place, and a bit for each command from there on, the first in the lowest bit. Of equal sets it is equal.
    pub fn parts(&self) -> (u64, &[u8]) {
        (self.first, &self.bits)
    }

    /// Makes it from its parts; `None` if they are not those of a set: it has its first place, which is even, and no byte
    /// without a bit at its end.
    pub fn from_parts(first: u64, bits: &[u8]) -> Option<Self> {
        let is_set = first.is_multiple_of(2) && bits.first()? & 1 == 1 && *bits.last()? != 0;
        is_set.then(|| Self { first, bits: bits.into() })
    }

    fn index(&self, place: u64) -> (usize, u8) {
        let index = place.saturating_sub(self.first) / 2;
        (usize::try_from(index / 8).unwrap_or(usize::MAX), 1 << (index % 8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn against_a_list() {
        let list = [10, 12, 24, 26, 28, 1000];
        let mut places = Places::default();
        assert!(places.is_empty() && !places.has(0) && !places.has(10));
        list.iter().for_each(|place| places.add(*place));
        for place in (0..2000).step_by(2) {
            assert_eq!(places.has(place), list.contains(&place), "{place}");
        }
        let (first, bits) = places.parts();
        assert_eq!((first, bits.len()), (10, 62));
        assert_eq!(Places::from_parts(first, bits), Some(places.clone()));
        for (first, bits) in [(10, &[][..]), (11, &[1]), (10, &[2]), (10, &[1, 0])] {
            assert_eq!(Places::from_parts(first, bits), None);
        }
        assert!(!places.has(u64::MAX));
    }
}
