//! The options that say who the feed is, and whom it trusts.

use std::path::PathBuf;

use clap::Args;
use feed_player::publish::{Tls, Token};

#[derive(Args, Debug)]
#[command(next_help_heading = "Access to the broker")]
pub(crate) struct AccessArgs {
    /// The file with the feed's token; it is read again before each attempt to connect, and before the token ends
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The feed's token. Every user of this machine can see it in the list of processes: prefer --token-file
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    token: Option<String>,
    /// For wss://: a PEM file of certificate authorities to trust, beside those of this machine
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// For wss://: a PEM file with the feed's own certificate
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// For wss://: a PEM file with the key of that certificate
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

impl AccessArgs {
    pub(crate) fn token(&self) -> Token {
        match (&self.token_file, &self.token) {
            (Some(path), _) => Token::file(path),
            (None, Some(token)) => Token::fixed(token),
            (None, None) => Token::none(),
        }
    }

    pub(crate) fn tls(&self) -> Tls {
        Tls {
            ca_file: self.ca.clone(),
            client_cert_file: self.client_cert.clone(),
            client_key_file: self.client_key.clone(),
        }
    }
}
