//! Epochs: short texts that tell one life of a topic from the next.

use std::fmt::Write as _;

/// The odd multiplier of epochs. It permutes the numbers, so that no two counters of one run meet.
const SCATTER: u64 = 0x9e37_79b9_7f4a_7c15;
/// Its inverse: the product of both is 1, modulo 2^64.
const GATHER: u64 = inverse(SCATTER);
/// The numbers that epochs are made from have this many bits.
const EPOCH_MASK: u64 = (1 << 48) - 1;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The inverse of an odd number modulo 2^64: each of Newton's steps doubles the bits that are right, from three.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

/// The counter that an epoch was made from; `None` if it is none of this seed's.
pub(crate) fn counter(seed: u64, epoch: &str) -> Option<u64> {
    let mut number = 0u64;
    for digit in epoch.bytes().rev() {
        number = number.checked_mul(62)?.checked_add(value(digit)?)?;
    }
    // Only one text is made of each number.
    let made = number <= EPOCH_MASK && (epoch.len() == 1 || !epoch.ends_with('0'));
    (made && !epoch.is_empty()).then(|| (number.wrapping_mul(GATHER) ^ seed) & EPOCH_MASK)
}

/// The value of a digit.
fn value(digit: u8) -> Option<u64> {
    let (first, above) = match digit {
        b'0'..=b'9' => (b'0', 0),
        b'A'..=b'Z' => (b'A', 10),
        b'a'..=b'z' => (b'a', 36),
        _ => return None,
    };
    Some(u64::from(digit - first) + above)
}

/// Makes of an epoch of one nonce the one that another nonce has in its place; `None` if it is no epoch.
pub fn carry_epoch(from: u64, to: u64, epoch: &str) -> Option<Box<str>> {
    counter(from, epoch).map(|counter| self::epoch(to, counter))
}

/// Makes epochs: short, and never the same twice for one seed and counter.
pub(crate) fn epoch(seed: u64, counter: u64) -> Box<str> {
    let mut number = (seed ^ counter).wrapping_mul(SCATTER) & EPOCH_MASK;
    let mut text = String::with_capacity(9);
    loop {
        let _ = text.write_char(DIGITS[(number % 62) as usize] as char);
        number /= 62;
        if number == 0 {
            return text.into_boxed_str();
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

    use super::*;

    #[test]
    fn a_counter_is_found_by_its_epoch() {
        let mut random = StdRng::seed_from_u64(1);
        for round in 0..10_000u64 {
            let seed = random.random();
            let number = if round % 2 == 0 { round } else { random.random::<u64>() & EPOCH_MASK };
            assert_eq!(counter(seed, &epoch(seed, number)), Some(number));
        }
        for wrong in ["", "-", "a b", "zzzzzzzzzzzzzzzzzzzz", "10", "00", "é"] {
            assert_eq!(counter(1, wrong), None, "{wrong:?}");
        }
    }
}
