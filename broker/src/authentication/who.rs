//! What the sender of a request may do.

use std::sync::Arc;

use broker_identity::Identity;
use broker_protocol::codes::ErrorCode;
use broker_protocol::pattern::Pattern;
use broker_protocol::permissions::Permissions;
use broker_protocol::request::Refusal;
use broker_protocol::topic::is_pattern;

use super::bad_token;

/// The sender of a request, or of a connection.
#[derive(Debug, Clone)]
pub enum Who {
    /// No client is asked who it is: all may do everything, except for the broker's own topics.
    Anyone,
    /// The client has not said who it is, and may do nothing until then.
    Unknown,
    /// It is known who the client is.
    Known(Arc<Identity>),
}

/// Who a client is, and as of which authority ([`Authentication::as_of`](super::Authentication::as_of)).
#[derive(Debug, Clone)]
pub struct Identified {
    /// Who it is.
    pub who: Who,
    /// The number of the authority that said so, or of an earlier one.
    pub as_of: u64,
}

impl Who {
    /// Refuses a client that has not said who it is. A WebSocket may do so later.
    ///
    /// # Errors
    /// `bad_token`.
    pub(crate) fn check_known(&self) -> Result<(), Refusal> {
        match self {
            Who::Unknown => Err(bad_token("a token is needed here: Authorization: Bearer TOKEN")),
            Who::Anyone | Who::Known(_) => Ok(()),
        }
    }

    /// The client's name, if it is known.
    pub(crate) fn sub(&self) -> Option<&Arc<str>> {
        match self {
            Who::Known(identity) => identity.sub.as_ref(),
            Who::Anyone | Who::Unknown => None,
        }
    }

    /// What the client may do; `None` if that is everything.
    ///
    /// # Errors
    /// `bad_token`: nothing.
    pub(crate) fn permissions(&self) -> Result<Option<&Arc<Permissions>>, Refusal> {
        self.check_known()?;
        match self {
            Who::Known(identity) => Ok(Some(&identity.permissions)),
            Who::Anyone | Who::Unknown => Ok(None),
        }
    }

    /// Refuses a subscription to a topic or a pattern, both valid.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn check_subscribe(&self, entry: &str) -> Result<(), Refusal> {
        let Some(permissions) = self.permissions()? else { return Ok(()) };
        let refusal = match is_pattern(entry).then(|| Pattern::parse(entry)) {
            Some(Ok(pattern)) if permissions.may_subscribe(&pattern) => return Ok(()),
            Some(Ok(pattern)) => permissions.pattern_refusal(&pattern),
            Some(Err(error)) => error.to_string(),
            None if permissions.may_read(entry) => return Ok(()),
            None => permissions.topic_refusal(entry),
        };
        Err(Refusal { code: ErrorCode::Forbidden, message: format!("{entry}: {refusal}") })
    }

    /// Refuses to publish to a topic.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn check_publish(&self, topic: &str) -> Result<(), Refusal> {
        self.permissions()?.map_or(Ok(()), |permissions| permissions.check_publish(topic))
    }

    /// Refuses to end a topic.
    ///
    /// # Errors
    /// `forbidden`: that takes the right to publish, and a role with `admin`.
    pub(crate) fn check_delete(&self, topic: &str) -> Result<(), Refusal> {
        self.check_publish(topic)?;
        match self {
            Who::Known(identity) if !identity.admin => {
                let message = "topics are ended by clients with a role that has admin = true".into();
                Err(Refusal { code: ErrorCode::Forbidden, message })
            }
            _ => Ok(()),
        }
    }
}
