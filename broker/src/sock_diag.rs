//! Asks the kernel about a connection over netlink (`sock_diag(7)`), as `ss -ti` does.
//!
//! A socket becomes writable again only when much has become free. For a client that reads slowly that may be minutes
//! later; but whenever its window opens, the kernel sends what then fits. So the time since the kernel last sent it
//! data is the time for which its window has been closed, as long as acknowledgements come: without them the same data
//! is sent again and again, to nobody. They come from a closed window too, because the kernel probes it.
//!
//! `getsockopt(TCP_INFO)` returns the same, but there is no safe way to call it without a crate for that alone.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, netlink};

/// `SOCK_DIAG_BY_FAMILY`: a request, and the answer to it.
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `INET_DIAG_INFO`: the attribute that holds a `tcp_info`.
const INFO: u16 = 2;
/// `nlmsghdr`.
const HEAD_BYTES: usize = 16;
/// A head and an `inet_diag_req_v2`.
const REQUEST_BYTES: u32 = 72;
/// `inet_diag_msg`, after the head of an answer and before its attributes.
const MESSAGE_BYTES: usize = 72;
/// `rtattr`: its length, itself included, and its type.
const ATTRIBUTE_HEAD_BYTES: usize = 4;
/// The offsets of `tcpi_last_data_sent` and `tcpi_last_ack_recv` in `tcp_info`; both are in milliseconds before now.
const LAST_DATA_SENT: usize = 44;
const LAST_ACK_RECEIVED: usize = 56;
/// More than any answer: `tcp_info` and a few attributes of some bytes each.
const ANSWER_BYTES_MAX: usize = 4096;

/// How long ago a connection last made progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The time since data was sent to the peer.
    pub(crate) sent: Duration,
    /// The time since the peer acknowledged something.
    pub(crate) acknowledged: Duration,
}

/// Returns the progress of the connection between these addresses.
///
/// # Errors
/// `NotFound` if there is no such connection; others if the kernel does not answer.
pub(crate) fn progress(local: SocketAddr, peer: SocketAddr) -> io::Result<Progress> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::SOCK_DIAG))?;
    // The kernel answers before `send` returns.
    net::send(&socket, &request(local, peer), SendFlags::empty())?;
    let mut answer = [0; ANSWER_BYTES_MAX];
    let (len, _) = net::recv(&socket, &mut answer, RecvFlags::empty())?;
    read(&answer[..len])
}

/// The request for the statistics of one connection.
fn request(local: SocketAddr, peer: SocketAddr) -> Vec<u8> {
    let (family, interface) = match local {
        SocketAddr::V4(_) => (AddressFamily::INET, 0),
        SocketAddr::V6(local) => (AddressFamily::INET6, local.scope_id()),
    };
    let mut out = Vec::with_capacity(REQUEST_BYTES as usize);
    out.extend(REQUEST_BYTES.to_ne_bytes());
    out.extend(BY_FAMILY.to_ne_bytes());
    out.extend(REQUEST.to_ne_bytes());
    // Sequence number and sender: there is one request, and the kernel knows its sender.
    out.extend([0; 8]);
    out.extend([family.as_raw() as u8, ipproto::TCP.as_raw().get() as u8, 1 << (INFO - 1), 0]);
    // A connection in any state.
    out.extend(u32::MAX.to_ne_bytes());
    out.extend(local.port().to_be_bytes());
    out.extend(peer.port().to_be_bytes());
    for address in [local, peer] {
        let mut field = [0; 16];
        match address.ip() {
            IpAddr::V4(address) => field[..4].copy_from_slice(&address.octets()),
            IpAddr::V6(address) => field.copy_from_slice(&address.octets()),
        }
        out.extend(field);
    }
    out.extend(interface.to_ne_bytes());
    // `INET_DIAG_NOCOOKIE`: any connection with these addresses.
    out.extend([0xff; 8]);
    out
}

/// Reads an answer.
fn read(answer: &[u8]) -> io::Result<Progress> {
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is not understood");
    match u16_at(answer, 4) {
        Some(BY_FAMILY) => {}
        Some(ERROR) => {
            let code = u32_at(answer, HEAD_BYTES).ok_or_else(unreadable)?;
            return Err(io::Error::from_raw_os_error((code as i32).wrapping_neg()));
        }
        _ => return Err(unreadable()),
    }
    let mut rest = answer.get(HEAD_BYTES + MESSAGE_BYTES..).ok_or_else(unreadable)?;
    while let (Some(len), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let value = rest.get(ATTRIBUTE_HEAD_BYTES..len.into()).ok_or_else(unreadable)?;
        if kind == INFO {
            let ago = |at| u32_at(value, at).map(|ms| Duration::from_millis(ms.into())).ok_or_else(unreadable);
            return Ok(Progress { sent: ago(LAST_DATA_SENT)?, acknowledged: ago(LAST_ACK_RECEIVED)? });
        }
        rest = rest.get(usize::from(len).next_multiple_of(4)..).unwrap_or_default();
    }
    Err(unreadable())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests;
