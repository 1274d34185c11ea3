//! `X-Forwarded-For`: the list of addresses to which each proxy adds the one that it was connected from.
//!
//! A client can send such a header itself, so only what trusted proxies have added counts. They add at the end: the
//! list is read from the right, past the addresses of trusted proxies, to the first other one. Everything to the left
//! of that may be forged.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The most entries that are read. No request passes through so many proxies.
const ENTRIES_MAX: usize = 32;

/// Returns the client's address according to these header lines, which are one list, in their order. `None` if the list
/// ends before there is an address of no trusted proxy, or has an entry that is no address.
pub fn forwarded<'a>(
    lines: impl DoubleEndedIterator<Item = &'a [u8]>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let entries = lines.rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
    for entry in entries.take(ENTRIES_MAX) {
        // What is no address may stand for a client that the proxy does not name: what is left of it is not looked at.
        let address = address(entry.trim_ascii())?;
        if !is_trusted(address) {
            return Some(address);
        }
    }
    None
}

/// Reads an address as proxies write it: alone, or with a port; an IPv6 address also in brackets. An address that is
/// mapped into IPv6 is its IPv4 address.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let alone = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    // A scope, as in `[fe80::1%2]:80`, is accepted with a port only, and is of no use to us.
    alone.or_else(with_port).or_else(in_brackets).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Option<String> {
        let trusted = |address: IpAddr| address.to_string().starts_with("10.") || address.is_loopback();
        forwarded(lines.iter().map(|line| line.as_bytes()), trusted).map(|address| address.to_string())
    }

    #[test]
    fn the_first_address_from_the_right_that_is_no_proxy() {
        let many = vec!["192.0.2.1"; 50].join(",");
        let hops = format!("192.0.2.1,{}", vec!["10.0.0.1"; 31].join(","));
        let too_many_hops = format!("192.0.2.1,{}", vec!["10.0.0.1"; 32].join(","));
        for (lines, address) in [
            (&["192.0.2.1"][..], Some("192.0.2.1")),
            (&["198.51.100.9, 192.0.2.1"], Some("192.0.2.1")),
            (&["198.51.100.9, 192.0.2.1, 10.0.0.3"], Some("192.0.2.1")),
            (&["198.51.100.9", "192.0.2.1 ,10.0.0.3", "10.0.0.4"], Some("192.0.2.1")),
            // Several lines are one list, in their order.
            (&["192.0.2.1", "10.0.0.3"], Some("192.0.2.1")),
            (&["10.0.0.3", "192.0.2.1"], Some("192.0.2.1")),
            // As proxies write addresses.
            (&["192.0.2.1:55123"], Some("192.0.2.1")),
            (&["2001:db8::1"], Some("2001:db8::1")),
            (&["[2001:db8::1]"], Some("2001:db8::1")),
            (&["[2001:db8::1]:443"], Some("2001:db8::1")),
            (&["::ffff:192.0.2.1"], Some("192.0.2.1")),
            (&["\t192.0.2.1 "], Some("192.0.2.1")),
            // What is no address hides what is left of it.
            (&["192.0.2.1, unknown"], None),
            (&["192.0.2.1, unknown, 10.0.0.3"], None),
            (&["192.0.2.1,"], None),
            (&["192.0.2.1", ""], None),
            (&["192.0.2.1, _hidden, 192.0.2.2"], Some("192.0.2.2")),
            (&["192.0.2.1, 192.0.2.256"], None),
            (&["192.0.2.1, fe80::1%eth0"], None),
            (&["192.0.2.1, \"192.0.2.2\""], None),
            (&["for=192.0.2.1"], None),
            (&["127.0.0.1"], None),
            (&["127.0.0.1, 10.0.0.1"], None),
            (&[], None),
            (&[""], None),
            // No chain of proxies is that long, and a long list is no burden.
            (&[&many], Some("192.0.2.1")),
            (&[&hops], Some("192.0.2.1")),
            (&[&too_many_hops], None),
        ] {
            assert_eq!(read(lines).as_deref(), address, "{lines:?}");
        }
        assert_eq!(forwarded([&b"192.0.2.1, \xff"[..]].into_iter(), |_| false), None);
    }
}
