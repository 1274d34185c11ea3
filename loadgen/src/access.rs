//! Who the load is, and whom it trusts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Tokens and certificates.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Access to the server")]
pub(crate) struct Access {
    /// The file with tokens, one a line, which connections take in turn; it is read again before each attempt to
    /// connect. A token is sent as `Authorization: Bearer` in the handshake, and not renewed during the run.
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
}

/// Where a connection's token comes from.
#[derive(Debug, Clone, Default)]
pub(crate) enum Token {
    #[default]
    None,
    Fixed(Arc<str>),
    File(Arc<Path>),
}

impl Access {
    pub(crate) fn token(&self) -> anyhow::Result<Token> {
        let token = match (&self.token_file, &self.token) {
            (Some(path), _) => Token::File(path.as_path().into()),
            (None, Some(token)) => Token::Fixed(token.as_str().into()),
            (None, None) => Token::None,
        };
        // A file that is missing now is missing for every connection.
        token.of(0).map_err(anyhow::Error::msg)?;
        Ok(token)
    }

    /// The configuration of TLS. Connections share it, and with it the server's session tickets.
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
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
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
        Ok(config)
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

impl Token {
    /// The token of the connection with this number. Errors do not repeat it.
    pub(crate) fn of(&self, number: u32) -> Result<Option<String>, String> {
        let token = match self {
            Token::None => return Ok(None),
            Token::Fixed(token) => token.trim().to_owned(),
            Token::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| format!("the tokens of {} cannot be read: {error}", path.display()))?;
                let tokens: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
                let turn = (number as usize).checked_rem(tokens.len());
                let turn = turn.ok_or_else(|| format!("{} has no token", path.display()))?;
                tokens[turn].to_owned()
            }
        };
        // It becomes a line of the handshake.
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a token consists of printable ASCII characters without blanks".to_owned());
        }
        Ok(Some(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_a_files_tokens_in_turn_and_errors_do_not_repeat_them() {
        let path = std::env::temp_dir().join(format!("loadgen-tokens-{}", std::process::id()));
        std::fs::write(&path, "one\n\n two \n").expect("a file");
        let file = Token::File(path.as_path().into());
        let tokens: Vec<_> = (0..3).map(|number| file.of(number).expect("a token").expect("one")).collect();
        assert_eq!(tokens, ["one", "two", "one"]);
        std::fs::write(&path, "marker\tmarker").expect("a file");
        assert!(!file.of(0).expect_err("no token").contains("marker"));
        std::fs::write(&path, "\n").expect("a file");
        assert!(file.of(0).expect_err("no token").contains("has no token"));
        std::fs::remove_file(&path).expect("it is there");
        assert!(file.of(0).expect_err("no file").contains("cannot be read"));
        assert_eq!(Token::None.of(0), Ok(None));
    }
}
