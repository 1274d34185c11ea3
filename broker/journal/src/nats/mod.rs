//! `journal = "nats"`: one log in NATS JetStream, which several brokers apply alike.
//!
//! ```text
//! connect   the connections, the stream, the store of checkpoints, the generation of the log
//! recover   the newest checkpoint that fits, then the records after it, up to the end that was found at the start
//! drive     sends what is gathered, applies what comes back, and what comes of others; answers; checkpoints; beats
//! ```
//!
//! | module | what it has |
//! |---|---|
//! | `links`, `stream` | the connections; the stream and the store, made and checked |
//! | `reader` | the log's messages in order and without holes |
//! | `inbound` | what programs publish to the log themselves |
//! | `writer` | records on their way, sent again until they come back |
//! | `trust` | whether the log is still the one that was read |
//! | `generation` | what begins when it is not |
//! | `checkpoints`, `election`, `checkpointing` | checkpoints in the store, and whose turn it is to write one |
//! | `peers` | whether brokers come to the same |

mod checkpointing;
mod checkpoints;
mod connect;
mod drive;
mod election;
mod error;
mod generation;
mod inbound;
mod links;
mod log;
mod options;
mod peers;
mod reader;
mod recover;
mod settings;
mod status;
mod stream;
mod trust;
mod writer;

pub use self::connect::Connected;
pub use self::drive::{Drive, End};
pub use self::error::NatsError;
pub use self::options::Options;
pub use self::settings::OfLog;
pub use self::status::NatsStatus;
