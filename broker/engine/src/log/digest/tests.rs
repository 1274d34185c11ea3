//! Golden values, which another implementation can compute, and what is compared with what.

use super::*;

/// FNV-1a of 64 bits, as published (<http://www.isthe.com/chongo/tech/comp/fnv/>).
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What is taken in for a command.
type Taken<'a> = (&'a str, &'a str, u64, Outcome);

/// Takes in a block of updates; `changed` is taken in instead of its command of that index.
fn block(digests: &mut Digests, changed: Option<(usize, Taken<'_>)>) -> Option<Digest> {
    let mut last = None;
    for at in 0..BLOCK_COMMANDS as usize {
        let (topic, epoch, seq, outcome) = match changed {
            Some((index, changed)) if index == at => changed,
            _ => ("stocks.AAPL.quote", "7Zx", at as u64, Outcome::Published),
        };
        assert_eq!(last, None, "a digest before the end of its block");
        last = digests.push(topic, epoch, seq, outcome);
    }
    last
}

#[test]
fn golden_values() {
    let mut digests = Digests::new(0);
    let digest = block(&mut digests, None).expect("a whole block");
    assert_eq!(digest, Digest { block: 0, value: GOLDEN });
    let mut bytes = Vec::new();
    for seq in 0..BLOCK_COMMANDS {
        bytes.extend_from_slice(b"stocks.AAPL.quote\xff7Zx\xff");
        bytes.extend_from_slice(&seq.to_le_bytes());
        bytes.push(1);
    }
    assert_eq!(digest.value, fnv_1a(&bytes));
    // Each block stands for itself.
    assert_eq!(block(&mut digests, None), Some(Digest { block: 1, value: GOLDEN }));
}

/// Never to be changed: brokers of different versions compare such values.
const GOLDEN: u64 = 0x597c_d721_bf7f_2125;

#[test]
fn codes_of_outcomes() {
    use Outcome::*;
    let all = [Published, Duplicate, KindMismatch, TooLarge, Limit, Ended, NotEnded, Control, Invalid];
    assert!(all.map(Outcome::code).into_iter().eq(1..=9), "they never change");
}

#[test]
fn every_part_counts() {
    let plain = block(&mut Digests::new(0), None).expect("whole").value;
    let (topic, epoch, outcome) = ("stocks.AAPL.quote", "7Zx", Outcome::Published);
    for at in [0, 1, 4_095] {
        let seq = at as u64;
        let same = block(&mut Digests::new(0), Some((at, (topic, epoch, seq, outcome))));
        assert_eq!(same.expect("whole").value, plain);
        for changed in [
            ("stocks.AAPL.trade", epoch, seq, outcome),
            (topic, "7Zy", seq, outcome),
            (topic, epoch, seq + 1, outcome),
            (topic, epoch, seq, Outcome::Duplicate),
            ("stocks.AAPL.quote7", "Zx", seq, outcome),
        ] {
            let digest = block(&mut Digests::new(0), Some((at, changed))).expect("whole");
            assert_ne!(digest.value, plain, "{changed:?}");
        }
    }
}

#[test]
fn a_block_whose_beginning_was_not_seen_has_no_digest() {
    let (mut whole, mut later) = (Digests::new(0), Digests::new(BLOCK_COMMANDS + 1));
    for _ in 0..2 {
        block(&mut whole, None);
    }
    assert_eq!(later.newest(), None);
    for seq in 1..BLOCK_COMMANDS {
        assert_eq!(later.push("stocks.AAPL.quote", "7Zx", seq, Outcome::Published), None);
    }
    assert_eq!(later.newest(), None);
    assert_eq!(later.compare(whole.newest().expect("two blocks")), Compared::Unknown);
    let (one, other) = (block(&mut whole, None), block(&mut later, None));
    assert_eq!((one, one.map(|digest| digest.block)), (other, Some(2)));
    assert_eq!(Digests::new(7 * BLOCK_COMMANDS).push("a", "b", 1, Outcome::Published), None);
    let first = block(&mut Digests::new(7 * BLOCK_COMMANDS), None);
    assert_eq!(first, Some(Digest { block: 7, value: GOLDEN }), "a broker may begin exactly at a block");
}

#[test]
fn the_last_blocks_are_compared() {
    let mut digests = Digests::new(0);
    assert_eq!(digests.compare(Digest { block: 0, value: GOLDEN }), Compared::Unknown);
    for number in 0..BLOCKS_KEPT as u64 + 2 {
        block(&mut digests, None);
        assert_eq!(digests.newest().map(|digest| digest.block), Some(number));
    }
    let newest = BLOCKS_KEPT as u64 + 1;
    for number in 0..newest + 2 {
        let kept = (2..=newest).contains(&number);
        let (same, differs) =
            if kept { (Compared::Same, Compared::Differs) } else { (Compared::Unknown, Compared::Unknown) };
        assert_eq!(digests.compare(Digest { block: number, value: GOLDEN }), same, "{number}");
        assert_eq!(digests.compare(Digest { block: number, value: GOLDEN ^ 1 }), differs, "{number}");
    }
}
