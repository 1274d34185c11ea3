//! A plot as SVG: a frame with two axes, and curves in it.
//!
//! Colours and dashes belong to the style sheet; here a curve only has its number.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::scale::{Scale, Ticks};

/// Colours, and kinds of dashes, that the style sheet has. Neither divides the other: their pairs are 56.
const COLOURS: usize = 8;
const DASHES: usize = 7;

/// How large, in units of which CSS makes pixels. Text keeps its size: a narrow plot is another plot, not a smaller
/// one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
    /// Where it is shown: `wide`, `narrow` or `any`.
    pub(super) class: &'static str,
}

pub(super) const WIDE: Size = Size { width: 900.0, height: 400.0, class: "wide" };
pub(super) const NARROW: Size = Size { width: 380.0, height: 300.0, class: "narrow" };
pub(super) const SMALL: Size = Size { width: 400.0, height: 215.0, class: "any" };

const LEFT: f64 = 52.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 42.0;

/// How wide a character is, at most.
const CHARACTER: f64 = 7.6;

/// One axis.
#[derive(Debug)]
pub(super) struct Axis {
    pub(super) title: String,
    pub(super) scale: Scale,
    pub(super) ticks: Ticks,
}

/// A point with words: shown beside it where there is `label`, and where a pointer rests on it.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) at: (f64, f64),
    pub(super) label: Option<String>,
    pub(super) about: String,
}

/// A curve.
#[derive(Debug)]
pub(super) struct Curve {
    /// Decides colour and dashes.
    pub(super) number: usize,
    /// Pieces of points that belong together; between pieces nothing is drawn.
    pub(super) pieces: Vec<Vec<(f64, f64)>>,
    pub(super) marks: Vec<Mark>,
}

/// A plot.
#[derive(Debug)]
pub(super) struct Plot<'a> {
    /// What it shows, for those who do not see it.
    pub(super) about: &'a str,
    pub(super) x: &'a Axis,
    pub(super) y: &'a Axis,
    pub(super) curves: &'a [Curve],
    /// From where to where, in x, lies what does not count.
    pub(super) shades: &'a [(f64, f64)],
}

/// The class of a curve's lines.
pub(super) fn style(number: usize) -> String {
    format!("c{} d{}", number % COLOURS, number % DASHES)
}

/// What belongs to which line, by their numbers from 0.
pub(super) fn legend<'a>(names: impl Iterator<Item = &'a str>) -> Markup {
    html! {
        ul class="legend" { @for (number, name) in names.enumerate() { li { (key(number)) (name) } } }
    }
}

/// A piece of a curve's line, to name it by.
pub(super) fn key(number: usize) -> Markup {
    html! {
        svg class="key" viewBox="0 0 30 10" width="30" height="10" aria-hidden="true" {
            path class={ "curve " (style(number)) } d="M1 5H29" {}
        }
    }
}

impl Plot<'_> {
    pub(super) fn draw(&self, size: Size) -> Markup {
        let (right, bottom) = (size.width - RIGHT, size.height - BOTTOM);
        let x = |value: f64| LEFT + self.x.scale.place(value) * (right - LEFT);
        let y = |value: f64| bottom - self.y.scale.place(value) * (bottom - TOP);
        let mut free = f64::NEG_INFINITY;
        // Words stay away from the words before them.
        let named = self.x.ticks.iter().filter_map(|(value, words)| {
            let words = words.as_ref()?;
            let (at, half) = (x(*value), words.chars().count() as f64 * CHARACTER / 2.0);
            let fits = at - half > free;
            fits.then(|| {
                free = at + half + CHARACTER;
                (at.min(size.width - half), words)
            })
        });
        let named: Vec<_> = named.collect();
        html! {
            svg class={ "plot " (size.class) } viewBox={ "0 0 " (size.width) " " (size.height) } role="img"
                aria-label=(self.about) {
                @for (from, to) in self.shades {
                    @let (from, to) = (x(*from), x(*to));
                    @if to > from {
                        rect class="shade" x=(short(from)) y=(TOP) width=(short(to - from)) height=(bottom - TOP) {}
                    }
                }
                @for (value, words) in &self.y.ticks {
                    path class={ "grid" @if words.is_none() { " fine" } }
                        d={ "M" (LEFT) " " (short(y(*value))) "H" (right) } {}
                    @if let Some(words) = words {
                        text class="tick" x=(LEFT - 7.0) y=(short(y(*value) + 4.0)) text-anchor="end" { (words) }
                    }
                }
                @for (value, words) in &self.x.ticks {
                    path class={ "grid" @if words.is_none() { " fine" } }
                        d={ "M" (short(x(*value))) " " (TOP) "V" (bottom) } {}
                }
                @for (at, words) in &named {
                    text class="tick" x=(short(*at)) y=(bottom + 17.0) text-anchor="middle" { (words) }
                }
                path class="axis" d={ "M" (LEFT) " " (bottom) "H" (right) } {}
                text class="title" x="2" y="13" { (self.y.title) }
                text class="title" x=(right) y=(size.height - 6.0) text-anchor="end" { (self.x.title) }
                @for curve in self.curves {
                    @let class = style(curve.number);
                    @for piece in &curve.pieces {
                        @match piece.as_slice() {
                            [] => {}
                            [(one_x, one_y)] => { (dot(&class, x(*one_x), y(*one_y), None)) }
                            points => {
                                path class={ "curve " (class) }
                                    d=(line(points.iter().map(|(to_x, to_y)| (x(*to_x), y(*to_y))))) {}
                            }
                        }
                    }
                }
                @for curve in self.curves {
                    @for mark in &curve.marks {
                        @let (at_x, at_y) = (x(mark.at.0), y(mark.at.1));
                        (dot(&style(curve.number), at_x, at_y, Some(&mark.about)))
                        @if let Some(label) = &mark.label { (value(label, at_x, at_y)) }
                    }
                }
            }
        }
    }
}

/// A value beside its point: above and before it, where a rising curve is not; below and behind it where the axis is.
fn value(label: &str, x: f64, y: f64) -> Markup {
    let (x, y, anchor) = if x - CHARACTER * label.chars().count() as f64 > LEFT + CHARACTER {
        (x - 6.0, (y - 7.0).max(TOP - 1.0), "end")
    } else {
        (x + 7.0, y + 13.0, "start")
    };
    html! { text class="value" x=(short(x)) y=(short(y)) text-anchor=(anchor) { (label) } }
}

fn dot(class: &str, x: f64, y: f64, about: Option<&str>) -> Markup {
    html! {
        circle class={ "dot " (class) } cx=(short(x)) cy=(short(y)) r="3" {
            @if let Some(about) = about { title { (about) } }
        }
    }
}

/// A path through points.
fn line(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (x, y) in points {
        let pen = if path.is_empty() { 'M' } else { 'L' };
        write!(path, "{pen}{} {}", short(x), short(y)).expect("memory takes everything");
    }
    path
}

/// A tenth of a unit is finer than one sees.
fn short(value: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0;
    format!("{tenths}")
}
