//! The resources that a run needs of the machine: open files, and cores.

use anyhow::bail;
use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
use rustix::thread::{CpuSet, gettid, sched_setaffinity};

use crate::say;

/// Files that the program needs beside its connections.
const FILES_BESIDES: u64 = 64;

/// Raises the limit on open files as far as needed. The error says what to do if that is not allowed.
pub(super) fn allow_files(connections: u64) -> anyhow::Result<()> {
    let needed = connections + FILES_BESIDES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let wanted = limit.maximum.map_or(needed, |maximum| maximum.max(needed));
    // A privileged process may go above the maximum.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: Some(wanted) })
        .or_else(|_| setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }));
    let now = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if raised.is_err() || now < needed {
        bail!(
            "{connections} subscribers need {needed} open files and {now} are allowed: raise the limit \
             (`ulimit -n {needed}`, or LimitNOFILE= of a service), or ask for fewer subscribers"
        );
    }
    Ok(())
}

/// Keeps this thread on a core.
pub(super) fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    if let Err(error) = sched_setaffinity(None, &set) {
        say::aside(&format!("core {core} cannot be used ({error}): the thread runs anywhere"));
    }
}

/// The lowest priority of a thread (`nice`).
const LOWEST: i32 = 19;

/// Lets this thread run only in the time that others on its core leave: it gets some 1.5 % of the core while another one
/// uses all of it.
pub(super) fn yield_to_others() {
    // Linux takes the number of a thread here. Everybody may lower a priority.
    if let Err(error) = setpriority_process(Some(gettid()), LOWEST) {
        say::aside(&format!("the priority of a thread of load cannot be lowered: {error}"));
    }
}
