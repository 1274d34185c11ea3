//! A thousand clients that stop reading beside a thousand that read: what they cost the others, what they cost the
//! broker's memory, and what they get when they read again.
//!
//! Every 10 ms an update of a `state` topic and one of an `event` topic, for a minute, interleaved with runs without the
//! stalled. The minute begins when the kernel takes no byte more for any of the stalled.
//!
//! `cargo bench -p broker --bench isolation [-- [--seconds N] [--repeats N]]`

#[path = "../load/mod.rs"]
mod load;
mod run;
mod stalled;

use load::Cores;
use load::report::{Ask, Series, Table};

use run::{Figures, Size, run};

fn main() {
    let ask = Ask::from_process();
    if !ask.wants("isolation") {
        return;
    }
    let cores = Cores::of_process();
    let subscribers = ask.pick(1000, 20);
    let size = Size { subscribers, seconds: ask.seconds(60.0, 3.0) };
    let repeats = ask.repeats(3);
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..repeats {
        without.push(run(&cores, size, 0));
        with.push(run(&cores, size, subscribers));
    }
    let title = format!(
        "{subscribers} healthy subscribers, {} s, {repeats} interleaved repeats, median (min..max); {}",
        size.seconds,
        cores.describe()
    );
    let columns = ["run", "p50 ms", "p99 ms", "CPU ns/delivery", "RSS MB", "RSS growth, KB"];
    let mut table = Table::new(title, &[&columns[..], &["p99 ms, when they read again"]].concat());
    row(&mut table, "without stalled ones", &without);
    row(&mut table, &format!("with {subscribers} stalled ones"), &with);
    table.print();
    let quotient = |of: fn(&Figures) -> f64| median(&with, of) / median(&without, of);
    println!(
        "\nwith / without, of the medians: p50 {:.2}, p99 {:.2}",
        quotient(|figures| figures.p50_ms),
        quotient(|figures| figures.p99_ms)
    );
    if let Some(last) = with.last() {
        println!("\nRSS of the last run with stalled ones, MB, over its {} s: {}", size.seconds, last.rss_over_time());
    }
    stalled::print(&with.iter().filter_map(|figures| figures.stalled.as_ref()).collect::<Vec<_>>());
}

fn series(figures: &[Figures], of: impl Fn(&Figures) -> f64) -> Series {
    let mut series = Series::default();
    figures.iter().for_each(|figures| series.push(of(figures)));
    series
}

fn median(figures: &[Figures], of: fn(&Figures) -> f64) -> f64 {
    series(figures, of).median()
}

fn row(table: &mut Table, name: &str, figures: &[Figures]) {
    let mut again = Series::default();
    figures.iter().filter_map(|figures| figures.p99_again_ms).for_each(|ms| again.push(ms));
    table.row(&[
        &name,
        &series(figures, |figures| figures.p50_ms),
        &series(figures, |figures| figures.p99_ms),
        &series(figures, |figures| figures.cpu_ns),
        &series(figures, |figures| figures.rss_median_bytes() / 1e6),
        &series(figures, |figures| figures.rss_growth_bytes() / 1e3),
        &again,
    ]);
}
