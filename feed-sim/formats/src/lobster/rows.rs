//! The order book file: each row is the book after the message of the same row.

use super::message::{Event, Message};
use crate::Reader;
use crate::levels::{Level, Levels, Side};
use crate::lines::Lines;
use feed_player::publication::BadRecord;

/// The rows, and the book that the last one shows.
pub(super) struct Rows {
    lines: Lines,
    pub(super) levels: Levels,
    /// Both sides of the row that was read last, the best level first.
    row: [Vec<Level>; 2],
    /// How many levels of each side a row has room for.
    room: usize,
    /// Whether the book is that of the row before, so that the next row can be compared with it.
    begun: bool,
    leftover_reported: bool,
}

impl Rows {
    pub(super) fn new(reader: Reader) -> Self {
        Rows {
            lines: Lines::new(reader),
            levels: Levels::default(),
            row: [Vec::new(), Vec::new()],
            room: 0,
            begun: false,
            leftover_reported: false,
        }
    }

    /// Reads the row of a message.
    pub(super) fn advance(&mut self) -> Result<(), BadRecord> {
        let row = match self.lines.next() {
            Some(Ok(line)) => parse(line),
            Some(Err(bad)) => return Err(in_this_file(bad)),
            None => {
                let bad = self.lines.bad("the order book file ends, and the message file goes on".to_owned());
                return Err(in_this_file(BadRecord { ends_recording: true, ..bad }));
            }
        };
        match row {
            Ok((row, room)) => (self.row, self.room) = (row, room),
            Err(reason) => {
                // Without this row the next one cannot be compared.
                self.begun = false;
                return Err(in_this_file(self.lines.bad(reason)));
            }
        }
        Ok(())
    }

    /// Skips the row of a message that could not be read.
    pub(super) fn skip(&mut self) {
        self.begun = false;
        let _ = self.lines.next();
    }

    /// Reports, once, that this file goes on after the last message.
    pub(super) fn leftover(&mut self) -> Option<BadRecord> {
        if self.leftover_reported || self.lines.next().is_none() {
            return None;
        }
        self.leftover_reported = true;
        Some(in_this_file(self.lines.bad("the message file ends, and the order book file goes on".to_owned())))
    }

    /// Makes the row that was read last the book. Returns false if it does not follow from the message.
    pub(super) fn take_over(&mut self, message: &Message) -> bool {
        let Message { side, price, .. } = *message;
        let shown_before = self.shows(side, price);
        let before = self.levels.qty(side, price);
        for (side, row) in [Side::Bid, Side::Ask].into_iter().zip(&self.row) {
            self.levels.set_side(side, row);
        }
        let after = self.levels.qty(side, price);
        let comparable = std::mem::replace(&mut self.begun, true) && shown_before && self.shows(side, price);
        let expected = match message.event {
            Event::New => before.checked_add(message.size),
            Event::Cancellation | Event::Deletion | Event::Execution => before.checked_sub(message.size),
            // The order was not displayed; a cross executes many orders at once.
            Event::HiddenExecution => Some(before),
            Event::Cross | Event::Status(_) => return true,
        };
        !comparable || expected == Some(after)
    }

    /// Whether a level at this price would be among the levels that a row shows.
    fn shows(&self, side: Side, price: i64) -> bool {
        let Some(worst) = self.levels.levels(side).last() else { return true };
        self.levels.depth(side) < self.room
            || match side {
                Side::Bid => price >= worst.price,
                Side::Ask => price <= worst.price,
            }
    }
}

fn in_this_file(bad: BadRecord) -> BadRecord {
    BadRecord { position: format!("{} of the order book file", bad.position), ..bad }
}

/// Reads the bids and asks of a row, and how many levels it has room for. A row has ask price, ask size, bid price and
/// bid size of each level; a level that does not exist has the size 0 and a price out of reach.
fn parse(line: &[u8]) -> Result<([Vec<Level>; 2], usize), String> {
    /// The venue's own limit is lower, and a book with this many levels fits into a message.
    const LEVELS_MAX: usize = 500;
    let line = str::from_utf8(line).map_err(|error| format!("not UTF-8: {error}"))?;
    let fields: Vec<&str> = line.split(',').map(str::trim).take(4 * LEVELS_MAX + 1).collect();
    if !fields.len().is_multiple_of(4) || fields.len() > 4 * LEVELS_MAX {
        return Err(format!(
            "a row has 4 columns for each of at most {LEVELS_MAX} levels, but this one has {}",
            fields.len()
        ));
    }
    let mut sides = [Vec::new(), Vec::new()];
    for level in fields.chunks_exact(4) {
        for (side, price, qty) in [(Side::Ask, level[0], level[1]), (Side::Bid, level[2], level[3])] {
            let level = Level {
                price: price.parse().map_err(|_| format!("the price {price:?} is not a number"))?,
                qty: qty.parse().map_err(|_| format!("the size {qty:?} is not a number"))?,
            };
            let levels: &mut Vec<Level> = &mut sides[side as usize];
            let in_order = levels.last().is_none_or(|better| match side {
                _ if level.qty == 0 => true,
                Side::Bid => level.price < better.price,
                Side::Ask => level.price > better.price,
            });
            if !in_order {
                return Err(format!("the price {price} is not worse than that of the level before it"));
            }
            if level.qty > 0 {
                levels.push(level);
            }
        }
    }
    Ok((sides, fields.len() / 4))
}
