//! The venue's checksum of a book ("Book checksum" in its documentation, the same for both versions): CRC32 of the
//! digits of the ten best asks, then of the ten best bids. Each price and quantity is without its point and without
//! leading zeros.

use crate::venue::book::{ASKS, BIDS, Book};

/// How many levels of a side are in it, for a book of any depth.
const LEVELS: usize = 10;

/// Computes the checksum of a book.
pub(super) fn checksum(book: &Book) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let mut digits = Vec::with_capacity(64);
    for side in [ASKS, BIDS] {
        for level in book.sides()[side].best_first().take(LEVELS) {
            for number in [&level.key, level.qty()] {
                digits.clear();
                digits.extend(number.bytes().filter(|&byte| byte != b'.').skip_while(|&byte| byte == b'0'));
                hasher.update(&digits);
            }
        }
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::level::Change;

    #[test]
    fn the_example_of_the_documentation() {
        // The book of the example in "Book checksum (WebSocket v1)": ten asks up from 0.05005 and ten bids down from
        // 0.05000 in steps of 0.00005 (0.04985 is left out there), 0.00000500 each.
        let mut book = Book::of_exchange("kraken", "A/B");
        let asks = (0..10).map(|nth| (ASKS, 5_005 + 5 * nth));
        let bids = (0..11).filter(|nth| *nth != 3).map(|nth| (BIDS, 5_000 - 5 * nth));
        let changes = asks
            .chain(bids)
            .map(|(side, px)| Change::of_price(side, &format!("0.0{px}"), "0.00000500").expect("numbers"))
            .collect();
        book.replace(changes).expect("there is room");
        assert_eq!(checksum(&book), 974_947_235);
    }
}
