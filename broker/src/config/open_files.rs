//! The limit on open files. Every connection is one, and the usual limit of 1,024 is reached long before any of ours.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that are open besides connections: listeners, pollers, wake-ups, logs, and those that are kept for the admin
/// listener.
const OTHER_FILES: u64 = 512;
/// If there are fewer files than the settings ask for, one part in this many is for sockets that speak HTTP.
const HTTP_PART: u64 = 4;

/// The numbers of connections of each sort that may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// WebSocket connections and streams of Server-Sent Events.
    pub connections: u32,
    /// Sockets that speak HTTP.
    pub http: u32,
}

impl Capacity {
    /// The open files that the process needs for them, all others included.
    fn files(self) -> u64 {
        u64::from(self.connections) + u64::from(self.http) + OTHER_FILES
    }
}

/// The number of open files of this process; 0 if the system does not report it. Since Linux 6.2 it is the folder's
/// size; in older kernels that is 0, and the entries have to be counted.
pub fn open_files() -> u64 {
    const FOLDER: &str = "/proc/self/fd";
    match std::fs::metadata(FOLDER).map(|folder| folder.len()) {
        Ok(len) if len > 0 => len,
        _ => std::fs::read_dir(FOLDER).map_or(0, |entries| entries.count() as u64),
    }
}

/// Raises this process's limit on open files as far as the system allows.
pub fn raise_open_files(wanted: Capacity) {
    let needed = wanted.files();
    let mut limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|files| files >= needed);
    if !enough(limit.current) {
        limit.current = if enough(limit.maximum) { Some(needed) } else { limit.maximum };
        // Some sandboxes refuse it; the limit that counts is read back later.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// The connections for which there are open files, when `open` files are open already and `kept` are reserved; and a
/// warning for the operator if they are fewer than wanted. Clients beyond them are refused with a reason, and nothing
/// else in the broker runs out of files.
pub fn fit_open_files(wanted: Capacity, open: u64, kept: u64) -> (Capacity, Option<String>) {
    divide(wanted, getrlimit(Resource::Nofile).current, open, kept)
}

fn divide(wanted: Capacity, limit: Option<u64>, open: u64, kept: u64) -> (Capacity, Option<String>) {
    let Some(limit) = limit else { return (wanted, None) };
    let free = limit.saturating_sub(open + kept);
    if free >= u64::from(wanted.connections) + u64::from(wanted.http) {
        return (wanted, None);
    }
    let at_most = |most: u32, files: u64| u32::try_from(files).unwrap_or(u32::MAX).clamp(1, most);
    let http = at_most(wanted.http, free / HTTP_PART);
    let capacity = Capacity { connections: at_most(wanted.connections, free.saturating_sub(http.into())), http };
    let warning = format!(
        "connections_max = {} and http_connections_max = {} need {} open files, and this process may have {limit}: it takes \
         {} connections and {} that speak HTTP (raise `ulimit -n`, or LimitNOFILE= of the systemd unit)",
        wanted.connections,
        wanted.http,
        wanted.files(),
        capacity.connections,
        capacity.http,
    );
    (capacity, Some(warning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_that_are_left_are_divided() {
        let wanted = Capacity { connections: 1000, http: 400 };
        for (limit, open, kept, connections, http) in [
            (None, 30, 50, 1000, 400),
            (Some(1480), 30, 50, 1000, 400),
            (Some(1479), 30, 50, 1000, 349),
            (Some(1000), 30, 50, 690, 230),
            (Some(256), 30, 50, 132, 44),
            (Some(64), 30, 50, 1, 1),
        ] {
            let (capacity, warning) = divide(wanted, limit, open, kept);
            assert_eq!(capacity, Capacity { connections, http }, "{limit:?}");
            assert_eq!(warning.is_some(), capacity != wanted, "{warning:?}");
        }
    }
}
