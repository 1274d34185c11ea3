//! Mistakes of users and faults of servers: each leads to a message that says what is wrong, an exit code, and a report
//! of everything measured until then.

#[path = "../fixture/mod.rs"]
mod fixture;

mod access;
mod arguments;
mod dying;
mod files;
mod scenarios;
mod targets;
mod tokens;

use fixture::{Program, loadgen};

/// Makes a small run against this target.
fn small(url: &str) -> Program {
    loadgen("steady").args(["--subscribers=3", "--seconds=1", "--quiet", "--target", url])
}
