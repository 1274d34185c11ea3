//! The resources of a process, by the kernel's accounting (proc(5)): all its threads, all its memory in RAM.

use std::fs;

/// CPU time of all running threads of a process, in ns; `None` if there is no such process.
pub(crate) fn cpu_ns(pid: u32) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    Some(threads.flatten().filter_map(|thread| schedstat(&thread.path())).sum())
}

/// A process and all its running descendants: some servers work in child processes.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut at = 0;
    while at < all.len() {
        let threads = fs::read_dir(format!("/proc/{}/task", all[at])).into_iter().flatten().flatten();
        let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let more: Vec<u32> = children.flat_map(|list| numbers(&list)).collect();
        all.extend(more);
        at += 1;
    }
    all
}

fn numbers(list: &str) -> Vec<u32> {
    list.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// CPU time of a server and its children, in ns; `None` if there is no such process.
pub(crate) fn server_cpu_ns(pid: u32) -> Option<u64> {
    cpu_ns(pid)?;
    Some(family(pid).into_iter().filter_map(cpu_ns).sum())
}

/// Memory of a server and its children in RAM, in bytes; shared memory counts for each of them. `None` if there is no
/// such process.
pub(crate) fn server_rss_bytes(pid: u32) -> Option<u64> {
    rss_bytes(pid)?;
    Some(family(pid).into_iter().filter_map(rss_bytes).sum())
}

/// CPU time of the calling thread, in ns.
pub(crate) fn thread_cpu_ns() -> u64 {
    schedstat("/proc/thread-self".as_ref()).unwrap_or_default()
}

fn schedstat(thread: &std::path::Path) -> Option<u64> {
    let text = fs::read_to_string(thread.join("schedstat")).ok()?;
    text.split(' ').next()?.parse().ok()
}

/// Memory that a process has in RAM, in bytes; `None` if there is no such process.
pub(crate) fn rss_bytes(pid: u32) -> Option<u64> {
    status(pid, "VmRSS:")
        .and_then(|value| value.trim_end_matches(" kB").trim().parse::<u64>().ok())
        .map(|kib| kib * 1024)
}

/// The cores on which a process may run, as `/proc` writes them: `0-3,5`.
pub(crate) fn cores(pid: u32) -> Option<String> {
    status(pid, "Cpus_allowed_list:")
}

/// The numbers of the cores in such a list.
pub(crate) fn core_list(list: &str) -> Vec<usize> {
    let ranges = list.split(',').filter_map(|range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        Some(from.trim().parse::<usize>().ok()?..=to.trim().parse::<usize>().ok()?)
    });
    ranges.flatten().collect()
}

fn status(pid: u32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(field)).map(|value| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let me = std::process::id();
        assert!(rss_bytes(me).expect("it has memory") > 100_000);
        assert!(cpu_ns(me).expect("it has run") > 0);
        assert!(!core_list(&cores(me).expect("it may run somewhere")).is_empty());
        assert_eq!(core_list("0-3,5,7-8"), [0, 1, 2, 3, 5, 7, 8]);
        assert_eq!((cpu_ns(0), rss_bytes(0)), (None, None));
    }
}
