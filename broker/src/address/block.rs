//! The unit in which clients are counted by address: an IPv4 address, or the 64 bits of an IPv6 address that belong to
//! one customer. The customer chooses the other 64 bits, so counting whole addresses would bound nothing.

use std::net::{IpAddr, Ipv6Addr};

/// The customer behind an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Block(IpAddr);

impl Block {
    /// Returns the block that an address is in. An IPv4 address mapped into IPv6 counts as the IPv4 address.
    pub fn of(address: IpAddr) -> Block {
        match address.to_canonical() {
            IpAddr::V6(address) => Block(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
            address => Block(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_customer_chooses_makes_no_difference() {
        let block = |text: &str| Block::of(text.parse().unwrap());
        for (one, other, same) in [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.7", "::ffff:192.0.2.7", true),
            ("::ffff:192.0.2.7", "::ffff:192.0.2.8", false),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::1", "::1", true),
        ] {
            assert_eq!(block(one) == block(other), same, "{one} and {other}");
        }
    }
}
