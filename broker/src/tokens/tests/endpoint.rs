//! A fake issuer: answers as it is told, and counts who asks.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::tokens::KeysUrl;

/// What the issuer answers.
#[derive(Clone)]
pub(super) enum Answer {
    /// 200 with this body.
    Document(String),
    /// These bytes, then the end.
    Raw(String),
    /// These bytes, and then others for ever.
    Endless(String),
    /// These bytes, then nothing, for ever.
    Silence(String),
}

pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Endpoint {
    pub(super) async fn new(answer: Answer) -> Endpoint {
        Endpoint::with(answer, |stream| async { Some(stream) }).await
    }

    /// An endpoint that does something with each socket before it reads the request.
    pub(super) async fn with<S, F>(
        answer: Answer,
        wrap: impl Fn(tokio::net::TcpStream) -> F + Send + Sync + 'static,
    ) -> Endpoint
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = Option<S>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(answer));
        let (asked, sent) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let shared = (answer.clone(), asked.clone(), sent.clone());
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (answer, asked, sent) = shared.clone();
                let wrapped = wrap(socket);
                tokio::spawn(async move {
                    let Some(mut stream) = wrapped.await else { return };
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                    let answer = answer.lock().unwrap().clone();
                    serve(stream, answer, &sent).await;
                });
            }
        });
        Endpoint { address, answer, asked, sent, task: task.abort_handle() }
    }

    pub(super) fn url(&self) -> KeysUrl {
        KeysUrl::parse(&format!("http://{}/jwks.json", self.address)).unwrap()
    }

    pub(super) fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// Requests so far.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Bytes that were written of endless bodies.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: Answer, sent: &AtomicU64) {
    let (text, rest) = match answer {
        Answer::Document(body) => (format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()), None),
        Answer::Raw(text) => (text, None),
        Answer::Endless(text) => (text, Some(true)),
        Answer::Silence(text) => (text, Some(false)),
    };
    if stream.write_all(text.as_bytes()).await.is_err() {
        return;
    }
    match rest {
        None => _ = stream.shutdown().await,
        Some(true) => {
            let block = [b' '; 16 << 10];
            while let Ok(written) = stream.write(&block).await {
                sent.fetch_add(written as u64, Ordering::Relaxed);
            }
        }
        // Until the other side goes.
        Some(false) => _ = stream.read_u8().await,
    }
}
