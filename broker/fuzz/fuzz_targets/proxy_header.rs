//! The PROXY protocol: however a connection's first bytes arrive, the verdict on them is the same, a header is bounded, and
//! its address is the one that a naive reading of the specification finds.
#![no_main]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use libfuzzer_sys::fuzz_target;

// Only this file is included, so that the rest of the broker need not be built.
#[path = "../../src/address/header.rs"]
mod header;

use header::{BYTES_MAX, length, parse};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fuzz_target!(|bytes: &[u8]| {
    let verdict = length(bytes);
    for end in 0..bytes.len() {
        // Once there is a verdict, more bytes do not change it.
        let sooner = length(&bytes[..end]);
        assert!(sooner == Ok(None) || sooner == verdict, "{end}: {sooner:?} {verdict:?}");
    }
    // With as many bytes as a header may have there is a verdict.
    assert!(verdict != Ok(None) || bytes.len() < BYTES_MAX, "{verdict:?}");
    let Ok(Some(length)) = verdict else { return };
    assert!(length <= BYTES_MAX);
    let Some(whole) = bytes.get(..length) else { return };
    match (parse(whole), plainly(whole)) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected),
        (Err(_), Err(())) => {}
        // What follows UNKNOWN need not be readable.
        (Err(_), Ok(None)) if whole.starts_with(b"PROXY UNKNOWN") => {}
        (found, expected) => panic!("{found:?} {expected:?}: {}", whole.escape_ascii()),
    }
});

fn plainly(header: &[u8]) -> Result<Option<SocketAddr>, ()> {
    if header.starts_with(SIGNATURE) { version_2(header) } else { version_1(header) }
}

fn version_1(header: &[u8]) -> Result<Option<SocketAddr>, ()> {
    let line = header.strip_suffix(b"\r\n").ok_or(())?;
    if line.contains(&b'\r') {
        return Err(());
    }
    let line = std::str::from_utf8(line).map_err(drop)?;
    let words: Vec<&str> = line.split(' ').collect();
    let port = |text: &str| match text {
        "0" => Ok(0),
        _ if text.starts_with('0') => Err(()),
        _ => text.parse::<u16>().map_err(drop),
    };
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        ["PROXY", "TCP4", source, destination, source_port, destination_port] => {
            destination.parse::<Ipv4Addr>().map_err(drop)?;
            port(destination_port)?;
            Ok(Some((source.parse::<Ipv4Addr>().map_err(drop)?, port(source_port)?).into()))
        }
        ["PROXY", "TCP6", source, destination, source_port, destination_port] => {
            destination.parse::<Ipv6Addr>().map_err(drop)?;
            port(destination_port)?;
            Ok(Some((source.parse::<Ipv6Addr>().map_err(drop)?, port(source_port)?).into()))
        }
        _ => Err(()),
    }
}

fn version_2(header: &[u8]) -> Result<Option<SocketAddr>, ()> {
    let (head, rest) = header.split_at(16);
    let is_local = match head[12] {
        0x20 => true,
        0x21 => false,
        _ => return Err(()),
    };
    let (family, protocol) = (head[13] >> 4, head[13] & 15);
    let needed = *[0, 12, 36, 216].get(usize::from(family)).ok_or(())?;
    if protocol > 2 || rest.len() < needed {
        return Err(());
    }
    let port = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    Ok(match family {
        _ if is_local => None,
        1 => Some((<[u8; 4]>::try_from(&rest[..4]).map(Ipv4Addr::from).map_err(drop)?, port(8)).into()),
        2 => Some((<[u8; 16]>::try_from(&rest[..16]).map(Ipv6Addr::from).map_err(drop)?, port(32)).into()),
        _ => None,
    })
}
