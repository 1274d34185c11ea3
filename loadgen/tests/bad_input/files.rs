//! More connections than open files are allowed.

use std::process::Command;

use crate::fixture::{loadgen, not_run};

/// A shell that lowers its own limit, and then becomes the program.
const LESS: &[&str] = &["-c", "ulimit -n 100 && exec \"$@\"", "sh"];

#[test]
fn too_few_open_files_are_an_error_that_names_the_limit_and_how_to_raise_it() {
    let program = loadgen("steady").args(["--target=ws://127.0.0.1:1", "--subscribers=200"]);
    let program = if rustix::process::getuid().is_root() {
        // The superuser may raise every limit, unless the program gives up that capability.
        let without = ["--bounding-set=-sys_resource", "--inh-caps=-sys_resource"];
        if !Command::new("setpriv").args(without).arg("true").status().is_ok_and(|status| status.success()) {
            not_run("needs setpriv (util-linux) with the right to drop capabilities, or another user than root");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI has setpriv, or another user");
            return;
        }
        program.started_by("setpriv", &[&without[..], &["sh"], LESS].concat())
    } else {
        program.started_by("sh", LESS)
    };
    program.finish().assert_refused(&[
        "200 subscribers need 264 open files and 100 are allowed",
        "ulimit -n 264",
        "LimitNOFILE",
    ]);
}
