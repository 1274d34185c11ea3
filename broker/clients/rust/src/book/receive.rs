//! From the wire to the program: each message goes to the file for its kind.

use super::topic::Addressed;
use super::{Book, Delivery};
use crate::connection_event::ConnectionEvent;
use crate::continuity::Asked;
use crate::shared::Shared;
use crate::transport::Broken;
use crate::wire::incoming::Incoming;

impl Book {
    /// Handles one message. Events for subscriptions go to `out`. An answer that fits no request breaks the
    /// connection.
    pub(crate) fn receive(
        &mut self,
        message: Incoming<'_>,
        shared: &Shared,
        out: &mut Vec<Delivery>,
    ) -> Result<(), Broken> {
        out.append(&mut self.late);
        let mut addressed = Addressed::new();
        let result = match message {
            Incoming::Update { .. } | Incoming::Image { .. } | Incoming::Gap { .. } | Incoming::Closed { .. } => {
                self.stream(message, shared, &mut addressed);
                Ok(())
            }
            Incoming::Topic(start) => {
                // A pattern may have brought it in, and a pattern's topics can only have resumed from an id.
                self.begin(start, Asked::Id, shared, &mut addressed);
                Ok(())
            }
            Incoming::Ready { id } => {
                self.ready(id, out);
                // Names may have to be unsubscribed now.
                shared.outbox.wake();
                Ok(())
            }
            Incoming::Position { id } => {
                self.position(id, &mut addressed);
                Ok(())
            }
            Incoming::GoAway { reason, after_ms } => {
                shared.report(ConnectionEvent::GoAway { reason, after_ms });
                Ok(())
            }
            Incoming::Authenticated { id: None, who } => {
                self.authenticated(who, shared);
                Ok(())
            }
            Incoming::Reauth => {
                self.wants_another_token();
                Ok(())
            }
            Incoming::Stale { .. } | Incoming::Fresh => Ok(()),
            Incoming::Heartbeat | Incoming::Unknown | Incoming::Hello(_) => Ok(()),
            answer => self.answer(answer, shared, &mut addressed, out),
        };
        out.extend(addressed.into_iter().filter_map(|(id, event)| {
            let events = self.subscriptions.events(id)?;
            Some((events.clone(), event))
        }));
        result
    }
}
