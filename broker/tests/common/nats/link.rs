//! A way to a server that can be silenced or cut: a partition of the network that needs no rights.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

/// A direction of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

#[derive(Debug, Default)]
struct State {
    /// Nothing goes this way; what comes is held.
    to_server_silent: bool,
    to_client_silent: bool,
    /// Nothing goes to the client any more once it has sent this.
    silent_after: Option<&'static [u8]>,
    /// New connections are closed at once.
    cut: bool,
    ended: bool,
    /// Both ends of what is connected.
    open: Vec<TcpStream>,
    /// Counts the cuts, so that what waits knows that it is cut.
    cuts: u64,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits while this way is silent. `false` if the connection was cut meanwhile.
    fn may_pass(&self, way: Way, cuts: u64) -> bool {
        let silent = |state: &mut State| {
            let silent = if way == Way::ToServer { state.to_server_silent } else { state.to_client_silent };
            silent && state.cuts == cuts && !state.ended
        };
        let state = self.changed.wait_while(self.state(), silent).unwrap();
        state.cuts == cuts && !state.ended
    }
}

/// Listens on an address of its own, and passes on what comes. Dropped, it closes everything.
#[derive(Debug)]
pub(crate) struct Link {
    /// The address to give to the client.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    /// A link to this server.
    pub(crate) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || accept(&listener, server, &of_thread));
        Self { address, shared, thread: Some(thread) }
    }

    /// Lets nothing pass either way, as a network that drops everything: nobody is told, and connections stay.
    pub(crate) fn silence(&self) {
        self.shared.change(|state| (state.to_server_silent, state.to_client_silent) = (true, true));
    }

    /// The same, one way only: what is asked arrives and no answer does, or the other way round.
    pub(crate) fn silence_way(&self, way: Way) {
        self.shared.change(|state| match way {
            Way::ToServer => state.to_server_silent = true,
            Way::ToClient => state.to_client_silent = true,
        });
    }

    /// Lets nothing pass to the client from the moment at which it sends these bytes. They have to be in one packet.
    pub(crate) fn silence_after(&self, bytes: &'static [u8]) {
        self.shared.change(|state| state.silent_after = Some(bytes));
    }

    /// Whether nothing passes to the client.
    pub(crate) fn is_silent(&self) -> bool {
        self.shared.state().to_client_silent
    }

    /// Closes all connections, and new ones at once, as a machine that is off does.
    pub(crate) fn cut(&self) {
        self.shared.change(|state| {
            state.cut = true;
            close_all(state);
        });
    }

    /// Closes all connections, and lets new ones pass.
    pub(crate) fn break_once(&self) {
        self.shared.change(close_all);
    }

    /// Lets everything pass again. What was held arrives first, as after a repeated sending.
    pub(crate) fn heal(&self) {
        self.shared.change(|state| {
            (state.to_server_silent, state.to_client_silent, state.cut) = (false, false, false);
            state.silent_after = None;
        });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.ended = true;
            close_all(state);
        });
        // Wakes the thread that waits for connections.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

fn close_all(state: &mut State) {
    state.cuts += 1;
    for stream in state.open.drain(..) {
        // Fails if its end was the first.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn accept(listener: &TcpListener, server: SocketAddr, shared: &Arc<Shared>) {
    for client in listener.incoming().map_while(Result::ok) {
        if shared.state().ended {
            return;
        }
        // A server that is down: the client sees its connection closed.
        let Ok(server) = TcpStream::connect(server) else { continue };
        let (Ok(client_again), Ok(server_again)) = (client.try_clone(), server.try_clone()) else { continue };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let cuts = {
            let mut state = shared.state();
            if state.cut || state.ended {
                continue;
            }
            // Of those that have ended nothing is kept.
            state.open.retain(|stream| stream.peer_addr().is_ok());
            state.open.extend([&client, &server].into_iter().filter_map(|stream| stream.try_clone().ok()));
            state.cuts
        };
        for (from, to, way) in [(client, server, Way::ToServer), (server_again, client_again, Way::ToClient)] {
            let shared = Arc::clone(shared);
            std::thread::spawn(move || pass(from, to, way, cuts, &shared));
        }
    }
}

/// Passes on what comes, until one end closes.
fn pass(mut from: TcpStream, mut to: TcpStream, way: Way, cuts: u64, shared: &Shared) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(len) = from.read(&mut bytes) {
        if way == Way::ToServer {
            let mut state = shared.state();
            let says = |what: &[u8]| bytes[..len].windows(what.len()).any(|found| found == what);
            state.to_client_silent |= state.silent_after.is_some_and(says);
        }
        // An end is held back like bytes: the network that drops them drops it too.
        if !shared.may_pass(way, cuts) || len == 0 || to.write_all(&bytes[..len]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
