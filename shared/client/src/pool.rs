//! Sessions with the proved writer, in a pool of deadpool's.

use std::sync::Arc;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};

use crate::error::ConnectError;
use crate::session::{Acquaintance, Session};
use crate::source::Source;

/// Makes sessions for a pool of your own, as for ours: only with the proved writer. Those of an old epoch end by
/// themselves, also while they are in use, and are never handed out again.
#[derive(Clone)]
pub struct WriterSessions {
    source: Arc<Source>,
}

impl WriterSessions {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        Self { source }
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
            acquaintance.into_session(identity, limit).await
        };
        let made = made.await;
        if made.is_err() {
            source.suspect();
        }
        made
    }

    async fn recycle(&self, session: &mut Session, _metrics: &Metrics) -> RecycleResult<ConnectError> {
        if session.is_closed() || session.epoch() < self.source.epoch() {
            return Err(RecycleError::message("it ended, or belongs to an old epoch"));
        }
        Ok(())
    }
}
