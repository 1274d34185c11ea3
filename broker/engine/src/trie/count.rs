//! Sums the values of all patterns that match a name, in portions: the worst name meets 2^16 nodes, and nobody else may
//! have to wait for all of them.

use super::{Node, Trie};

/// A sum in progress. The trie may change between two portions: a node counts with its value at the time of the visit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    /// The sum so far.
    pub(crate) value: u64,
    /// The path from the root to the node that is visited next; `None` before the first portion.
    way: Option<Vec<Turn>>,
}

/// Which child leads on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Literal,
    One,
}

impl Turn {
    /// The child to try next at the same node. The broker's own topics are only matched by patterns that name their
    /// first segment.
    fn next(self, names_only: bool) -> Option<Turn> {
        (self == Turn::Literal && !names_only).then_some(Turn::One)
    }
}

impl Trie<u64> {
    /// Continues the sum for the topic `name`, visiting at most `*steps` nodes. Returns whether it is complete.
    pub(crate) fn add_up(&self, name: &str, sum: &mut Sum, steps: &mut usize) -> bool {
        let mut walk = Walk { nodes: vec![&self.root], turns: Vec::new(), name: name.split('.').collect() };
        let mut more = walk.resume(sum.way.take().unwrap_or_default());
        while more {
            if *steps == 0 {
                sum.way = Some(walk.turns);
                return false;
            }
            *steps -= 1;
            sum.value += walk.value();
            let down = (walk.turns.len() < walk.name.len()).then_some(Turn::Literal);
            more = walk.go_on(down);
        }
        true
    }
}

/// A walk over every node that a name meets, each before those below it.
struct Walk<'a> {
    /// From the root to the current node.
    nodes: Vec<&'a Node<u64>>,
    /// How each but the root was reached.
    turns: Vec<Turn>,
    name: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    /// Returns to a node. If it no longer exists, continues with what comes after it. Returns whether anything does.
    fn resume(&mut self, way: Vec<Turn>) -> bool {
        for turn in way {
            match self.child(turn) {
                Some(node) => self.enter(turn, node),
                None => return self.go_on(turn.next(self.names_only())),
            }
        }
        true
    }

    /// Moves to the node after this one; `turn` is the first child to try, if any. Returns whether there is one.
    fn go_on(&mut self, mut turn: Option<Turn>) -> bool {
        loop {
            match turn {
                Some(down) => match self.child(down) {
                    Some(node) => {
                        self.enter(down, node);
                        return true;
                    }
                    None => turn = down.next(self.names_only()),
                },
                None => {
                    let Some(back) = self.turns.pop() else { return false };
                    self.nodes.pop();
                    turn = back.next(self.names_only());
                }
            }
        }
    }

    fn enter(&mut self, turn: Turn, node: &'a Node<u64>) {
        self.turns.push(turn);
        self.nodes.push(node);
    }

    fn child(&self, turn: Turn) -> Option<&'a Node<u64>> {
        let node = self.nodes.last()?;
        match turn {
            Turn::Literal => node.literal.get(self.name[self.turns.len()]),
            Turn::One => node.one.as_deref(),
        }
    }

    fn names_only(&self) -> bool {
        self.turns.is_empty() && self.name[0].starts_with('$')
    }

    /// The node's value for a name that ends at it, or continues below it.
    fn value(&self) -> u64 {
        let Some(node) = self.nodes.last() else { return 0 };
        let ends = self.turns.len() == self.name.len();
        match if ends { node.here } else { node.rest } {
            Some(value) if ends || !self.names_only() => value,
            _ => 0,
        }
    }
}
