//! What a new configuration changes while the broker runs, and what it cannot change without a restart.

use super::area::Applies;
use super::settings::{Config, SETTINGS};

/// A configuration that takes on what it may of a new one.
#[derive(Debug)]
pub(crate) struct Merged {
    /// The configuration to run on from now on.
    pub(crate) config: Config,
    /// The settings that the new configuration changes, and that only a restart would change.
    pub(crate) needs_restart: Vec<&'static str>,
}

/// Merges a configuration that would start the broker into the one in force. A setting that may change is left as it is
/// if its new value contradicts one that only a restart would change: it then needs a restart, too. The names of the
/// files of TLS belong together.
pub(crate) fn merge(in_force: &Config, new: &Config) -> Merged {
    let mut left: Vec<&'static str> = Vec::new();
    loop {
        let mut config = in_force.clone();
        config.take_on(new, &left);
        // Both configurations are without contradictions. So in a wrong pair at least one setting has been taken on, and
        // the loop ends at the latest when none is.
        let mut wrong: Vec<_> = config.wrong_orders().flat_map(|(small, _, large, _)| [small, large]).collect();
        if !config.tls_contradictions().is_empty() {
            wrong.extend(["tls_cert", "tls_key", "tls_client_ca"]);
        }
        let more: Vec<_> = wrong.into_iter().filter(|name| may_change(name) && !left.contains(name)).collect();
        if more.is_empty() {
            let needs_restart = config.differences(new);
            return Merged { config, needs_restart };
        }
        left.extend(more);
    }
}

fn may_change(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.name == name && setting.applies != Applies::Restart)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{ClientAuth, resolve};
    use super::*;

    fn config(file: &str) -> Config {
        resolve(&[], [], Some((Path::new("broker.toml"), file))).unwrap_or_else(|error| panic!("{error}")).config
    }

    #[test]
    fn what_may_change_changes_and_the_rest_is_named() {
        let (old, new) = (config("shards = 1\ntopics_max = 5"), config("shards = 2\ntopics_max = 6\npin = true"));
        let merged = merge(&old, &new);
        assert_eq!(merged.needs_restart, ["shards", "pin"]);
        assert_eq!(merged.config, config("shards = 1\ntopics_max = 6"));
        // What is named stays named, until the file says what is in force.
        assert_eq!(merge(&merged.config, &new).needs_restart, ["shards", "pin"]);
        assert_eq!(merge(&merged.config, &config("shards = 1")).needs_restart, [""; 0]);
    }

    #[test]
    fn a_change_that_contradicts_what_stays_needs_a_restart_as_well() {
        let new = config("ring_bytes = \"64MiB\"\nbehind_bytes = \"32MiB\"\ntopics_max = 6");
        let merged = merge(&config(""), &new);
        assert_eq!(merged.needs_restart, ["behind_bytes", "ring_bytes"]);
        assert_eq!(merged.config, config("topics_max = 6"));
        // A chain: the body of a request has to take a message, and all bodies together have to take it.
        let old = config("message_bytes = \"1MiB\"\nndjson_bytes_max = \"2MiB\"\nbodies_bytes_max = \"4MiB\"");
        let new = config(
            "message_bytes = 1024\nndjson_bytes_max = 4096\nbodies_bytes_max = \"512KiB\"\nimage_bytes = \"128KiB\"",
        );
        let merged = merge(&old, &new);
        assert_eq!(merged.needs_restart, ["message_bytes", "ndjson_bytes_max", "bodies_bytes_max", "image_bytes"]);
        assert_eq!(merged.config, old);
    }

    #[test]
    fn files_of_tls_change_as_long_as_tls_stays_on_or_off() {
        let tls = |rest: &str| config(&format!("tls_listen = \"127.0.0.1:0\"\n{rest}"));
        let [one, two] =
            ["one", "two"].map(|name| tls(&format!("tls_cert = [\"{name}.pem\"]\ntls_key = [\"{name}.key\"]")));
        let with_clients =
            Config { tls_client_ca: Some("ca.pem".into()), tls_client_auth: ClientAuth::Optional, ..one.clone() };
        let merged = merge(&one, &two);
        assert_eq!((merged.config, merged.needs_restart), (two.clone(), vec![]));
        // Whether there is TLS at all, and whether clients show certificates, takes a restart.
        for (old, new, needs) in [
            (&one, config(""), &["tls_listen", "tls_cert", "tls_key"][..]),
            (&config(""), two.clone(), &["tls_listen", "tls_cert", "tls_key"]),
            (&one, with_clients.clone(), &["tls_client_ca", "tls_client_auth"]),
        ] {
            let merged = merge(old, &new);
            assert_eq!((merged.config, &*merged.needs_restart), (old.clone(), needs));
        }
    }
}
