//! Quotas of a client, however many connections it has.

use serde_json::json;

use super::common::{Client, End, Hands, ask};
use super::source::Source;
use super::tokens::{auth, broker, token, with_token};

const FREE: &str = r#"
[[roles]]
name = "free"
sub = ["stocks.>"]
pub = ["chat.>"]
connections_max = 2
publishes_per_s = 1
subscriptions = 3

[[roles]]
name = "paid"
connections_max = 3
"#;

#[test]
fn one_client_has_so_many_connections() {
    let (broker, _folder) = broker(&[("token_in_url", "true")], FREE);
    let free = token("u", &["free"]);
    let (one, _) = with_token(&broker, &free);
    let mut two = broker.client();
    assert_eq!(auth(&mut two, &free).op(), "authenticated");
    // The same client again on a connection that counts already.
    assert_eq!(auth(&mut two, &free).op(), "authenticated");
    let header = format!("Authorization: Bearer {free}");
    let (mut three, _) = Client::shake_hands(broker.listen, Hands::default(), &[&header], b"");
    assert_eq!(three.end(), End::Close(Some(4029)));
    let mut four = broker.client();
    four.say(&format!(r#"{{"op":"auth","token":"{free}"}}"#));
    assert_eq!(four.end(), End::Close(Some(4029)));
    let answer = ask(broker.listen, "GET /v1/sse?topic=stocks.a", &[&header], b"");
    assert_eq!((answer.status, answer.code().as_str()), (429, "limit"));
    // Another client, and a better role.
    with_token(&broker, &token("v", &["free"]));
    let (_more, first) = with_token(&broker, &token("u", &["free", "paid"]));
    assert_eq!(first.op(), "authenticated");
    drop(one);
    let paid = token("u", &["free", "paid"]);
    broker.until_metric("tickcast_admitted", |count| count == 2.0);
    Source::open(broker.listen, &format!("topic=stocks.a&token={paid}"), "").expect("hello");
}

#[test]
fn one_client_publishes_at_one_rate() {
    let (broker, _folder) = broker(&[], FREE);
    let free = token("u", &["free"]);
    let header = format!("Authorization: Bearer {free}");
    let (mut one, _) = with_token(&broker, &free);
    let (mut two, _) = with_token(&broker, &free);
    let mut refused = 0;
    for number in 0..4 {
        for client in [&mut one, &mut two] {
            client.say(&format!(r#"{{"op":"publish","id":{number},"topic":"chat.a","data":1}}"#));
            let answer = client.message();
            if answer.op() == "error" {
                assert_eq!((&answer["code"], &answer["retry"]), (&json!("rate_limited"), &json!(true)));
                assert!(answer["retry_ms"].as_u64().unwrap() > 0);
                refused += 1;
            }
        }
    }
    // A burst of four, and one more for each second that this took.
    assert!((2..=4).contains(&refused), "{refused} of 8 were refused");
    let answer = ask(broker.listen, "POST /v1/topics/chat.a", &[&header, "Content-Type: application/json"], b"1");
    assert!(answer.status == 429 || answer.status == 200, "{answer:?}");
    let lines = "{\"topic\":\"chat.a\",\"data\":1}\n".repeat(9);
    let answer = ask(broker.listen, "POST /v1/publish", &[&header, "Content-Type: application/json"], lines.as_bytes());
    let json = answer.json();
    assert!(json["accepted"].as_u64().unwrap() <= 2 && json["retry_ms"].as_u64().unwrap() > 0, "{json}");
    assert_eq!(json["rejected"][8 - json["accepted"].as_u64().unwrap() as usize]["code"], json!("rate_limited"));
}

#[test]
fn a_role_may_allow_fewer_subscriptions() {
    let (broker, _folder) = broker(&[], FREE);
    let (mut client, _) = with_token(&broker, &token("u", &["free"]));
    let answer = client.subscribe(&["stocks.a", "stocks.b", "stocks.c", "stocks.d"]);
    assert_eq!(answer["topics"].as_array().unwrap().len(), 3);
    assert_eq!(answer["errors"][0]["code"], json!("limit"));
}
