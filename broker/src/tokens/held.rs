//! What the authority is made from: the configuration, the contents of the files, the fetched keys.

use std::path::PathBuf;
use std::sync::Arc;

use broker_identity::revocations::BadLine;
use broker_identity::{Authority, Fetched, KeySet, Keys, Revocations};

use super::State;
use super::fetch::{Connector, Fetch};
use super::files::{Content, KeyFile, Prepared, Sources, bad_line, read_revoked};
use super::schedule::{Schedule, Wish};
use super::url::KeysUrl;
use crate::logging;

/// Everything, behind one lock that is held for moments only.
pub(super) struct Held {
    /// With neither keys nor revocations.
    base: Authority,
    sources: Sources,
    file: Option<Known<Arc<KeySet>>>,
    revoked: Option<Known<Arc<Revocations>>>,
    issuer: Option<Issuer>,
}

/// The content of a file that counts.
struct Known<T> {
    value: T,
    digest: [u8; 32],
    /// Whether the last look failed.
    failed: bool,
}

/// The keys at an address.
struct Issuer {
    connector: Connector,
    schedule: Schedule,
    /// The keys, and when they were fetched.
    keys: Option<(Arc<KeySet>, u64)>,
    failed: bool,
}

impl Held {
    pub(super) fn new(prepared: Prepared, now_ms: u64) -> Held {
        let Prepared { authority, sources, connector, keys, revoked, warnings: _ } = prepared;
        let schedule = Schedule::new(sources.refresh_ms, sources.cooldown_ms, now_ms);
        Held {
            base: authority,
            file: keys.map(|content| Known::of(content, Arc::new)),
            revoked: revoked.map(|content| Known::of(content, |(revoked, _)| Arc::new(revoked))),
            issuer: connector.map(|connector| Issuer { connector, schedule, keys: None, failed: false }),
            sources,
        }
    }

    /// Takes a new configuration. Keys that were fetched from the same address stay.
    pub(super) fn replace(&mut self, prepared: Prepared, now_ms: u64) {
        let mut next = Held::new(prepared, now_ms);
        if next.sources.keys_url == self.sources.keys_url
            && let (Some(new), Some(old)) = (&mut next.issuer, self.issuer.take())
        {
            let schedule = old.schedule.with(next.sources.refresh_ms, next.sources.cooldown_ms, now_ms);
            *new = Issuer { connector: new.connector.clone(), schedule, ..old };
        }
        *self = next;
    }

    /// The authority of all this.
    pub(super) fn authority(&self) -> Authority {
        let fetched = match &self.issuer {
            None => Fetched::Nowhere,
            Some(Issuer { keys: None, .. }) => Fetched::NotYet,
            Some(Issuer { keys: Some((keys, _)), .. }) => Fetched::Keys(keys.clone()),
        };
        let keys = Keys::new(self.file.as_ref().map(|file| file.value.clone()), fetched);
        let revoked = self.revoked.as_ref().map(|known| known.value.clone()).unwrap_or_default();
        self.base.with_keys(keys).with_revocations(revoked)
    }

    pub(super) fn state(&self) -> State {
        let fetched = self.issuer.as_ref().and_then(|issuer| issuer.keys.as_ref());
        let sets = self.file.iter().map(|file| &file.value).chain(fetched.map(|(keys, _)| keys));
        State {
            keys: sets.map(|set| set.len() as u64).sum(),
            revoked: self.revoked.as_ref().map_or(0, |known| known.value.len() as u64),
            keys_failed: self.file.as_ref().is_some_and(|known| known.failed),
            revoked_failed: self.revoked.as_ref().is_some_and(|known| known.failed),
            fetch_failed: self.issuer.as_ref().is_some_and(|issuer| issuer.failed),
        }
    }

    pub(super) fn fetches_keys(&self) -> bool {
        self.issuer.is_some()
    }

    pub(super) fn wish(&mut self, now_ms: u64) -> Wish {
        self.issuer.as_mut().map_or(Wish::Never, |issuer| issuer.schedule.wish(now_ms))
    }

    /// When the next fetch is due.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.issuer.as_ref().and_then(|issuer| issuer.schedule.due_ms())
    }

    /// When fetched keys are too old.
    pub(super) fn stale_ms(&self) -> Option<u64> {
        let (_, fetched_ms) = self.issuer.as_ref()?.keys.as_ref()?;
        Some(fetched_ms.saturating_add(self.sources.stale_ms))
    }

    pub(super) fn begin_fetch(&mut self, now_ms: u64) -> Option<Fetch> {
        let (issuer, url) = (self.issuer.as_mut()?, self.sources.keys_url.clone()?);
        issuer.schedule.begin(now_ms);
        Some(Fetch { url, connector: issuer.connector.clone() })
    }

    /// Takes the result of a fetch. Returns whether keys changed.
    pub(super) fn end_fetch(&mut self, from: &KeysUrl, result: Result<KeySet, String>, now_ms: u64) -> bool {
        // A new configuration may have come meanwhile.
        let Some(issuer) = self.issuer.as_mut().filter(|_| self.sources.keys_url.as_ref() == Some(from)) else {
            return false;
        };
        let url = from.to_string();
        issuer.schedule.end(result.is_ok(), now_ms);
        issuer.failed = result.is_err();
        match result {
            Ok(keys) => {
                let news = issuer.keys.as_ref().is_none_or(|(old, _)| !old.is_same(&keys));
                if news {
                    tracing::info!(url, keys = keys.len(), "the keys of tokens were fetched");
                    keys.ignored().iter().for_each(|why| tracing::info!(url, "{why}; it is not used"));
                }
                issuer.keys = Some((Arc::new(keys), now_ms));
                news
            }
            Err(error) => {
                let kept = if issuer.keys.is_some() { "the old ones count" } else { "there are none yet" };
                tracing::warn!(url, "the keys of tokens could not be fetched, {kept}: {error}");
                false
            }
        }
    }

    /// Forgets fetched keys that are too old. Returns whether there were any.
    pub(super) fn drop_stale(&mut self, now_ms: u64) -> bool {
        if self.stale_ms().is_none_or(|stale| now_ms < stale) {
            return false;
        }
        if let Some(issuer) = &mut self.issuer {
            issuer.keys = None;
        }
        tracing::error!("the fetched keys of tokens are older than jwks_stale_ms, and no longer count");
        true
    }

    /// What is known of the files, to be compared with what they say.
    pub(super) fn seen(&self) -> Seen {
        Seen {
            keys: KeyFile::of(&self.sources),
            keys_digest: self.file.as_ref().map(|known| known.digest),
            revoked: self.sources.revoked_file.clone(),
            revoked_digest: self.revoked.as_ref().map(|known| known.digest),
        }
    }

    /// Takes what was new in the files. Returns whether anything changed.
    pub(super) fn take_news(&mut self, news: News) -> bool {
        // A new configuration came meanwhile.
        if news.of != self.seen() {
            return false;
        }
        let keys = self.file.as_mut().is_some_and(|known| known.take(news.keys, Arc::new));
        let file = self.sources.revoked_file.clone().unwrap_or_default();
        let revoked = self.revoked.as_mut().is_some_and(|known| {
            known.take(news.revoked, |(revoked, bad): (Revocations, Vec<BadLine>)| {
                for line in bad {
                    tracing::warn!(target: logging::EACH, "{}; it is skipped", bad_line(&file, &line));
                }
                tracing::info!(entries = revoked.len(), "the revocation file was read again");
                Arc::new(revoked)
            })
        });
        if keys {
            tracing::info!("the keys of tokens were read again");
        }
        keys || revoked
    }
}

impl<T> Known<T> {
    fn of<C>(content: Content<C>, convert: impl FnOnce(C) -> T) -> Known<T> {
        Known { value: convert(content.value), digest: content.digest, failed: false }
    }

    /// Takes a new content; what cannot be read changes nothing.
    fn take<C>(&mut self, look: Look<C>, convert: impl FnOnce(C) -> T) -> bool {
        self.failed = matches!(look, Look::Failed(_));
        match look {
            Look::Same => false,
            Look::New(content) => {
                *self = Known::of(content, convert);
                true
            }
            Look::Failed(error) => {
                tracing::error!("{error}; what it said before counts");
                false
            }
        }
    }
}

/// The files, and the digests of what they said.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Seen {
    keys: Option<KeyFile>,
    keys_digest: Option<[u8; 32]>,
    revoked: Option<PathBuf>,
    revoked_digest: Option<[u8; 32]>,
}

/// What the files say by now.
pub(super) struct News {
    of: Seen,
    keys: Look<KeySet>,
    revoked: Look<(Revocations, Vec<BadLine>)>,
}

enum Look<C> {
    Same,
    New(Content<C>),
    Failed(String),
}

impl<C> Look<C> {
    fn of(read: Option<Result<Content<C>, String>>, before: Option<[u8; 32]>) -> Look<C> {
        match read {
            None => Look::Same,
            Some(Err(error)) => Look::Failed(error),
            Some(Ok(content)) if Some(content.digest) == before => Look::Same,
            Some(Ok(content)) => Look::New(content),
        }
    }
}

impl Seen {
    /// Reads the files. Waits for the disk.
    pub(super) fn look(self) -> News {
        let keys = Look::of(self.keys.as_ref().map(KeyFile::read), self.keys_digest);
        let revoked = Look::of(self.revoked.as_deref().map(read_revoked), self.revoked_digest);
        News { of: self, keys, revoked }
    }
}
