//! One fetch of a JWKS: a single request, with bounds for everything that the other side decides.

use std::time::Duration;

use broker_identity::KeySet;
use broker_identity::keys::KEYS_BYTES_MAX;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::url::KeysUrl;

/// How long a fetch may take, from looking up the name to the last byte.
pub(super) const FETCH_TIME_MAX: Duration = Duration::from_secs(5);
/// The head of the answer.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// What connects to an address.
#[derive(Clone)]
pub(super) struct Connector {
    #[cfg(feature = "tls")]
    tls: Option<tokio_rustls::TlsConnector>,
}

impl Connector {
    /// Prepares connections to an address.
    ///
    /// # Errors
    /// A sentence: no authority is trusted, or this build has no TLS.
    pub(super) fn new(url: &KeysUrl) -> Result<Connector, String> {
        if !url.is_secure() {
            return Ok(Connector {
                #[cfg(feature = "tls")]
                tls: None,
            });
        }
        Connector::secure()
    }

    #[cfg(feature = "tls")]
    fn secure() -> Result<Connector, String> {
        crate::authorities::of_system().map(Connector::trusting)
    }

    #[cfg(not(feature = "tls"))]
    fn secure() -> Result<Connector, String> {
        Err("this tickcast was built without TLS".to_owned())
    }

    #[cfg(feature = "tls")]
    pub(super) fn trusting(roots: rustls::RootCertStore) -> Connector {
        let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Connector { tls: Some(std::sync::Arc::new(config).into()) }
    }

    async fn get(&self, url: &KeysUrl) -> Result<Bytes, String> {
        let stream = TcpStream::connect(url.target()).await.map_err(|error| format!("connecting failed: {error}"))?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let name = rustls::pki_types::ServerName::try_from(url.host().to_owned())
                .map_err(|_| "its host is no name that a certificate can have".to_owned())?;
            let stream = tls.connect(name, stream).await.map_err(|error| format!("TLS failed: {error}"))?;
            return exchange(stream, url).await;
        }
        exchange(stream, url).await
    }
}

/// A fetch that is about to begin.
pub(super) struct Fetch {
    pub(super) url: KeysUrl,
    pub(super) connector: Connector,
}

impl Fetch {
    /// Fetches the keys.
    ///
    /// # Errors
    /// A sentence: what went wrong.
    pub(super) async fn run(&self) -> Result<KeySet, String> {
        let document = tokio::time::timeout(FETCH_TIME_MAX, self.connector.get(&self.url)).await;
        let document = document.map_err(|_| format!("it took longer than {} s", FETCH_TIME_MAX.as_secs()))??;
        KeySet::from_jwks(&document)
    }
}

/// Sends the request and reads the answer.
async fn exchange<S>(stream: S, url: &KeysUrl) -> Result<Bytes, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: hyper::Error| format!("the request failed: {error}");
    let mut builder = hyper::client::conn::http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends when this function does.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = Request::get(url.path())
        .header(HOST, url.authority())
        .header(ACCEPT, "application/json, application/jwk-set+json")
        .header(USER_AGENT, concat!("tickcast/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("the request cannot be made: {error}"))?;
    let answer = sender.send_request(request).await.map_err(broken)?;
    // A redirect is an answer like any other that is no document: another host was not configured.
    if answer.status() != StatusCode::OK {
        return Err(format!("the answer's status is {}, not 200", answer.status().as_u16()));
    }
    match Limited::new(answer.into_body(), KEYS_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(format!("the answer has more than {KEYS_BYTES_MAX} bytes")),
        Err(error) => Err(format!("the answer broke off: {error}")),
    }
}
