//! `tickcast journal`: on directories that a broker made, in processes of their own.

#[path = "../common/mod.rs"]
mod common;

mod damage;
mod export;
mod look;
mod restore;
mod support;
