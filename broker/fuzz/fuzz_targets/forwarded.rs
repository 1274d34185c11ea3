//! `X-Forwarded-For`: the address is the one that a naive reading of the whole list finds.
//!
//! The first byte of the input chooses whom to trust; the rest are the header's lines, which zeros separate.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;

// Only this file is included, so that the rest of the broker need not be built.
#[path = "../../src/address/forwarded.rs"]
mod forwarded;

/// No list is read further.
const ENTRIES_MAX: usize = 32;

fuzz_target!(|bytes: &[u8]| {
    let Some((mode, rest)) = bytes.split_first() else { return };
    let is_trusted = |address: IpAddr| match (mode % 3, address) {
        (0, _) => false,
        (1, IpAddr::V4(address)) => address.octets()[0] == 10,
        (1, IpAddr::V6(_)) => false,
        (_, address) => match address {
            IpAddr::V4(address) => address.octets()[3] % 2 == 0,
            IpAddr::V6(address) => address.octets()[15] % 2 == 0,
        },
    };
    let lines: Vec<&[u8]> = rest.split(|byte| *byte == 0).collect();
    let found = forwarded::forwarded(lines.iter().copied(), is_trusted);
    assert_eq!(found, plainly(&lines.join(&b','), is_trusted), "{}", rest.escape_ascii());
    if let Some(address) = found {
        assert!(!is_trusted(address));
        assert_eq!(address, address.to_canonical());
    }
});

/// Reads the whole list, then looks for the address.
fn plainly(list: &[u8], is_trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let entries: Vec<Option<IpAddr>> = list.split(|byte| *byte == b',').map(address).collect();
    for entry in entries.iter().rev().take(ENTRIES_MAX) {
        match entry {
            Some(address) if is_trusted(*address) => {}
            other => return *other,
        }
    }
    None
}

fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry.trim_ascii()).ok()?;
    let is_port = |port: &str| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
    };
    let address: IpAddr = if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']')?;
        let inside = match after.strip_prefix(':') {
            None if after.is_empty() => inside,
            Some(port) if is_port(port) => match inside.split_once('%') {
                Some((inside, scope)) => {
                    let digits = !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_digit());
                    scope.parse::<u32>().ok().filter(|_| digits)?;
                    inside
                }
                None => inside,
            },
            _ => return None,
        };
        inside.parse::<Ipv6Addr>().ok()?.into()
    } else if text.matches(':').count() == 1 {
        let (inside, port) = text.split_once(':')?;
        inside.parse::<Ipv4Addr>().ok().filter(|_| is_port(port))?.into()
    } else {
        text.parse().ok()?
    };
    Some(address.to_canonical())
}
