//! Who the load is, whom it trusts, and what it offers in a TLS handshake.

mod token;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;

pub(crate) use token::Token;

/// Tokens, certificates, and the handshake: options of a run, and keys of `[server.access]` in a comparison.
#[derive(Debug, Clone, Args, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "Access to the server")]
pub(crate) struct Access {
    /// The file with tokens, one a line, which connections take in turn; it is read again when it has changed. A token is sent as `Authorization: Bearer` in the handshake, and not renewed during the run.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The token of all connections. Every user of this machine can see it in the list of processes: prefer
    /// --token-file.
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    pub(crate) token: Option<String>,
    /// For wss://: a PEM file of certificate authorities to trust, beside those of this machine.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// For wss://: a PEM file with the load's own certificate.
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub(crate) client_cert: Option<PathBuf>,
    /// For wss://: a PEM file with the key of that certificate.
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub(crate) client_key: Option<PathBuf>,
    /// For wss://: offer only this key exchange. Otherwise all of them are offered, X25519MLKEM768 first.
    #[arg(long, value_enum)]
    pub(crate) key_exchange: Option<KeyExchange>,
    /// For wss://: never resume a session, so that every handshake is a full one.
    #[arg(long)]
    pub(crate) full_handshakes: bool,
}

/// A key exchange of TLS 1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyExchange {
    /// RFC 7748.
    X25519,
    /// X25519 together with ML-KEM-768, against quantum computers: what browsers offer first
    /// (draft-ietf-tls-ecdhe-mlkem).
    X25519mlkem768,
    /// NIST P-256.
    Secp256r1,
}

impl KeyExchange {
    fn group(self) -> &'static dyn SupportedKxGroup {
        match self {
            Self::X25519 => aws_lc_rs::kx_group::X25519,
            Self::X25519mlkem768 => aws_lc_rs::kx_group::X25519MLKEM768,
            Self::Secp256r1 => aws_lc_rs::kx_group::SECP256R1,
        }
    }
}

impl Access {
    pub(crate) fn token(&self) -> anyhow::Result<Token> {
        let token = match (&self.token_file, &self.token) {
            (Some(path), _) => Token::file(path),
            (None, Some(token)) => Token::Fixed(token.as_str().into()),
            (None, None) => Token::None,
        };
        // A file that is missing now is missing for every connection.
        token.of(0).map_err(anyhow::Error::msg)?;
        Ok(token)
    }

    /// The configuration of TLS. Connections share it, and with it the server's session tickets, unless every handshake
    /// is to be a full one.
    pub(crate) fn tls(&self) -> anyhow::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        // Some platforms have none, or some that are broken: then those of --ca may do.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = &self.ca {
            for certificate in certificates(path)? {
                roots.add(certificate).with_context(|| format!("--ca {}", path.display()))?;
            }
        }
        ensure!(!roots.is_empty(), "this machine has no certificate authorities: name some with --ca");
        let builder = ClientConfig::builder_with_provider(Arc::new(self.provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match (&self.client_cert, &self.client_key) {
            (Some(cert), Some(key)) => {
                let named = |path: &Path| format!("--client-key {}", path.display());
                let private = PrivateKeyDer::from_pem_file(key).with_context(|| named(key))?;
                builder.with_client_auth_cert(certificates(cert)?, private).with_context(|| named(key))?
            }
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if self.full_handshakes {
            config.resumption = Resumption::disabled();
        }
        Ok(config)
    }

    /// What is offered. Browsers offer AES-128 first, and servers that leave the choice to the client take it.
    fn provider(&self) -> CryptoProvider {
        let mut provider = aws_lc_rs::default_provider();
        provider
            .cipher_suites
            .sort_by_key(|suite| !suite.suite().as_str().is_some_and(|name| name.contains("AES_128")));
        if let Some(key_exchange) = self.key_exchange {
            provider.kx_groups = vec![key_exchange.group()];
        }
        provider
    }
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = || -> Result<Vec<_>, _> { CertificateDer::pem_file_iter(path)?.collect() };
    let all: Vec<_> = read().with_context(|| format!("the certificates of {}", path.display()))?;
    if all.is_empty() {
        bail!("{} has no certificate in PEM form", path.display());
    }
    Ok(all)
}
