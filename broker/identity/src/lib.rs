//! Who a client is, and what it may do.
//!
//! This crate does no I/O, reads no clock and is not async. Key files, documents, and the time come in as arguments.
//!
//! The life of a token: [`Authority::authenticate`] compares its digest with those of the static tokens. Otherwise it is
//! a JWT: its header names an algorithm and perhaps a key ([`keys`]), the signature is verified, and only then the claims
//! are read. What they say about the client's roles and patterns becomes an [`Identity`] with its
//! [`Permissions`](broker_protocol::permissions::Permissions), which connections share and never change. After a reload
//! [`Authority::renew`] says what an identity gives by then, or why it is no longer taken.
//!
//! Whatever is unclear makes less, never more: an unknown role gives nothing, a claim of a wrong type refuses the token,
//! and a name that would not be one segment of a topic voids the line that it would fill.
//!
//! | module | what |
//! |---|---|
//! | [`authority`] | the whole: from a token, or a certificate's name, to an identity |
//! | [`identity`] | what is known of a client, and its quotas |
//! | `jwt` | a token's header and signature |
//! | [`claims`] | a token's claims, and the names under which they are found |
//! | [`keys`] | public keys from PEM or a JWKS document, and the secret of HS256 |
//! | [`roles`] | roles, and the lines of patterns in them |
//! | [`grants`] | who has which roles without a JWT: static tokens, certificates, `anonymous` |
//! | [`static_tokens`], [`revocations`] | tokens that are listed by their digests; JWTs that are taken no more |
//! | [`refusal`] | why a token is refused, or an identity ends |

mod algorithm;
pub mod authority;
mod base64url;
pub mod claims;
pub mod grants;
pub mod identity;
mod jwt;
pub mod keys;
mod members;
mod quotas;
pub mod refusal;
pub mod revocations;
pub mod roles;
pub mod static_tokens;

pub use algorithm::Algorithm;
pub use authority::{Authority, TokenRules};
pub use claims::{ClaimName, ClaimRules};
pub use grants::Grants;
pub use identity::{Identity, Source};
pub use keys::{Fetched, KeySet, Keys};
pub use quotas::Quotas;
pub use refusal::{BadToken, Ended};
pub use revocations::Revocations;
pub use roles::{Line, Role};
pub use static_tokens::{StaticToken, TokenDigest};
