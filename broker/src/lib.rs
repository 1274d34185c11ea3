//! The Tickcast server.
