//! The kernel's figures of this process, under the names that Prometheus' own client libraries use.

use prometheus::proto::MetricFamily;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::family::{gauge, seconds_counter};
use crate::config::open_files;

/// Returns the families. A number that the kernel does not report is shown as 0.
pub(super) fn families(start_seconds: f64) -> [MetricFamily; 5] {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu_seconds = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
    let files_max = getrlimit(Resource::Nofile).current.map_or(f64::INFINITY, |max| max as f64);
    [
        seconds_counter("process_cpu_seconds_total", "CPU time that the process has used.", cpu_seconds),
        gauge("process_resident_memory_bytes", "Resident memory of the process.", resident_bytes()),
        gauge("process_open_fds", "Open files; each connection takes one.", open_files() as f64),
        gauge("process_max_fds", "Files that the process may have open.", files_max),
        gauge("process_start_time_seconds", "Start time of the process since the epoch.", start_seconds),
    ]
}

/// The resident memory: the second number of proc(5)'s `statm`, which counts pages.
fn resident_bytes() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok().and_then(|text| text.split(' ').nth(1)?.parse().ok());
    pages.map_or(0.0, |pages: f64| pages * rustix::param::page_size() as f64)
}
