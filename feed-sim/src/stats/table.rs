//! Figures of several feeds side by side: a Markdown table that is aligned as plain text too, or JSON.

use comfy_table::{Cell, CellAlignment, Table, presets::ASCII_MARKDOWN};
use serde_json::{Map, Value, json};

use super::figures::{Figure, Figures};

/// A table with a row per figure and a column per feed.
pub fn table(feeds: &[Figures]) -> String {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN);
    let heads = ["figure", "unit"].into_iter().chain(feeds.iter().map(|feed| feed.source.as_str()));
    table.set_header(heads);
    let busiest = feeds.iter().map(|feed| right(feed.busiest.as_deref().unwrap_or(NOTHING)));
    table.add_row([Cell::new("busiest instrument"), Cell::new("")].into_iter().chain(busiest));
    let rows = feeds.first().map_or(0, |feed| feed.figures.len());
    for row in 0..rows {
        let Some(named) = feeds.first().and_then(|feed| feed.figures.get(row)) else { continue };
        let values = feeds.iter().map(|feed| right(&feed.figures.get(row).map_or_else(String::new, written)));
        table.add_row([Cell::new(named.label), Cell::new(named.unit)].into_iter().chain(values));
    }
    table.trim_fmt()
}

const NOTHING: &str = "–";

fn right(text: &str) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn written(figure: &Figure) -> String {
    let Some(value) = figure.value else { return NOTHING.to_owned() };
    let text = format!("{value:.*}", figure.decimals);
    // A size of 100 shares needs no decimals, one of a hundredth of a bitcoin does.
    if figure.unit == "units" { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// An array with one object per feed; a figure for which the feed has too little data is null.
pub fn json(feeds: &[Figures]) -> Value {
    let one = |feed: &Figures| {
        let figures: Map<String, Value> =
            feed.figures.iter().map(|figure| (figure.key.to_owned(), json!(figure.value))).collect();
        json!({"source": feed.source, "busiest": feed.busiest, "figures": figures})
    };
    feeds.iter().map(one).collect()
}
