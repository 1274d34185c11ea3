//! A client that speaks the bare protocol of NATS: what a broker does not do itself, as deleting its stream.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use super::Login;

/// How long an answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// A connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: BufReader<TcpStream>,
    asked: u64,
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// The server is away, or refuses this login.
    pub(crate) fn connect(address: SocketAddr, login: &Login) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIME))?;
        let mut wire = Self { stream: BufReader::new(stream), asked: 0 };
        wire.line()?;
        let mut options = json!({"verbose": false, "headers": true, "no_responders": true, "lang": "test"});
        match login {
            Login::None => {}
            Login::Token(token) => options["auth_token"] = token.as_str().into(),
            Login::User { name, password } => {
                (options["user"], options["pass"]) = (name.as_str().into(), password.as_str().into());
            }
        }
        wire.send(format!("CONNECT {options}\r\nSUB _INBOX.test.* 1\r\nPING\r\n").as_bytes())?;
        while wire.line()? != "PONG" {}
        Ok(wire)
    }

    /// Publishes, and waits until the server has it.
    ///
    /// # Errors
    /// The connection is lost.
    pub(crate) fn publish(&mut self, subject: &str, payload: &[u8]) -> io::Result<()> {
        let head = format!("PUB {subject} {}\r\n", payload.len());
        self.send(&[head.as_bytes(), payload, b"\r\nPING\r\n"].concat())?;
        while self.line()? != "PONG" {}
        Ok(())
    }

    /// Publishes, and waits for the answer, as JSON.
    ///
    /// # Errors
    /// The connection is lost, nothing comes for five seconds, or JetStream says an error: that is its text. `NotFound` if
    /// nobody listens there, as for a moment after a stream was made or its leader changed.
    pub(crate) fn request(&mut self, subject: &str, payload: &[u8]) -> io::Result<Value> {
        self.request_with(subject, &[], payload)
    }

    /// The same with headers.
    ///
    /// # Errors
    /// Those of [`Wire::request`].
    pub(crate) fn request_with(
        &mut self,
        subject: &str,
        headers: &[(&str, &str)],
        payload: &[u8],
    ) -> io::Result<Value> {
        self.asked += 1;
        let inbox = format!("_INBOX.test.{}", self.asked);
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let block = format!("NATS/1.0\r\n{lines}\r\n");
        let (all, own) = (block.len() + payload.len(), block.len());
        let head = match headers {
            [] => format!("PUB {subject} {inbox} {}\r\n", payload.len()),
            _ => format!("HPUB {subject} {inbox} {own} {all}\r\n{block}"),
        };
        self.send(&[head.as_bytes(), payload, b"\r\n"].concat())?;
        loop {
            let line = self.line()?;
            let words: Vec<&str> = line.split(' ').collect();
            let (headers, length) = match *words {
                ["MSG", .., length] => (0, length.parse().map_err(io::Error::other)?),
                ["HMSG", .., headers, length] => {
                    (headers.parse().map_err(io::Error::other)?, length.parse().map_err(io::Error::other)?)
                }
                _ => continue,
            };
            let mut bytes = vec![0; length];
            self.stream.read_exact(&mut bytes)?;
            if words[1] != inbox {
                continue;
            }
            if bytes.starts_with(b"NATS/1.0 503") {
                return Err(io::Error::new(ErrorKind::NotFound, format!("nobody listens at {subject}")));
            }
            let answer: Value = serde_json::from_slice(&bytes[headers..])
                .map_err(|error| io::Error::other(format!("{error}: {}", String::from_utf8_lossy(&bytes))))?;
            return match answer.get("error") {
                Some(error) => Err(io::Error::other(error.to_string())),
                None => Ok(answer),
            };
        }
    }

    /// Asks JetStream, as in `$JS.API.STREAM.INFO.NAME`.
    ///
    /// # Errors
    /// Those of [`Wire::request`].
    pub(crate) fn jetstream(&mut self, what: &str, body: &Value) -> io::Result<Value> {
        self.request(&format!("$JS.API.{what}"), body.to_string().as_bytes())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// The next line that is not the server's own ping, which is answered.
    fn line(&mut self) -> io::Result<String> {
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            match line {
                "PING" => self.send(b"PONG\r\n")?,
                _ if line.starts_with("-ERR") => return Err(io::Error::other(line.to_owned())),
                _ => return Ok(line.to_owned()),
            }
        }
    }
}
