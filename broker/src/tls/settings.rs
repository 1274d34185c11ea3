//! rustls' configuration from ours.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, ProducesTickets, ServerConfig, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};

use super::pairs::Pair;
use super::resolver::ByName;
use crate::config::{ClientAuth, TlsVersion};

/// The only protocol inside TLS: WebSocket and the rest need nothing newer.
const ALPN: &[u8] = b"http/1.1";

/// What does not change with the files.
#[derive(Debug, Clone)]
pub(super) struct Fixed {
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) min_version: TlsVersion,
    pub(super) client_auth: ClientAuth,
    /// Makes tickets, with keys that outlive a reload. `None` with client certificates: rustls resumes a session although
    /// the authority of its client is no longer trusted.
    pub(super) ticketer: Option<Arc<dyn ProducesTickets>>,
}

/// Makes a configuration.
///
/// # Errors
/// The sentence that says what is wrong.
pub(super) fn server_config(
    fixed: &Fixed,
    pairs: &[Pair],
    authorities: Option<RootCertStore>,
) -> Result<ServerConfig, String> {
    let versions: &[_] = match fixed.min_version {
        TlsVersion::V12 => &[&TLS12, &TLS13],
        TlsVersion::V13 => &[&TLS13],
    };
    let builder = ServerConfig::builder_with_provider(fixed.provider.clone())
        .with_protocol_versions(versions)
        .map_err(|error| format!("tls_min_version: {error}"))?;
    let builder = match authorities.filter(|_| fixed.client_auth != ClientAuth::Off) {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), fixed.provider.clone());
            let verifier = match fixed.client_auth {
                ClientAuth::Required => verifier,
                ClientAuth::Off | ClientAuth::Optional => verifier.allow_unauthenticated(),
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| format!("tls_client_ca: {error}"))?)
        }
    };
    let resolver = ByName(pairs.iter().map(|pair| pair.key.clone()).collect());
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Otherwise a client could choose the slowest suite.
    config.ignore_client_order = true;
    // Early data could be replayed, and with it a publish.
    config.max_early_data_size = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    match &fixed.ticketer {
        Some(ticketer) => (config.ticketer, config.send_tls13_tickets) = (ticketer.clone(), 1),
        None => config.send_tls13_tickets = 0,
    }
    Ok(config)
}
