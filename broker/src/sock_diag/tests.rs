use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::{ANSWER_BYTES_MAX, BY_FAMILY, ERROR, progress, read};

const PATIENCE: Duration = Duration::from_secs(60);
/// A time without progress that a busy machine alone does not cause.
const LONG: Duration = Duration::from_millis(1_500);

/// Returns both ends of a connection: the writer accepts on `listen`, and the reader connects to `connect`.
fn pair(listen: &str, connect: &str) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((listen, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let reader = TcpStream::connect((connect, port)).unwrap();
    let (writer, _) = listener.accept().unwrap();
    writer.set_nonblocking(true).unwrap();
    (writer, reader)
}

fn fill(writer: &mut TcpStream) {
    loop {
        match writer.write(&[b'x'; 65_536]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Returns for how long the reader's window has been closed. The reader's kernel answers all the time.
fn stalled(writer: &TcpStream) -> Duration {
    let progress = progress(writer.local_addr().unwrap(), writer.peer_addr().unwrap()).unwrap();
    assert!(progress.acknowledged < 3 * LONG, "{progress:?}");
    progress.sent
}

#[track_caller]
fn until_stalled(writer: &TcpStream) {
    let end = Instant::now() + PATIENCE;
    while stalled(writer) < LONG {
        assert!(Instant::now() < end, "it never counts as stalled");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn a_peer_has_stalled_since_its_window_opened_last() {
    for (listen, connect) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1")] {
        let (mut writer, mut reader) = pair(listen, connect);
        fill(&mut writer);
        until_stalled(&writer);
        // The peer reads on, and its kernel opens the window: ours sends what then fits.
        let mut bytes = [0; 65_536];
        let (mut taken, end) = (0, Instant::now() + PATIENCE);
        while stalled(&writer) >= LONG {
            taken += reader.read(&mut bytes).unwrap();
            assert!(Instant::now() < end, "{taken} bytes were read, and it still counts as stalled");
        }
        // It stops reading again.
        until_stalled(&writer);
    }
}

#[test]
fn a_connection_that_is_gone_is_not_found() {
    let (writer, reader) = pair("127.0.0.1", "127.0.0.1");
    let (local, peer) = (writer.local_addr().unwrap(), writer.peer_addr().unwrap());
    assert!(progress(local, peer).is_ok());
    drop((reader, writer));
    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    assert_eq!(progress(local, nobody).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn an_answer_that_is_not_understood_is_an_error_and_not_a_panic() {
    let (mut writer, _reader) = pair("127.0.0.1", "127.0.0.1");
    fill(&mut writer);
    let request = super::request(writer.local_addr().unwrap(), writer.peer_addr().unwrap());
    let mut answer = vec![0; 16 + 72];
    answer[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
    // No attribute at all; one that claims more than there is; ones of impossible lengths.
    assert_eq!(read(&answer).unwrap_err().kind(), ErrorKind::InvalidData);
    for len in [u16::MAX, 0, 3, 8] {
        let attribute = [len.to_ne_bytes(), 2u16.to_ne_bytes(), [0, 0], [0, 0]].concat();
        let answer = [&answer[..], &attribute].concat();
        assert_eq!(read(&answer).unwrap_err().kind(), ErrorKind::InvalidData, "{len}");
    }
    for len in 0..request.len().min(ANSWER_BYTES_MAX) {
        assert!(read(&request[..len]).is_err());
    }
    let mut refused = vec![0; 36];
    refused[4..6].copy_from_slice(&ERROR.to_ne_bytes());
    refused[16..20].copy_from_slice(&(-13i32).to_ne_bytes());
    assert_eq!(read(&refused).unwrap_err().kind(), ErrorKind::PermissionDenied);
}
