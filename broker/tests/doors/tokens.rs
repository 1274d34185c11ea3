//! Tokens, and a broker that takes them.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::common::{Client, Hands, Message, Running};

pub(crate) const SECRET: &[u8] = b"a secret of more than thirty-two bytes";

/// The roles and static tokens of these tests.
pub(crate) const ROLES: &str = r#"
[[roles]]
name = "reader"
sub = ["stocks.>", "users.{sub}.>"]
deny = ["stocks.*.internal"]

[[roles]]
name = "trader"
sub = ["stocks.>"]
pub = ["chat.>", "stocks.>"]

[[roles]]
name = "boss"
sub = [">", "$SYS.>"]
pub = [">"]
admin = true

[[tokens]]
name = "feed-a"
# The digest of FEED.
sha256 = "7f6b2e5c"
roles = ["boss"]
"#;

/// The token of the client `feed-a`.
pub(crate) const FEED: &str = "a-static-token-of-feed-a";

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token of a client with these roles, good for an hour.
pub(crate) fn token(sub: &str, roles: &[&str]) -> String {
    signed(json!({"sub": sub, "aud": "tickcast", "exp": now_s() + 3600, "tickcast": {"roles": roles}}))
}

/// A token with these claims.
pub(crate) fn signed(claims: Value) -> String {
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET).unwrap()).unwrap()
}

/// A broker that takes these tokens. Tokens are needed, unless `file` has a role `anonymous`.
pub(crate) fn broker(settings: &[(&'static str, &str)], file: &str) -> (Running, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, FEED.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let file =
        format!("token_secret_file = {:?}\n{file}\n{}", secret.to_str().unwrap(), ROLES.replace("7f6b2e5c", &hex));
    (Running::with_file(settings, &file), folder)
}

/// Connects with a token in the header. Returns the client, and the message after `hello`.
#[track_caller]
pub(crate) fn with_token(broker: &Running, token: &str) -> (Client, Message) {
    let header = format!("Authorization: Bearer {token}");
    let mut client = Client::with(broker.listen, Hands::default(), &[&header], b"");
    let first = client.message();
    (client, first)
}

/// Authenticates on an open connection. Returns the answer.
#[track_caller]
pub(crate) fn auth(client: &mut Client, token: &str) -> Message {
    client.say(&format!(r#"{{"op":"auth","id":"a","token":"{token}"}}"#));
    client.message()
}

/// The header lines of a request with a token.
pub(crate) fn bearer(token: &str) -> Vec<String> {
    vec![format!("Authorization: Bearer {token}"), "Content-Type: application/json".into()]
}
