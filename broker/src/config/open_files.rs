//! Every connection is an open file, and the usual limit of 1,024 is met long before any of ours.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that are open besides connections: listeners, pollers, wake-ups, logs, and room for a second's accepts.
const OTHER_FILES: u64 = 512;

/// Raises this process's limit on open files as far as the system lets it, and says so where that is not enough for
/// `connections_max`.
pub fn raise_open_files(connections_max: u32) -> Option<String> {
    let needed = u64::from(connections_max) + OTHER_FILES;
    let mut limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|files| files >= needed);
    if !enough(limit.current) {
        limit.current = if enough(limit.maximum) { Some(needed) } else { limit.maximum };
        // Refused in some sandboxes; what counts is read back.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let current = getrlimit(Resource::Nofile).current;
    (!enough(current)).then(|| {
        let files = current.unwrap_or_default();
        format!(
            "connections_max = {connections_max} needs {needed} open files and this process may have {files}: about {} \
             connections will fit (raise `ulimit -n`, or LimitNOFILE= of the systemd unit)",
            files.saturating_sub(OTHER_FILES)
        )
    })
}
