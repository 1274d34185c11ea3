//! Looks at one broker beside the present connection: whether it is reached, takes the token, and is not stale.
//!
//! A broker that is stale says so right after its `hello`, so before it answers anything. So a `ping` follows the
//! `hello`, and if its `pong` comes and no `stale` did, the broker is not.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::ConnectError;
use crate::ErrorCode;
use crate::options::Options;
use crate::reconnect::is_about_token;
use crate::transport::{self, Connection, Connector, Frames, Received, Target, utf8};
use crate::wire::incoming::{self, Incoming};
use crate::wire::outgoing;

/// Why a broker is not better than the present one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotBetter {
    /// It is not reached, does not answer in time, breaks the protocol, is about to stop, or is stale itself.
    Broker,
    /// There is no token, or it refuses the token.
    Token,
}

/// The numbers of the two requests. They are answered before any other is made on the connection.
const AUTH_ID: u64 = 1;
const PING_ID: u64 = 2;

/// Connects, authenticates and pings, all within `connect_timeout_ms`. Returns the connection if its broker is not stale.
pub(crate) async fn probe(target: &Target, options: &Options, connector: &Connector) -> Result<Connection, NotBetter> {
    let asked = async {
        let connection = transport::connect(target, options, connector).await.map_err(|error| match error {
            ConnectError::Token { .. } => NotBetter::Token,
            error if is_about_token(&error) => NotBetter::Token,
            _ => NotBetter::Broker,
        })?;
        ask(connection).await
    };
    tokio::time::timeout(Duration::from_millis(options.connect_timeout_ms), asked)
        .await
        .unwrap_or(Err(NotBetter::Broker))
}

async fn ask(mut connection: Connection) -> Result<Connection, NotBetter> {
    let mut frames = Frames::default();
    let mut text = String::new();
    if let Some(token) = &connection.token {
        outgoing::authenticate(&mut text, AUTH_ID, token);
        frames.text(&text);
        text.clear();
    }
    outgoing::ping(&mut text, PING_ID);
    frames.text(&text);
    loop {
        if !frames.bytes().is_empty() {
            connection.writer.write_all(frames.bytes()).await.map_err(|_| NotBetter::Broker)?;
            frames.clear();
        }
        let bytes = match connection.reader.next().await {
            Ok(Received::Text(bytes)) => bytes,
            Ok(Received::Ping(payload)) => {
                frames.pong(&payload);
                continue;
            }
            Ok(Received::Close { code, .. }) => return Err(closed(code)),
            Err(_) => return Err(NotBetter::Broker),
        };
        let text = utf8(&bytes).map_err(|_| NotBetter::Broker)?;
        let is_found = incoming::read(text, |message| heard(message, &mut connection));
        if is_found.unwrap_or(Err(NotBetter::Broker))? {
            return Ok(connection);
        }
    }
}

/// Handles a message. Returns whether the broker is known to be better.
fn heard(message: Incoming<'_>, connection: &mut Connection) -> Result<bool, NotBetter> {
    match message {
        Incoming::Stale { .. } | Incoming::GoAway { .. } => Err(NotBetter::Broker),
        Incoming::Authenticated { who, .. } => {
            connection.authenticated = Some(who);
            Ok(false)
        }
        Incoming::Reauth => {
            connection.reauth = true;
            Ok(false)
        }
        Incoming::Error { code: ErrorCode::BadToken | ErrorCode::Forbidden, .. } => Err(NotBetter::Token),
        Incoming::Error { .. } => Err(NotBetter::Broker),
        // Requests are answered in their order, so the token was taken, if there is one.
        Incoming::Pong { id: PING_ID, .. } => match connection.authenticated {
            None if connection.token.is_some() || connection.hello.needs_token() => Err(NotBetter::Token),
            _ => Ok(true),
        },
        _ => Ok(false),
    }
}

fn closed(code: u16) -> NotBetter {
    match code == broker_protocol::CloseReason::Unauthenticated.code() {
        true => NotBetter::Token,
        false => NotBetter::Broker,
    }
}
