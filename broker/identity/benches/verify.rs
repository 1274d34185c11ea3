//! The cost of a token: one that is taken, and one whose signature is wrong, compared with the crate `jsonwebtoken`, which
//! has the same cryptography below it. It parses the key again for each token, and ours reads more of the claims: a
//! role with a placeholder, and permissions.
//!
//! `cargo bench -p broker-identity --bench verify [-- [--repeats N] [--seconds N] [ROW]...]`

#[path = "../../benches/publish/report.rs"]
mod report;
#[path = "../tests/identity/signing.rs"]
mod signing;

use std::hint::black_box;
use std::time::{Duration, Instant};

use broker_identity::{Algorithm, BadToken, Line, Role};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, Validation, decode};
use report::{Ask, Series, Table};
use signing::{NOW_MS, SECRET, authority, claims, issuer, with_secret};

// The allocator that the broker runs on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let ask = Ask::from_process();
    let repeats = ask.repeats(9);
    let time = Duration::from_secs_f64(ask.seconds(0.3, 0.005));
    let columns = ["algorithm", "bytes", "taken, ns", "wrong signature, ns", "jsonwebtoken, ns"];
    let mut table = Table::new(format!("Verifying a token, {repeats} repeats"), &columns);
    let line = |text: &str| Line::parse(text).unwrap();
    let sub = vec![line("stocks.>"), line("users.{sub}.>")];
    let trader = Role { name: "trader".to_owned(), sub, ..Role::default() };
    let public = authority(vec![trader], vec![]);
    let secret = with_secret(&[Algorithm::Hs256]);
    for signer in issuer() {
        let name = format!("{:?}", signer.algorithm);
        if !ask.wants(&name) {
            continue;
        }
        let is_secret = signer.algorithm == jsonwebtoken::Algorithm::HS256;
        let authority = if is_secret { &secret } else { &public };
        let token = signer.sign(&claims(r#","tickcast":{"roles":["trader"],"pub":["chat.>"]}"#));
        // The claims of one under the signature of another.
        let signature = signer.sign(&claims(""));
        let wrong = format!("{}.{}", token.rsplit_once('.').unwrap().0, signature.rsplit_once('.').unwrap().1);
        assert_eq!(authority.authenticate(&wrong, NOW_MS), Err(BadToken::Signature));
        let key = if is_secret {
            DecodingKey::from_secret(SECRET).unwrap()
        } else {
            DecodingKey::from_jwk(&serde_json::from_str::<Jwk>(&format!("{{{}}}", signer.jwk)).unwrap()).unwrap()
        };
        let mut validation = Validation::new(signer.algorithm);
        // The tokens of this bench are good at a time that is passed in, which it cannot be there.
        validation.validate_exp = false;
        validation.set_audience(&["tickcast"]);
        let [mut taken, mut refused, mut other] = <[Series; 3]>::default();
        for _ in 0..repeats {
            taken.push(measure(time, || authority.authenticate(&token, NOW_MS).is_ok()));
            refused.push(measure(time, || authority.authenticate(&wrong, NOW_MS).is_err()));
            other.push(measure(time, || decode::<serde_json::Value>(&token, &key, &validation).is_ok()));
        }
        table.row(&[&name, &token.len(), &taken, &refused, &other]);
    }
    table.print();
}

/// Returns nanoseconds per call.
fn measure(time: Duration, call: impl Fn() -> bool) -> f64 {
    let (start, mut calls) = (Instant::now(), 0u32);
    loop {
        assert!(black_box(call()));
        calls += 1;
        let spent = start.elapsed();
        if spent >= time {
            return spent.as_nanos() as f64 / f64::from(calls);
        }
    }
}
