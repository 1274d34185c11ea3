//! What a user gets wrong, and what servers do wrong: a sentence that says what is wrong with what, a code to go by, and
//! whatever was measured until then.

#[path = "../fixture/mod.rs"]
mod fixture;

mod arguments;
mod dying;
mod files;
mod scenarios;
mod targets;

use fixture::{Program, loadgen};

/// A small run against this target.
fn small(url: &str) -> Program {
    loadgen("steady").args(["--subscribers=3", "--seconds=1", "--quiet", "--target", url])
}
