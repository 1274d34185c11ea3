//! What a certificate says of itself: names, validity, and the kind of its key. rustls does not tell these.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// `rsaEncryption` (RFC 8017, appendix A.1).
const RSA: &str = "1.2.840.113549.1.1.1";
/// The longest identity.
const IDENTITY_BYTES_MAX: usize = 128;

/// What the broker has to know of one of its own certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// Its first name, for people.
    pub(super) name: String,
    pub(super) begins: SystemTime,
    pub(super) expires: SystemTime,
    /// Whether its key is an RSA key, with which handshakes take several times as long.
    pub(super) is_rsa: bool,
}

/// Reads a certificate.
///
/// # Errors
/// It is none (RFC 5280).
pub(super) fn facts(certificate: &CertificateDer<'_>) -> Result<Facts, String> {
    let parsed = Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let inner = parsed.tbs_certificate();
    Ok(Facts {
        name: names(&parsed).into_iter().next().unwrap_or_else(|| inner.subject().to_string()),
        begins: inner.validity().not_before.to_system_time(),
        expires: inner.validity().not_after.to_system_time(),
        is_rsa: inner.subject_public_key_info().algorithm.oid.to_string() == RSA,
    })
}

/// Returns who a client is by its certificate, which rustls has verified: the first DNS name or URI among its subject
/// alternative names. The common name never counts: any certificate authority lets applicants choose it.
pub(super) fn identity(certificate: &CertificateDer<'_>) -> Option<Arc<str>> {
    let parsed = Certificate::from_der(certificate).ok()?;
    let first = names(&parsed).into_iter().next()?;
    let is_fit = first.len() <= IDENTITY_BYTES_MAX && first.bytes().all(|byte| byte.is_ascii_graphic());
    is_fit.then(|| first.into())
}

/// Returns the DNS names and URIs among the subject alternative names (RFC 5280 §4.2.1.6), in their order.
fn names(certificate: &Certificate) -> Vec<String> {
    let Ok(Some((_, SubjectAltName(names)))) = certificate.tbs_certificate().get_extension::<SubjectAltName>() else {
        return Vec::new();
    };
    let text = |name: GeneralName| match name {
        GeneralName::DnsName(name) | GeneralName::UniformResourceIdentifier(name) => Some(name.to_string()),
        _ => None,
    };
    names.into_iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(common_name: &str, names: Vec<SanType>) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = names;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn dns(name: &str) -> SanType {
        SanType::DnsName(name.try_into().unwrap())
    }

    fn uri(name: &str) -> SanType {
        SanType::URI(name.try_into().unwrap())
    }

    #[test]
    fn the_identity_is_the_first_name_and_never_the_common_name() {
        let address = SanType::IpAddress([192, 0, 2, 7].into());
        for (names, identity) in [
            (vec![dns("feed-a.internal"), dns("feed-b.internal")], Some("feed-a.internal")),
            (vec![uri("spiffe://example/feed"), dns("feed-b.internal")], Some("spiffe://example/feed")),
            (vec![address.clone(), dns("feed-a.internal")], Some("feed-a.internal")),
            (vec![address], None),
            (vec![], None),
            (vec![dns(&"a".repeat(IDENTITY_BYTES_MAX + 1))], None),
            (vec![uri("two words")], None),
        ] {
            let certificate = certificate("admin", names.clone());
            assert_eq!(super::identity(&certificate).as_deref(), identity, "{names:?}");
        }
    }

    #[test]
    fn a_certificate_tells_its_name_and_its_validity() {
        let facts = facts(&certificate("a", vec![dns("md.example")])).unwrap();
        assert_eq!((facts.name.as_str(), facts.is_rsa), ("md.example", false));
        assert!(facts.begins < facts.expires);
        assert_eq!(super::facts(&certificate("only this", vec![])).unwrap().name, "CN=only this");
        assert!(super::facts(&CertificateDer::from(vec![0x30, 0x03, 1, 2, 3])).is_err());
    }
}
