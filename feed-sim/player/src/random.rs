//! Seeded randomness that is the same on every machine, in every build and forever.
//!
//! PCG-32 is specified to the bit. Numbers are drawn from it here integer arithmetic, or `+ - * /` of IEEE 754 and the
//! logarithm of the `libm` crate, which are the same everywhere (a platform's own `ln` is not). The convenience methods
//! of `rand` are not used: their algorithms may change between its versions, and with them our golden bytes.

use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;

/// One stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random(Pcg32);

impl Random {
    /// Stream number `stream` of `seed`. Streams are independent of one another, so that the tenth instrument behaves
    /// the same whether there are ten of them or a thousand.
    pub fn new(seed: u64, stream: u64) -> Self {
        Random(Pcg32::new(scramble(seed ^ scramble(stream)), stream))
    }

    /// A number from 0 to `n - 1`. The bias of the multiplication is below n / 2³², which does not matter to a
    /// simulation.
    pub fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }

    /// True `n` times in 1024.
    pub fn chance(&mut self, n: u32) -> bool {
        self.0.next_u32() >> 22 < n
    }

    /// The time until the next of a series of actions that are `mean_us` apart on average: as with people, often in
    /// quick succession, then nothing for a while.
    pub fn gap_us(&mut self, mean_us: u32) -> u64 {
        if self.chance(256) {
            u64::from(self.below(mean_us / 10))
        } else {
            // 1/4 · 0.05 + 3/4 · 1.3167 = 1 mean.
            u64::from(mean_us / 4) + u64::from(self.below(mean_us / 15 * 32))
        }
    }

    /// A number above 0 and below 1, of 32 random bits.
    pub fn unit(&mut self) -> f64 {
        (f64::from(self.0.next_u32()) + 0.5) / 4_294_967_296.0
    }

    /// True with probability `p`.
    pub fn happens(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Exponentially distributed with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -libm::log(self.unit())
    }

    /// About normally distributed with mean 0 and variance 1: how many of 64 fair coins show heads, so never beyond ±8.
    pub fn normal(&mut self) -> f64 {
        let heads = self.0.next_u32().count_ones() + self.0.next_u32().count_ones();
        (f64::from(heads) - 32.0) / 4.0
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
    fn the_numbers_never_change() {
        let mut random = Random::new(1, 2);
        let drawn: Vec<u32> = (0..6).map(|_| random.below(1000)).collect();
        assert_eq!(drawn, GOLDEN);
    }
    const GOLDEN: [u32; 6] = [897, 680, 20, 909, 458, 474];

    #[test]
    fn distributions_have_their_moments_and_streams_differ() {
        let mut random = Random::new(7, 0);
        let mean_of = |draw: &mut dyn FnMut() -> f64| (0..100_000).map(|_| draw()).sum::<f64>() / 1e5;
        let mean = mean_of(&mut || random.gap_us(30_000) as f64);
        assert!((29_500.0..30_500.0).contains(&mean), "{mean}");
        let mean = mean_of(&mut || random.exponential());
        assert!((0.98..1.02).contains(&mean), "{mean}");
        let mean = mean_of(&mut || random.normal());
        let variance = mean_of(&mut || random.normal().powi(2));
        assert!(mean.abs() < 0.02 && (0.98..1.02).contains(&variance), "{mean} {variance}");
        let (mut a, mut b) = (Random::new(7, 1), Random::new(7, 2));
        assert!((0..4).any(|_| a.below(u32::MAX) != b.below(u32::MAX)));
    }

    /// Exponents and logarithms are computed by software that is the same everywhere: to the last bit.
    #[test]
    fn floating_point_is_the_same_everywhere() {
        let mut random = Random::new(3, 9);
        let bits = [random.exponential(), random.normal(), random.unit(), libm::exp(-0.3), libm::pow(17.0, -0.6)];
        assert_eq!(bits.map(f64::to_bits), GOLDEN_BITS, "{:#x?}", bits.map(f64::to_bits));
    }
    const GOLDEN_BITS: [u64; 5] =
        [0x3ff6573c028992cc, 0xc002000000000000, 0x3fda7ea3d7200000, 0x3fe7b4c869c37c05, 0x3fc7629acd7763a6];
}
