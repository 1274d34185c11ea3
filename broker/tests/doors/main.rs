//! Tokens and permissions over real sockets: who a client is, what it may do, and that nobody gets more.

#[path = "../common/mod.rs"]
mod common;

#[allow(dead_code, reason = "shared with another test, which uses all of it")]
#[path = "../sse/source.rs"]
mod source;

mod auth;
mod ends;
mod headers;
mod http;
mod issuer;
mod keys;
mod limits;
mod meanwhile;
mod permissions;
mod revocation;
mod secrets;
mod tokens;
