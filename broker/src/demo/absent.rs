//! Without TLS there is no secure demo.

use std::net::SocketAddr;
use std::path::PathBuf;

use feed_scenarios::Token;

pub(crate) enum Secure {}

impl Secure {
    pub(crate) fn prepare() -> anyhow::Result<Secure> {
        anyhow::bail!("demo --secure: this program was built without TLS (the feature `tls`)")
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        match *self {}
    }

    pub(super) fn token(&self) -> Token {
        match *self {}
    }

    pub(super) fn greeting(&self, _: SocketAddr, _: SocketAddr) -> String {
        match *self {}
    }

    pub(crate) fn remove(&self) {
        match *self {}
    }
}
