//! The connections to NATS: one on which the log is read, and one on which this broker writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::{Context, ContextBuilder};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use percent_encoding::percent_decode_str;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::error::NatsError;
use super::options::Options;

/// The oldest servers that are supported.
const VERSION_MIN: (i64, i64, i64) = (2, 11, 0);
/// Messages that may wait for this broker: records are large, but those of many small publishes are not. If there are
/// more, the client drops them, which is noticed, and they are read again.
const MESSAGES_MAX: usize = 1 << 16;
/// How often the servers are asked whether they are there.
const PING: Duration = Duration::from_secs(2);
/// How long a connection may take to be made.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// The longest pause between two tries to connect.
const RECONNECT_MAX_MS: u64 = 500;
/// How long an answer to a request may take.
const REQUEST_TIME: Duration = Duration::from_secs(2);
/// How often it is said that no server can be reached at the start.
const SAY: Duration = Duration::from_secs(5);

/// The connections.
pub(super) struct Links {
    /// For reading, and for requests.
    pub(super) read: Client,
    /// For records.
    pub(super) write: Client,
    /// Requests to JetStream.
    pub(super) js: Context,
    changes: Arc<Changes>,
}

#[derive(Default)]
struct Changes {
    /// How often a connection was made.
    made: AtomicU64,
    changed: Notify,
}

impl Links {
    /// Connects, as soon as a server can be reached.
    ///
    /// # Errors
    /// The settings are wrong, or the servers refuse this broker.
    pub(super) async fn connect(options: &Options) -> Result<Self, NatsError> {
        let servers = addresses(&options.servers)?;
        let changes = Arc::<Changes>::default();
        let read = connect(options, &servers, &changes).await?;
        let write = connect(options, &servers, &changes).await?;
        let js = ContextBuilder::new().timeout(REQUEST_TIME).ack_timeout(REQUEST_TIME).build(read.clone());
        Ok(Self { read, write, js, changes })
    }

    /// Checks what servers have to be able to do.
    pub(super) fn check(&self, options: &Options) -> Result<(), NatsError> {
        let info = self.read.server_info();
        let (major, minor, patch) = VERSION_MIN;
        if !self.read.is_server_compatible(major, minor, patch) {
            return Err(NatsError::Version { version: info.version });
        }
        let (needed, max_payload) = (options.record_bytes_max, info.max_payload as u64);
        if needed > max_payload { Err(NatsError::MaxPayload { max_payload, needed }) } else { Ok(()) }
    }

    /// Whether both connections stand.
    pub(super) fn stand(&self) -> bool {
        [&self.read, &self.write].iter().all(|client| client.connection_state() == State::Connected)
    }

    /// How often a connection was made: whoever has noted an older number has to look whether the log is the same.
    pub(super) fn made(&self) -> u64 {
        self.changes.made.load(Ordering::Acquire)
    }

    /// Waits until a connection is made or lost.
    pub(super) async fn changed(&self) {
        self.changes.changed.notified().await;
    }
}

fn addresses(servers: &[String]) -> Result<Vec<ServerAddr>, NatsError> {
    let parse = |text: &String| {
        // What follows the user and the password.
        let shown = text.rsplit_once('@').map_or(text.as_str(), |(_, shown)| shown);
        text.parse().map_err(|_| NatsError::Address { address: shown.into() })
    };
    servers.iter().map(parse).collect()
}

async fn connect(options: &Options, servers: &[ServerAddr], changes: &Arc<Changes>) -> Result<Client, NatsError> {
    let begin = Instant::now();
    let (mut said, mut tries) = (begin, 0);
    loop {
        let connecting = of(options, servers, changes).await?;
        let error = match connecting.connect(servers).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        match error.kind() {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                return Err(NatsError::Refused { why: error.to_string() });
            }
            ConnectErrorKind::Tls => return Err(NatsError::Tls { why: error.to_string() }),
            _ => {}
        }
        if tries == 0 || said.elapsed() >= SAY {
            said = Instant::now();
            let seconds = begin.elapsed().as_secs();
            tracing::warn!(%error, seconds, "no NATS server of journal_nats can be reached; it is tried again");
        }
        tries += 1;
        sleep(Duration::from_millis(RECONNECT_MAX_MS)).await;
    }
}

async fn of(options: &Options, servers: &[ServerAddr], changes: &Arc<Changes>) -> Result<ConnectOptions, NatsError> {
    let changes = changes.clone();
    let mut connecting = ConnectOptions::new()
        .name(format!("tickcast {}", options.node))
        .subscription_capacity(MESSAGES_MAX)
        .ping_interval(PING)
        .connection_timeout(CONNECT_TIME)
        .request_timeout(Some(REQUEST_TIME))
        .reconnect_delay_callback(|tries| Duration::from_millis((tries as u64 * 50).min(RECONNECT_MAX_MS)))
        .event_callback(move |event| {
            let changes = changes.clone();
            async move {
                match event {
                    Event::Connected => _ = changes.made.fetch_add(1, Ordering::AcqRel),
                    Event::ServerError(error) => tracing::warn!(%error, "a NATS server complains"),
                    Event::ClientError(error) => tracing::warn!(%error, "the connection to NATS"),
                    _ => {}
                }
                changes.changed.notify_one();
            }
        });
    // The client does not take them from the addresses itself. All servers are of one cluster, and know the same users.
    if let Some((user, password)) = servers.iter().find_map(login) {
        connecting = match password {
            Some(password) => connecting.user_and_password(user, password),
            None => connecting.token(user),
        };
    }
    if let Some(path) = &options.credentials {
        let failed = |error| NatsError::File { path: path.clone(), error };
        connecting = connecting.credentials_file(path).await.map_err(failed)?;
    }
    if let Some(path) = &options.ca {
        // The client reads it only when it connects, and then says less.
        drop(std::fs::File::open(path).map_err(|error| NatsError::File { path: path.clone(), error })?);
        connecting = connecting.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &options.certificate {
        connecting = connecting.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(connecting)
}

/// The user and the password in an address; a user alone is a token.
fn login(server: &ServerAddr) -> Option<(String, Option<String>)> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((decoded(server.username()?), server.password().map(decoded)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_taken_from_an_address() {
        let login = |address: &str| login(&address.parse().unwrap());
        assert_eq!(login("nats://127.0.0.1:4222"), None);
        assert_eq!(login("nats://a%40b:c%2fd@127.0.0.1:4222"), Some(("a@b".into(), Some("c/d".into()))));
        assert_eq!(login("nats://t0ken@127.0.0.1:4222"), Some(("t0ken".into(), None)));
    }

    #[test]
    fn an_error_does_not_repeat_a_password() {
        let error = addresses(&["nats://user:secret@:::".into()]).unwrap_err().to_string();
        assert!(error.contains("no address") && !error.contains("secret"), "{error}");
    }
}
