//! The table, and the output while it is made.

use std::io;
use std::time::Instant;

use crate::attack::{Attack, Size};
use crate::run::{Run, Verdict};
use crate::tables::Table;

const COLUMNS: [&str; 10] = [
    "attack",
    "same shard, ms",
    "other shard, ms",
    "newcomer, ms",
    "probe, ms",
    "round, ms",
    "memory, MiB",
    "control, ms",
    "p99 × control",
    "verdict",
];

/// The attacks so far.
pub(crate) struct Report {
    table: Table,
    remarks: Vec<String>,
    begun: Instant,
    name: &'static str,
    missed: usize,
    count: usize,
}

impl Report {
    pub(crate) fn new(size: Size) -> Self {
        let title = match size {
            Size::Full => {
                "Attacks. Latencies are p50 / p99 / max, rounds CPU on average / longest, memory start / peak / after"
            }
            Size::Short => "Attacks in short: the bars on time are wide, and the figures mean nothing",
        };
        let table = Table::new(title, &COLUMNS);
        Self { table, remarks: Vec::new(), begun: Instant::now(), name: "", missed: 0, count: 0 }
    }

    /// Notes that an attack begins.
    pub(crate) fn begin(&mut self, attack: &Attack) {
        (self.begun, self.name) = (Instant::now(), attack.name);
        println!("{}: {}", attack.name, attack.what);
    }

    /// Notes that the attack has ended.
    pub(crate) fn end(&mut self, verdict: io::Result<Verdict>) {
        let (name, seconds) = (self.name, self.begun.elapsed().as_secs_f64());
        self.count += 1;
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(error) => {
                println!("  could not be run: {error} ({seconds:.1} s)");
                self.remarks.push(format!("{name}: could not be run: {error}"));
                self.missed += 1;
                return;
            }
        };
        let passed = verdict.misses.is_empty();
        self.missed += usize::from(!passed);
        println!("  {} ({seconds:.1} s)", if passed { "ok" } else { "MISSED" });
        for miss in &verdict.misses {
            println!("    missed: {miss}");
            self.remarks.push(format!("{name}: missed: {miss}"));
        }
        for note in &verdict.run.notes {
            println!("    {note}");
            self.remarks.push(format!("{name}: {note}"));
        }
        self.row(name, &verdict, passed);
    }

    fn row(&mut self, name: &str, verdict: &Verdict, passed: bool) {
        let run = &verdict.run;
        let figures = &run.figures;
        let latencies = |run: &Run| {
            let figures = &run.figures;
            [&figures.same, &figures.other].map(|latencies| {
                let [p50, p99, max] = [0.5, 0.99, 1.0].map(|quantile| milliseconds(latencies.quantile(quantile)));
                format!("{p50} / {p99} / {max}")
            })
        };
        let [same, other] = latencies(run);
        let newcomers = &figures.newcomers;
        let mut newcomer = milliseconds(newcomers.max.as_secs_f64() * 1e3);
        if newcomers.refused > 0 {
            newcomer.push_str(&format!(", {} of {} refused", newcomers.refused, newcomers.refused + newcomers.served));
        }
        let probe = milliseconds(figures.probes.max.as_secs_f64() * 1e3);
        let round = run.rounds.as_ref().map_or("?".to_owned(), |rounds| {
            let cpu = rounds.cpu_ms.map_or_else(|| "-".to_owned(), milliseconds);
            format!("{cpu} / ≤ {}", milliseconds(rounds.longest_ms))
        });
        let memory = [run.start_kib, figures.peak_kib, run.after_kib].map(|kib| (kib / 1024).to_string()).join(" / ");
        let control = verdict.control.as_ref().map_or_else(String::new, |control| latencies(control)[0].clone());
        let times = verdict.control.as_ref().map_or_else(String::new, |control| {
            let pairs = [(&figures.same, &control.figures.same), (&figures.other, &control.figures.other)];
            pairs.map(|(run, control)| format!("{:.1}", run.quantile(0.99) / control.quantile(0.99))).join(" / ")
        });
        let judged = if passed { "ok" } else { "missed" };
        self.table.row(&[&name, &same, &other, &newcomer, &probe, &round, &memory, &control, &times, &judged]);
    }

    /// Prints the table and the remarks.
    pub(crate) fn print(&self) {
        self.table.print();
        println!();
        self.remarks.iter().for_each(|remark| println!("- {remark}"));
        println!("\n{} of {} attacks missed a bar", self.missed, self.count);
    }

    pub(crate) fn all_passed(&self) -> bool {
        self.missed == 0
    }
}

/// Formats milliseconds with the significant digits.
fn milliseconds(value: f64) -> String {
    match value {
        value if value.is_infinite() => "∞".to_owned(),
        value if value >= 10.0 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}
