//! Seeded randomness that is the same on every machine, in every build and for ever.
//!
//! PCG-32 is specified to the bit, and everything drawn from it here is integer arithmetic. The convenience methods of
//! `rand` are not used: their algorithms may change between its versions, and with them our golden bytes.

use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;

/// One stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random(Pcg32);

impl Random {
    /// Stream number `stream` of `seed`. Streams are independent of one another, so that the tenth instrument does the
    /// same whether there are ten of them or a thousand.
    pub fn new(seed: u64, stream: u64) -> Self {
        Random(Pcg32::new(scramble(seed ^ scramble(stream)), stream))
    }

    /// A number from 0 to `n - 1`. The bias of the multiplication is below n / 2³²: nothing to a simulation.
    pub fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }

    /// True `n` times in 1024.
    pub fn chance(&mut self, n: u32) -> bool {
        self.0.next_u32() >> 22 < n
    }

    /// How often a fair coin shows heads before tails, at most `max`.
    pub fn heads(&mut self, max: u32) -> u32 {
        self.0.next_u32().trailing_ones().min(max)
    }

    /// The wait until the next of a run of things that come `mean_us` apart on average: often in quick succession, then
    /// quiet for a while, as people and markets are.
    pub fn gap_us(&mut self, mean_us: u32) -> u64 {
        if self.chance(256) {
            u64::from(self.below(mean_us / 10))
        } else {
            // 1/4 · 0.05 + 3/4 · 1.3167 = 1 mean.
            u64::from(mean_us / 4) + u64::from(self.below(mean_us / 15 * 32))
        }
    }
}

/// SplitMix64's finalizer: seeds 1 and 2 should not look alike.
fn scramble(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_these_for_ever() {
        let mut random = Random::new(1, 2);
        let drawn: Vec<u32> = (0..6).map(|_| random.below(1000)).collect();
        assert_eq!(drawn, GOLDEN);
    }
    const GOLDEN: [u32; 6] = [897, 680, 20, 909, 458, 474];

    #[test]
    fn gaps_have_their_mean_and_streams_differ() {
        let mut random = Random::new(7, 0);
        let sum: u64 = (0..100_000).map(|_| random.gap_us(30_000)).sum();
        let mean = sum / 100_000;
        assert!((29_500..30_500).contains(&mean), "{mean}");
        let (mut a, mut b) = (Random::new(7, 1), Random::new(7, 2));
        assert!((0..4).any(|_| a.below(u32::MAX) != b.below(u32::MAX)));
    }
}
