//! A request and its answer, over whatever stream, with bounds for what the other side decides.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::bail;

/// The time-out of connecting, and of each read and write. Supervisors usually allow a check more.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// More than `/readyz` ever answers, and enough of any other answer.
const ANSWER_BYTES_MAX: usize = 8192;
/// The most characters of an answer that an error repeats.
const BODY_CHARS_MAX: usize = 300;

/// Connects to an address.
pub(super) fn connect(address: &SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends a request for a path, and returns the answer as text, or the beginning of one that is long.
pub(super) fn ask(stream: &mut (impl Read + Write), host: &str, path: &str) -> io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).and_then(|()| stream.flush()).map_err(patience)?;
    let (mut answer, mut len) = (vec![0; ANSWER_BYTES_MAX], 0);
    while len < answer.len() {
        match stream.read(&mut answer[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Whether the end was announced in TLS does not matter to who has the answer.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && len > 0 => break,
            Err(error) => return Err(patience(error)),
        }
    }
    Ok(String::from_utf8_lossy(&answer[..len]).into_owned())
}

/// Says in words that the time is over.
fn patience(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            let sentence = format!("it was silent for {} s", PATIENCE.as_secs());
            io::Error::new(io::ErrorKind::TimedOut, sentence)
        }
        _ => error,
    }
}

/// Judges an answer: only a 200 is good.
pub(super) fn judge(answer: &str) -> anyhow::Result<()> {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let mut status_line = head.lines().next().unwrap_or_default().split(' ');
    let version = status_line.next().unwrap_or_default();
    match (version.starts_with("HTTP/1."), status_line.next()) {
        (true, Some("200")) => Ok(()),
        (true, Some(status)) => {
            let body: String = body.trim().chars().take(BODY_CHARS_MAX).collect();
            bail!("not ready, status {status}: {body}")
        }
        _ => bail!("it answers, but not in HTTP"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Answers one request with these bytes. Returns the address.
    pub(in super::super) fn answering(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(answer).unwrap();
        });
        address
    }

    #[test]
    fn a_long_answer_is_judged_by_its_beginning() {
        static LONG: [u8; 100_000] = [b'x'; 100_000];
        let long: &'static [u8] = Box::leak([b"HTTP/1.1 500 No\r\n\r\n", &LONG[..]].concat().into_boxed_slice());
        let address = answering(long);
        let answer = ask(&mut connect(&address).unwrap(), "x", "/").unwrap();
        assert_eq!(answer.len(), ANSWER_BYTES_MAX);
        let error = judge(&answer).unwrap_err().to_string();
        assert!(error.contains("status 500: xxx") && error.len() < 400, "{error}");
    }
}
