//! Addresses: who is behind a connection, and as what that counts.
//!
//! ```text
//! net        blocks of addresses, as `trusted_proxies` and operators name them
//! header     the PROXY protocol: what a proxy writes before everything else on a connection
//! forwarded  `X-Forwarded-For`: what a proxy adds to each request
//! client     the address that decides, and how it is learnt
//! block      the unit in which addresses are counted
//! ```
//!
//! What counts how, where proxies are trusted: a socket counts as the proxy's until it is known for whom the proxy
//! opened it, and then as that client's. A request counts as the client's that the proxy names. A proxy that names no
//! client is itself the client.

mod block;
mod client;
mod forwarded;
pub mod header;
mod net;

pub use block::Block;
pub use client::{ClientAddress, Proxies, ProxyProtocol};
pub use forwarded::forwarded;
pub use net::Net;
