//! The certificates in force, and reading their files again.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};

use super::Reloaded;
use super::counters::Counters;
use super::pairs::{Files, Pair, Paths};
use super::settings::{Fixed, server_config};
use super::wire::Wire;
use crate::config::{ClientAuth, Config};
use crate::sync::lock;

/// Certificates, keys and everything else that new connections begin with.
pub(crate) struct Tls {
    fixed: Fixed,
    current: Mutex<Current>,
    counters: Arc<Counters>,
}

/// Files that were read and checked, and do not count yet.
pub(crate) struct Prepared(Current);

struct Current {
    paths: Arc<Paths>,
    config: Arc<ServerConfig>,
    pairs: Vec<Pair>,
    /// What the files were when they were last read, or the error of that.
    seen: Result<u64, String>,
}

impl Tls {
    /// Reads the files that the configuration names. `None` if TLS is off. Oddities are pushed to `warnings`.
    ///
    /// # Errors
    /// The sentence that says what is wrong with which file, and what to do.
    pub(crate) fn load(config: &Config, warnings: &mut Vec<String>) -> Result<Option<Arc<Tls>>, String> {
        if config.tls_listen.is_none() {
            return Ok(None);
        }
        let paths = Arc::new(paths(config));
        let ticketer = match config.tls_client_auth {
            ClientAuth::Off => {
                Some(aws_lc_rs::Ticketer::new().map_err(|error| format!("no keys for session tickets: {error}"))?)
            }
            ClientAuth::Optional | ClientAuth::Required => None,
        };
        let fixed = Fixed {
            provider: Arc::new(provider()),
            min_version: config.tls_min_version,
            client_auth: config.tls_client_auth,
            ticketer,
        };
        let files = Files::read(&paths)?;
        let (config, pairs) = make(&fixed, &files)?;
        warnings.extend(files.warnings(&pairs));
        // A broker that does not start serves nobody, also not over the plain listener.
        warnings.extend(pairs.iter().filter_map(|pair| pair.invalidity(SystemTime::now())));
        let current = Mutex::new(Current { paths, config, pairs, seen: Ok(files.fingerprint()) });
        Ok(Some(Arc::new(Tls { fixed, current, counters: Arc::default() })))
    }

    /// Begins a connection with the certificates in force, which it keeps.
    ///
    /// # Errors
    /// The configuration does not allow any.
    pub(crate) fn begin(&self) -> io::Result<Box<Wire>> {
        let config = lock(&self.current).config.clone();
        Wire::new(config, self.counters.clone()).map(Box::new)
    }

    /// What is counted.
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Reads the files again. New connections begin with what is in them; open ones keep what they have. If something is
    /// wrong, what was in force stays in force, and the result is the sentence that says what.
    pub(crate) fn reload(&self) -> Reloaded {
        let paths = lock(&self.current).paths.clone();
        let files = Files::read(&paths);
        let seen = files.as_ref().map(Files::fingerprint).map_err(Clone::clone);
        let is_same = lock(&self.current).seen == seen;
        if is_same && !self.counters.reload_failed() {
            return Reloaded { changed: false, result: Ok(()) };
        }
        let made = files.and_then(|files| make_valid(&self.fixed, &files));
        let mut current = lock(&self.current);
        if !Arc::ptr_eq(&current.paths, &paths) {
            // Meanwhile a reload of the configuration has taken other files.
            return Reloaded { changed: false, result: Ok(()) };
        }
        self.counters.reload_failed.store(made.is_err(), Ordering::Relaxed);
        current.seen = seen;
        let result = made.map(|(config, pairs)| (current.config, current.pairs) = (config, pairs));
        // A certificate that was not valid yet becomes valid without a change of its file.
        Reloaded { changed: !is_same || result.is_ok(), result }
    }

    /// Reads the files that a configuration names, for [`Tls::take_on`].
    ///
    /// # Errors
    /// The sentence that says what is wrong with which file, and what to do.
    pub(crate) fn prepare(&self, config: &Config) -> Result<Prepared, String> {
        let paths = paths(config);
        let files = Files::read(&paths)?;
        let (config, pairs) = make_valid(&self.fixed, &files)?;
        Ok(Prepared(Current { paths: Arc::new(paths), config, pairs, seen: Ok(files.fingerprint()) }))
    }

    /// Makes what was prepared count for new connections. Open ones keep what they have.
    pub(crate) fn take_on(&self, prepared: Prepared) {
        let mut current = lock(&self.current);
        self.counters.reload_failed.store(false, Ordering::Relaxed);
        *current = prepared.0;
    }

    /// The certificates in force: a name of each, and when it expires, in seconds since the UNIX epoch. Of several with
    /// the same name the first to expire counts.
    pub(crate) fn expiries(&self) -> Vec<(String, f64)> {
        let mut expiries = std::collections::BTreeMap::new();
        for Pair { facts, .. } in &lock(&self.current).pairs {
            let expires = facts.expires.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
            let first = expiries.entry(facts.name.clone()).or_insert(expires);
            *first = expires.min(*first);
        }
        expiries.into_iter().collect()
    }
}

/// rustls' usual suites, with AES-128 first: it is the fastest on a processor with instructions for AES, and strong enough.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| !suite.suite().as_str().is_some_and(|name| name.contains("AES_128")));
    provider
}

fn paths(config: &Config) -> Paths {
    let pairs = config.tls_cert.iter().cloned().zip(config.tls_key.iter().cloned()).collect();
    Paths { pairs, client_ca: config.tls_client_ca.clone() }
}

/// The same as [`make`], of certificates that are valid now.
fn make_valid(fixed: &Fixed, files: &Files) -> Result<(Arc<ServerConfig>, Vec<Pair>), String> {
    let (config, pairs) = make(fixed, files)?;
    match pairs.iter().find_map(|pair| pair.invalidity(SystemTime::now())) {
        Some(invalidity) => Err(invalidity),
        None => Ok((config, pairs)),
    }
}

fn make(fixed: &Fixed, files: &Files) -> Result<(Arc<ServerConfig>, Vec<Pair>), String> {
    let pairs = files.pairs(&fixed.provider)?;
    let config = server_config(fixed, &pairs, files.client_authorities()?)?;
    Ok((Arc::new(config), pairs))
}
