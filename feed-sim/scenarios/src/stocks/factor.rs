//! Fair prices, which the order flow follows: a market and its sectors that move together, and each instrument's own
//! part.
//!
//! The path of market and sectors is a function of the seed alone, in steps of a quarter of a second. It depends
//! neither on when or how often it is read nor on the number of instruments.

use super::parameters::{
    BETA_SPREAD, FACTOR_STEP_US, LOG_PRICE_MAX, NEWS_GAP_S, NEWS_JUMP_MIN, NEWS_JUMP_MORE, REVERSION_S, SECTORS,
    VARIANCE_SHARES, VOLATILITY_PER_SQRT_S, VOLATILITY_SCALE_VARIANCE, VOLATILITY_SCALES_S,
};
use feed_player::random::Random;

/// The market and its sectors, which all instruments share.
pub(super) struct Factors {
    random: Random,
    /// The number of steps that the path has taken.
    step: u64,
    /// Logarithms, 0 at the beginning.
    market: f64,
    sectors: [f64; SECTORS],
    /// Log volatility, by scale.
    volatility_parts: [f64; 3],
    /// The multiple of the mean volatility.
    volatility: f64,
}

impl Factors {
    pub(super) fn new(random: Random) -> Self {
        let (sectors, volatility_parts) = ([0.0; SECTORS], [0.0; 3]);
        Factors { random, step: 0, market: 0.0, sectors, volatility_parts, volatility: 1.0 }
    }

    /// Advances to `now_us`; `activity` says how busy the day is at a time (µs).
    pub(super) fn advance(&mut self, now_us: u64, activity: fn(u64) -> f64) {
        let until = now_us / FACTOR_STEP_US;
        while self.step < until {
            self.step += 1;
            self.take_step(activity(self.step * FACTOR_STEP_US));
        }
    }

    fn take_step(&mut self, activity: f64) {
        let step_s = FACTOR_STEP_US as f64 / 1e6;
        for (part, scale_s) in self.volatility_parts.iter_mut().zip(VOLATILITY_SCALES_S) {
            let noise = (2.0 * VOLATILITY_SCALE_VARIANCE * step_s / scale_s).sqrt();
            *part += noise * self.random.normal() - *part * step_s / scale_s;
        }
        let variance = VOLATILITY_SCALE_VARIANCE * VOLATILITY_SCALES_S.len() as f64;
        self.volatility = libm::exp(self.volatility_parts.iter().sum::<f64>() - variance / 2.0);
        let moved = VOLATILITY_PER_SQRT_S * self.volatility * (step_s * activity).sqrt();
        let left = 1.0 - step_s / REVERSION_S;
        self.market = self.market * left + moved * VARIANCE_SHARES[0].sqrt() * self.random.normal();
        for sector in &mut self.sectors {
            *sector = *sector * left + moved * VARIANCE_SHARES[1].sqrt() * self.random.normal();
        }
    }
}

/// The fair price of one instrument.
pub(super) struct Fair {
    random: Random,
    start_ticks: f64,
    beta: f64,
    sector: usize,
    /// Its own part of the logarithm, as of `at_us`.
    own: f64,
    at_us: u64,
    news_us: u64,
}

impl Fair {
    pub(super) fn new(start_ticks: u32, sector: usize, mut random: Random) -> Self {
        let beta = 1.0 + BETA_SPREAD * (2.0 * random.unit() - 1.0);
        let news_us = next_news_us(0, &mut random);
        Fair { random, start_ticks: f64::from(start_ticks), beta, sector, own: 0.0, at_us: 0, news_us }
    }

    /// The fair price at `now_us`, in ticks. `factors` must have been advanced to then; `activity` is how busy the day
    /// is now.
    pub(super) fn ticks(&mut self, now_us: u64, factors: &Factors, activity: f64) -> f64 {
        let elapsed_s = (now_us - self.at_us) as f64 / 1e6;
        self.at_us = now_us;
        let moved = VOLATILITY_PER_SQRT_S * factors.volatility * (VARIANCE_SHARES[2] * elapsed_s * activity).sqrt();
        self.own = self.own * (1.0 - elapsed_s / REVERSION_S).max(0.0) + moved * self.random.normal();
        while self.news_us <= now_us {
            let jump = NEWS_JUMP_MIN + NEWS_JUMP_MORE * self.random.exponential();
            // More likely back towards the first price than further away.
            let up = self.random.happens(if self.own > 0.0 { 0.35 } else { 0.65 });
            self.own += if up { jump } else { -jump };
            self.news_us = next_news_us(self.news_us, &mut self.random);
        }
        let log = self.beta * factors.market + factors.sectors[self.sector] + self.own;
        self.start_ticks * libm::exp(log.clamp(-LOG_PRICE_MAX, LOG_PRICE_MAX))
    }
}

fn next_news_us(from_us: u64, random: &mut Random) -> u64 {
    from_us + 1 + (random.exponential() * NEWS_GAP_S * 1e6) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(seed: u64, times_us: impl Iterator<Item = u64>) -> (f64, [f64; SECTORS], f64) {
        let mut factors = Factors::new(Random::new(seed, 1));
        times_us.for_each(|now_us| factors.advance(now_us, |_| 1.0));
        (factors.market, factors.sectors, factors.volatility)
    }

    #[test]
    fn the_path_does_not_depend_on_how_often_it_is_read() {
        let (often, seldom) =
            (factors(3, (0..=1_000_000_000).step_by(100_000)), factors(3, [1_000_000_000].into_iter()));
        assert_eq!(often, seldom);
        assert_ne!(often.0, factors(4, [1_000_000_000].into_iter()).0);
    }

    /// Returns of two instruments are correlated, more so in one sector.
    #[test]
    fn instruments_move_together() {
        let mut factors = Factors::new(Random::new(1, 1));
        let mut fairs: Vec<Fair> = [0, 0, 1]
            .into_iter()
            .enumerate()
            .map(|(n, sector)| Fair::new(10_000, sector, Random::new(1, 10 + n as u64)))
            .collect();
        let mut returns: Vec<Vec<f64>> = vec![Vec::new(); 3];
        let mut last = [10_000.0; 3];
        for second in (10..40_000).step_by(10) {
            factors.advance(second * 1_000_000, |_| 1.0);
            for (n, fair) in fairs.iter_mut().enumerate() {
                let ticks = fair.ticks(second * 1_000_000, &factors, 1.0);
                // Without the news, which is an instrument's own.
                returns[n].push((libm::log(ticks / last[n])).clamp(-0.003, 0.003));
                last[n] = ticks;
            }
        }
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let correlation = |a: usize, b: usize| {
            let (a, b) = (&returns[a], &returns[b]);
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        assert!((0.25..0.65).contains(&correlation(0, 1)), "{}", correlation(0, 1));
        assert!((0.15..0.5).contains(&correlation(0, 2)), "{}", correlation(0, 2));
        let volatility = (dot(&returns[0], &returns[0]) / returns[0].len() as f64 / 10.0).sqrt();
        assert!((0.8e-4..1.6e-4).contains(&volatility), "{volatility} per square root of a second");
    }

    #[test]
    fn prices_stay_near_the_first_price() {
        let mut factors = Factors::new(Random::new(8, 1));
        let mut fair = Fair::new(10_000, 2, Random::new(8, 2));
        for minute in 0..20_000 {
            factors.advance(minute * 60_000_000, |_| 1.0);
            let ticks = fair.ticks(minute * 60_000_000, &factors, 1.0);
            assert!((5_400.0..18_300.0).contains(&ticks), "{ticks}");
        }
    }
}
