//! What the admin listener reads from the broker.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use broker_engine::{Origin, PublisherRow};
use tokio::sync::oneshot;

use super::Shared;
use crate::access::PagePorts;
use crate::audit::Event;
use crate::clock::now;
use crate::config::{ReloadError, Reloaded};
use crate::http::{BusyShards, Observe};
use crate::shard::{Command, ConnectionDetail, ConnectionRow, PublisherDetail, Whom};
use crate::sync::lock;
use crate::systemd;
use broker_identity::TokenDigest;

/// The time that shards have to report their connections, so that the request is answered within 100 ms. A shard
/// reports after its current round.
const REPORT_TIME: Duration = Duration::from_millis(60);

/// The time that shards have for what an operator asks. It is long, because a shard with many connections looks at a few
/// thousand of them in a round.
const OPERATOR_TIME: Duration = Duration::from_secs(5);
/// The bytes of a path that the audit log tells.
const PATH_BYTES_MAX: usize = 256;

impl Observe for Shared {
    fn ready(&self) -> Result<(), String> {
        if self.is_draining() {
            return Err("the broker is going away".to_owned());
        }
        if let Some(status) = self.journal.as_ref().map(|journal| journal.status())
            && !status.is_read()
        {
            let percent = (status.read_ratio() * 100.0) as u64;
            return Err(format!("the broker is reading its journal: {percent} %"));
        }
        if !self.listens.load(Ordering::Acquire) {
            return Err("the broker is starting".to_owned());
        }
        match self.journal.as_ref().and_then(|journal| journal.unready()) {
            Some(why) => Err(why),
            None => Ok(()),
        }
    }

    fn metrics(&self) -> String {
        self.metrics.text()
    }

    fn clients_at(&self) -> SocketAddr {
        self.clients_at
    }

    fn page_ports(&self) -> PagePorts {
        PagePorts { http: self.clients_at.port(), https: self.tls_port }
    }

    async fn connections(&self, slowest: usize) -> (Vec<ConnectionRow>, Vec<usize>) {
        let mut asked = Vec::new();
        for (index, shard) in self.shards.iter().enumerate() {
            let (answer, report) = tokio::sync::oneshot::channel();
            // A shard with a full queue of commands is too busy to answer.
            let _ = shard.try_send(Command::Slowest(slowest, answer));
            asked.push((index, report));
        }
        let (mut rows, mut silent) = (Vec::new(), Vec::new());
        let end = tokio::time::Instant::now() + REPORT_TIME;
        for (index, report) in asked {
            match tokio::time::timeout_at(end, report).await {
                Ok(Ok(some)) => rows.extend(some),
                _ => silent.push(index),
            }
        }
        (rows, silent)
    }

    fn operators_token(&self) -> Option<TokenDigest> {
        self.config.get().admin_token_sha256
    }

    fn refused_operator(&self, remote: IpAddr, path: &str) {
        let (address, path) = (remote.to_canonical(), path.get(..PATH_BYTES_MAX).unwrap_or(path));
        tracing::warn!(%address, "a request to the admin listener had a wrong token, or none");
        self.context.audit.record(now(), &Event::OperatorRefused { address, path });
    }

    fn session_number(&self, name: &str) -> Option<u64> {
        self.context.engine.session_number(name)
    }

    async fn connection(&self, session: u64) -> Result<Option<ConnectionDetail>, BusyShards> {
        let answers = self.ask(OPERATOR_TIME, |answer| Command::Describe(session, answer)).await;
        let (found, busy) = answers;
        match found.into_iter().flatten().next() {
            None if !busy.0.is_empty() => Err(busy),
            found => Ok(found),
        }
    }

    async fn close(&self, whom: Whom, (by, of): (&'static str, &str), remote: IpAddr) -> Result<u64, BusyShards> {
        let whom = Arc::new(whom);
        let (closed, busy) = self.ask(OPERATOR_TIME, |answer| Command::Close(whom.clone(), answer)).await;
        let closed = closed.into_iter().sum();
        tracing::info!(by, of, closed, "an operator closed connections");
        self.context.audit.record(now(), &Event::Closed { address: remote.to_canonical(), by, of, closed });
        if busy.0.is_empty() { Ok(closed) } else { Err(busy) }
    }

    async fn publishers(&self, topic: &str, count: usize) -> Result<Option<Vec<PublisherDetail>>, BusyShards> {
        let engine = &self.context.engine;
        let Some(topic) = engine.topic(topic) else { return Ok(None) };
        let (found, busy) = self.ask(OPERATOR_TIME, |answer| Command::Publishers(topic.clone(), count, answer)).await;
        if !busy.0.is_empty() {
            return Err(busy);
        }
        let over_http = lock(&self.context.publishers).of(now(), &topic, count);
        let over_http = over_http.into_iter().map(|PublisherRow { key, last_ts, updates, .. }| PublisherDetail {
            session: None,
            sub: key.sub.map(|sub| sub.as_ref().to_owned()),
            address: key.address,
            last_ts,
            updates,
        });
        let detail = |row: PublisherRow<u64, Origin>| {
            let session = engine.session_name(row.key);
            PublisherDetail::of(row, session)
        };
        let mut publishers: Vec<_> = found.into_iter().flatten().map(detail).chain(over_http).collect();
        publishers.sort_by_key(|publisher| std::cmp::Reverse(publisher.last_ts));
        publishers.truncate(count);
        Ok(Some(publishers))
    }

    async fn reload(&self, remote: IpAddr) -> Result<Reloaded, ReloadError> {
        self.reload_for(Some(remote)).await
    }
}

/// Tells systemd that a reload is over, also if whoever asked for it has gone.
struct Told<'a>(&'a Shared);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if !self.0.is_draining() {
            systemd::ready();
        }
    }
}

impl Shared {
    /// Reads the configuration again; `remote` is the operator who asked for it, if it was not a signal.
    pub(crate) async fn reload_for(&self, remote: Option<IpAddr>) -> Result<Reloaded, ReloadError> {
        systemd::reloading();
        let told = Told(self);
        let result = self.reloads.reload().await;
        drop(told);
        let address = remote.map(|remote| remote.to_canonical());
        let text;
        let event = match &result {
            Ok(Reloaded { reloaded, needs_restart }) => Event::Reloaded { address, reloaded, needs_restart },
            Err(error) => {
                text = error.to_string();
                Event::ReloadRefused { address, problems: &text }
            }
        };
        self.context.audit.record(now(), &event);
        result
    }

    /// Asks every shard, and waits for the answers for at most this time. Returns them, and the shards that are missing.
    async fn ask<T>(&self, time: Duration, command: impl Fn(oneshot::Sender<T>) -> Command) -> (Vec<T>, BusyShards) {
        let end = tokio::time::Instant::now() + time;
        let mut asked = Vec::new();
        for (index, shard) in self.shards.iter().enumerate() {
            let (answer, report) = oneshot::channel();
            // If it is not even sent in time, the answer is missing.
            let _ = tokio::time::timeout_at(end, shard.send(command(answer))).await;
            asked.push((index, report));
        }
        let (mut answers, mut busy) = (Vec::new(), Vec::new());
        for (index, report) in asked {
            match tokio::time::timeout_at(end, report).await {
                Ok(Ok(answer)) => answers.push(answer),
                _ => busy.push(index),
            }
        }
        (answers, BusyShards(busy))
    }
}
