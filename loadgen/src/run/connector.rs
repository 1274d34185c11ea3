//! From a TCP connection to a WebSocket.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};

use socket2::{Domain, Protocol, Socket, Type};

/// The key of RFC 6455's own example (§1.3), and the answer of a server that follows it. A key proves that no cache
/// answered instead; any 16 bytes will do.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The longest answer to a handshake that is accepted.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;

/// Begins to connect, from the address `from` if it is given.
pub(crate) fn connect(to: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    Ok(socket.into())
}

/// The request for a WebSocket.
pub(crate) fn request(authority: &str, path: &str, subprotocol: Option<&str>, token: Option<&str>) -> Vec<u8> {
    let subprotocol = subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{subprotocol}{token}\r\n"
    )
    .into_bytes()
}

/// Reads the answer. Returns its length, `None` if it is not complete yet, or why it opens no WebSocket.
pub(crate) fn answer(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let len = match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if bytes.len() > ANSWER_BYTES_MAX => {
            return Err(format!("its answer to the handshake is longer than {ANSWER_BYTES_MAX} bytes"));
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => {
            let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]);
            return Err(format!("its answer to the handshake is not HTTP ({error}): {begin:?}"));
        }
    };
    let status = response.code.unwrap_or_default();
    if status != 101 {
        let body = String::from_utf8_lossy(&bytes[len..bytes.len().min(len + 200)]);
        let reason = response.reason.unwrap_or_default();
        return Err(format!("refused the handshake with {status} {reason} {}", body.trim()).trim_end().to_owned());
    }
    let accept = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("sec-websocket-accept"));
    if accept.is_none_or(|header| header.value != ACCEPT.as_bytes()) {
        return Err("answered 101 without the Sec-WebSocket-Accept that belongs to the key".to_owned());
    }
    Ok(Some(len))
}

/// Answers a request for a WebSocket as a server. Returns the length of the request and the answer, or `None` if the
/// request is not complete yet.
pub(crate) fn accept(bytes: &[u8]) -> Result<Option<(usize, &'static [u8])>, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => {
            let key = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key"));
            if key.is_none_or(|header| header.value != KEY.as_bytes()) {
                return Err("the floor only serves loadgen".to_owned());
            }
            let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
            Ok(Some((len, answer)))
        }
        Ok(httparse::Status::Partial) if bytes.len() > ANSWER_BYTES_MAX => Err("the request is too long".to_owned()),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(format!("the request is not HTTP ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_and_the_answer_understood() {
        let request = request("h:1", "/x", Some("mqtt"), Some("t0k"));
        assert!(String::from_utf8_lossy(&request).contains("\r\nAuthorization: Bearer t0k\r\n"));
        assert_eq!(accept(&request[..20]), Ok(None));
        let (len, text) = accept(&request).expect("a request").expect("a complete one");
        assert_eq!(len, request.len());
        let with_more = [text, b"\x81\x00"].concat();
        assert_eq!(answer(&with_more), Ok(Some(text.len())));
        assert_eq!(answer(&text[..text.len() - 1]), Ok(None));
    }

    #[test]
    fn refusals_give_their_reason() {
        let refused = answer(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!\n").expect_err("a refusal");
        assert_eq!(refused, "refused the handshake with 403 Forbidden no!");
        assert!(answer(b"220 mail.example.org ESMTP\r\n").expect_err("no HTTP").contains("220 mail"));
        assert!(answer(b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: x\r\n\r\n").expect_err("wrong").contains("Accept"));
    }
}
