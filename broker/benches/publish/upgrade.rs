//! The upgrade from TCP to WebSocket.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The longest answer to a handshake.
const ANSWER_BYTES_MAX: usize = 4096;

/// Connects and upgrades, blocking at each step. The socket remains blocking, with a read time-out of `patience`. What
/// came after the answer, the broker's `hello`, is discarded.
pub(crate) fn upgrade(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    let request = format!(
        "GET /v1/ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = vec![0; ANSWER_BYTES_MAX];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut answer[filled..])?;
        filled += read;
        let head = answer[..filled].windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(head) = head {
            if !answer.starts_with(b"HTTP/1.1 101") {
                return Err(io::Error::other(String::from_utf8_lossy(&answer[..head]).into_owned()));
            }
            return Ok(stream);
        }
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
