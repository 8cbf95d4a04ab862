//! Has the writer prove itself again and again.

use super::search::search;
use super::{Source, Writer};
use crate::config::Endpoint;
use crate::session::Session;

/// How a writer came to its end.
pub(super) enum End {
    /// It did not prove itself.
    Lost(String),
    /// Another one proved itself while this one was silent.
    Succeeded(Endpoint, Box<Session>),
}

/// Returns when the writer does not count as one any more. Acknowledged commits are proofs as well, so under load
/// nothing is sent.
pub(super) async fn guard(source: &Source, writer: &Writer, mut session: Session) -> End {
    let limits = &source.config.limits;
    loop {
        let rest = limits.prove_every.saturating_sub(source.unproved_for());
        let suspected = tokio::select! {
            () = session.closed() => return End::Lost("its connection ended".to_owned()),
            () = source.suspicion.notified() => true,
            () = tokio::time::sleep(rest) => false,
        };
        if !suspected && source.unproved_for() < limits.prove_every {
            continue;
        }
        let proof = source.proof(limits.silence);
        // A healthy writer answers in milliseconds: the others are asked before its time is over.
        let doubted = async {
            tokio::time::sleep(limits.silence / 4).await;
            search(source).await
        };
        let proved = tokio::select! {
            proved = session.prove(&proof) => proved,
            (endpoint, successor) = doubted => return End::Succeeded(endpoint, Box::new(successor)),
        };
        match proved {
            Ok(proved) if proved.epoch == writer.epoch => source.note_commit(proved.epoch, proved.asked),
            Ok(proved) => return End::Lost(format!("its epoch is {} now, it was {}", proved.epoch, writer.epoch)),
            Err(unproved) => return End::Lost(unproved.to_string()),
        }
    }
}
