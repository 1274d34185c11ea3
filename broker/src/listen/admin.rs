//! The admin listener, on a thread of its own, so that probes and metrics are answered whatever clients do.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::http_socket::HttpSocket;
use super::reserve::{Reserve, is_out_of_files};
use super::wire::Wire;
use super::{ACCEPT_PAUSE, Shared, http, stall, tune};
use crate::address::Block;
use crate::http::sockets::Place;
use crate::http::{Reply, handle_admin};
use crate::vital;

/// The most connections to the admin listener at the same time. As many open files are reserved for them.
pub(crate) const SOCKETS_MAX: usize = 32;

/// The running listener. Dropping it stops it.
pub(crate) struct Admin {
    ending: Arc<AtomicBool>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread.
///
/// # Errors
/// The thread cannot be started, or the open files for it cannot be reserved.
pub(crate) fn start(listener: TcpListener, shared: Arc<Shared>) -> io::Result<Admin> {
    let make = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        drop(inside);
        Ok((runtime, listener, Reserve::new(SOCKETS_MAX)?))
    };
    let (stop, stopped) = oneshot::channel();
    let ending = shared.ending.clone();
    let thread = vital::thread("admin".into(), ending.clone(), make, |(runtime, listener, reserve)| {
        runtime.block_on(async {
            vital::spawn("the admin listener", accept(listener, reserve, shared));
            // Ends on request, or when the owner is gone.
            let _ = stopped.await;
        });
    })?;
    Ok(Admin { ending, stop: Some(stop), thread: Some(thread) })
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If it had panicked, the process would have ended.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, mut reserve: Reserve, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                let place = shared.admins.enter(Some(Block::of(remote.ip()))).await;
                // The files of open connections count as part of the reserve.
                reserve.refill(SOCKETS_MAX.saturating_sub(shared.admins.count()));
                tokio::spawn(serve(stream, remote, place, shared.clone()));
            }
            Err(error) if is_out_of_files(&error) && reserve.give_up_one() => {}
            Err(error) => {
                tracing::warn!(%error, "accepting a connection to the admin listener failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, remote: SocketAddr, place: Place, shared: Arc<Shared>) {
    tune(&stream, &shared.config.get());
    let service = service_fn({
        let shared = shared.clone();
        move |request: Request<Incoming>| {
            let shared = shared.clone();
            async move {
                let reply = handle_admin(request, remote.ip(), &shared.context.access, &*shared).await;
                Ok::<Reply, std::convert::Infallible>(reply)
            }
        }
    });
    let place = Arc::new(place);
    let socket = TokioIo::new(HttpSocket::new(Wire::Plain(stream), stall(&shared.config.get()), place.clone()));
    let result = tokio::select! {
        result = http(&shared.config.get()).serve_connection(socket, service) => result,
        () = place.hang_up().notified() => return,
    };
    if let Err(error) = result {
        tracing::debug!(%remote, %error, "an HTTP connection to the admin listener ended early");
    }
}
