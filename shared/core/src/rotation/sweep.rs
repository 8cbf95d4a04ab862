//! What a rotation leaves to be done later: sessions of the old user, and a rotation that nobody ends.

use std::time::Duration;

use super::alternate::alternate;
use super::blocked::Blocked;
use super::observed::{CURRENT, Login, Observed, PENDING, Seated};
use super::row::{Effect, Phase, Rotation};
use super::step::{Action, Progress, announced, check_admin, check_free, check_seen};

/// How patient the sweep is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long clients are given to read the new secret by themselves, before sessions of the old user are ended
    /// between two transactions.
    pub grace: Duration,
    /// How long Secrets Manager is given to bring a rotation to its end, before it is rolled back.
    pub abandon_after: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { grace: Duration::from_secs(3_600), abandon_after: Duration::from_secs(6 * 3_600) }
    }
}

/// Judges what is left of an announced rotation; the observed token is the rotation's.
pub fn sweep(seen: &Observed, row: &Rotation, patience: &Patience) -> Progress {
    let judged = match row.phase {
        Phase::Drained | Phase::RolledBack => Ok(Progress::Done),
        Phase::Changing if seen.has(CURRENT) => Ok(Progress::Ready(Action::Record { phase: Phase::Finished })),
        Phase::Changing => abandoned(seen, row, patience),
        Phase::Finished => drain(seen, row, patience),
    };
    judged.unwrap_or_else(Progress::Blocked)
}

/// The database's side first: whoever finds AWSPENDING gone takes it that nothing is left to do.
fn abandoned(seen: &Observed, row: &Rotation, patience: &Patience) -> Result<Progress, Blocked> {
    if seen.now.since(row.began_at) < patience.abandon_after {
        return Ok(Progress::Done);
    }
    if !seen.has(PENDING) {
        return Ok(Progress::Ready(Action::Record { phase: Phase::RolledBack }));
    }
    // An effect that another invocation has announced may be on its way.
    if row.effect != Effect::Restore && row.is_in_progress(seen.now, seen.skew) {
        return Ok(Progress::Done);
    }
    let current = seen.current.as_ref().map_err(|error| Blocked::Document(error.clone()))?;
    if current.username() == row.role {
        // Somebody has made what is pending current by hand: its user has the password that everybody reads.
        return Ok(Progress::Ready(Action::ClearPending));
    }
    let Some(database) = &seen.database else {
        return Ok(Progress::Ready(Action::LookAtDatabase));
    };
    check_admin(database)?;
    check_free(seen)?;
    match &database.writer.login {
        Login::Works { .. } => {
            let restore = Action::Restore { role: row.role.clone() };
            Ok(announced(seen, &row.role, &row.old_role, Effect::Restore, restore))
        }
        // Nothing is pending that could log in.
        Login::Refused(_) | Login::Untried => Ok(Progress::Ready(Action::ClearPending)),
        Login::Unreachable(cause) => {
            let (instance, cause) = (database.writer.instance.clone(), cause.clone());
            Err(Blocked::Unreachable { instance, cause })
        }
    }
}

fn drain(seen: &Observed, row: &Rotation, patience: &Patience) -> Result<Progress, Blocked> {
    let finished = row.finished_at.unwrap_or(row.began_at);
    if seen.now.since(finished) < patience.grace {
        return Ok(Progress::Done);
    }
    let Some(database) = &seen.database else {
        return Ok(Progress::Ready(Action::LookAtDatabase));
    };
    check_admin(database)?;
    check_seen(database)?;
    check_free(seen)?;
    let role = alternate(&row.role);
    if database.sessions.is_empty() {
        return Ok(Progress::Ready(Action::Record { phase: Phase::Drained }));
    }
    let idle: Vec<Seated> =
        database.sessions.iter().filter(|session| session.idle && !session.ends_by_itself()).cloned().collect();
    // Whoever is in a transaction, or came back, is met again by the next sweep.
    if idle.is_empty() || database.drained {
        return Ok(Progress::Done);
    }
    Ok(announced(seen, &row.role, &row.old_role, Effect::Drain, Action::Drain { role, sessions: idle }))
}
