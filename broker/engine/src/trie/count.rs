//! Sums the values of all patterns that match a name, in portions: the worst name meets 2^16 nodes, and nobody else may
//! have to wait for all of them.

use super::{Node, Trie};

/// A sum in progress. The trie may change between two portions: a node counts with its value at the time of the visit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    /// The sum so far.
    pub(crate) value: u64,
    /// The path from the root to the node that is visited next; `None` before the first portion.
    path: Option<Vec<Child>>,
}

/// Which child leads on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Child {
    Literal,
    One,
}

impl Child {
    /// The child to try next at the same node. The broker's own topics are only matched by patterns that name their
    /// first segment.
    fn next(self, names_only: bool) -> Option<Child> {
        (self == Child::Literal && !names_only).then_some(Child::One)
    }
}

impl Trie<u64> {
    /// Continues the sum for the topic `name`, visiting at most `*steps` nodes. Returns whether it is complete.
    pub(crate) fn add_up(&self, name: &str, sum: &mut Sum, steps: &mut usize) -> bool {
        let mut walk = NodeWalk { nodes: vec![&self.root], path: Vec::new(), name: name.split('.').collect() };
        let mut more = walk.resume(sum.path.take().unwrap_or_default());
        while more {
            if *steps == 0 {
                sum.path = Some(walk.path);
                return false;
            }
            *steps -= 1;
            sum.value += walk.value();
            let down = (walk.path.len() < walk.name.len()).then_some(Child::Literal);
            more = walk.advance(down);
        }
        true
    }
}

/// A walk over every node that a name meets, each before those below it.
struct NodeWalk<'a> {
    /// From the root to the current node.
    nodes: Vec<&'a Node<u64>>,
    /// How each but the root was reached.
    path: Vec<Child>,
    name: Vec<&'a str>,
}

impl<'a> NodeWalk<'a> {
    /// Returns to a node. If it no longer exists, continues with what comes after it. Returns whether anything does.
    fn resume(&mut self, path: Vec<Child>) -> bool {
        for child in path {
            match self.child(child) {
                Some(node) => self.enter(child, node),
                None => return self.advance(child.next(self.names_only())),
            }
        }
        true
    }

    /// Moves to the node after this one; `child` is the first child to try, if any. Returns whether there is one.
    fn advance(&mut self, mut child: Option<Child>) -> bool {
        loop {
            match child {
                Some(down) => match self.child(down) {
                    Some(node) => {
                        self.enter(down, node);
                        return true;
                    }
                    None => child = down.next(self.names_only()),
                },
                None => {
                    let Some(back) = self.path.pop() else { return false };
                    self.nodes.pop();
                    child = back.next(self.names_only());
                }
            }
        }
    }

    fn enter(&mut self, child: Child, node: &'a Node<u64>) {
        self.path.push(child);
        self.nodes.push(node);
    }

    fn child(&self, child: Child) -> Option<&'a Node<u64>> {
        let node = self.nodes.last()?;
        match child {
            Child::Literal => node.literal.get(self.name[self.path.len()]),
            Child::One => node.one.as_deref(),
        }
    }

    fn names_only(&self) -> bool {
        self.path.is_empty() && self.name[0].starts_with('$')
    }

    /// The node's value for a name that ends at it, or continues below it.
    fn value(&self) -> u64 {
        let Some(node) = self.nodes.last() else { return 0 };
        let ends = self.path.len() == self.name.len();
        match if ends { node.here } else { node.rest } {
            Some(value) if ends || !self.names_only() => value,
            _ => 0,
        }
    }
}
