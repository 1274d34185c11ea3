//! Patterns by their segments: finds which of many match a name, without trying each.
//!
//! ```text
//! stocks ─┬─ * ── quote          a name walks down; at each node it continues along its own segment and along `*`,
//!         └─ >                   and a `>` there matches the rest
//! ```
//!
//! At most two paths per segment, so 2^16 nodes for the longest name in the worst case that an attacker can build from
//! 65,536 patterns, and a handful in practice.

mod count;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use broker_protocol::pattern::{Pattern, Segment};
use foldhash::fast::RandomState;
use smallvec::SmallVec;

pub(crate) use self::count::Sum;

#[derive(Debug)]
struct Node<T> {
    literal: HashMap<Box<str>, Node<T>, RandomState>,
    one: Option<Box<Node<T>>>,
    here: Option<T>,
    rest: Option<T>,
}

impl<T> Node<T> {
    fn new() -> Self {
        Self { literal: HashMap::default(), one: None, here: None, rest: None }
    }

    fn is_empty(&self) -> bool {
        self.literal.is_empty() && self.one.is_none() && self.here.is_none() && self.rest.is_none()
    }
}

/// A value per pattern.
#[derive(Debug)]
pub(crate) struct Trie<T> {
    root: Node<T>,
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { root: Node::new() }
    }
}

impl<T> Trie<T> {
    /// The value of exactly this pattern.
    pub(crate) fn get(&self, pattern: &Pattern) -> Option<&T> {
        let mut node = &self.root;
        for segment in pattern.segments() {
            node = match segment {
                Segment::Literal(text) => node.literal.get(text)?,
                Segment::One => node.one.as_deref()?,
                Segment::Rest => return node.rest.as_ref(),
            };
        }
        node.here.as_ref()
    }

    /// The value of exactly this pattern, created if there is none.
    pub(crate) fn entry(&mut self, pattern: &Pattern, make: impl FnOnce() -> T) -> &mut T {
        let mut node = &mut self.root;
        let mut rest = false;
        for segment in pattern.segments() {
            match segment {
                Segment::Literal(text) => node = node.literal.entry(text.into()).or_insert_with(Node::new),
                Segment::One => node = node.one.get_or_insert_with(|| Box::new(Node::new())),
                Segment::Rest => {
                    rest = true;
                    break;
                }
            }
        }
        let slot = if rest { &mut node.rest } else { &mut node.here };
        slot.get_or_insert_with(make)
    }

    /// Removes a pattern.
    pub(crate) fn remove(&mut self, pattern: &Pattern) -> Option<T> {
        fn down<'a, T>(node: &mut Node<T>, mut segments: impl Iterator<Item = Segment<'a>>) -> Option<T> {
            match segments.next() {
                None => node.here.take(),
                Some(Segment::Rest) => node.rest.take(),
                Some(Segment::One) => {
                    let child = node.one.as_deref_mut()?;
                    let value = down(child, segments);
                    if child.is_empty() {
                        node.one = None;
                    }
                    value
                }
                Some(Segment::Literal(text)) => {
                    let child = node.literal.get_mut(text)?;
                    let value = down(child, segments);
                    if child.is_empty() {
                        node.literal.remove(text);
                    }
                    value
                }
            }
        }
        down(&mut self.root, pattern.segments())
    }

    /// Collects the literal segments that patterns name after `beginning` (one or more whole segments) and that a topic
    /// with that beginning may have. Returns false if there are more than `max`.
    pub(crate) fn literals_below(&self, beginning: &str, max: usize, out: &mut SmallVec<[Box<str>; 2]>) -> bool {
        fn down<T>(
            node: &Node<T>,
            beginning: Option<&str>,
            is_reserved: bool,
            max: usize,
            out: &mut SmallVec<[Box<str>; 2]>,
        ) -> bool {
            let Some(beginning) = beginning else {
                for literal in node.literal.keys() {
                    if out.contains(literal) {
                        continue;
                    }
                    if out.len() == max {
                        return false;
                    }
                    out.push(literal.clone());
                }
                return true;
            };
            let (segment, rest) = match beginning.split_once('.') {
                Some((segment, rest)) => (segment, Some(rest)),
                None => (beginning, None),
            };
            node.literal.get(segment).is_none_or(|child| down(child, rest, false, max, out))
                && (is_reserved || node.one.as_ref().is_none_or(|child| down(child, rest, false, max, out)))
        }
        // Whether `*` matches the first segment depends on how the name begins.
        !beginning.is_empty() && down(&self.root, Some(beginning), beginning.starts_with('$'), max, out)
    }

    /// Calls `found` with the value of every pattern that matches the topic `name`.
    pub(crate) fn matching<'a>(&'a self, name: &str, mut found: impl FnMut(&'a T)) {
        fn down<'a, T>(node: &'a Node<T>, name: Option<&str>, is_reserved: bool, found: &mut dyn FnMut(&'a T)) {
            let Some(name) = name else {
                if let Some(value) = &node.here {
                    found(value);
                }
                return;
            };
            let (segment, rest) = match name.split_once('.') {
                Some((segment, rest)) => (segment, Some(rest)),
                None => (name, None),
            };
            if let Some(child) = node.literal.get(segment) {
                down(child, rest, false, found);
            }
            // The broker's own topics are only matched by patterns that name their first segment.
            if is_reserved {
                return;
            }
            if let Some(child) = &node.one {
                down(child, rest, false, found);
            }
            if let Some(value) = &node.rest {
                found(value);
            }
        }
        down(&self.root, Some(name), name.starts_with('$'), &mut found);
    }
}
