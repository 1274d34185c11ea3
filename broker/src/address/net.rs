//! A block of addresses in CIDR notation (RFC 4632, RFC 4291 §2.3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of addresses. A single address is a block of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    first: IpAddr,
    prefix: u8,
}

/// The leading bits that all IPv4 addresses have in common when they are mapped into IPv6.
const MAPPED_BITS: u8 = 96;

impl Net {
    /// Parses `192.0.2.0/24`, `2001:db8::/32` or an address; `None` if it is none of these. Bits beyond the prefix are
    /// ignored. Addresses that are mapped into IPv6 are IPv4 addresses.
    pub fn parse(text: &str) -> Option<Net> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u8 = match prefix {
            None => bits,
            // `parse` alone would accept a leading plus.
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= bits)?
            }
            Some(_) => return None,
        };
        match (address, address.to_canonical()) {
            (IpAddr::V6(_), canonical @ IpAddr::V4(_)) => {
                prefix.checked_sub(MAPPED_BITS).map(|prefix| Net::new(canonical, prefix))
            }
            (address, _) => Some(Net::new(address, prefix)),
        }
    }

    fn new(address: IpAddr, prefix: u8) -> Net {
        Net { first: masked(address, prefix), prefix }
    }

    /// Returns whether an address is in the block. An address that is mapped into IPv6 is its IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && masked(address, self.prefix) == self.first
    }
}

/// The address without the bits beyond the prefix.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(u32::from(32 - prefix)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(u32::from(128 - prefix)).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = if self.first.is_ipv4() { 32 } else { 128 };
        match self.prefix == bits {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}/{}", self.first, self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_block() {
        for (net, address, inside) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.7/24", "192.0.2.200", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "192.0.2.1", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("::1", "::1", true),
            ("127.0.0.0/8", "::ffff:127.1.2.3", true),
            ("::ffff:192.0.2.0/120", "192.0.2.9", true),
            ("::ffff:192.0.2.0/120", "::ffff:192.0.3.9", false),
            ("192.0.2.7", "::ffff:192.0.2.7", true),
            ("::ffff:192.0.2.7", "192.0.2.7", true),
            ("::ffff:192.0.2.7/120", "192.0.2.200", true),
            ("::ffff:192.0.2.7/120", "192.0.3.1", false),
            ("2001:db8::1/64", "2001:db8::ffff", true),
            ("2001:db8::1/64", "2001:db8:0:1::", false),
        ] {
            assert_eq!(Net::parse(net).unwrap().contains(address.parse().unwrap()), inside, "{address} in {net}");
        }
    }

    #[test]
    fn what_is_no_block() {
        for text in ["", "/", "192.0.2.1/33", "::/129", "192.0.2/24", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8"] {
            assert_eq!(Net::parse(text), None, "{text}");
        }
        for text in
            ["localhost", "fe80::1%eth0", "[::1]", "::ffff:10.0.0.0/95", "10.0.0.0/ 8", "10.0.0.0/256", "a", "1/2/3"]
        {
            assert_eq!(Net::parse(text), None, "{text}");
        }
    }

    #[test]
    fn shown_as_it_counts() {
        for (text, shown) in
            [("10.1.2.3/8", "10.0.0.0/8"), ("::1", "::1"), ("192.0.2.1/32", "192.0.2.1"), ("::FFFF:a00:1", "10.0.0.1")]
        {
            assert_eq!(Net::parse(text).unwrap().to_string(), shown);
        }
    }
}
