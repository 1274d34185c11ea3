//! A block of addresses in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The leading bits that all IPv4 addresses have in common when they are mapped into IPv6.
const MAPPED_BITS: u8 = 96;

/// A block of addresses. A single address is a block of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

impl Network {
    /// Parses `192.0.2.0/24`, `2001:db8::/32` or an address; `None` if it is none of these. Bits beyond the prefix are
    /// ignored. An address that is mapped into IPv6 is its IPv4 address.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u8 = match prefix {
            None => most,
            // `parse` alone would accept a leading plus.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
        };
        if prefix > most {
            return None;
        }
        match address.to_canonical() {
            IpAddr::V4(v4) if address.is_ipv6() => Some(Network {
                first: masked(v4.into(), prefix.checked_sub(MAPPED_BITS)?),
                prefix: prefix - MAPPED_BITS,
            }),
            address => Some(Network { first: masked(address, prefix), prefix }),
        }
    }

    /// Whether an address is in the block. An address that is mapped into IPv6 is its IPv4 address.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && masked(address, self.prefix) == self.first
    }
}

/// The address without the bits beyond the prefix.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks() {
        for (network, address, is_in) in [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.7", "::ffff:192.0.2.7", true),
            ("::ffff:192.0.2.7", "192.0.2.7", true),
            ("::ffff:192.0.2.7/120", "192.0.2.200", true),
            ("::ffff:192.0.2.7/120", "192.0.3.1", false),
            ("192.0.2.99/24", "192.0.2.1", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::1/64", "2001:db8::ffff", true),
            ("2001:db8::1/64", "2001:db8:0:1::", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "192.0.2.1", false),
        ] {
            let network = Network::parse(network).unwrap_or_else(|| panic!("{network}"));
            assert_eq!(network.contains(address.parse().unwrap()), is_in, "{network:?} and {address}");
        }
        for wrong in [
            "",
            "/",
            "192.0.2.0/",
            "192.0.2.0/+8",
            "192.0.2.0/33",
            "::/129",
            "192.0.2",
            "::ffff:1.2.3.4/90",
            "a",
            "1/2/3",
        ] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
