//! Every number of the market, with its unit and source. `docs/market.md` explains them.
//!
//! A number that a paper measured is given as measured, or rounded. If papers only agree on a shape or a range, the doc
//! comment says so ("ours"), and the value was chosen within that range by looking at the simulated flow.

// ---------------------------------------------------------------------------------------------------------------------
// Arrivals of orders: a Hawkes process. The kernel from event type j to type i is
//   phi_ij(t) = n_ij * sum_s w_s * beta_s * exp(-beta_s * t),   so that n_ij is the mean number of direct offspring.

/// Decays beta_s, 1/s. A sum of exponentials stands for the power law that data show from milliseconds to minutes
/// (Hardiman, Bercot, Bouchaud 2013; Bacry, Jaisson, Muzy 2016): 1 ms, 0.1 s and 20 s.
pub(super) const KERNEL_DECAYS_PER_S: [f64; 3] = [1_000.0, 10.0, 0.05];

/// Weights w_s of the scales; their sum is 1. Ours.
pub(super) const KERNEL_WEIGHTS: [f64; 3] = [0.55, 0.35, 0.10];

/// Mean shares of limit orders, market orders and cancellations among all events: mostly limit orders and cancellations
/// in nearly equal numbers, and few trades (Smith et al. 2003; Bouchaud, Mézard, Potters 2002). Ours within that range.
pub(super) const EVENT_SHARES: [f64; 3] = [0.48, 0.07, 0.45];

/// n_ij by the class of the excited event (row), of the exciting one (column), and whether both are on the same side or
/// on opposite ones. The pattern is that of Bacry, Jaisson, Muzy 2016 and of Achab et al. 2018: market orders excite
/// more of their own side, limit orders that follow, and cancellations on the other side; limit orders and
/// cancellations excite each other. The values are ours: a branching ratio (spectral radius) of 0.89, between the about
/// 0.7 of Filimonov and Sornette 2012 and the nearly 1 of Hardiman et al. 2013.
pub(super) const OFFSPRING: [[[f64; 2]; 3]; 3] = [
    // by limit      by market     by cancel
    [[0.36, 0.08], [0.45, 0.35], [0.36, 0.06]],  // limit
    [[0.02, 0.01], [0.40, 0.03], [0.01, 0.015]], // market
    [[0.33, 0.06], [0.10, 0.35], [0.30, 0.08]],  // cancel
];

/// Events per second of the most active instrument, averaged over the continuous session. LOBSTER's sample of AAPL of
/// 2012-06-21 has 20 per second in the first minute of the day, when activity is about 1.8 times its mean.
pub(super) const EVENTS_PER_S: f64 = 12.0;

/// The instrument of rank k has k to the power of minus this times the events of the first. Firm sizes follow Zipf's
/// law (Axtell 2001, rank exponent near 1); the tick rate grows as the size to the 0.39 and the value traded as the
/// size to the 0.90 (Zumbach 2004). Orders are between the two; 0.6 is ours.
pub(super) const ACTIVITY_EXPONENT: f64 = 0.6;

/// Excitation right after an opening or reopening auction, as a multiple of its mean: a burst that fades at the
/// kernel's own pace. Ours.
pub(super) const OPENING_BURST: f64 = 4.0;

// ---------------------------------------------------------------------------------------------------------------------
// The day.

/// Activity over the session is A + B * (2x - 1)^2 with x from 0 at its start to 1 at its end, 1 on average: the U
/// shape of Wood, McInish, Ord 1985 and Jain, Joh 1988. The sizes are ours; volatility follows its square root.
pub(super) const ACTIVITY_MIDDAY: f64 = 0.6;
/// See [`ACTIVITY_MIDDAY`].
pub(super) const ACTIVITY_ENDS: f64 = 1.2;

/// Orders per second in a call: this many times the continuous rate, and at least [`CALL_RATE_MIN_PER_S`]. Ours, so
/// that a call of a few seconds collects a book.
pub(super) const CALL_RATE_FACTOR: f64 = 4.0;
/// See [`CALL_RATE_FACTOR`]; 1/s.
pub(super) const CALL_RATE_MIN_PER_S: f64 = 1.0;
/// Orders of each side that wait for the call of an auction to begin. Ours.
pub(super) const CALL_ORDERS: u32 = 5;

// ---------------------------------------------------------------------------------------------------------------------
// The book.

/// The probability of a limit order d steps behind the best price falls as (1 + d) to the power of minus (1 + this),
/// the 0.6 of Bouchaud, Mézard, Potters 2002 for Paris (Zovko, Farmer 2002 found 1.5 in London).
pub(super) const PLACEMENT_EXPONENT: f64 = 0.6;
/// The bound of the distance, in steps. Ours: orders further away do not matter.
pub(super) const PLACEMENT_STEPS_MAX: usize = 40;

/// A step is this times the volatility per trade, at least one tick: spreads are proportional to the volatility per
/// trade (Wyart et al. 2008). Ours: a spread is mostly one to three steps.
pub(super) const STEP_PER_TRADE_VOLATILITY: f64 = 0.5;

/// Probability, per step of the spread, that a limit order goes into it. With a wide spread nearly all do. Ours.
pub(super) const INSIDE_PER_STEP: f64 = 0.22;
/// The maximum of that probability.
pub(super) const INSIDE_MAX: f64 = 0.9;
/// A spread of more steps than this is closed by limit orders; nobody pays it. Ours.
pub(super) const SPREAD_STEPS_MAX: f64 = 6.0;

/// Orders that a side has on average. Above that, limit orders turn into cancellations; below it, cancellations into
/// limit orders. The probability is the relative distance, so that the book neither empties nor grows without bound.
/// Ours.
pub(super) const ORDERS_PER_SIDE: f64 = 36.0;
/// The fewest levels of a side (market makers quote behind them), and, in [`LEVELS_MAX`], the most (orders further away
/// are cancelled).
pub(super) const LEVELS_MIN: usize = 5;
/// See [`LEVELS_MIN`].
pub(super) const LEVELS_MAX: usize = 20;

/// Sizes of limit orders in round lots have a Pareto tail: P(n or more) = n^-1.1 (Maslov, Mills 2001: near 1).
pub(super) const LIMIT_SIZE_EXPONENT_INVERSE: f64 = 1.0 / 1.1;
/// Sizes of market orders: n^-1.5 (Gopikrishnan et al. 2000: exponents near 1.5 for trades; Maslov, Mills 2001: near
/// 1.4).
pub(super) const MARKET_SIZE_EXPONENT_INVERSE: f64 = 1.0 / 1.5;
/// The largest order, in round lots. Ours.
pub(super) const SIZE_LOTS_MAX: f64 = 400.0;
/// Share of orders of less than a round lot (O'Hara, Yao, Ye 2014: about a fifth of trades).
pub(super) const ODD_LOT_SHARE: f64 = 0.2;
/// Share of orders of five or ten round lots: people like round numbers. Ours.
pub(super) const ROUND_NUMBER_SHARE: f64 = 0.06;

/// Share of market orders that take exactly the best level: most trades that move the price do (Farmer et al. 2004).
pub(super) const TAKES_LEVEL_SHARE: f64 = 0.35;
/// Share of cancellations that only reduce an order. Ours.
pub(super) const REDUCTION_SHARE: f64 = 0.1;

// ---------------------------------------------------------------------------------------------------------------------
// The fair price, which the flow follows: log F = beta * market + sector + own.

/// Volatility of an instrument's fair price per square root of a second, at mean activity: 1.5 % over 6.5 hours.
pub(super) const VOLATILITY_PER_SQRT_S: f64 = 1.0e-4;
/// Variance shares of the market, the sector and the instrument itself; their sum is 1. Correlations show one market
/// and sectors beside it (Plerou et al. 2002); the sizes are ours.
pub(super) const VARIANCE_SHARES: [f64; 3] = [0.35, 0.15, 0.50];
/// Betas are spread evenly over 1 plus or minus this. Ours.
pub(super) const BETA_SPREAD: f64 = 0.3;
/// The number of sectors (GICS has eleven).
pub(super) const SECTORS: usize = 11;
/// How often factors move, microseconds.
pub(super) const FACTOR_STEP_US: u64 = 250_000;
/// The time, in seconds, in which all parts of the fair price revert to their start: a run of days stays near the first
/// prices. Ours.
pub(super) const REVERSION_S: f64 = 14_400.0;
/// The log of the fair price stays within this of its start: about half and twice the first price.
pub(super) const LOG_PRICE_MAX: f64 = 0.6;

/// The time scales of volatility, in seconds. The volatility of all instruments, relative to its mean, is exp(x -
/// variance / 2), where x is a sum of processes that revert within these times, each with the variance
/// [`VOLATILITY_SCALE_VARIANCE`]. Its correlation falls slowly, as in Bacry, Delour, Muzy 2001, over minutes to an
/// hour.
pub(super) const VOLATILITY_SCALES_S: [f64; 3] = [20.0, 200.0, 2_000.0];
/// See [`VOLATILITY_SCALES_S`].
pub(super) const VOLATILITY_SCALE_VARIANCE: f64 = 0.2;

/// The time between news of an instrument, in seconds on average. News moves the price by at least [`NEWS_JUMP_MIN`],
/// and by [`NEWS_JUMP_MORE`] more on average, as fractions. Ours: now and then there is a halt to see.
pub(super) const NEWS_GAP_S: f64 = 3_000.0;
/// See [`NEWS_GAP_S`].
pub(super) const NEWS_JUMP_MIN: f64 = 0.012;
/// See [`NEWS_GAP_S`].
pub(super) const NEWS_JUMP_MORE: f64 = 0.012;

/// The flow begins to lean towards the fair price when the market is this many steps away from it, and leans fully
/// [`LEAN_FULL_STEPS`] further. Nearer than this, nobody knows better. Ours.
pub(super) const LEAN_FROM_STEPS: f64 = 0.75;
/// See [`LEAN_FROM_STEPS`].
pub(super) const LEAN_FULL_STEPS: f64 = 2.5;

/// From this many steps on there is news: an informed market order takes everything offered short of the fair price.
/// Ours.
pub(super) const SWEEP_FROM_STEPS: f64 = 8.0;

/// An order that would trade further than this fraction from the reference price halts trading. Venues have 3 to 10 %
/// (the US limit up-limit down plan: 5 % for large stocks); ours is narrower, because the day is shorter.
pub(super) const HALT_BAND: f64 = 0.015;
/// The reference price moves by one part in this many towards each minute's close (that plan takes the mean of five
/// minutes); an auction sets it.
pub(super) const REFERENCE_MINUTES: i64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_shares() {
        for shares in [KERNEL_WEIGHTS, EVENT_SHARES, VARIANCE_SHARES] {
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{shares:?}");
        }
        assert!((ACTIVITY_MIDDAY + ACTIVITY_ENDS / 3.0 - 1.0).abs() < 1e-12);
    }
}
