//! A plot as SVG: a frame with two axes, and curves in it.
//!
//! Colours and dashes are in the style sheet; here a curve only has a number.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::scale::{Scale, Ticks};

/// The numbers of colours and of dash patterns in the style sheet. They have no common divisor, so there are 56 pairs.
const COLOURS: usize = 8;
const DASHES: usize = 7;

/// The size of a plot, in CSS pixels. Text keeps its size: a narrow plot is drawn anew, not scaled down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
    /// The screens that show it: `wide`, `narrow` or `any`.
    pub(super) class: &'static str,
}

pub(super) const WIDE: Size = Size { width: 900.0, height: 400.0, class: "wide" };
pub(super) const NARROW: Size = Size { width: 380.0, height: 300.0, class: "narrow" };
pub(super) const SMALL: Size = Size { width: 400.0, height: 215.0, class: "any" };

const LEFT: f64 = 52.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 42.0;

/// The largest width of a character.
const CHARACTER: f64 = 7.6;

/// One axis.
#[derive(Debug)]
pub(super) struct Axis {
    pub(super) title: String,
    pub(super) scale: Scale,
    pub(super) ticks: Ticks,
}

/// A point with text: `label` is shown beside it, `about` when a pointer rests on it.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) at: (f64, f64),
    pub(super) label: Option<String>,
    pub(super) about: String,
}

/// A curve.
#[derive(Debug)]
pub(super) struct Curve {
    /// Determines colour and dashes.
    pub(super) number: usize,
    /// Pieces of connected points; between pieces nothing is drawn.
    pub(super) pieces: Vec<Vec<(f64, f64)>>,
    pub(super) marks: Vec<Mark>,
}

/// A plot.
#[derive(Debug)]
pub(super) struct Plot<'a> {
    /// Its content in words, for readers who cannot see it.
    pub(super) about: &'a str,
    pub(super) x: &'a Axis,
    pub(super) y: &'a Axis,
    pub(super) curves: &'a [Curve],
    /// The ranges of x that are outside the measured window.
    pub(super) shades: &'a [(f64, f64)],
}

/// The class of a curve's lines.
pub(super) fn style(number: usize) -> String {
    format!("c{} d{}", number % COLOURS, number % DASHES)
}

/// The legend of lines, numbered from 0.
pub(super) fn legend<'a>(names: impl Iterator<Item = &'a str>) -> Markup {
    html! {
        ul class="legend" { @for (number, name) in names.enumerate() { li { (key(number)) (name) } } }
    }
}

/// A sample of a curve's line.
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
        let x = |value: f64| LEFT + self.x.scale.position(value) * (right - LEFT);
        let y = |value: f64| bottom - self.y.scale.position(value) * (bottom - TOP);
        let mut free = f64::NEG_INFINITY;
        // A label is left out if it would overlap the one before it.
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

/// A value beside its point: above and left of it, away from a rising curve; below and right of it if the axis is too
/// near.
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

/// Rounds to a tenth of a unit, which is finer than the eye can see.
fn short(value: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0;
    format!("{tenths}")
}
