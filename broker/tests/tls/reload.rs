//! Certificates are renewed while clients are connected and others connect all the time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::client::{BOTH, Client, NAME, broker, config};
use crate::common::{Finally, until};
use crate::pki::{Issued, Pki, replace};

/// Connections that stay open.
const OPEN: usize = 100;
/// Connections that come and go at the same time: some hundred a second.
const CONNECTING: usize = 3;
/// Handshakes that have to succeed in each of the phases.
const HANDSHAKES: usize = 40;

/// What the handshakes of a phase showed.
#[derive(Default)]
struct Seen {
    phase: u64,
    certificates: BTreeSet<Vec<u8>>,
    handshakes: usize,
}

impl Seen {
    fn begin(&mut self) {
        *self = Self { phase: self.phase + 1, ..Self::default() };
    }

    /// Notes a handshake, if it began in this phase.
    fn note(&mut self, phase: u64, certificate: Vec<u8>) {
        if phase == self.phase {
            self.certificates.insert(certificate);
            self.handshakes += 1;
        }
    }
}

#[test]
fn no_connection_and_no_handshake_is_lost_when_certificates_change() {
    let pki = Pki::new();
    let broker = broker(&pki, &[("tls_reload_ms", "20")]);
    let address = broker.tls.unwrap();
    let configs = BOTH.map(|version| {
        let mut config = config(&pki, &[version], None);
        // Full handshakes only: a session that is resumed shows the certificate that it began with.
        config.resumption = rustls::client::Resumption::disabled();
        Arc::new(config)
    });
    let mut open: Vec<Client> =
        (0..OPEN).map(|number| Client::websocket(address, &configs[number % configs.len()])).collect();
    open[0].subscribe("t");

    let (seen, over, failures) = (Mutex::new(Seen::default()), AtomicBool::new(false), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for number in 0..CONNECTING {
            let config = &configs[number % configs.len()];
            let (seen, over, failures) = (&seen, &over, &failures);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let phase = seen.lock().unwrap().phase;
                    match Client::try_connect(address, config, NAME) {
                        Ok(client) => {
                            let certificate = client.stream.conn.peer_certificates().unwrap()[0].to_vec();
                            seen.lock().unwrap().note(phase, certificate);
                        }
                        Err(error) => failures.lock().unwrap().push(error.to_string()),
                    }
                }
            });
        }
        let _end = Finally(|| over.store(true, Ordering::Relaxed));
        // Returns the certificates that were shown in the handshakes of a new phase.
        let shown = || {
            seen.lock().unwrap().begin();
            until("handshakes", || seen.lock().unwrap().handshakes >= HANDSHAKES);
            seen.lock().unwrap().certificates.clone()
        };
        let only = |issued: &Issued| BTreeSet::from([issued.certificate.to_vec()]);
        for round in 0..3 {
            let renewed = pki.issue(&[NAME]);
            pki.write("server", &renewed);
            until("the renewed certificate alone", || shown() == only(&renewed));
            // A pair that does not fit together changes nothing, however long it stays.
            let key = std::fs::read(pki.path("server.key")).unwrap();
            pki.write("other", &pki.issue(&[NAME]));
            replace(&pki.path("server.key"), &std::fs::read(pki.path("other.key")).unwrap());
            until("the failure", || broker.metric("tickcast_tls_reload_failed") == 1.0);
            assert_eq!(shown(), only(&renewed), "in round {round}");
            replace(&pki.path("server.key"), &key);
            until("the failure to be over", || broker.metric("tickcast_tls_reload_failed") == 0.0);
        }
    });
    assert_eq!(*failures.lock().unwrap(), [""; 0]);
    assert_eq!(broker.metric("tickcast_connections"), OPEN as f64);
    for client in &mut open[1..] {
        client.say(r#"{"op":"ping","id":1}"#);
        client.expect("pong");
    }
    open[0].skip_to_data("last", || _ = broker.publish("t", "state", "\"last\""));
    drop(open);
    broker.assert_settles();
}
