//! Tokens and certificates that a server does not take, or that cannot be read.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::{Arc, Mutex};

use super::small;
use crate::fixture::{Front, Options, raw, scratch};

#[test]
fn tokens_are_sent_in_turn_and_not_printed() {
    let heads = Arc::new(Mutex::new(String::new()));
    let seen = heads.clone();
    let server = raw(Options::default(), move |mut stream| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read_exact(&mut byte).is_err() {
                return;
            }
            head.extend(byte);
        }
        seen.lock().expect("nobody panicked").push_str(&String::from_utf8_lossy(&head));
        let _ = stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\nbad_token");
    });
    let file = scratch("tokens");
    std::fs::write(&file, "marker-1\nmarker-2\n").expect("a file");
    let path = file.to_str().expect("UTF-8");
    let outcome = small(&server.url("")).args(["--token-file", path]).finish();
    outcome.assert_refused(&["3 × refused the handshake with 401 Unauthorized bad_token"]);
    assert!(!outcome.stderr.contains("marker"), "{}", outcome.stderr);
    let heads = heads.lock().expect("nobody panicked").clone();
    for (token, times) in [("marker-1", 2), ("marker-2", 1)] {
        let line = format!("\r\nAuthorization: Bearer {token}\r\n");
        assert_eq!(heads.matches(&line).count(), times, "{token}: {heads}");
    }
    std::fs::remove_file(&file).expect("it is there");
    small(&server.url("")).args(["--token-file", path]).finish().assert_refused(&["cannot be read", path]);
    small(&server.url("")).args(["--token", "two words"]).finish().assert_refused(&["printable ASCII"]);
}

#[test]
fn certificates_of_either_side_that_are_not_trusted() {
    let server = raw(Options::default(), drop);
    let front = Front::start(server.address, true);
    small(&front.url).finish().assert_refused(&["no subscriber could connect", "UnknownIssuer"]);
    small(&front.url).args(["--ca", &front.ca]).finish().assert_refused(&["no subscriber could connect", "ertificate"]);
    let other_name = front.url.replace("localhost", "127.0.0.1");
    let outcome = small(&other_name).args(["--ca", &front.ca]).finish();
    outcome.assert_refused(&["no subscriber could connect", "not valid for name"]);
    small(&front.url).args(["--ca", &front.key]).finish().assert_refused(&["no certificate in PEM form"]);
    small(&front.url).args(["--ca", "/nowhere/ca.pem"]).finish().assert_refused(&["/nowhere/ca.pem"]);
    let wrong = ["--ca", &front.ca, "--client-cert", &front.cert, "--client-key", &front.ca];
    small(&front.url).args(wrong).finish().assert_refused(&["--client-key"]);
}

#[test]
fn a_server_without_tls() {
    let server = raw(Options::default(), |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        // What is not read would reset the connection, and the client might not see the answer.
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let url = format!("wss://{}", server.address);
    small(&url).finish().assert_refused(&["no subscriber could connect", "TLS"]);
}
