//! A certificate authority and a certificate of it, for `tickcast demo --secure`: X.509 (RFC 5280) with P-256, in DER
//! (X.690), as little of both as it takes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::pem::pem;

/// How long a certificate lasts.
const LIFETIME: Duration = Duration::from_secs(7 * 86_400);
/// A certificate counts from before it was made, because clocks differ.
const EARLIER: Duration = Duration::from_secs(3_600);

const AUTHORITY: &str = "Tickcast demo authority";

// Tags of DER.
const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]` and `[3]` of a certificate: its version, and its extensions.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// `[2]` and `[7]` of a name: for DNS, and an address.
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;

// Object identifiers, encoded.
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

/// The files of TLS, as PEM.
pub(super) struct Certificates {
    pub(super) authority: String,
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Makes an authority, whose key is then forgotten, and a certificate for this machine's own names.
pub(super) fn make() -> anyhow::Result<Certificates> {
    let now = SystemTime::now();
    let [authority_key, key] = [new_key()?, new_key()?];
    let constraint = extension(BASIC_CONSTRAINTS, true, &der(SEQUENCE, &[&der(BOOLEAN, &[&[0xff]])]));
    let authority = certificate(1, AUTHORITY, &authority_key, &authority_key, now, &constraint)?;
    let names = der(
        SEQUENCE,
        &[
            &der(DNS_NAME, &[b"localhost"]),
            &der(IP_ADDRESS, &[&[127, 0, 0, 1]]),
            &der(IP_ADDRESS, &[&std::net::Ipv6Addr::LOCALHOST.octets()]),
        ],
    );
    let names = extension(SUBJECT_ALT_NAME, false, &names);
    let certificate = certificate(2, "Tickcast demo", &key, &authority_key, now, &names)?;
    let key = key.to_pkcs8v1().context("a key as PKCS#8")?;
    Ok(Certificates {
        authority: pem("CERTIFICATE", &authority),
        certificate: pem("CERTIFICATE", &certificate),
        key: pem("PRIVATE KEY", key.as_ref()),
    })
}

fn new_key() -> anyhow::Result<EcdsaKeyPair> {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).context("a new key")
}

/// A certificate of version 3 for a subject and its key, signed with the authority's key.
fn certificate(
    serial: u8,
    subject: &str,
    key: &EcdsaKeyPair,
    authority_key: &EcdsaKeyPair,
    now: SystemTime,
    extension: &[u8],
) -> anyhow::Result<Vec<u8>> {
    let public: PublicKeyX509Der<'static> = key.public_key().as_der().context("a public key")?;
    let algorithm = der(SEQUENCE, &[&der(OBJECT_IDENTIFIER, &[ECDSA_WITH_SHA256])]);
    let lifetime = der(SEQUENCE, &[&time(now - EARLIER), &time(now + LIFETIME)]);
    let signed = der(
        SEQUENCE,
        &[
            &der(VERSION, &[&der(INTEGER, &[&[2]])]),
            &der(INTEGER, &[&[serial]]),
            &algorithm,
            &name(AUTHORITY),
            &lifetime,
            &name(subject),
            public.as_ref(),
            &der(EXTENSIONS, &[&der(SEQUENCE, &[extension])]),
        ],
    );
    let signature =
        authority_key.sign(&SystemRandom::new(), &signed).map_err(|_| anyhow!("a certificate cannot be signed"))?;
    // A string of bits begins with the number of bits that its last byte does not use.
    Ok(der(SEQUENCE, &[&signed, &algorithm, &der(BIT_STRING, &[&[0], signature.as_ref()])]))
}

fn name(common: &str) -> Vec<u8> {
    let (kind, value) = (der(OBJECT_IDENTIFIER, &[COMMON_NAME]), der(UTF8_STRING, &[common.as_bytes()]));
    der(SEQUENCE, &[&der(SET, &[&der(SEQUENCE, &[&kind, &value])])])
}

fn extension(which: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { der(BOOLEAN, &[&[0xff]]) } else { Vec::new() };
    der(SEQUENCE, &[&der(OBJECT_IDENTIFIER, &[which]), &critical, &der(OCTET_STRING, &[value])])
}

fn time(at: SystemTime) -> Vec<u8> {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let [hour, minute, second] = [seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60];
    der(GENERALIZED_TIME, &[format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z").as_bytes()])
}

/// The year, month and day of a number of days since 1970.
fn date(mut days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

/// A value with its tag and its length.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match len {
        0..0x80 => out.push(len as u8),
        0x80..0x100 => out.extend([0x81, len as u8]),
        _ => out.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    parts.iter().for_each(|part| out.extend(*part));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (59, (1970, 3, 1)),
            (789, (1972, 2, 29)),
            (11_016, (2000, 2, 29)),
            (20_787, (2026, 11, 30)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
    }

    #[test]
    fn lengths_of_every_form() {
        assert_eq!(der(SEQUENCE, &[b"ab", b"c"]), [0x30, 3, b'a', b'b', b'c']);
        assert_eq!(der(SEQUENCE, &[&[0; 200]])[..3], [0x30, 0x81, 200]);
        assert_eq!(der(SEQUENCE, &[&[0; 600]])[..4], [0x30, 0x82, 2, 88]);
    }
}
