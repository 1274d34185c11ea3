//! The command line of a benchmark, and its report: medians with their spread, in a small table.
//!
//! `cargo bench` passes `--bench`, which is the full mode. Without it, as in `cargo test`, everything is short: that
//! shows that the benchmark still works, and its figures mean nothing.
#![allow(dead_code, reason = "shared by all benchmarks, each of which uses a part")]

use std::fmt;

/// The command line of a benchmark: `[--seconds N] [--repeats N] [part of a row's name]...`.
#[derive(Debug, Default)]
pub(crate) struct Ask {
    full: bool,
    list: bool,
    seconds: Option<f64>,
    repeats: Option<usize>,
    names: Vec<String>,
}

impl Ask {
    /// Parses this process's arguments. Ignores the options of test harnesses.
    pub(crate) fn from_process() -> Self {
        let mut ask = Self::default();
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => ask.full = true,
                "--list" => ask.list = true,
                "--seconds" => ask.seconds = arguments.next().and_then(|text| text.parse().ok()),
                "--repeats" => ask.repeats = arguments.next().and_then(|text| text.parse().ok()),
                name if !name.starts_with('-') => ask.names.push(name.to_owned()),
                _ => {}
            }
        }
        ask
    }

    /// Returns whether this is the full mode, which measures.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Returns whether this row is wanted: every row is, unless some were named.
    pub(crate) fn wants(&self, name: &str) -> bool {
        !self.list && (self.names.is_empty() || self.names.iter().any(|part| name.contains(part.as_str())))
    }

    /// Picks one of two values by the mode.
    pub(crate) fn pick<T>(&self, full: T, short: T) -> T {
        if self.full { full } else { short }
    }

    /// The duration of one measurement.
    pub(crate) fn seconds(&self, full: f64, short: f64) -> f64 {
        self.seconds.unwrap_or(self.pick(full, short))
    }

    /// The number of repeats of each measurement.
    pub(crate) fn repeats(&self, full: usize) -> usize {
        self.repeats.unwrap_or(self.pick(full, 1)).max(1)
    }
}

/// The same figure from every repeat.
#[derive(Debug, Default, Clone)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Returns the median; of an even number of values the mean of the two in the middle, and 0 if there are none.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let half = sorted.len() / 2;
        match sorted.len() {
            0 => 0.0,
            len if len % 2 == 1 => sorted[half],
            _ => (sorted[half - 1] + sorted[half]) / 2.0,
        }
    }

    fn bounds(&self) -> (f64, f64) {
        self.0.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| (min.min(*value), max.max(*value)))
    }
}

/// `median (min..max)`, with the significant digits.
impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            0 => write!(f, "-"),
            1 => write!(f, "{}", digits(self.0[0])),
            _ => {
                let (min, max) = self.bounds();
                write!(f, "{} ({}..{})", digits(self.median()), digits(min), digits(max))
            }
        }
    }
}

/// Formats three significant digits, without decimals for large numbers.
fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1e6 => format!("{:.2} M", value / 1e6),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.2e}"),
    }
}

/// A table in Markdown.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        Self { title: title.into(), rows: vec![columns.iter().map(|&column| column.to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: &[&dyn fmt::Display]) {
        self.rows.push(cells.iter().map(|cell| cell.to_string()).collect());
    }

    /// Prints it, unless it has no row.
    pub(crate) fn print(&self) {
        if self.rows.len() < 2 {
            return;
        }
        let columns = self.rows[0].len();
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        println!("\n{}\n", self.title);
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!(" {cell:width$} |"));
            println!("|{}", cells.collect::<String>());
            if number == 0 {
                println!("|{}", widths.iter().map(|&width| format!("{:-<1$}|", "", width + 2)).collect::<String>());
            }
        }
    }
}
