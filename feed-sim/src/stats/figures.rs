//! Turns the collected data into figures with names and units.

use super::collector::Collector;
use super::spreads::quantile;

/// One figure of a feed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// Its name in JSON: words joined by `_`, the unit last where there is one.
    pub key: &'static str,
    /// Its name in the table.
    pub label: &'static str,
    /// Its unit; empty for a pure number.
    pub unit: &'static str,
    /// Its value; `None` if the feed has too little data.
    pub value: Option<f64>,
    /// Digits behind the point in the table.
    pub decimals: usize,
}

/// All figures of a feed, always the same ones in the same order.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// The feed that was measured, as the user named it.
    pub source: String,
    /// The instrument with the most arrivals: arrivals, signs and returns are figures of this one.
    pub busiest: Option<String>,
    /// The figures.
    pub figures: Vec<Figure>,
}

impl Figures {
    /// Computes the figures of what was collected from `source`.
    pub fn new(source: &str, collector: &Collector) -> Figures {
        let busiest = collector.busiest();
        let mut figures = messages(collector);
        figures.extend(spreads(collector));
        figures.extend(sizes(collector));
        figures.extend(
            busiest.map_or_else(|| of_instrument(&Default::default()), |(_, instrument)| of_instrument(instrument)),
        );
        Figures { source: source.to_owned(), busiest: busiest.map(|(name, _)| name.to_owned()), figures }
    }

    /// The value of the figure with that key, if it has one.
    pub fn value(&self, key: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.key == key)?.value
    }
}

fn figure(key: &'static str, label: &'static str, unit: &'static str, decimals: usize, value: Option<f64>) -> Figure {
    Figure { key, label, unit, value: value.filter(|value| value.is_finite()), decimals }
}

fn messages(all: &Collector) -> Vec<Figure> {
    let count = |count: u64| Some(count as f64);
    let seconds = all.first_us.map(|first_us| (all.last_us - first_us) as f64 / 1e6);
    let rate = seconds.filter(|seconds| *seconds > 0.0).map(|seconds| all.messages() as f64 / seconds);
    vec![
        figure("messages", "messages", "", 0, count(all.messages())),
        figure("events", "events", "", 0, count(all.events)),
        figure("states", "states", "", 0, count(all.states)),
        figure("patches", "patches", "", 0, count(all.patches)),
        figure("trades", "trades", "", 0, count(all.trades)),
        figure("bad_records", "bad records", "", 0, count(all.bad_records)),
        figure("instruments", "instruments", "", 0, count(all.instruments() as u64)),
        figure("duration_s", "duration", "s", 1, seconds),
        figure("rate_mean_per_s", "rate, mean", "1/s", 1, rate),
        figure("rate_peak_per_s", "rate, peak second", "1/s", 0, count(all.peak())),
        figure("bytes_p50", "data, p50", "bytes", 0, all.bytes.at(0.5)),
        figure("bytes_p99", "data, p99", "bytes", 0, all.bytes.at(0.99)),
    ]
}

fn spreads(all: &Collector) -> Vec<Figure> {
    let ticks = all.spread_ticks();
    let count: u64 = ticks.values().sum();
    let sum: f64 = ticks.iter().map(|(ticks, count)| *ticks as f64 * *count as f64).sum();
    let mean = (count > 0).then(|| sum / count as f64);
    vec![
        figure("quotes", "quotes with a spread", "", 0, Some(count as f64)),
        figure("quotes_crossed", "quotes locked or crossed", "", 0, Some(all.crossed as f64)),
        figure("spread_ticks_p50", "spread, median", "ticks", 0, quantile(&ticks, 0.5)),
        figure("spread_ticks_mean", "spread, mean", "ticks", 2, mean),
        figure("spread_ticks_p90", "spread, p90", "ticks", 0, quantile(&ticks, 0.9)),
        figure("spread_bp_p50", "spread, median", "bp", 3, all.spread_bp.at(0.5)),
        figure("spread_bp_mean", "spread, mean", "bp", 3, all.spread_bp_moments.mean()),
        figure("spread_bp_p90", "spread, p90", "bp", 3, all.spread_bp.at(0.9)),
    ]
}

fn sizes(all: &Collector) -> Vec<Figure> {
    let sizes = &all.sizes;
    vec![
        figure("trade_size_p50", "trade size, median", "units", 4, sizes.quantile(0.5)),
        figure("trade_size_mean", "trade size, mean", "units", 4, sizes.moments().mean()),
        figure("trade_size_p99", "trade size, p99", "units", 4, sizes.quantile(0.99)),
        figure("trade_size_tail_index", "trade size, tail index (Hill)", "", 2, sizes.tail_index()),
        figure("trade_size_round_percent", "trade size, multiples of 100", "%", 1, sizes.round_lots_percent()),
    ]
}

fn of_instrument(instrument: &super::instrument::Instrument) -> Vec<Figure> {
    let arrivals = &instrument.arrivals;
    let [fano_1s, fano_10s] = arrivals.fano();
    let [sign_1, sign_10] = instrument.signs.correlations();
    let returns = instrument.returns.moments();
    let [absolute_1, absolute_5, absolute_10, absolute_30] = instrument.returns.absolute();
    let in_ms = |us: Option<f64>| us.map(|us| us / 1e3);
    let in_bp = |part: Option<f64>| part.map(|part| part * 1e4);
    vec![
        figure("arrivals", "arrivals of the busiest", "", 0, Some(arrivals.count() as f64)),
        figure("gap_mean_ms", "gap, mean", "ms", 2, in_ms(arrivals.gaps().mean())),
        figure("gap_variation", "gap, coefficient of variation", "", 2, arrivals.gaps().variation()),
        figure("gap_burstiness", "gap, burstiness B", "", 3, arrivals.burstiness()),
        figure("gap_memory", "gap, autocorrelation at 1", "", 3, arrivals.memory()),
        figure("fano_1s", "Fano factor, 1 s", "", 2, fano_1s),
        figure("fano_10s", "Fano factor, 10 s", "", 2, fano_10s),
        figure("sign_autocorrelation_1", "trade sign, autocorrelation at 1", "", 3, sign_1),
        figure("sign_autocorrelation_10", "trade sign, autocorrelation at 10", "", 3, sign_10),
        figure("returns", "returns over 1 s", "", 0, Some(returns.count() as f64)),
        figure("return_deviation_bp", "return, standard deviation", "bp", 3, in_bp(returns.deviation())),
        figure("return_kurtosis", "return, kurtosis (normal: 3)", "", 1, returns.kurtosis()),
        figure("return_abs_autocorrelation_1s", "absolute return, autocorrelation at 1 s", "", 3, absolute_1),
        figure("return_abs_autocorrelation_5s", "absolute return, autocorrelation at 5 s", "", 3, absolute_5),
        figure("return_abs_autocorrelation_10s", "absolute return, autocorrelation at 10 s", "", 3, absolute_10),
        figure("return_abs_autocorrelation_30s", "absolute return, autocorrelation at 30 s", "", 3, absolute_30),
    ]
}
