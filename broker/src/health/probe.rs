//! Asking a listener by its URL.

use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;

use anyhow::{Context as _, bail};

use super::exchange;
use super::tls::Trust;
use super::url::Target;

/// A listener to ask, and whom to believe that it is the right one.
pub struct Probe {
    url: String,
    target: Target,
    trust: Option<Trust>,
}

impl fmt::Debug for Probe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Probe").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Probe {
    /// Prepares to ask the listener at `url`. Over TLS its certificate has to lead to an authority in `ca`, a PEM file,
    /// or without one to an authority that the system trusts.
    ///
    /// # Errors
    /// The URL or the file is wrong, or this build has no TLS.
    pub fn new(url: &str, ca: Option<&Path>) -> anyhow::Result<Probe> {
        let target = Target::parse(url).map_err(|wrong| anyhow::anyhow!("--url {url}: {wrong}"))?;
        if ca.is_some() && !target.is_secure {
            bail!("--ca is for https, and the URL is {url}");
        }
        let trust = target.is_secure.then(|| Trust::new(ca)).transpose()?;
        Ok(Probe { url: url.to_owned(), target, trust })
    }

    /// Asks.
    ///
    /// # Errors
    /// Nothing answers, or it cannot prove who it is, or the answer is not 200.
    pub fn check(&self) -> anyhow::Result<()> {
        let Target { host, authority, path, .. } = &self.target;
        let stream = self.connect().with_context(|| format!("no answer from {}", self.url))?;
        let answer = match &self.trust {
            Some(trust) => trust.ask(stream, host, authority, path),
            None => {
                let mut stream = stream;
                exchange::ask(&mut stream, authority, path).map_err(anyhow::Error::from)
            }
        };
        let answer = answer.with_context(|| format!("no answer from {}", self.url))?;
        exchange::judge(&answer).with_context(|| self.url.clone())
    }

    /// Connects to the first of the host's addresses at which someone listens.
    fn connect(&self) -> anyhow::Result<TcpStream> {
        let Target { host, port, .. } = &self.target;
        let addresses = (host.as_str(), *port).to_socket_addrs().with_context(|| format!("{host} is not known"))?;
        let mut last = io::Error::other("it has no address");
        for address in addresses {
            match exchange::connect(&address) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }
}
