//! The table of all settings, and [`Config`], which is generated from it: a setting is declared here and nowhere else.

use std::net::SocketAddr;
use std::path::PathBuf;

use broker_identity::{Algorithm, ClaimName, Role, StaticToken, TokenDigest};

use super::area::{Applies, Area};
use super::journal::JournalMode;
use super::nats::{JournalName, NatsServers};
use super::open_files::Capacity;
use super::problem::Problem;
use super::raw::Raw;
use super::tls::{ClientAuth, TlsVersion};
use super::tokens::Text;
use super::topic_rules::TopicRule;
use super::value::{Allowed, AuditLog, Value};
use crate::access::{AccessRules, HostName, Origin};
use crate::address::{Net, ProxyProtocol};
use crate::logging::{LogFilter, LogFormat};
use crate::tokens::KeysUrl;

/// One setting, as the table describes it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The TOML key; with dashes the flag, in capitals after `TICKCAST_` the environment variable.
    pub name: &'static str,
    /// The heading under which it is shown.
    pub group: &'static str,
    /// What its number counts; empty if it is not a number.
    pub unit: &'static str,
    /// The default, as an operator would type it.
    pub default: &'static str,
    /// Its bounds.
    pub allowed: Allowed,
    /// When a change of it counts.
    pub applies: Applies,
    /// Its meaning, in a sentence or two.
    pub meaning: &'static str,
    /// Whether the flag may be given without a value.
    pub switch: bool,
    /// Whether it is a list.
    pub list: bool,
}

impl Setting {
    /// The flag, without its leading dashes.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("TICKCAST_{}", self.name.to_ascii_uppercase())
    }
}

macro_rules! settings {
    ($($group:literal: $($name:ident: $type:ty = $default:literal $unit:literal, $allowed:expr, $applies:expr, $meaning:literal;)+)+) => {
        /// The configuration that the broker runs with: every setting with its type, checked.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Config {
            $($(
                #[doc = $meaning]
                #[doc = ""]
                #[doc = concat!("Default: `", $default, "`", ".")]
                pub $name: $type,
            )+)+
            /// Settings for some topics; the first rule that matches a topic counts.
            pub topics: Vec<TopicRule>,
            /// The roles that tokens and certificates lead to.
            pub roles: Vec<Role>,
            /// Tokens that are known by their digests.
            pub tokens: Vec<StaticToken>,
        }

        /// Every setting, in the order in which it is shown.
        pub const SETTINGS: &[Setting] = &[$($(
            Setting {
                name: stringify!($name),
                group: $group,
                unit: $unit,
                default: $default,
                allowed: $allowed,
                applies: $applies,
                meaning: $meaning,
                switch: <$type as Value>::SWITCH,
                list: <$type as Value>::LIST,
            },
        )+)+];

        impl Config {
            /// Reads every setting. Pushes values that cannot be read to `problems`, and then returns `None`.
            pub(super) fn read(raw: &Raw, problems: &mut Vec<Problem>) -> Option<Config> {
                $($( let $name: Option<$type> = raw.read(stringify!($name), $default, $allowed, problems); )+)+
                let topics = super::topic_rules::read(raw, problems);
                let roles = super::roles::read_roles(raw, problems);
                let tokens = super::roles::read_tokens(raw, problems);
                Some(Config { $($( $name: $name?, )+)+ topics: topics?, roles: roles?, tokens: tokens? })
            }

            /// Takes on `new`'s values of the settings that a reload may change, except for these, and its rules for topics.
            pub(super) fn take_on(&mut self, new: &Config, except: &[&'static str]) {
                $($(
                    if matches!($applies, Reload(_)) && !except.contains(&stringify!($name)) {
                        self.$name.clone_from(&new.$name);
                    }
                )+)+
                self.topics.clone_from(&new.topics);
                self.roles.clone_from(&new.roles);
                self.tokens.clone_from(&new.tokens);
            }

            /// The settings of which another configuration has another value.
            pub(super) fn differences(&self, other: &Config) -> Vec<&'static str> {
                let all = [$($( (stringify!($name), self.$name != other.$name), )+)+];
                all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
            }

            /// The value of every setting as TOML, in the table's order.
            pub(super) fn toml_values(&self) -> Vec<String> {
                vec![$($( self.$name.toml(), )+)+]
            }
        }
    };
}

use Allowed::{Any, Bytes, Number};
use Applies::{Reload, Restart};
use Area::{Access, Admin, Audit, Keys, Limits, Logs, Quotas, Tls, Tokens, Topics};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
/// The most that the engine supports.
const SHARDS_MAX: u64 = broker_engine::feed::SHARDS_MAX as u64;
/// A day, the bound of most durations: a longer one is a typing mistake.
const DAY_MS: u64 = 86_400_000;
/// The highest rate of a quota: more than a shard can do.
const PER_S_MAX: u64 = 10_000_000;

settings! {
"Listeners":
    listen: SocketAddr = "127.0.0.1:9000" "", Any, Restart,
        "Address on which clients connect. Port 0 takes a free port and logs it.";
    admin_listen: SocketAddr = "127.0.0.1:9001" "", Any, Restart,
        "Address on which metrics, health and the list of connections are served. Keep it off public networks.";
    allow_origin: Vec<Origin> = "" "", Any, Reload(Access),
        "Origins of web pages that may connect, besides the broker's own.";
    brokers: Vec<Origin> = "" "", Any, Reload(Access),
        "Origins of all brokers of a cluster, as browsers reach them: their live pages may connect, and the one here goes on at another while this broker is away.";
    allow_host: Vec<HostName> = "" "", Any, Reload(Access),
        "Names of the broker that are accepted in the Host header, besides IP addresses and localhost.";
    open_publish: bool = "false" "", Any, Restart,
        "Allows every client that can reach the broker to publish. Without it the broker listens for clients on loopback only.";
    sys_topics_public: bool = "false" "", Any, Restart,
        "Whether the broker's own topics ($SYS.>) are served to connections from beyond loopback.";
    admin_token_sha256: Option<TokenDigest> = "" "", Any, Reload(Admin),
        "SHA-256 of the token that the admin listener asks for, except at /healthz and /readyz; without it everyone who reaches the listener is an operator.";
    trusted_proxies: Vec<Net> = "" "", Any, Restart,
        "Reverse proxies in front of the broker, as addresses or blocks (10.0.0.0/8): the clients that they name in X-Forwarded-For or by the PROXY protocol are believed. They themselves do not count as loopback.";
    proxy_protocol: ProxyProtocol = "off" "", Any, Restart,
        "Whether client connections have to begin with a header of the PROXY protocol (version 1 or 2) from one of trusted_proxies: off or required.";
"Tokens":
    token_key_file: Option<PathBuf> = "" "", Any, Reload(Keys),
        "File of the keys that verify tokens (JWT): public keys in PEM, or a JWKS. It is read again when its content has changed.";
    token_jwks_url: Option<KeysUrl> = "" "", Any, Reload(Keys),
        "Address of a JWKS with keys that verify tokens: https, or http on this machine.";
    token_secret_file: Option<PathBuf> = "" "", Any, Reload(Keys),
        "File of the secret of HS256, of at least 32 bytes, instead of public keys.";
    token_algorithms: Vec<Algorithm> = "ES256,EdDSA,RS256" "", Any, Reload(Keys),
        "Algorithms of tokens that are taken: ES256, EdDSA, RS256, HS256. With token_secret_file it is HS256 alone.";
    token_audience: Text = "tickcast" "", Any, Reload(Tokens),
        "What a token's aud has to contain.";
    token_issuer: Option<Text> = "" "", Any, Reload(Tokens),
        "What a token's iss has to be; none takes any.";
    token_claim: ClaimName = "tickcast" "", Any, Reload(Tokens),
        "Claim with a client's roles and patterns. A dot leads into an object, as in realm_access.tickcast; a name with a slash or a colon is one name.";
    token_roles_claim: Option<ClaimName> = "" "", Any, Reload(Tokens),
        "Claim with a list of further roles, as in realm_access.roles.";
    token_revoked_file: Option<PathBuf> = "" "", Any, Reload(Tokens),
        "File of tokens that are not taken any more: lines like jti:ID and sub:NAME before:SECONDS. It is read again when its content has changed.";
    token_leeway_ms: u32 = "30000" "ms", Number(0, 3_600_000), Reload(Tokens),
        "How far the clocks of the broker and of the issuer of tokens may differ, either way.";
    token_lifetime_max_ms: u64 = "86400000" "ms", Number(1000, 366 * DAY_MS), Reload(Tokens),
        "How far ahead a token's exp may be.";
    token_bytes_max: u32 = "8192" "bytes", Bytes(64, 64 * KIB), Reload(Tokens),
        "The largest token.";
    token_in_url: bool = "false" "", Any, Restart,
        "Whether a token may be the parameter token of an address. Addresses end up in logs and histories.";
    cleartext_tokens: bool = "false" "", Any, Restart,
        "Allows tokens to come in from beyond loopback without TLS, where others on the network can read them.";
    auth_ms: u32 = "5000" "ms", Number(100, DAY_MS), Reload(Tokens),
        "How long a connection that needs a token may take to send it before it is closed.";
    jwks_refresh_ms: u32 = "600000" "ms", Number(100, 7 * DAY_MS), Reload(Keys),
        "How often token_jwks_url is fetched.";
    jwks_cooldown_ms: u32 = "30000" "ms", Number(100, DAY_MS), Reload(Keys),
        "The least time between a fetch and another one because of a token whose key is not known.";
    jwks_stale_ms: u64 = "86400000" "ms", Number(1000, 366 * DAY_MS), Reload(Keys),
        "How long the keys of the last fetch count while token_jwks_url cannot be fetched.";
"TLS":
    tls_listen: Option<SocketAddr> = "" "", Any, Restart,
        "Address on which clients connect with TLS (https, wss), besides listen; none is no TLS.";
    tls_cert: Vec<PathBuf> = "" "", Any, Reload(Tls),
        "PEM files of certificates, each with its chain. A client gets the first that covers the name it asks for, otherwise the first of all.";
    tls_key: Vec<PathBuf> = "" "", Any, Reload(Tls),
        "PEM files of their private keys, in the same order.";
    tls_min_version: TlsVersion = "1.2" "", Any, Restart,
        "The oldest version of TLS that is spoken: 1.2 or 1.3.";
    tls_client_ca: Option<PathBuf> = "" "", Any, Reload(Tls),
        "PEM file of the authorities whose client certificates are trusted.";
    tls_client_auth: ClientAuth = "off" "", Any, Restart,
        "Whether clients show certificates: off, optional or required.";
    tls_reload_ms: u32 = "10000" "ms", Number(0, DAY_MS), Restart,
        "How often the files of certificates, keys and revocations are looked at; when their content has changed, it counts. 0 is never.";
    tls_handshakes_max: u32 = "256" "handshakes", Number(1, 65_536), Restart,
        "TLS handshakes that are computed at the same time; the others wait in the order in which they came.";
"Threads":
    shards: usize = "0" "threads", Number(0, SHARDS_MAX), Restart,
        "Threads that serve connections; 0 is one per core that the process may run on, at most 64.";
    pin: bool = "false" "", Any, Restart,
        "Whether the i-th shard is pinned to the i-th core that the process may run on.";
"Logs":
    log_format: LogFormat = "text" "", Any, Restart,
        "Format of log lines: text or json. They go to standard error.";
    log_level: LogFilter = "info" "", Any, Reload(Logs),
        "Which log lines are written: a level, or parts like broker=debug,hyper=warn.";
    audit_log: AuditLog = "" "", Any, Reload(Audit),
        "File to which the audit log is appended as JSON lines: logins, refusals, deletions, and what operators did; - is standard output. A reload opens it again.";
"Connections":
    connections_max: u32 = "100000" "connections", Number(1, 16_000_000), Reload(Limits),
        "Connections at the same time. Each needs an open file; the broker warns at the start if the process may not have that many.";
    connections_per_address_max: u32 = "0" "connections", Number(0, 16_000_000), Reload(Quotas),
        "Connections from one IP address at the same time; 0 is no limit. Behind a proxy set trusted_proxies, otherwise all clients have the proxy's address.";
    http_connections_max: u32 = "4096" "connections", Number(16, 16_000_000), Reload(Limits),
        "Connections that speak HTTP at the same time: handshakes, requests, and idle ones. Over it the connection that has waited longest, of the address with the most connections, is closed.";
    subscriptions: u32 = "1024" "entries", Number(1, 10_000_000), Reload(Limits),
        "Subscriptions (topics and patterns) of one connection.";
    subscriptions_bytes_max: u64 = "268435456" "bytes", Bytes(64 * KIB, 64 * GIB), Reload(Limits),
        "Subscriptions of all connections, and the patterns that they name; an entry over it is refused with limit.";
    names_waited_bytes_max: u64 = "67108864" "bytes", Bytes(64 * KIB, 64 * GIB), Reload(Limits),
        "Names that are subscribed to and have no topic; an entry over it is refused with limit.";
    publishers_bytes_max: u64 = "8388608" "bytes", Bytes(0, 64 * MIB), Reload(Limits),
        "What is remembered of who published what, for operators; over it the oldest are forgotten. 0 remembers nothing.";
    handshake_ms: u32 = "10000" "ms", Number(100, DAY_MS), Reload(Limits),
        "How long a connection may take to send a request before it is closed.";
    heartbeat_ms: u32 = "25000" "ms", Number(10, DAY_MS), Restart,
        "Silence after which a heartbeat is sent, and the interval of pings; after two pings without any frame from the client the connection is closed.";
    stall_ms: u32 = "60000" "ms", Number(10, DAY_MS), Reload(Limits),
        "A client that reads nothing for this long while something waits for it is closed.";
    drain_ms: u32 = "5000" "ms", Number(0, 3_600_000), Reload(Limits),
        "At shutdown, the time from goaway to close.";
    header_bytes_max: u32 = "16384" "bytes", Bytes(8 * KIB, MIB), Reload(Limits),
        "The head of an HTTP request: its request line and all header fields.";
"Quotas":
    connections_per_user_max: u32 = "0" "connections", Number(0, 16_000_000), Reload(Quotas),
        "Connections of one sub at the same time; 0 is no limit. A role may say otherwise with connections_max.";
    connects_per_address_per_s: u32 = "0" "connects", Number(0, PER_S_MAX), Reload(Quotas),
        "New connections (WebSocket and Server-Sent Events) of one IP address in a second, ten times as many at once; 0 is no limit. Over it they are answered with 429.";
    requests_per_s: u32 = "0" "requests", Number(0, PER_S_MAX), Reload(Quotas),
        "Requests of one WebSocket connection in a second, four times as many at once; 0 is no limit. Over it they are refused with rate_limited.";
    subscribes_per_s: u32 = "0" "entries", Number(0, PER_S_MAX), Reload(Quotas),
        "Topics and patterns to which one WebSocket connection subscribes in a second, four times as many at once; 0 is no limit.";
    publishes_per_s: u32 = "0" "updates", Number(0, PER_S_MAX), Reload(Quotas),
        "Updates that one connection publishes in a second, or one IP address over HTTP, four times as many at once; 0 is no limit.";
    publish_bytes_per_s: u64 = "0" "bytes a second", Bytes(0, 64 * GIB), Reload(Quotas),
        "The same in bytes of data; 0 is no limit.";
    quota_dry_run: bool = "false" "", Any, Reload(Quotas),
        "Whether quotas (these, and connections_per_address_max) only count what exceeds them, and refuse nothing.";
"Messages":
    message_bytes: u64 = "65536" "bytes", Bytes(128, 64 * MIB), Restart,
        "The largest message from a client; also the largest NDJSON line and single update over HTTP.";
    fragments_max: u32 = "8192" "fragments", Number(1, 1_000_000), Reload(Limits),
        "Fragments of one WebSocket message.";
    ndjson_bytes_max: u64 = "8388608" "bytes", Bytes(128, 4 * GIB), Reload(Limits),
        "The body of an HTTP request that publishes many updates.";
    bodies_bytes_max: u64 = "268435456" "bytes", Bytes(64 * KIB, 64 * GIB), Reload(Limits),
        "All HTTP bodies that are being read or written at the same time; over it the largest one of the address that holds most is given up.";
    answers_bytes_max: u64 = "262144" "bytes", Bytes(4 * KIB, GIB), Reload(Limits),
        "Answers that one connection has not read yet; above this the broker does not read its requests.";
    buffers_bytes_max: u64 = "268435456" "bytes", Bytes(64 * KIB, 64 * GIB), Reload(Limits),
        "Unread answers, incomplete messages and unsent Server-Sent Events of all connections; over it the connection that holds most is closed with 4008.";
"Topics":
    topics_max: u32 = "1000000" "topics", Number(1, 100_000_000), Reload(Limits),
        "Topics at the same time.";
    topic_idle_ms: u64 = "0" "ms", Number(0, 366 * DAY_MS), Reload(Limits),
        "A topic that was not published to for this long ends; 0 is never.";
    image_bytes: u64 = "1048576" "bytes", Bytes(128, GIB), Reload(Limits),
        "The image (current state) of one topic.";
    images_bytes_max: u64 = "1073741824" "bytes", Bytes(64 * KIB, 64 * TIB), Reload(Limits),
        "All images together.";
    images_encoded_bytes_max: u64 = "0" "bytes", Bytes(0, 64 * TIB), Reload(Limits),
        "Images that are kept encoded, and earlier states that differences are made from; what does not fit is encoded again when it is needed. 0 is half of images_bytes_max.";
    images_partial_bytes_max: u64 = "268435456" "bytes", Bytes(64 * KIB, 64 * TIB), Reload(Limits),
        "Images and updates of which sockets took a part, kept for the rest; over it the connection with the largest is closed with 4008.";
    sources_bytes_max: u64 = "67108864" "bytes", Bytes(64 * KIB, 64 * GIB), Reload(Limits),
        "Sources (source, source_seq) that topics remember; a publish that would exceed it is refused with limit.";
    retain_updates: u64 = "1024" "updates", Number(0, 1_000_000_000), Reload(Topics),
        "Updates kept of each topic, for history and for clients that catch up.";
    retain_bytes: u64 = "1048576" "bytes", Bytes(0, 64 * TIB), Reload(Topics),
        "Bytes of updates kept of each topic.";
    retain_ms: u64 = "0" "ms", Number(0, 366 * DAY_MS), Reload(Topics),
        "Age at which a kept update is dropped; 0 is never.";
    retain_bytes_max: u64 = "1073741824" "bytes", Bytes(0, 64 * TIB), Reload(Limits),
        "Bytes of updates kept of all topics; over it the topic with about the largest history drops the older half of it.";
"Journal":
    journal: JournalMode = "none" "", Any, Restart,
        "Whether topics are kept beyond a restart: none keeps them in memory only, local in a log and checkpoints in journal_dir, nats in NATS JetStream, where several brokers share them.";
    journal_dir: Option<PathBuf> = "" "", Any, Restart,
        "Directory of the journal, for this broker alone; journal = local needs it.";
    journal_sync_ms: u32 = "10" "ms", Number(0, 10_000), Restart,
        "How often the log is synced to the disk, so at most this much is lost when the power fails; 0 is before an update is delivered. When only the broker fails, nothing is lost.";
    journal_bytes_max: u64 = "17179869184" "bytes", Bytes(64 * MIB, 64 * TIB), Restart,
        "The log on disk; over it publishes are answered with unavailable until a checkpoint has made room. Checkpoints come on top.";
    journal_record_bytes: u32 = "262144" "bytes", Bytes(4 * KIB, MIB), Restart,
        "Size at which a record of the log is closed. Updates that come while the log is busy share a record, which takes at least one, of whatever size.";
    journal_queue_bytes: u64 = "67108864" "bytes", Bytes(16 * KIB, 64 * GIB), Restart,
        "Publishes that wait for the log; beyond it publishers wait. At least 4 records, or 4 messages of the largest size, with 1 KiB around each.";
    journal_unavailable_ms: u32 = "5000" "ms", Number(100, 600_000), Restart,
        "A publish that the log has not taken after this time is answered with unavailable: it may still be taken.";
    journal_nats: NatsServers = "" "", Any, Restart,
        "Addresses of the NATS servers, with commas between them; journal = nats needs it. They are 2.11 or later, with JetStream.";
    journal_nats_credentials: Option<PathBuf> = "" "", Any, Restart,
        "File with the credentials (JWT and seed) by which the NATS servers know this broker.";
    journal_nats_ca: Option<PathBuf> = "" "", Any, Restart,
        "File with the certificates of authorities that the NATS servers' certificates may be from; without it, those that the system trusts.";
    journal_nats_cert: Option<PathBuf> = "" "", Any, Restart,
        "File with the certificate by which the NATS servers know this broker.";
    journal_nats_key: Option<PathBuf> = "" "", Any, Restart,
        "File with the key of that certificate.";
    journal_name: JournalName = "tickcast" "", Any, Restart,
        "Name of the log in NATS: brokers with the same one share their topics. The stream is NAME_LOG, the object store of checkpoints NAME_CP.";
    journal_node: JournalName = "" "", Any, Restart,
        "This broker's name, which no other broker of the log may have; without it, the host's name.";
    journal_replicas: u32 = "1" "replicas", Number(1, 5), Restart,
        "Replicas of a stream in NATS that has to be made; one that is there keeps its own.";
    journal_in_flight: u32 = "8" "records", Number(1, 64), Restart,
        "Records that are on their way to NATS at the same time.";
    journal_ack_ms: u32 = "300" "ms", Number(50, 10_000), Restart,
        "A record that NATS has not acknowledged after this time is sent again.";
    journal_stale_ms: u32 = "3000" "ms", Number(1500, 600_000), Restart,
        "When nothing has come from the log in NATS for this long, clients are told that this broker is stale.";
    journal_unready_ms: u32 = "15000" "ms", Number(1500, 600_000), Restart,
        "When nothing has come for this long, the broker is not ready. While it has no connection to NATS it is not ready either.";
    journal_recreate: bool = "false" "", Any, Restart,
        "Begins anew if the stream in NATS is gone, or does not go on where its checkpoints are: topics are lost.";
    journal_in: bool = "false" "", Any, Restart,
        "Gives the stream in NATS a subject under which any NATS program publishes without a broker: NAME.in.TOPIC.";
"Delivery":
    behind_bytes: u64 = "65536" "bytes", Bytes(0, GIB), Reload(Limits),
        "A connection with more than this pending is behind: it gets the images of state topics instead of every update.";
    behind_bytes_max: u64 = "33554432" "bytes", Bytes(64 * KIB, 64 * GIB), Reload(Limits),
        "What all connections that are behind still want from topics, and what ended topics hold for them; over it the connection that wants most is closed with 4008.";
    turn_bytes_max: u64 = "65536" "bytes", Bytes(KIB, 64 * MIB), Reload(Limits),
        "Bytes written to one connection before the next one has its turn.";
    ring_bytes: u64 = "8388608" "bytes", Bytes(64 * KIB, 64 * GIB), Restart,
        "The ring of recent updates of each shard; at least 4 messages of the largest size, with 1 KiB around each, and behind_bytes.";
    feed_bytes_max: u64 = "67108864" "bytes", Bytes(MIB, 64 * GIB), Restart,
        "How far the slowest shard may be behind what was published before publishers wait for it.";
    write_gap_ms: u32 = "0" "ms", Number(0, 1000), Reload(Limits),
        "The least time between two writes to one connection: more updates share a write, and each waits longer. 0 is none.";
    notsent_lowat_bytes: u32 = "16384" "bytes", Bytes(0, 64 * MIB), Reload(Limits),
        "Unsent bytes that the kernel buffers for one connection (TCP_NOTSENT_LOWAT); 0 leaves it to the kernel.";
    send_buffer_bytes: u32 = "0" "bytes", Bytes(0, GIB), Reload(Limits),
        "The kernel's send buffer of one connection (SO_SNDBUF); 0 leaves it to the kernel.";
}

impl Config {
    /// Who may connect.
    pub(crate) fn access_rules(&self) -> AccessRules {
        let (origins, hosts) = (self.allow_origin.clone(), self.allow_host.clone());
        AccessRules { origins, hosts, brokers: self.brokers.clone() }
    }

    /// The numbers of connections that the settings ask for.
    pub fn capacity(&self) -> Capacity {
        Capacity { connections: self.connections_max, http: self.http_connections_max }
    }
}
