//! A paged slab. Slots are allocated 256 at a time and never move, so adding a connection never copies the others and
//! never pauses for that. A page without values is freed; the lowest free number is used first.

use std::collections::BTreeSet;
use std::ops::{Index, IndexMut};

/// Slots in a page.
const PAGE: usize = 256;

pub(crate) struct Pages<T> {
    pages: Vec<Page<T>>,
    /// The pages that have a free slot.
    roomy: BTreeSet<u32>,
}

struct Page<T> {
    /// Empty if none is in use.
    slots: Box<[Option<T>]>,
    /// The slots in use, one bit each.
    used: [u64; PAGE / 64],
}

impl<T> Page<T> {
    fn new() -> Self {
        Self { slots: Box::default(), used: [0; PAGE / 64] }
    }

    fn insert(&mut self, value: T) -> Option<usize> {
        let word = self.used.iter().position(|word| *word != u64::MAX)?;
        let bit = self.used[word].trailing_ones() as usize;
        if self.slots.is_empty() {
            self.slots = (0..PAGE).map(|_| None).collect();
        }
        let at = word * 64 + bit;
        self.slots[at] = Some(value);
        self.used[word] |= 1 << bit;
        Some(at)
    }

    fn remove(&mut self, at: usize) -> Option<T> {
        let value = self.slots.get_mut(at)?.take()?;
        self.used[at / 64] &= !(1 << (at % 64));
        if self.used.iter().all(|word| *word == 0) {
            self.slots = Box::default();
        }
        Some(value)
    }

    fn is_full(&self) -> bool {
        self.used.iter().all(|word| *word == u64::MAX)
    }
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), roomy: BTreeSet::new() }
    }
}

impl<T> Pages<T> {
    /// One above the highest number that may be in use.
    pub(crate) fn bound(&self) -> usize {
        self.pages.len() * PAGE
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let page = match self.roomy.first() {
            Some(page) => *page as usize,
            None => {
                self.pages.push(Page::new());
                self.roomy.insert(self.pages.len() as u32 - 1);
                self.pages.len() - 1
            }
        };
        let at = self.pages[page].insert(value).expect("a page among those with room has room");
        if self.pages[page].is_full() {
            self.roomy.remove(&(page as u32));
        }
        (page * PAGE + at) as u32
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let number = id as usize / PAGE;
        let page = self.pages.get_mut(number)?;
        let was_full = page.is_full();
        let value = page.remove(id as usize % PAGE)?;
        if was_full {
            self.roomy.insert(number as u32);
        }
        while self.pages.last().is_some_and(|page| page.slots.is_empty()) {
            self.pages.pop();
            self.roomy.remove(&(self.pages.len() as u32));
        }
        if self.pages.capacity() > 64 && self.pages.len() < self.pages.capacity() / 4 {
            self.pages.shrink_to(self.pages.len() * 2);
        }
        Some(value)
    }

    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        self.pages.get(id as usize / PAGE)?.slots.get(id as usize % PAGE)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.pages.get_mut(id as usize / PAGE)?.slots.get_mut(id as usize % PAGE)?.as_mut()
    }

    /// The values with this number and above.
    pub(crate) fn iter_from(&self, from: u32) -> impl Iterator<Item = (u32, &T)> {
        let pages = self.pages.iter().enumerate().skip(from as usize / PAGE);
        let values = pages.flat_map(|(number, page)| {
            let first = (number * PAGE) as u32;
            (first..).zip(&page.slots).filter_map(|(id, value)| value.as_ref().map(|value| (id, value)))
        });
        values.skip_while(move |(id, _)| *id < from)
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
        let (mut pages, mut model) = (Pages::default(), BTreeMap::new());
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
            pages.iter_from(0).map(|(id, value)| (id, *value)).collect::<Vec<_>>(),
            model.into_iter().collect::<Vec<_>>()
        );
    }
}
