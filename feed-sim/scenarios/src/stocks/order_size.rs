//! The size of orders, and their distance from the market.

use super::parameters::{
    LIMIT_SIZE_EXPONENT_INVERSE, MARKET_SIZE_EXPONENT_INVERSE, ODD_LOT_SHARE, PLACEMENT_EXPONENT, PLACEMENT_STEPS_MAX,
    ROUND_NUMBER_SHARE, SIZE_LOTS_MAX,
};
use feed_player::random::Random;

/// Shares of a limit order: mostly a few round lots, sometimes very many, sometimes less than one.
pub(super) fn limit_qty(lot: u32, random: &mut Random) -> u32 {
    order_qty(lot, LIMIT_SIZE_EXPONENT_INVERSE, random)
}

/// Shares of a market order: like those of a limit order, but very many more seldom.
pub(super) fn market_qty(lot: u32, random: &mut Random) -> u32 {
    order_qty(lot, MARKET_SIZE_EXPONENT_INVERSE, random)
}

fn order_qty(lot: u32, exponent_inverse: f64, random: &mut Random) -> u32 {
    let kind = random.unit();
    if kind < ODD_LOT_SHARE && lot > 1 {
        return 1 + random.below(lot - 1);
    }
    if kind > 1.0 - ROUND_NUMBER_SHARE {
        return lot * if random.happens(0.7) { 5 } else { 10 };
    }
    // By inversion: P(n or more) = n^-exponent.
    let lots = libm::pow(random.unit(), -exponent_inverse).min(SIZE_LOTS_MAX);
    lot * lots as u32
}

/// How many steps behind the best price a limit order is placed: a power law.
pub(super) struct Placement {
    /// P(at most d steps), in 2^-32.
    cumulated: [u32; PLACEMENT_STEPS_MAX],
}

impl Placement {
    pub(super) fn new() -> Self {
        let weight = |steps: usize| libm::pow(1.0 + steps as f64, -1.0 - PLACEMENT_EXPONENT);
        let sum: f64 = (0..PLACEMENT_STEPS_MAX).map(weight).sum();
        let mut below = 0.0;
        let cumulated = std::array::from_fn(|steps| {
            below += weight(steps) / sum;
            (below * 4_294_967_296.0) as u32
        });
        Placement { cumulated }
    }

    pub(super) fn steps(&self, random: &mut Random) -> u32 {
        let drawn = random.below(u32::MAX);
        // Most draws end at the first comparisons.
        self.cumulated.iter().take(PLACEMENT_STEPS_MAX - 1).take_while(|&&below| drawn >= below).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_round_lots_with_a_heavy_tail() {
        let mut random = Random::new(1, 0);
        let sizes: Vec<u32> = (0..200_000).map(|_| market_qty(100, &mut random)).collect();
        let share = |of: &dyn Fn(u32) -> bool| sizes.iter().filter(|&&qty| of(qty)).count() as f64 / 200_000.0;
        assert!((share(&|qty| qty % 100 != 0) - ODD_LOT_SHARE).abs() < 0.01);
        assert!(share(&|qty| qty == 100) > 0.4);
        // Ten times as large is about 10^1.5 = 32 times as rare.
        let tail = share(&|qty| qty >= 2_000) / share(&|qty| qty >= 20_000);
        assert!((22.0..45.0).contains(&tail), "{tail}");
        assert!(sizes.iter().all(|qty| (1..=40_000).contains(qty)));
        // And a limit order 10^1.1 = 13 times.
        let sizes: Vec<u32> = (0..200_000).map(|_| limit_qty(100, &mut random)).collect();
        let of_at_least = |least: u32| sizes.iter().filter(|&&qty| qty >= least).count() as f64;
        let tail = of_at_least(2_000) / of_at_least(20_000);
        assert!((10.0..16.0).contains(&tail), "{tail}");
    }

    #[test]
    fn placement_is_a_power_law() {
        let (placement, mut random) = (Placement::new(), Random::new(2, 0));
        let mut counts = [0.0_f64; PLACEMENT_STEPS_MAX];
        (0..200_000).for_each(|_| counts[placement.steps(&mut random) as usize] += 1.0);
        let expected = libm::pow(8.0, 1.0 + PLACEMENT_EXPONENT);
        let ratio = counts[0] / counts[7];
        assert!((ratio / expected - 1.0).abs() < 0.1, "{ratio} instead of {expected}");
        assert!(counts.iter().all(|&count| count > 0.0));
    }
}
