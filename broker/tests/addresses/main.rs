//! Clients behind proxies: whose address counts, and that nobody can choose their own. Quotas: that nobody gets more.

#[path = "../common/mod.rs"]
mod common;

mod forwarded;
mod header;
mod quotas;
mod rates;

use self::common::{Running, ask};

/// The addresses of all connections, as an operator sees them.
#[track_caller]
fn remotes(broker: &Running) -> Vec<String> {
    let answer = ask(broker.admin, "GET /v1/connections", &[], b"").json();
    let rows = answer["connections"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let mut remotes: Vec<String> = rows.iter().map(|row| row["remote"].as_str().unwrap().to_owned()).collect();
    remotes.sort();
    remotes
}
