//! The PROXY protocol, versions 1 and 2: a header in which a proxy says from where a connection came to it, before
//! everything else on that connection. (The specification is HAProxy's `doc/proxy-protocol.txt`.)

use std::fmt;
use std::net::SocketAddr;

use ppp::{v1, v2};

/// The most bytes of a header: what one TCP segment carries everywhere (RFC 9293 §3.7.1). The specification wants headers
/// to be no longer, and those of proxies have at most some hundred bytes.
pub const BYTES_MAX: usize = 536;
/// The most bytes of a header of version 1.
const V1_BYTES_MAX: usize = 107;
/// The head of version 2, whose last two bytes are the length of the rest.
const V2_HEAD_BYTES: usize = 16;

/// Why a header is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHeader {
    /// The connection does not begin with a header.
    None,
    /// It is longer than [`BYTES_MAX`] bytes.
    TooLong,
    /// It violates the specification.
    Malformed,
}

impl fmt::Display for BadHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadHeader::None => "it does not begin with a header of the PROXY protocol",
            BadHeader::TooLong => "its header of the PROXY protocol is too long",
            BadHeader::Malformed => "its header of the PROXY protocol is malformed",
        })
    }
}

/// Returns the length of the header with which these bytes begin; `None` if more are needed to know it.
///
/// # Errors
/// They do not begin a header, or one that is too long.
pub fn length(bytes: &[u8]) -> Result<Option<usize>, BadHeader> {
    let begins = |prefix: &[u8]| bytes.iter().zip(prefix).all(|(byte, expected)| byte == expected);
    if begins(b"PROXY ") {
        let end = bytes.iter().take(V1_BYTES_MAX).position(|byte| *byte == b'\n');
        match end {
            Some(end) => Ok(Some(end + 1)),
            None if bytes.len() >= V1_BYTES_MAX => Err(BadHeader::TooLong),
            None => Ok(None),
        }
    } else if begins(v2::PROTOCOL_PREFIX) {
        let Some(head) = bytes.first_chunk::<V2_HEAD_BYTES>() else { return Ok(None) };
        let length = V2_HEAD_BYTES + usize::from(u16::from_be_bytes([head[14], head[15]]));
        if length > BYTES_MAX { Err(BadHeader::TooLong) } else { Ok(Some(length)) }
    } else {
        Err(BadHeader::None)
    }
}

/// Returns the address that a whole header names; `None` if it names none: a connection of the proxy's own (`LOCAL`),
/// or one that did not come over TCP or UDP.
///
/// # Errors
/// It is malformed.
pub fn parse(header: &[u8]) -> Result<Option<SocketAddr>, BadHeader> {
    let malformed = |_| BadHeader::Malformed;
    let source = if header.starts_with(v2::PROTOCOL_PREFIX) {
        let header = v2::Header::try_from(header).map_err(|_| BadHeader::Malformed)?;
        match header.addresses {
            _ if header.command == v2::Command::Local => None,
            v2::Addresses::IPv4(it) => Some((it.source_address, it.source_port).into()),
            v2::Addresses::IPv6(it) => Some((it.source_address, it.source_port).into()),
            v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
        }
    } else {
        // The crate takes a space for a CR, and a CR for a space.
        let line = header.strip_suffix(b"\r\n").filter(|line| !line.contains(&b'\r'));
        line.ok_or(BadHeader::Malformed)?;
        match v1::Header::try_from(header).map_err(malformed)?.addresses {
            v1::Addresses::Tcp4(it) => Some((it.source_address, it.source_port).into()),
            v1::Addresses::Tcp6(it) => Some((it.source_address, it.source_port).into()),
            v1::Addresses::Unknown => None,
        }
    };
    Ok(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of version 2.
    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[0x20 | command, family], &length, rest].concat()
    }

    fn whole(bytes: &[u8]) -> Result<Option<String>, BadHeader> {
        let length = length(bytes)?.expect("a whole header");
        parse(&bytes[..length]).map(|address| address.map(|address| address.to_string()))
    }

    #[test]
    fn what_headers_say() {
        let v4 = [192, 0, 2, 7, 10, 0, 0, 1, 0xd7, 0x53, 0x01, 0xbb];
        let mut v6 = [0; 36];
        v6[..2].copy_from_slice(&[0x20, 0x01]);
        (v6[15], v6[33]) = (7, 80);
        let mut fields = v4.to_vec();
        // A field of 300 bytes is skipped.
        fields.extend([0x05, 0x01, 0x2c]);
        fields.extend([0xff; 300]);
        let long_unknown = format!("PROXY UNKNOWN {}\r\n", "f".repeat(91));
        for (bytes, expected) in [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 55123 443\r\nGET /".to_vec(), Ok(Some("192.0.2.7:55123"))),
            (b"PROXY TCP6 2001:db8::7 ::1 55123 443\r\n".to_vec(), Ok(Some("[2001:db8::7]:55123"))),
            (b"PROXY UNKNOWN\r\n".to_vec(), Ok(None)),
            (b"PROXY UNKNOWN 1 2 3 4\r\n".to_vec(), Ok(None)),
            (long_unknown.clone().into_bytes(), Ok(None)),
            (long_unknown.replacen('f', "ff", 1).into_bytes(), Err(BadHeader::TooLong)),
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 55123\r\n".to_vec(), Err(BadHeader::Malformed)),
            (b"PROXY TCP4 192.0.2.256 10.0.0.1 1 2\r\n".to_vec(), Err(BadHeader::Malformed)),
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 1 65536\r\n".to_vec(), Err(BadHeader::Malformed)),
            (b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n".to_vec(), Err(BadHeader::Malformed)),
            (b"PROXY UDP4 192.0.2.7 10.0.0.1 1 2\r\n".to_vec(), Err(BadHeader::Malformed)),
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n".to_vec(), Err(BadHeader::Malformed)),
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2 \n".to_vec(), Err(BadHeader::Malformed)),
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 1\r2\r\n".to_vec(), Err(BadHeader::Malformed)),
            (v2(1, 0x11, &v4), Ok(Some("192.0.2.7:55123"))),
            (v2(1, 0x11, &fields), Ok(Some("192.0.2.7:55123"))),
            (v2(1, 0x21, &v6), Ok(Some("[2001::7]:80"))),
            (v2(0, 0x11, &v4), Ok(None)),
            (v2(0, 0x00, &[]), Ok(None)),
            (v2(1, 0x00, &[1, 2, 3]), Ok(None)),
            (v2(1, 0x31, &[0; 216]), Ok(None)),
            (v2(1, 0x11, &v4[..11]), Err(BadHeader::Malformed)),
            (v2(2, 0x11, &v4), Err(BadHeader::Malformed)),
            (v2(1, 0x41, &v4), Err(BadHeader::Malformed)),
            (v2(1, 0x11, &[0; 520]), Ok(Some("0.0.0.0:0"))),
            (v2(1, 0x11, &[0; 521]), Err(BadHeader::TooLong)),
            (v2(1, 0x11, &[0; 65535]), Err(BadHeader::TooLong)),
            (b"GET /v1/ws HTTP/1.1\r\n".to_vec(), Err(BadHeader::None)),
            (b"PROXIES".to_vec(), Err(BadHeader::None)),
            (b"\x16\x03\x01\x02\x00".to_vec(), Err(BadHeader::None)),
        ] {
            let expected = expected.map(|address| address.map(str::to_owned));
            assert_eq!(whole(&bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn more_is_needed_until_the_length_is_known() {
        let v1 = b"PROXY TCP4 192.0.2.7 10.0.0.1 55123 443\r\n";
        for end in 0..v1.len() {
            assert_eq!(length(&v1[..end]), Ok(None), "{end} bytes");
        }
        let v2 = v2(1, 0x11, &[0; 12]);
        for end in 0..v2.len() {
            let known = (end >= V2_HEAD_BYTES).then_some(v2.len());
            assert_eq!(length(&v2[..end]), Ok(known), "{end} bytes");
        }
        // The first byte that does not fit ends the wait.
        assert_eq!(length(b"PROXX"), Err(BadHeader::None));
        assert_eq!(length(b"\r\n\r\nG"), Err(BadHeader::None));
    }
}
