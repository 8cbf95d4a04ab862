//! Decides what is in doubt, by commits on the proved writer and never by a read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::managed::Object;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use crate::classify::{Class, classify};
use crate::error::Cause;
use crate::hold::Hold;
use crate::key::Key;
use crate::outcome::Recorded;
use crate::pool::WriterSessions;
use crate::session::Session;
use crate::source::jitter;

/// Between two attempts to decide.
const PAUSE: Duration = Duration::from_millis(20);

/// What the ledger has of a key. Nothing is no answer: an attempt may still be under way.
pub(crate) async fn ask(hold: &Hold, key: Key, deadline: Instant) -> Result<Recorded, Cause> {
    repeat(hold, deadline, Question::Ask, key).await
}

/// Writes the key into the ledger as given up, unless it is there: then no attempt can be applied later, since the
/// key is unique. Waits for an attempt that is under way on the same server.
pub(crate) async fn give_up(hold: &Hold, key: Key, deadline: Instant) -> Result<Recorded, Cause> {
    loop {
        match repeat(hold, deadline, Question::GiveUp, key).await? {
            // It was there: what it says must be asked by a commit.
            Recorded::Nothing => match ask(hold, key, deadline).await? {
                // What was there was lost with the server that showed it.
                Recorded::Nothing => {}
                answer @ (Recorded::Applied(_) | Recorded::GivenUp) => return Ok(answer),
            },
            answer @ (Recorded::Applied(_) | Recorded::GivenUp) => return Ok(answer),
        }
    }
}

#[derive(Clone, Copy)]
enum Question {
    Ask,
    GiveUp,
}

/// Both questions may be asked any number of times.
async fn repeat(hold: &Hold, deadline: Instant, question: Question, key: Key) -> Result<Recorded, Cause> {
    let mut latest = None;
    loop {
        let session = match hold.session_of_begun(deadline).await {
            Ok(session) => session,
            Err(error) => return Err(latest.unwrap_or(Cause::Hold(error))),
        };
        let rest = deadline.saturating_duration_since(Instant::now()).min(hold.source.config.limits.statement);
        let under_way = session.under_way();
        let asked = tokio::time::timeout(rest, once(&session, question, key)).await;
        // Dropped before, the question still runs; silent, the session is retired below.
        under_way.answered();
        match asked {
            Ok(Ok(Some(recorded))) => {
                return Ok(recorded);
            }
            Ok(Ok(None)) => latest = Some(Cause::Warned),
            Ok(Err(error)) => {
                if classify(&error) == Class::Lost {
                    retire(session);
                    hold.source.suspect();
                } else if classify(&error) == Class::Definite {
                    return Err(Cause::Database(Arc::new(error)));
                }
                latest = Some(Cause::Database(Arc::new(error)));
            }
            Err(_) => {
                retire(session);
                hold.source.suspect();
                latest = Some(Cause::Silent(rest));
            }
        }
        tokio::time::sleep(jitter(PAUSE)).await;
    }
}

/// None when the answer came with a warning: it may not be replicated.
async fn once(session: &Session, question: Question, key: Key) -> Result<Option<Recorded>, Error> {
    let warnings = session.warnings();
    let client = session.plain();
    let parameters: [&(dyn ToSql + Sync); 1] = [&key];
    let recorded = match question {
        Question::Ask => {
            client.query_opt(&session.ledger().ask, &parameters).await?.as_ref().map_or(Ok(Recorded::Nothing), read)?
        }
        Question::GiveUp => match client.execute(&session.ledger().give_up, &parameters).await? {
            0 => Recorded::Nothing,
            _ => Recorded::GivenUp,
        },
    };
    Ok((session.warnings() == warnings).then_some(recorded))
}

fn read(row: &Row) -> Result<Recorded, Error> {
    let applied: bool = row.try_get(0)?;
    Ok(if applied { Recorded::Applied(row.try_get(1)?) } else { Recorded::GivenUp })
}

/// Takes a transaction back behind the caller, so that its session is of use again.
pub(crate) fn roll_back(session: Object<WriterSessions>, limit: Duration) {
    tokio::spawn(async move {
        let rolled_back = tokio::time::timeout(limit, session.plain().batch_execute("ROLLBACK")).await;
        if !matches!(rolled_back, Ok(Ok(()))) {
            retire(session);
        }
    });
}

/// Ends a session instead of giving it back.
pub(crate) fn retire(session: Object<WriterSessions>) {
    drop(Object::take(session));
}
