//! Certificates for nats-servers and their clients, made for one test.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};

/// Files with an authority, and with a certificate and key that are good for servers on this machine and for clients.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// The authority's certificate.
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// Writes them to this folder.
    pub(super) fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "a test's authority for nats");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::default();
        let loopback = SanType::IpAddress("127.0.0.1".parse().unwrap());
        params.subject_alt_names = vec![loopback, SanType::DnsName("localhost".try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        Self {
            ca: write("ca.pem", &authority.pem()),
            certificate: write("nats.pem", &certificate.pem()),
            key: write("nats.key", &key.serialize_pem()),
        }
    }

    /// The lines of a server's configuration. A client may show a certificate, and need not.
    pub(super) fn configuration(&self) -> String {
        format!("tls {{ cert_file: \"{}\", key_file: \"{}\" }}\n", self.certificate.display(), self.key.display())
    }
}
