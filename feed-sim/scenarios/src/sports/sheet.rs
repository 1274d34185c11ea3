//! Statistics of two sides: a table of numbers, published whole as `state`, and then its changes as `patch`.

use std::fmt::Write as _;

use feed_player::publication::{Kind, Publication};

/// One of the two sides of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Home,
    Away,
}

impl Side {
    pub(crate) const BOTH: [Side; 2] = [Side::Home, Side::Away];

    pub(crate) fn other(self) -> Side {
        match self {
            Side::Home => Side::Away,
            Side::Away => Side::Home,
        }
    }

    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Home => "home",
            Side::Away => "away",
        }
    }
}

/// Every this many messages the table is sent whole, for a broker that was restarted and has lost it.
const WHOLE_EVERY: u32 = 256;

/// The table: `N` named numbers for each side.
pub(crate) struct Sheet<const N: usize> {
    names: &'static [&'static str; N],
    numbers: [[u32; N]; 2],
    sent: [[u32; N]; 2],
    messages: u32,
}

impl<const N: usize> Sheet<N> {
    /// Makes a table of zeros.
    pub(crate) fn new(names: &'static [&'static str; N]) -> Self {
        Sheet { names, numbers: [[0; N]; 2], sent: [[0; N]; 2], messages: 0 }
    }

    pub(crate) fn get(&self, side: Side, index: usize) -> u32 {
        self.numbers[side as usize][index]
    }

    pub(crate) fn set(&mut self, side: Side, index: usize, number: u32) {
        self.numbers[side as usize][index] = number;
    }

    /// Adds one.
    pub(crate) fn add(&mut self, side: Side, index: usize) {
        self.numbers[side as usize][index] += 1;
    }

    /// Subtracts one, after a correction.
    pub(crate) fn take_back(&mut self, side: Side, index: usize) {
        self.numbers[side as usize][index] -= 1;
    }

    /// The update that publishes the table, if it has changed. `whole` asks for a `state`, which begins with `head`
    /// (`"match":1,`).
    pub(crate) fn publication(&mut self, topic: &str, head: &str, whole: bool) -> Option<Publication> {
        let whole = whole || self.messages.is_multiple_of(WHOLE_EVERY);
        if !whole && self.numbers == self.sent {
            return None;
        }
        self.messages += 1;
        let mut data = String::from("{");
        if whole {
            data.push_str(head);
        }
        for side in Side::BOTH {
            let before = data.len();
            for (index, name) in self.names.iter().enumerate() {
                let number = self.numbers[side as usize][index];
                if whole || number != self.sent[side as usize][index] {
                    if data.len() == before {
                        _ = write!(data, "\"{}\":{{", side.name());
                    }
                    _ = write!(data, "\"{name}\":{number},");
                }
            }
            if data.len() > before {
                data.pop();
                data.push_str("},");
            }
        }
        data.pop();
        data.push('}');
        self.sent = self.numbers;
        Some(Publication::new(topic, if whole { Kind::State } else { Kind::Patch }, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_whole_then_what_changed() {
        let mut sheet = Sheet::new(&["a", "b"]);
        let mut next = |change: &dyn Fn(&mut Sheet<2>), whole| {
            change(&mut sheet);
            sheet.publication("t", "\"match\":7,", whole).map(|publication| (publication.kind, publication.data))
        };
        let zeros = r#"{"match":7,"home":{"a":0,"b":0},"away":{"a":0,"b":0}}"#;
        assert_eq!(next(&|_| (), false), Some((Kind::State, zeros.to_owned())));
        assert_eq!(next(&|_| (), false), None);
        let changed = next(&|sheet| sheet.add(Side::Away, 1), false);
        assert_eq!(changed, Some((Kind::Patch, r#"{"away":{"b":1}}"#.to_owned())));
        let changed = next(
            &|sheet| {
                sheet.take_back(Side::Away, 1);
                sheet.set(Side::Home, 0, 5);
                sheet.set(Side::Home, 1, 6);
            },
            false,
        );
        assert_eq!(changed, Some((Kind::Patch, r#"{"home":{"a":5,"b":6},"away":{"b":0}}"#.to_owned())));
        assert_eq!(next(&|_| (), true).map(|(kind, _)| kind), Some(Kind::State));
    }
}
