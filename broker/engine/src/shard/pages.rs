//! Numbered places for values, in pages that never move: a connection more costs its place and no copy of all others, and
//! no pause while they are copied.

use std::ops::{Index, IndexMut};

/// Places in a page.
const PAGE: usize = 256;

pub(crate) struct Pages<T> {
    pages: Vec<Box<[Option<T>]>>,
    free: Vec<u32>,
}

impl<T> Pages<T> {
    pub(crate) fn new() -> Self {
        Self { pages: Vec::new(), free: Vec::new() }
    }

    /// One above the highest number ever in use.
    pub(crate) fn bound(&self) -> usize {
        self.pages.len() * PAGE
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if self.free.is_empty() {
            let first = self.bound() as u32;
            self.pages.push((0..PAGE).map(|_| None).collect());
            self.free.extend((first..first + PAGE as u32).rev());
        }
        let id = self.free.pop().unwrap_or_default();
        self.pages[id as usize / PAGE][id as usize % PAGE] = Some(value);
        id
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let value = self.pages.get_mut(id as usize / PAGE)?[id as usize % PAGE].take();
        if value.is_some() {
            self.free.push(id);
        }
        value
    }

    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        self.pages.get(id as usize / PAGE)?[id as usize % PAGE].as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.pages.get_mut(id as usize / PAGE)?[id as usize % PAGE].as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.iter_from(0)
    }

    /// Those with this number and above.
    pub(crate) fn iter_from(&self, from: u32) -> impl Iterator<Item = (u32, &T)> {
        let (page, at) = (from as usize / PAGE, from as usize % PAGE);
        let places = self.pages.iter().skip(page).flat_map(|page| page.iter()).skip(at);
        (from..).zip(places).filter_map(|(id, value)| value.as_ref().map(|value| (id, value)))
    }
}

impl<T> Index<u32> for Pages<T> {
    type Output = T;

    fn index(&self, id: u32) -> &T {
        self.get(id).expect("a number that is in use")
    }
}

impl<T> IndexMut<u32> for Pages<T> {
    fn index_mut(&mut self, id: u32) -> &mut T {
        self.get_mut(id).expect("a number that is in use")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
    use std::collections::BTreeMap;

    #[test]
    fn against_a_map() {
        let mut random = StdRng::seed_from_u64(1);
        let (mut pages, mut model) = (Pages::new(), BTreeMap::new());
        for value in 0..5_000u64 {
            if random.random_bool(0.6) {
                let id = pages.insert(value);
                assert_eq!(model.insert(id, value), None, "{id} was in use");
            } else {
                let id = random.random_range(0..pages.bound().max(1) as u32 + 2);
                assert_eq!(pages.remove(id), model.remove(&id));
            }
            let id = random.random_range(0..pages.bound().max(1) as u32 + 2);
            assert_eq!(pages.get(id), model.get(&id));
        }
        assert_eq!(
            pages.iter().map(|(id, value)| (id, *value)).collect::<Vec<_>>(),
            model.into_iter().collect::<Vec<_>>()
        );
    }
}
