//! `tickcast demo --secure`: TLS, tokens and permissions, with keys and users that are made for this run alone.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use feed_scenarios::Token;

use super::certificate;
use super::issuer::Issuer;

/// How long the users' tokens last. The broker's limit is a day.
const USERS_LIFETIME: Duration = Duration::from_secs(12 * 3_600);
/// How long a token of the feeds lasts: they renew it, as they would with tokens of an identity provider.
const FEEDS_LIFETIME: Duration = Duration::from_secs(300);

/// The users: name, role, and what they are.
const USERS: [(&str, &str); 3] = [("amy", "trader"), ("bob", "guest"), ("carol", "operator")];

/// The files of a run, and the key that signs its tokens.
pub(crate) struct Secure {
    folder: PathBuf,
    issuer: Arc<Issuer>,
}

impl Secure {
    /// Makes keys, certificates, users and a configuration, in a folder that only this user can read.
    pub(crate) fn prepare() -> anyhow::Result<Secure> {
        let folder = std::env::temp_dir().join(format!("tickcast-demo-{:08x}", rand::random::<u32>()));
        DirBuilder::new().mode(0o700).create(&folder).with_context(|| format!("the folder {}", folder.display()))?;
        let secure = Secure { folder, issuer: Arc::new(Issuer::new()?) };
        let tls = certificate::make()?;
        for (name, content) in [
            ("ca.pem", &tls.authority),
            ("broker.pem", &tls.certificate),
            ("broker.key", &tls.key),
            ("tokens.pem", &secure.issuer.public_key()?),
            ("tickcast.toml", &configuration(&secure.folder)),
        ] {
            secure.write(name, content)?;
        }
        for (name, role) in USERS {
            let token = secure.issuer.issue(name, role, USERS_LIFETIME)?;
            secure.write(name, &format!("Authorization: Bearer {token}\n"))?;
        }
        Ok(secure)
    }

    /// The configuration file.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.join("tickcast.toml")
    }

    /// The token of the feeds.
    pub(super) fn token(&self) -> Token {
        let issuer = self.issuer.clone();
        Token::from_fn(move || {
            let token = issuer.issue("feeds", "feed", FEEDS_LIFETIME);
            async move { token.map(Some) }
        })
    }

    /// Where the page is, and commands of users that differ in what they may do.
    pub(super) fn greeting(&self, listen: SocketAddr, tls_listen: SocketAddr) -> String {
        let folder = self.folder.display();
        let curl = |user: &str| format!("curl -s --cacert {folder}/ca.pem -H @{folder}/{user}");
        let address = format!("https://localhost:{}", tls_listen.port());
        format!(
            r#"Tickcast is running with TLS, and everyone needs a token: {address}/, wss://localhost:{port}/v1/ws. The keys, the
certificates and the users' tokens are in {folder}, until it stops.

Watch it live: open http://{listen}/ in a browser. It asks for a token: paste the line of one of these files.
{folder}/amy, bob or carol
{address}/ is the same page. First import {folder}/ca.pem as an authority
(in Firefox: in its settings; in Chromium on Linux: with certutil of libnss3-tools).

Try, in another terminal:
  # amy is a trader: she may read stocks and the chat, and write in the chat
  {amy} {address}/v1/topics/stocks.AAPL.quote
  # bob is a guest: he may read football, and nothing else (try amy's command as bob)
  {bob} '{address}/v1/topics?match=sports.%3E&limit=3'
  # carol is an operator: she may do everything, such as publishing a state and deleting its topic
  {carol} -d '{{"text":"closing soon"}}' -H 'Content-Type: application/json' '{address}/v1/topics/news.lobby?kind=state'
  {carol} -X DELETE {address}/v1/topics/news.lobby

Ctrl-C stops the broker; a second Ctrl-C stops it at once.
"#,
            port = tls_listen.port(),
            amy = curl("amy"),
            bob = curl("bob"),
            carol = curl("carol"),
        )
    }

    /// Removes the files: they are of no use without the broker.
    pub(crate) fn remove(&self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!("{} cannot be removed: {error}", self.folder.display());
        }
    }

    fn write(&self, name: &str, content: &str) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        let write =
            || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(content.as_bytes());
        write().with_context(|| format!("the file {}", path.display()))
    }
}

fn configuration(folder: &Path) -> String {
    let file = |name: &str| toml::Value::from(folder.join(name).display().to_string());
    format!(
        r#"tls_listen = "127.0.0.1:9443"
tls_cert = [{}]
tls_key = [{}]
token_key_file = {}
token_algorithms = "ES256"

[[roles]]
name = "guest"
sub = ["sports.>"]

[[roles]]
name = "trader"
sub = ["stocks.>", "chat.>"]
pub = ["chat.>"]

[[roles]]
name = "operator"
sub = [">", "$SYS.>"]
pub = [">"]
admin = true

[[roles]]
name = "feed"
pub = [">"]
"#,
        file("broker.pem"),
        file("broker.key"),
        file("tokens.pem"),
    )
}
