//! TLS with rustls and aws-lc-rs: the platform's certificate authorities, those of a file, and the client's certificate.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::wire::TlsStream;
use crate::sync::lock;
use crate::tls::Tls;

/// The files' content, by which a change is noticed: authorities, certificate, key.
type Contents = [Option<Vec<u8>>; 3];

/// Makes TLS connections. It keeps its configuration, and with it the broker's session tickets, until a file changes.
#[derive(Debug, Default)]
pub(crate) struct Connector {
    made: Mutex<Option<(Contents, Arc<ClientConfig>)>>,
}

impl Connector {
    /// Does the TLS handshake with a broker of this name over a connection. Errors are sentences for people.
    pub(super) async fn connect(&self, stream: TcpStream, host: &str, files: &Tls) -> Result<Box<TlsStream>, String> {
        let config = self.config(files)?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("{host} is no name that a certificate can have"))?;
        match TlsConnector::from(config).connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn config(&self, files: &Tls) -> Result<Arc<ClientConfig>, String> {
        let contents = [&files.ca_file, &files.client_cert_file, &files.client_key_file]
            .map(|path| path.as_deref().map(read).transpose());
        let [ca, cert, key] = contents;
        let contents = [ca?, cert?, key?];
        let mut made = lock(&self.made);
        if let Some((of, config)) = &*made
            && *of == contents
        {
            return Ok(config.clone());
        }
        let config = Arc::new(configure(files, &contents)?);
        *made = Some((contents, config.clone()));
        Ok(config)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn configure(files: &Tls, [ca, cert, key]: &Contents) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    // Some platforms have none, or some that are broken: then those of the file may do.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let (Some(path), Some(pem)) = (&files.ca_file, ca) {
        for certificate in certificates(path, pem)? {
            roots
                .add(certificate)
                .map_err(|error| format!("{} has no certificate authority: {error}", path.display()))?;
        }
    }
    if roots.is_empty() {
        return Err("this machine has no certificate authorities, and no file with any is set".to_owned());
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let mut config = match (&files.client_cert_file, cert, &files.client_key_file, key) {
        (Some(cert_path), Some(cert), Some(key_path), Some(key)) => {
            let chain = certificates(cert_path, cert)?;
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|error| format!("{} has no private key: {error}", key_path.display()))?;
            let fits = |error| format!("{} and {} do not fit: {error}", cert_path.display(), key_path.display());
            builder.with_client_auth_cert(chain, key).map_err(fits)?
        }
        (None, _, None, _) => builder.with_no_client_auth(),
        _ => return Err("a client certificate needs its key, and a key its certificate".to_owned()),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(format!("{} has no certificate in PEM form", path.display())),
        Err(error) => Err(format!("{} is no PEM file of certificates: {error}", path.display())),
    }
}
