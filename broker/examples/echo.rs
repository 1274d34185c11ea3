//! A WebSocket echo server on the broker's own connection code: the upgrade by hyper, [`handshake`],
//! [`websocket::next`]. The Autobahn suite can test this server, but not the broker, which accepts only the messages of
//! its own protocol.
//!
//! ```sh
//! cargo run --release -p broker --example echo -- --listen 127.0.0.1:9010
//! ```
//!
//! A message may have 64 MiB here, and as many fragments as the broker allows by default (`fragments_max`). Cases
//! 9.3.1, 9.3.2, 9.4.1 and 9.4.2 send more fragments than that, up to 65,536, and are intentionally refused with 1009.

use std::convert::Infallible;
use std::net::SocketAddr;

use broker::http::handshake;
use broker::websocket::{self, Event, Rules};
use broker_protocol::frame;
use clap::Parser;
use fastwebsockets::upgrade::UpgradeFut;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const RULES: Rules = Rules { message_bytes: 64 << 20, fragments_max: 8192 };
/// As large as a shard's buffer.
const BUFFER_BYTES: usize = 64 * 1024;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;

#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9010")]
    listen: SocketAddr,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind(Arguments::parse().listen).await?;
    println!("echoing at ws://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let service = service_fn(|mut request| async move {
                let reply = match handshake::upgrade(&mut request, None) {
                    Ok((reply, upgraded)) => {
                        tokio::spawn(async move {
                            if let Err(error) = echo(upgraded).await {
                                eprintln!("a connection ended early: {error:#}");
                            }
                        });
                        reply
                    }
                    Err(refusal) => *refusal,
                };
                Ok::<_, Infallible>(reply)
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.with_upgrades().await {
                eprintln!("no handshake: {error}");
            }
        });
    }
}

/// Sends back what comes until either side closes.
async fn echo(upgraded: UpgradeFut) -> anyhow::Result<()> {
    let (mut stream, mut unread) = socket(upgraded).await?;
    let mut input = None;
    let mut closing = false;
    while !closing {
        let mut answers = Vec::new();
        let mut at = 0;
        while !closing {
            let taken = match websocket::next(&mut input, &mut unread[at..], &RULES) {
                Ok(None) => break,
                Ok(Some((taken, event))) => {
                    closing = answer(event, &mut answers);
                    taken
                }
                Err(violation) => {
                    frame::push_close(&mut answers, violation.reason.code(), violation.text);
                    closing = true;
                    0
                }
            };
            at += taken;
        }
        unread.drain(..at);
        stream.write_all(&answers).await?;
        if !closing {
            let len = unread.len();
            unread.resize(len + BUFFER_BYTES, 0);
            let read = stream.read(&mut unread[len..]).await?;
            unread.truncate(len + read);
            anyhow::ensure!(read > 0, "no close frame came");
        }
    }
    stream.shutdown().await?;
    // Read until the client hangs up: closing with unread bytes would send a reset, and the close frame might be lost.
    let mut rest = vec![0; BUFFER_BYTES];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// The socket behind an upgrade, and what the client sent right behind its handshake.
async fn socket(upgraded: UpgradeFut) -> anyhow::Result<(TcpStream, Vec<u8>)> {
    // Nothing was read through the crate's WebSocket yet: hyper has what came early.
    let upgraded: Upgraded = upgraded.await?.into_inner().into_inner();
    let parts =
        upgraded.downcast::<TokioIo<TcpStream>>().map_err(|_| anyhow::anyhow!("not the socket that was served"))?;
    Ok((parts.io.into_inner(), parts.read_buf.to_vec()))
}

/// Answers an event. Returns whether the connection is closing.
fn answer(event: Event<'_>, out: &mut Vec<u8>) -> bool {
    let mut message = |opcode, payload: &[u8]| {
        frame::push_head(out, opcode, payload.len());
        out.extend_from_slice(payload);
    };
    match event {
        Event::Text(text) => message(TEXT, text.as_bytes()),
        Event::Binary(bytes) => message(BINARY, &bytes),
        Event::Ping(payload) => frame::push_pong(out, payload),
        Event::Close(code) => {
            match code {
                Some(code) => frame::push_close(out, code, ""),
                None => message(CLOSE, b""),
            }
            return true;
        }
        Event::Pong | Event::Fragment => {}
    }
    false
}
