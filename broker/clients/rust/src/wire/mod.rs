//! The messages of the protocol, as a client reads and writes them: JSON in, JSON out, no I/O.

pub(crate) mod entry;
pub(crate) mod incoming;
pub(crate) mod outgoing;
mod raw;

use broker_protocol::write::push_string;
