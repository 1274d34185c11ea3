//! Publishes that were refused as forbidden go into the audit log.

use broker_engine::Forbidden;

use super::Driver;
use crate::audit::Event;
use crate::clock::now;

impl Driver {
    /// Reports what was refused in this round.
    pub(super) fn report_forbidden(&mut self) {
        let Some(Forbidden { publishes, more }) = self.shard.take_forbidden() else { return };
        for (id, topic) in publishes {
            if let Some((session, socket)) = self.shard.session_with_sink(id) {
                let name = self.shard.engine().session_name(session);
                let (sub, session) = (socket.admitted.sub().map(|sub| &**sub), Some(&*name));
                let address = socket.remote().ip.to_canonical();
                self.audit.record(now(), &Event::PublishRefused { sub, session, address, topic: &topic });
            }
        }
        self.audit.lose(more);
    }
}
