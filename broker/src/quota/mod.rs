//! The quotas that do not belong to one connection: those of addresses, and those of users. A connection's own are with
//! its shard, in the engine.
//!
//! All of them forget nobody while it matters, and hold a bounded number: see [`table`].

mod addresses;
mod identities;
mod table;
mod users;

pub use addresses::AddressQuotas;
pub use identities::IdentityQuotas;
pub use users::{Seat, Users};
