//! What an operator does with a running broker, as the program itself: reloads, questions, closes, the audit log, and what
//! systemd is told.

#[path = "../common/mod.rs"]
mod common;

mod admin;
mod audit;
mod configured;
mod doors;
mod limits;
mod reload;
mod systemd;
