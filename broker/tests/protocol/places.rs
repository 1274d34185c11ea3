//! How many may connect.

use crate::common::{Client, Running};

#[test]
fn beyond_the_limit_connections_are_told_so_and_closed() {
    for setting in ["connections_max", "connections_per_address_max"] {
        let broker = Running::with(&[(setting, "3")]);
        let mut clients: Vec<Client> = (0..3).map(|_| broker.client()).collect();
        for _ in 0..5 {
            let (mut refused, _) = Client::shake_hands(broker.listen, Default::default(), &[], b"");
            refused.expect_close(4029);
        }
        assert_eq!(broker.metric("tickcast_admitted"), 3.0);
        assert_eq!(broker.metric(r#"tickcast_closed_total{reason="limit_exceeded"}"#), 5.0);
        // Plain HTTP is answered all the same.
        assert_eq!(broker.http("GET /v1/topics", "").status, 200);
        // Those who have a place keep it, and a place that is given back is free.
        for client in &mut clients {
            client.say(r#"{"op":"ping"}"#);
            client.expect("pong");
        }
        clients.pop();
        broker.until_metric("tickcast_admitted", |count| count == 2.0);
        clients.push(broker.client());
        clients.clear();
        broker.assert_settles();
    }
}
