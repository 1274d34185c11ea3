//! Real nats-servers with JetStream, alone or as a cluster, in processes of their own on this machine.
//!
//! ```text
//! server        one server: started, killed, paused and started again with its store and its ports
//! certificates  TLS for them
//! files         the installed programs, and where stores are
//! link          a way to a server, of a broker or another server, which can be silenced or cut
//! wire          a client that speaks the bare protocol, for what brokers do not do
//! ```
//!
//! `.ci/install-test-tools` installs the programs. Servers live as long as their value: its end kills them and removes
//! their stores.

mod certificates;
mod files;
mod link;
mod server;
mod wire;

use std::net::SocketAddr;
use std::ops::{Index, IndexMut};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::not_run;
use files::{folder, program};

pub(crate) use certificates::Certificates;
pub(crate) use link::{Link, Way};
pub(crate) use server::Server;
pub(crate) use wire::Wire;

/// The oldest version that is supported.
pub(crate) const OLDEST: &str = "2.11.11";
/// A current version.
pub(crate) const CURRENT: &str = "2.15.1";

/// How servers are set up. The default is what an operator would call wrong and a quick test wants: no users, no TLS, and
/// written data is synced every two minutes.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// `sync_interval: always`.
    pub(crate) sync_always: bool,
    /// Clients have to come by TLS. [`Servers::certificates`] has the authority and a certificate for clients.
    pub(crate) tls: bool,
    pub(crate) login: Login,
    /// `max_file_store` of each server, in bytes. A stream reserves all that it may take, so this has to be more than
    /// `journal_bytes_max`, even if nearly nothing is written.
    pub(crate) store_limit: u64,
    /// Whether servers reach each other by links, so that [`Servers::part`] can part them.
    pub(crate) parting: bool,
    /// Further lines of each server's configuration.
    pub(crate) further: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sync_always: false,
            tls: false,
            login: Login::None,
            store_limit: 64 << 30,
            parting: false,
            further: String::new(),
        }
    }
}

/// What a client shows to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Login {
    None,
    Token(String),
    User { name: String, password: String },
}

impl Login {
    /// The part of a URL before the host.
    fn in_url(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Token(token) => format!("{token}@"),
            Self::User { name, password } => format!("{name}:{password}@"),
        }
    }
}

/// One server or a cluster of three. They are killed when dropped.
pub(crate) struct Servers {
    servers: Vec<Server>,
    certificates: Option<Certificates>,
    options: Options,
    /// The links from one server to another, by their places.
    routes: Vec<((usize, usize), Link)>,
    /// Holds their stores, logs and configurations.
    _folder: TempDir,
}

impl Servers {
    /// Starts one server, or three that form a cluster, and waits until they take streams. `None` if this version is not
    /// installed, which the test's summary then says.
    #[track_caller]
    pub(crate) fn start(version: &str, count: usize, options: Options) -> Option<Self> {
        if program(version).is_none() {
            not_run(&format!("needs nats-server {version}, which `.ci/install-test-tools nats` installs"));
            return None;
        }
        let folder = folder();
        let certificates = options.tls.then(|| Certificates::new(folder.path()));
        let places = server::places(folder.path(), count);
        let mut routes = Vec::new();
        let mut servers = Vec::new();
        for index in 0..count {
            let mut reached = Vec::new();
            for (other, place) in places.iter().enumerate() {
                let link = (options.parting && other != index).then(|| Link::to(place.routes));
                reached.push(link.as_ref().map_or(place.routes, |link| link.address));
                routes.extend(link.map(|link| ((index, other), link)));
            }
            servers.push(Server::new(index, &places, &reached, &options, certificates.as_ref()));
        }
        for server in &mut servers {
            server.spawn(version);
        }
        let servers = Self { servers, certificates, options, routes, _folder: folder };
        servers.until_ready();
        Some(servers)
    }

    /// The URLs of all of them, as `journal_nats` takes them.
    pub(crate) fn url(&self) -> String {
        self.url_by(&self.servers.iter().map(|server| server.address).collect::<Vec<_>>())
    }

    /// The same by other addresses, as those of links.
    pub(crate) fn url_by(&self, addresses: &[SocketAddr]) -> String {
        let scheme = if self.options.tls { "tls" } else { "nats" };
        let url = |address: &SocketAddr| format!("{scheme}://{}{address}", self.options.login.in_url());
        addresses.iter().map(url).collect::<Vec<_>>().join(",")
    }

    /// The certificates, where they were asked for.
    #[track_caller]
    pub(crate) fn certificates(&self) -> &Certificates {
        self.certificates.as_ref().unwrap()
    }

    /// A client of the server at this place, without TLS.
    #[track_caller]
    pub(crate) fn wire(&self, index: usize) -> Wire {
        Wire::connect(self[index].address, &self.options.login).unwrap()
    }

    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Server> {
        self.servers.iter_mut()
    }

    /// Waits until all servers run, know each other and agree who leads them.
    #[track_caller]
    pub(crate) fn until_ready(&self) {
        until("the servers to form a cluster", || self.servers.len() == 1 && self[0].is_well() || self.are_one());
    }

    fn are_one(&self) -> bool {
        let views: Option<Vec<Value>> = self.servers.iter().map(|server| server.asked("/jsz")).collect();
        let Some(views) = views else { return false };
        let Some(leader) = views[0]["meta_cluster"]["leader"].as_str() else { return false };
        self.servers.iter().zip(&views).all(|(server, view)| {
            let cluster = &view["meta_cluster"];
            // Only the leader knows how far the others are.
            let all_current = || {
                let others = cluster["replicas"].as_array().map_or(&[][..], Vec::as_slice);
                others.len() + 1 == self.len() && others.iter().all(|other| other["current"] == true)
            };
            cluster["leader"] == leader
                && cluster["cluster_size"] == self.len()
                && (server.name() != leader || all_current())
                && server.is_well()
        })
    }

    /// The place of the server that leads this stream, in its own view. `None` while there is none, or it does not
    /// answer.
    pub(crate) fn leader_of(&self, stream: &str) -> Option<usize> {
        (0..self.len()).find(|index| self.leads(*index, stream))
    }

    /// Whether this server believes that it leads the stream.
    pub(crate) fn leads(&self, index: usize, stream: &str) -> bool {
        let server = &self[index];
        let leader = server.stream(stream).map(|stream| stream["cluster"]["leader"].clone());
        // Without a cluster no leader is named.
        leader.is_some_and(|leader| leader == server.name() || self.len() == 1)
    }

    /// Waits until a stream has a leader.
    #[track_caller]
    pub(crate) fn until_leader_of(&self, stream: &str) -> usize {
        let mut leader = None;
        until(&format!("a leader of {stream}"), || {
            leader = self.leader_of(stream);
            leader.is_some()
        });
        leader.unwrap()
    }

    /// Kills all of them at the same moment (SIGKILL).
    pub(crate) fn kill_all(&mut self) {
        // Paused first: else the last one would see the others go.
        self.servers.iter_mut().filter(|server| server.runs()).for_each(Server::pause);
        self.servers.iter_mut().for_each(Server::kill);
    }

    /// Starts all that do not run, with their stores, and waits until the cluster is whole.
    #[track_caller]
    pub(crate) fn start_all_again(&mut self) {
        for server in self.servers.iter_mut().filter(|server| server.is_down()) {
            server.start_again();
        }
        self.until_ready();
    }

    /// Parts this server from the others: nothing passes between them, and nobody is told, as in a network that drops
    /// everything. Clients still reach all of them. Needs [`Options::parting`].
    #[track_caller]
    pub(crate) fn part(&self, index: usize) {
        assert!(!self.routes.is_empty(), "these servers have no links between them");
        for ((from, to), link) in &self.routes {
            if *from == index || *to == index {
                link.silence();
            }
        }
    }

    /// Lets all servers reach each other again, and waits until they are a cluster.
    #[track_caller]
    pub(crate) fn reunite(&self) {
        self.routes.iter().for_each(|(_, link)| link.heal());
        self.until_ready();
    }

    /// Waits until the running servers that have this stream have all of it.
    #[track_caller]
    pub(crate) fn until_in_step(&self, stream: &str) {
        until(&format!("replicas of {stream} to catch up"), || {
            let view = self.leader_of(stream).and_then(|leader| self[leader].stream(stream));
            let Some(view) = view else { return false };
            let others = view["cluster"]["replicas"].as_array().map_or(&[][..], Vec::as_slice);
            others.len() + 1 == self.len() && others.iter().all(|other| other["current"] == true)
        });
    }
}

impl Index<usize> for Servers {
    type Output = Server;

    fn index(&self, index: usize) -> &Server {
        &self.servers[index]
    }
}

impl IndexMut<usize> for Servers {
    fn index_mut(&mut self, index: usize) -> &mut Server {
        &mut self.servers[index]
    }
}

/// How long a question to a server may take before it counts as unanswered: a paused one takes connections, but is silent.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// Between two questions to a server: its processor is needed for what is waited for.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until the condition holds.
#[track_caller]
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    super::until(what, || {
        let holds = condition();
        if !holds {
            std::thread::park_timeout(PAUSE);
        }
        holds
    });
}
