//! A broker with a journal, as its users see it: the program is ended in every way, started again, and compared with what
//! it had said before.
//!
//! ```text
//! kept        a broker that is ended and started again on one address, with its directory
//! link        a WebSocket client that is cut off now and then, and plain HTTP for the same
//! load        producers and subscribers that go on whatever happens, and what they were told
//! kills       killed at random moments under load: nothing is lost, doubled or reordered
//! full_disk   no room for the log: refused, said, and going on by itself
//! start       how a broker comes back with many topics, and what it says meanwhile
//! ends        each way to end, and what clients are told afterwards
//! torn        a log whose end was cut off or changed
//! settings    the settings of the log outlive those of the configuration
//! requests    what one connection asks for is done in order, although publishes wait for the log
//! ```
//!
//! `make journal-test` runs the long forms too; they are the tests that are ignored here.

#[path = "../common/mod.rs"]
mod common;
#[path = "../sse/source.rs"]
#[allow(dead_code, reason = "these tests do not need all of it")]
mod source;

mod ends;
mod full_disk;
#[allow(dead_code, reason = "the tests of clusters use more of it")]
mod kept;
mod kills;
mod link;
#[allow(dead_code, reason = "the tests of clusters use more of it")]
mod load;
mod requests;
mod settings;
mod start;
mod torn;
