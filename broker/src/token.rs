//! The digest of a token: the configuration has this in place of the token, so that who reads it cannot use it.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The SHA-256 of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token.
    pub fn of(token: &[u8]) -> TokenDigest {
        TokenDigest(Sha256::digest(token).into())
    }

    /// Reads 64 hexadecimal digits of either case.
    pub fn parse(hex: &str) -> Option<TokenDigest> {
        let digits: Vec<u8> = hex.chars().map(|sign| Some(sign.to_digit(16)? as u8)).collect::<Option<_>>()?;
        if digits.len() != 64 {
            return None;
        }
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        bytes.try_into().ok().map(TokenDigest)
    }

    /// Compares in a time that does not depend on the content.
    pub fn is(&self, other: &TokenDigest) -> bool {
        let differs = self.0.iter().zip(&other.0).fold(0, |differs, (one, two)| differs | (one ^ two));
        std::hint::black_box(differs) == 0
    }
}

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        // FIPS 180-2, appendix B.1.
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest = TokenDigest::of(b"abc");
        assert_eq!(TokenDigest::parse(hex), Some(digest));
        assert_eq!(TokenDigest::parse(&hex.to_uppercase()), Some(digest));
        assert_eq!(digest.to_string(), hex);
        assert!(digest.is(&digest) && !digest.is(&TokenDigest::of(b"abd")));
        for wrong in ["", &hex[1..], &format!("{hex}0"), &format!("{}g", &hex[1..]), &format!("+{}", &hex[1..])] {
            assert_eq!(TokenDigest::parse(wrong), None, "{wrong}");
        }
        assert_eq!(TokenDigest::parse(&"é".repeat(64)), None);
    }
}
