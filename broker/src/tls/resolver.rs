//! Which certificate a client is shown.

use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Chooses by the name that the client asks for (SNI): the first pair whose certificate covers it, otherwise the first
/// of all. Among pairs of the same names the first with a key that the client can verify counts.
#[derive(Debug)]
pub(super) struct ByName(pub(super) Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let can_verify = |pair: &&Arc<CertifiedKey>| pair.key.choose_scheme(schemes).is_some();
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let covers = |pair: &&Arc<CertifiedKey>| name.as_ref().is_some_and(|name| covers(pair, name));
        let named = || self.0.iter().filter(covers);
        named()
            .find(can_verify)
            .or_else(|| named().next())
            .or_else(|| self.0.iter().find(can_verify))
            .or_else(|| self.0.first())
            .cloned()
    }
}

fn covers(pair: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = pair.end_entity_cert().ok().and_then(|certificate| ParsedCertificate::try_from(certificate).ok());
    certificate.is_some_and(|certificate| verify_server_name(&certificate, name).is_ok())
}
