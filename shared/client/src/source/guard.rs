//! Has the writer prove itself again and again.

use super::{Source, Writer};
use crate::session::Session;

/// Returns why the writer does not count as one any more. Acknowledged commits are proofs as well, so under load
/// nothing is sent.
pub(super) async fn guard(source: &Source, writer: &Writer, mut session: Session) -> String {
    let limits = &source.config.limits;
    loop {
        let rest = limits.prove_every.saturating_sub(source.unproved_for());
        let suspected = tokio::select! {
            () = session.closed() => return "its connection ended".to_owned(),
            () = source.suspicion.notified() => true,
            () = tokio::time::sleep(rest) => false,
        };
        if !suspected && source.unproved_for() < limits.prove_every {
            continue;
        }
        match session.prove(&source.proof(limits.silence)).await {
            Ok(proved) if proved.epoch == writer.epoch => source.note_commit(proved.epoch, proved.asked),
            Ok(proved) => return format!("its epoch is {} now, it was {}", proved.epoch, writer.epoch),
            Err(unproved) => return unproved.to_string(),
        }
    }
}
