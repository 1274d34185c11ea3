//! From a host name to an upgraded socket.
//!
//! hyper does the HTTP. The upgrade is checked here, including the echo of the key: fastwebsockets' own client
//! handshake omits that check, and reports errors on standard error.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::net::TcpStream;

use super::tls::Connector;
use super::url::Target;
use super::wire::{Socket, Wire};
use crate::error::ConnectError;
use crate::options::Options;

const SUBPROTOCOL: &str = "tickcast.v1.json";
/// RFC 6455 §1.3.
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// How much of a refusal's body goes into the error.
const REFUSAL_BYTES_MAX: usize = 512;

/// Connects and upgrades. Returns the raw socket, and the bytes that arrived right behind the upgrade.
pub(super) async fn upgrade(
    target: &Target,
    options: &Options,
    connector: &Connector,
) -> Result<(Socket, Bytes), ConnectError> {
    let address = || target.address.clone();
    let stream = TcpStream::connect((target.host.as_str(), target.port))
        .await
        .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
        .map_err(|source| ConnectError::Tcp { address: address(), source })?;
    let socket = match target.tls {
        false => Wire::Plain(stream),
        true => match connector.connect(stream, &target.host, &options.tls).await {
            Ok(stream) => Wire::Tls(stream),
            Err(why) => return Err(ConnectError::Tls { address: address(), why }),
        },
    };
    let http = |source: hyper::Error| ConnectError::Http { address: address(), source };

    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(http)?;
    // The task ends with the upgrade, or with the response's body.
    let driven = tokio::spawn(connection.with_upgrades());

    let key = fastwebsockets::handshake::generate_key();
    let request = Request::get(&target.path)
        .header(header::HOST, &target.address)
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "Upgrade")
        .header(header::SEC_WEBSOCKET_KEY, &key)
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
        .body(Empty::<Bytes>::new())
        .map_err(|_| ConnectError::Url {
            url: target.path.clone(),
            why: "its path is not allowed in an HTTP request",
        })?;
    let mut response = match sender.send_request(request).await {
        Ok(response) => response,
        // If the connection failed before the request was sent, only its task knows why: a broker that asks for a
        // certificate refuses a client without one only after the client's part of the handshake.
        Err(error) if error.is_canceled() => {
            return Err(http(driven.await.ok().and_then(Result::err).unwrap_or(error)));
        }
        Err(error) => return Err(http(error)),
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status().as_u16();
        let retry_after_ms = retry_after_ms(response.headers());
        let body = beginning(&mut response).await;
        return Err(ConnectError::Refused { address: address(), status, body, retry_after_ms });
    }
    check(response.headers(), &key).map_err(|why| ConnectError::NotTickcast { address: address(), why })?;
    let upgraded = hyper::upgrade::on(response).await.map_err(http)?;
    match upgraded.downcast::<TokioIo<Socket>>() {
        Ok(parts) => Ok((parts.io.into_inner(), parts.read_buf)),
        Err(_) => unreachable!("this is the stream that was given to hyper above"),
    }
}

/// The wait of a `Retry-After` in seconds (RFC 9110 §10.2.3).
fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds.saturating_mul(1_000))
}

/// The beginning of a refusal's body, which says why.
async fn beginning(response: &mut Response<Incoming>) -> String {
    let mut body = Vec::new();
    while body.len() < REFUSAL_BYTES_MAX {
        match response.body_mut().frame().await {
            Some(Ok(frame)) => body.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            Some(Err(_)) | None => break,
        }
    }
    body.truncate(REFUSAL_BYTES_MAX);
    String::from_utf8_lossy(&body).trim().to_owned()
}

fn check(headers: &HeaderMap, key: &str) -> Result<(), String> {
    if !has_token(headers, header::UPGRADE, "websocket") || !has_token(headers, header::CONNECTION, "upgrade") {
        return Err("its 101 is not an upgrade to a WebSocket".to_owned());
    }
    let accept = BASE64.encode(Sha1::new().chain_update(key).chain_update(KEY_SUFFIX).finalize());
    if headers.get(header::SEC_WEBSOCKET_ACCEPT).is_none_or(|value| value.as_bytes() != accept.as_bytes()) {
        return Err("its Sec-WebSocket-Accept does not answer our key".to_owned());
    }
    if headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return Err("it uses a WebSocket extension that was not offered".to_owned());
    }
    match headers.get(header::SEC_WEBSOCKET_PROTOCOL) {
        None => Ok(()),
        Some(value) if value.as_bytes() == SUBPROTOCOL.as_bytes() => Ok(()),
        Some(value) => Err(format!("it chose the subprotocol {value:?}")),
    }
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name);
    values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(token))
}
