//! Tokens without an end and without an issuer, for feeds: the configuration has their SHA-256, so that who reads it
//! cannot use them.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;

/// The most static tokens: each token that comes is compared with all of them.
pub const STATIC_TOKENS_MAX: usize = 1024;

/// The SHA-256 of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token.
    pub fn of(token: impl AsRef<[u8]>) -> TokenDigest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, token.as_ref()).as_ref());
        TokenDigest(bytes)
    }

    /// Reads 64 hexadecimal digits of either case.
    pub fn parse(hex: &str) -> Option<TokenDigest> {
        let digits: Option<Vec<u8>> = hex.chars().map(|sign| Some(sign.to_digit(16)? as u8)).collect();
        let pairs: Vec<u8> =
            digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
        (hex.len() == 64).then_some(pairs)?.try_into().ok().map(TokenDigest)
    }

    /// Compares in a time that does not depend on the content.
    pub fn is(&self, other: &TokenDigest) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    /// The digest as 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A token of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticToken {
    /// The `sub` of whoever has it.
    pub name: String,
    /// Its digest.
    pub sha256: TokenDigest,
    /// Its roles.
    pub roles: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        // FIPS 180-2, appendix B.1.
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest = TokenDigest::of("abc");
        assert_eq!(TokenDigest::parse(hex), Some(digest));
        assert_eq!(TokenDigest::parse(&hex.to_uppercase()), Some(digest));
        assert_eq!(digest.to_hex(), hex);
        assert!(digest.is(&digest) && !digest.is(&TokenDigest::of("abd")));
        for wrong in ["", &hex[1..], &format!("{hex}0"), &format!("{}g", &hex[1..]), &format!("+{}", &hex[1..])] {
            assert_eq!(TokenDigest::parse(wrong), None, "{wrong}");
        }
        assert_eq!(TokenDigest::parse(&"é".repeat(32)), None);
    }
}
