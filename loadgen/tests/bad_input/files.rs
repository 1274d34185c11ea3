//! More connections than open files are allowed.

use std::process::Command;

use crate::fixture::loadgen;

/// A shell that allows itself less, and then becomes the program.
const LESS: &[&str] = &["-c", "ulimit -n 100 && exec \"$@\"", "sh"];

#[test]
fn too_few_open_files_say_which_limit_and_how_to_raise_it() {
    let program = loadgen("steady").args(["--target=ws://127.0.0.1:1", "--subscribers=200"]);
    let program = if rustix::process::getuid().is_root() {
        // The superuser may go above every limit, unless that is taken from it.
        let without = ["--bounding-set=-sys_resource", "--inh-caps=-sys_resource"];
        if !Command::new("setpriv").args(without).arg("true").status().is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: as the superuser, and without setpriv to be less, no limit on open files holds");
            assert!(std::env::var_os("CI").is_none(), "CI has setpriv, or another user");
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
