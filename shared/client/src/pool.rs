//! Sessions with the proved writer, in a pool of deadpool's.

use std::sync::Arc;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};

use crate::config::Endpoint;
use crate::error::ConnectError;
use crate::session::{Acquaintance, Session};
use crate::source::Source;

/// Makes sessions for a pool of your own, as for ours: handed out while their node is the proved writer, and not
/// otherwise. Those of an old epoch end by themselves, also while they are in use. A session that is out when the
/// writer is given up stays open until a higher epoch is proved.
#[derive(Clone)]
pub struct WriterSessions {
    source: Arc<Source>,
}

impl WriterSessions {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        Self { source }
    }

    /// Another writer may have been proved, or this one given up, while the session was made.
    fn admit(&self, session: Session, endpoint: &Endpoint) -> Result<Session, ConnectError> {
        let (epoch, seen) = (session.epoch(), self.source.epoch());
        if epoch < seen {
            return Err(ConnectError::Fenced { endpoint: endpoint.clone(), epoch, seen });
        }
        if self.is_with_writer(&session) { Ok(session) } else { Err(ConnectError::NoWriter) }
    }

    fn is_with_writer(&self, session: &Session) -> bool {
        let writer = self.source.writer();
        writer.is_some_and(|writer| writer.node == session.node() && writer.epoch == session.epoch())
    }
}

impl Manager for WriterSessions {
    type Type = Session;
    type Error = ConnectError;

    async fn create(&self) -> Result<Session, ConnectError> {
        let source = &self.source;
        let writer = source.writer().ok_or(ConnectError::NoWriter)?;
        let limit = source.config.limits.connect;
        let made = async {
            let acquaintance = Acquaintance::make(&source.config, &writer.endpoint, source.fence()).await?;
            let identity = acquaintance.inspect(limit).await?;
            if identity.reader || identity.node != writer.node || identity.epoch != writer.epoch {
                return Err(ConnectError::Reader { endpoint: writer.endpoint.clone() });
            }
            self.admit(acquaintance.into_session(identity, limit).await?, &writer.endpoint)
        };
        let made = made.await;
        match &made {
            Ok(_) => source.accepted(&writer.endpoint),
            Err(error) => {
                source.refused(error);
                source.suspect();
            }
        }
        made
    }

    async fn recycle(&self, session: &mut Session, _metrics: &Metrics) -> RecycleResult<ConnectError> {
        if session.is_closed() || !self.is_with_writer(session) {
            return Err(RecycleError::message("it ended, or its node is not the proved writer"));
        }
        Ok(())
    }
}
