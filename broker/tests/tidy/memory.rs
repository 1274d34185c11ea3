//! The table of memory in `operating.md` is complete, and adds up: each row is evaluated with the settings' own
//! defaults, and each budget that a running broker reports has a row.

use std::collections::{BTreeMap, BTreeSet};

use broker::config::SETTINGS;

use super::documents::{get, rows, start};

/// The number of shards in the document's example.
const SHARDS: u64 = 2;
/// Sizes are given in whole units, and the sum to a tenth of a GiB.
const ROUNDED: f64 = 0.01;

/// Settings of bytes whose memory other rows count, or which hold no memory.
const WITHIN_OTHERS: [&str; 5] = [
    // It bounds one of the bodies of `bodies_bytes_max`.
    "ndjson_bytes_max",
    // It bounds one connection; `buffers_bytes_max` bounds all of them.
    "answers_bytes_max",
    // It bounds a write, which needs no copy.
    "turn_bytes_max",
    // By default there are no tokens. The text below the table says what clients with tokens take.
    "token_bytes_max",
    // It bounds files.
    "journal_bytes_max",
];

/// Budgets that have a metric of their own.
const OWN_METRICS: [(&str, &str); 6] = [
    ("retain_bytes_max", "tickcast_history_bytes_max"),
    ("images_bytes_max", "tickcast_image_bytes_max"),
    ("feed_bytes_max", "tickcast_feed_backlog_bytes_max"),
    ("topics_max", "tickcast_topics_max"),
    ("connections_max", "tickcast_connections_max"),
    ("http_connections_max", "tickcast_http_connections_max"),
];

/// The values of names.
struct Values(BTreeMap<String, u64>);

impl Values {
    /// Evaluates a number, a size, a setting, or a sum or product of these.
    fn of(&self, expression: &str) -> f64 {
        let expression = expression.trim();
        for (sign, combine) in [(" + ", (|a, b| a + b) as fn(f64, f64) -> f64), (" × ", |a, b| a * b)] {
            if let Some((left, right)) = split(expression, sign) {
                return combine(self.of(left), self.of(right));
            }
        }
        if let Some(inner) = expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            return self.of(inner);
        }
        // The backticks around a whole cell are off already.
        match self.0.get(expression.trim_matches('`')) {
            Some(value) => *value as f64,
            None => size(expression),
        }
    }
}

/// Splits at the first sign outside parentheses.
fn split<'a>(expression: &'a str, sign: &str) -> Option<(&'a str, &'a str)> {
    let found = expression.match_indices(sign).find(|(at, _)| {
        let before = &expression[..*at];
        before.matches('(').count() == before.matches(')').count()
    });
    found.map(|(at, _)| (&expression[..at], &expression[at + sign.len()..]))
}

fn size(text: &str) -> f64 {
    let (number, unit) = text.split_once(' ').unwrap_or((text, "B"));
    let unit = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => panic!("{text:?} is no size"),
    };
    let number: f64 = number.parse().unwrap_or_else(|_| panic!("{text:?} is no size"));
    number * f64::from(1 << unit)
}

#[track_caller]
fn assert_about(documented: f64, is: f64, what: &str) {
    assert!((documented - is).abs() <= is * ROUNDED, "operating.md says {documented} for {what}, and it is {is}");
}

/// Returns the table's rows: what, bound, default.
fn table() -> Vec<[String; 3]> {
    let rows = rows("broker/docs/operating.md").into_iter().filter(|row| row.len() == 4);
    let rows = rows.map(|row| [row[0].clone(), row[1].clone(), row[2].clone()]);
    let rows: Vec<_> = rows.skip_while(|[what, ..]| what != "what").skip(1).collect();
    let end = rows.iter().position(|[what, ..]| what == "**in all**").expect("the row that adds up");
    rows[..=end].to_vec()
}

/// Returns the budgets by their labels, and all metrics without labels.
fn metrics(text: &str) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let (mut labelled, mut plain) = (BTreeMap::new(), BTreeMap::new());
    for (name, value) in text.lines().filter_map(|line| line.rsplit_once(' ')) {
        let Ok(value) = value.parse::<f64>() else { continue };
        if let Some(budget) = name.strip_prefix("tickcast_budget_bytes_max{budget=\"") {
            labelled.insert(budget.trim_end_matches("\"}").to_owned(), value as u64);
        } else if !name.contains('{') {
            plain.insert(name.to_owned(), value as u64);
        }
    }
    (labelled, plain)
}

#[tokio::test]
async fn the_table_of_memory_is_complete_and_adds_up() {
    let (broker, _journal) = start().await;
    let text = get(broker.admin_listen(), "/metrics").await;
    let (budgets, plain) = metrics(&text);
    let defaults = SETTINGS.iter().filter_map(|setting| Some((setting.name.to_owned(), setting.default.parse().ok()?)));
    let mut values: BTreeMap<String, u64> = defaults.collect();
    values.insert("shards".to_owned(), SHARDS);
    // If a setting's default is 0 for "computed", the broker reports the value.
    for (name, max) in &budgets {
        let default = values.insert(name.clone(), *max).unwrap_or_else(|| panic!("the label {name} is no setting"));
        assert!(default == 0 || default == *max, "{name}: {default} by default, and {max} in the metric");
    }
    for (name, metric) in OWN_METRICS {
        // There are fewer connections if the process may not have that many files.
        let may_be_less = name.ends_with("connections_max");
        let is_right = plain[metric] == values[name] || (may_be_less && plain[metric] <= values[name]);
        assert!(is_right, "{metric} is not {name}");
    }

    let values = Values(values);
    let table = table();
    let (rows, in_all) = table.split_at(table.len() - 1);
    let mut sum = 0.0;
    for [what, bound, default] in rows {
        let is = values.of(bound);
        assert_about(size(default), is, what);
        sum += is;
    }
    let documented = size(in_all[0][2].trim_matches('*'));
    assert_about(documented, sum, "all of them");

    // Each budget is the bound of one row, possibly with other terms.
    let bounds: Vec<&str> = rows.iter().map(|[_, bound, _]| bound.as_str()).collect();
    let names =
        |name: &str| bounds.iter().filter(|bound| bound.split(['`', ' ', '(', ')']).any(|word| word == name)).count();
    for name in budgets.keys().map(String::as_str).chain(OWN_METRICS.map(|(name, _)| name)) {
        assert_eq!(names(name), 1, "{name} has to bound one row of the table");
    }
    // Each row is of a budget that metrics report, or of what has no other bound.
    let told: BTreeSet<&str> = budgets.keys().map(String::as_str).chain(OWN_METRICS.map(|(name, _)| name)).collect();
    for bound in &bounds {
        let told = bound.split(['`', ' ', '(', ')']).any(|word| told.contains(word));
        assert!(
            told || ["shards` × 3 × `ring_bytes", "1024 × 16 KiB", "65536 × 384 B"].contains(bound),
            "no metric reports {bound}"
        );
    }
    // A new setting of this kind has a row, or a reason.
    for setting in SETTINGS.iter().filter(|setting| setting.name.ends_with("_bytes_max")) {
        let within = WITHIN_OTHERS.contains(&setting.name);
        assert_eq!(names(setting.name), usize::from(!within), "rows of the table that {} bounds", setting.name);
    }
    broker.stop().await;
}
