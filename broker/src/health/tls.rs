//! TLS for a probe: whom it trusts, and in plain words what went wrong.

use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::exchange;

/// The authorities that are trusted.
pub(super) struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Trusts the authorities in a PEM file, or without one those that the system trusts.
    ///
    /// # Errors
    /// There are none, or the file cannot be read.
    pub(super) fn new(ca: Option<&Path>) -> anyhow::Result<Trust> {
        let roots = match ca {
            Some(ca) => read(ca).with_context(|| format!("--ca {}", ca.display()))?,
            None => {
                crate::authorities::of_system().map_err(|sentence| anyhow!("{sentence}; --ca names one as well"))?
            }
        };
        Ok(Trust(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())))
    }

    /// Sends a request for a path to a host that proves that it is `name`, and returns the answer.
    ///
    /// # Errors
    /// It does not, or there is no answer.
    pub(super) fn ask(&self, stream: TcpStream, name: &str, host: &str, path: &str) -> anyhow::Result<String> {
        let server =
            ServerName::try_from(name.to_owned()).map_err(|_| anyhow!("{name} is no name for a certificate"))?;
        let client = ClientConnection::new(self.0.clone(), server)?;
        exchange::ask(&mut StreamOwned::new(client, stream), host, path).map_err(|error| in_words(error, name))
    }
}

/// The authorities in a PEM file.
fn read(ca: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca)? {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        bail!("the file has no certificate in PEM (-----BEGIN CERTIFICATE-----)");
    }
    Ok(roots)
}

/// What went wrong, for the person who reads it.
fn in_words(error: io::Error, name: &str) -> anyhow::Error {
    let Some(wrong) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return error.into();
    };
    let words = match wrong {
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired".to_owned()
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "its certificate is not valid yet".to_owned(),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("its certificate is not for {name}"),
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "its certificate is from an authority that is not trusted here; --ca names one that is".to_owned()
        }
        rustls::Error::InvalidMessage(_) => "it does not speak TLS on this port".to_owned(),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::BadCertificate) => {
            "it asks for a certificate of the client, and this check has none".to_owned()
        }
        other => return anyhow!("TLS failed: {other}"),
    };
    anyhow!("{words} ({wrong})")
}
