//! The verdict of the verifier.

use maud::{Markup, html};

use crate::report::{Continuity, Report};

/// Whether the streams were whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Whole,
    Broken,
    /// Nothing arrived that could be judged.
    Nothing,
}

impl Verdict {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Whole => "good",
            Self::Broken => "bad",
            Self::Nothing => "warn",
        }
    }

    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Whole => "✓",
            Self::Broken => "✗",
            Self::Nothing => "!",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Broken => "not whole",
            Self::Nothing => "none",
        }
    }
}

/// The verdict, and a sentence about it.
pub(super) fn of(report: &Report) -> (Verdict, String) {
    let continuity = &report.continuity;
    if !continuity.is_clean() {
        let faults = faults(continuity).into_iter().filter(|(updates, _)| *updates > 0);
        let words: Vec<String> = faults.map(|(updates, word)| format!("{} {word}", grouped(updates))).collect();
        return (Verdict::Broken, format!("Not every stream was whole: {}.", words.join(", ")));
    }
    if continuity.delivered == 0 {
        return (Verdict::Nothing, "Nothing was delivered.".to_owned());
    }
    (Verdict::Whole, "Every stream was whole: nothing lost silently, duplicated, reordered or corrupted.".to_owned())
}

fn faults(continuity: &Continuity) -> [(u64, &'static str); 5] {
    [
        (continuity.lost, "lost silently"),
        (continuity.duplicated, "duplicated"),
        (continuity.reordered, "reordered"),
        (continuity.corrupted, "corrupted"),
        (continuity.undelivered, "not there at the end"),
    ]
}

/// The verdict on one report with all its counts and findings.
pub(super) fn details(report: &Report, several: bool) -> Markup {
    let continuity = &report.continuity;
    let (verdict, sentence) = of(report);
    let kinds: [(&str, u64); 10] = [
        ("delivered", continuity.delivered),
        ("of them images", continuity.images),
        ("skipped under an image", continuity.skipped),
        ("announced as lost", continuity.announced),
        ("gone with their connection", continuity.missing),
        ("not there at the end", continuity.undelivered),
        ("lost silently", continuity.lost),
        ("duplicated", continuity.duplicated),
        ("reordered", continuity.reordered),
        ("corrupted", continuity.corrupted),
    ];
    let troubles = [
        ("Connections that could not be made", &report.connections.failed),
        ("Connections that the server ended", &report.connections.ended),
        ("Requests that the server refused", &report.connections.refused),
    ];
    html! {
        @if several { h3 { (report.label) } }
        p class={ "verdict " (verdict.class()) } { strong { (verdict.sign()) } " " (sentence) }
        p class="note" {
            @if continuity.verified { "Every payload was checked, and every number of streams that are numbered." }
            @else { "Payloads were not checked in this run; " code { "--verify" } " checks them." }
        }
        dl class="counts" {
            @for (kind, updates) in kinds {
                div class=[(kind_is_fault(kind) && updates > 0).then_some("bad")] {
                    dt { (kind) }
                    dd { (grouped(updates)) }
                }
            }
        }
        @if !continuity.findings.is_empty() {
            h4 { "Faults: the first " (continuity.findings.len()) }
            ol class="findings" { @for finding in &continuity.findings { li { (finding) } } }
        }
        @for (what, reasons) in troubles {
            @if !reasons.is_empty() {
                h4 { (what) }
                ul class="findings" { @for (reason, times) in reasons { li { (grouped(*times)) " × " (reason) } } }
            }
        }
    }
}

fn kind_is_fault(kind: &str) -> bool {
    faults(&Continuity::default()).iter().any(|(_, fault)| *fault == kind)
}

/// Formats a count in full, with its digits in groups of three.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_in_groups_of_three() {
        let said = [0, 999, 1000, 4_950_000].map(grouped);
        assert_eq!(said, ["0", "999", "1\u{202f}000", "4\u{202f}950\u{202f}000"]);
    }
}
