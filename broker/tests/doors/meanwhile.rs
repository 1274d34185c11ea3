//! What changes while a request of a client is under way counts for that request.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::json;

use super::common::{Answer, End, Running, ask, until};
use super::tokens::{FEED, bearer, broker, now_s, signed, token};

const WAIT: std::time::Duration = std::time::Duration::from_secs(60);

/// A request of which the broker has read the head, and checked the token in it, and waits for the body.
struct Begun(TcpStream);

impl Begun {
    fn new(broker: &Running, line: &str, token: &str, content: &str, length: usize) -> Begun {
        let mut socket = TcpStream::connect(broker.listen).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        write!(
            socket,
            "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: {content}\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        )
        .unwrap();
        // It is said when the body is asked for.
        let mut asked = [0; 25];
        socket.read_exact(&mut asked).unwrap();
        assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
        Begun(socket)
    }

    /// Sends the body, and returns everything that comes up to the end.
    fn end(mut self, body: &[u8]) -> Vec<u8> {
        self.0.write_all(body).unwrap();
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).unwrap();
        bytes
    }
}

#[test]
fn a_token_that_is_revoked_before_the_body_has_come_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let revoked = folder.path().join("revoked");
    std::fs::write(&revoked, "").unwrap();
    let path = revoked.to_str().unwrap();
    let (broker, _folder) = broker(&[("token_revoked_file", path), ("tls_reload_ms", "20")], "");
    let claims =
        json!({"sub": "u", "aud": "tickcast", "exp": now_s() + 600, "jti": "one", "tickcast": {"roles": ["trader"]}});
    let token = signed(claims);
    let update = br#"{"bid":"1"}"#;
    let line = br#"{"topic":"stocks.b","kind":"event","data":1}"#;
    let form = b"topic=stocks.%3E";
    let one = Begun::new(&broker, "POST /v1/topics/stocks.a", &token, "application/json", update.len());
    let many = Begun::new(&broker, "POST /v1/publish", &token, "application/x-ndjson", line.len());
    let stream = Begun::new(&broker, "POST /v1/sse", &token, "application/x-www-form-urlencoded", form.len());
    std::fs::write(&revoked, "jti:one\n").unwrap();
    let header = format!("Authorization: Bearer {token}");
    until("the token to be revoked", || ask(broker.listen, "GET /v1/topics", &[&header], b"").status == 401);

    let answer = Answer::parse(&one.end(update));
    assert_eq!((answer.status, answer.code()), (401, "bad_token".to_owned()));
    let answer = Answer::parse(&many.end(line));
    assert_eq!((answer.status, answer.code()), (401, "bad_token".to_owned()));
    let answer = String::from_utf8(stream.end(form)).unwrap();
    assert!(answer.contains(": closed 4001 ") && !answer.contains("subscribed"), "{answer}");
    let feed = bearer(FEED);
    for topic in ["stocks.a", "stocks.b"] {
        assert_eq!(ask(broker.listen, &format!("GET /v1/topics/{topic}/history"), &[&feed[0]], b"").status, 404);
    }
}

#[test]
fn a_client_whose_token_came_in_time_is_not_closed_while_it_is_checked() {
    // An issuer that answers when it is told to.
    let issuer = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks.json", issuer.local_addr().unwrap());
    let broker = Running::with(&[("token_jwks_url", url.as_str()), ("auth_ms", "300")]);
    let (asking, _) = issuer.accept().unwrap();
    let mut early = broker.client();
    early.say(&format!(r#"{{"op":"auth","id":1,"token":"{}"}}"#, unknown_key()));
    // This one's time is over later, and it has sent nothing.
    let mut silent = broker.client();
    assert_eq!(silent.end(), End::Close(Some(4001)));
    drop(asking);
    let answer = early.message();
    assert_eq!((answer.op(), &answer["code"], &answer["retry"]), ("error", &json!("unavailable"), &json!(true)));
    assert_eq!(early.end(), End::Close(Some(4001)));
}

/// A token that may be good, once its key is known.
fn unknown_key() -> String {
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    let key = rcgen::KeyPair::generate().unwrap();
    let claims = json!({"sub": "u", "aud": "tickcast", "exp": now_s() + 600});
    encode(&Header::new(Algorithm::ES256), &claims, &EncodingKey::from_ec_der(key.serialized_der())).unwrap()
}

#[test]
fn what_is_too_long_for_a_token_or_no_message_is_refused_as_a_wrong_token() {
    let (broker, _folder) = broker(&[("token_bytes_max", "1024")], "[[roles]]\nname = \"anonymous\"\n");
    let mut client = broker.client();
    client.say(&format!(r#"{{"op":"auth","id":1,"token":"{}"}}"#, "x".repeat(1025)));
    client.expect_error("bad_token");
    client.say(&format!(r#"{{"op":"auth","id":2,"token":"{}"}}"#, token("u", &["trader"])));
    assert_eq!(client.message()["sub"], json!("u"));

    let (broker, _folder) = super::tokens::broker(&[], "");
    for wrong in ["{", r#"{"op":"what","id":3}"#, r#"{"op":"subscribe","id":3,"topics":["a..b"]}"#] {
        let mut client = broker.client();
        client.say(wrong);
        client.expect_error("bad_token");
    }
}
