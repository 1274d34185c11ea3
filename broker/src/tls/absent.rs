//! A build without TLS. These types have no values, so that nothing that uses them needs a condition.

use std::io::{self, Write};
use std::sync::Arc;

use super::counters::{Counters, Done};
use super::{Flushed, Reloaded};
use crate::config::Config;

/// See `store`.
pub(crate) enum Tls {}

/// See `store`.
pub(crate) enum Prepared {}

impl Tls {
    pub(crate) fn load(config: &Config, _: &mut Vec<String>) -> Result<Option<Arc<Tls>>, String> {
        match config.tls_listen {
            None => Ok(None),
            Some(_) => Err("tls_listen is set, but this program was built without TLS (the cargo feature tls)".into()),
        }
    }

    pub(crate) fn begin(&self) -> io::Result<Box<Wire>> {
        match *self {}
    }

    pub(crate) fn prepare(&self, _: &Config) -> Result<Prepared, String> {
        match *self {}
    }

    pub(crate) fn take_on(&self, _: Prepared) {
        match *self {}
    }

    pub(crate) fn reload(&self) -> Reloaded {
        match *self {}
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        match *self {}
    }

    pub(crate) fn expiries(&self) -> Vec<(String, f64)> {
        match *self {}
    }
}

/// See `wire`.
pub(crate) enum Wire {}

impl Wire {
    pub(crate) fn is_handshaking(&self) -> bool {
        match *self {}
    }

    pub(crate) fn is_before_key_exchange(&self) -> bool {
        match *self {}
    }

    pub(crate) fn done(&self) -> Done {
        match *self {}
    }

    pub(crate) fn identity(&self) -> Option<Arc<str>> {
        match *self {}
    }

    pub(crate) fn peer_has_closed(&self) -> bool {
        match *self {}
    }

    pub(crate) fn part_len(&self) -> usize {
        match *self {}
    }

    pub(crate) fn take_in(&mut self, _: &mut [u8], _: &mut Vec<u8>) -> io::Result<usize> {
        match *self {}
    }

    pub(crate) fn write(&mut self, _: &mut impl Write, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(crate) fn flush(&mut self, _: &mut impl Write) -> io::Result<Flushed> {
        match *self {}
    }

    pub(crate) fn close(&mut self) {
        match *self {}
    }

    pub(crate) fn has_rest(&self) -> bool {
        match *self {}
    }

    pub(crate) fn held_bytes(&self) -> usize {
        match *self {}
    }
}
