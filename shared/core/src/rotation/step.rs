//! The four steps, each of which judges itself from the observed world.

use serde::{Deserialize, Serialize};

use super::alternate::{self, NAME_MAX, alternate};
use super::blocked::Blocked;
use super::document::Document;
use super::observed::{CURRENT, Database, Login, Observed, PENDING, Role, Seated};
use super::row::{Effect, Phase};
use super::sweep::Patience;

/// A step as Secrets Manager names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Step {
    /// Have a pending secret for the user whose turn is next.
    #[serde(rename = "createSecret")]
    Create,
    /// Have the database take it.
    #[serde(rename = "setSecret")]
    Set,
    /// Have it proved on the writer and on a reader.
    #[serde(rename = "testSecret")]
    Test,
    /// Have everybody read it.
    #[serde(rename = "finishSecret")]
    Finish,
}

/// All of them, in the order in which they are asked for.
pub const STEPS: [Step; 4] = [Step::Create, Step::Set, Step::Test, Step::Finish];

/// One request to the outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// Look at the database too.
    LookAtDatabase,
    /// Store a new password for this user as the pending version.
    CreatePending {
        /// The user whose turn is next.
        role: String,
    },
    /// Write into the state table what is about to be done. Only while no episode is open and nobody holds the lease.
    Announce {
        /// The user whose turn is next.
        role: String,
        /// The user whose turn ends.
        old_role: String,
        /// What is about to be done.
        effect: Effect,
    },
    /// End these sessions, each of them between two transactions.
    Drain {
        /// Whose they are.
        role: String,
        /// Which.
        sessions: Vec<Seated>,
    },
    /// Give the role the pending password, and make it if it is missing.
    SetPassword {
        /// The user whose turn is next.
        role: String,
        /// The user that everything belongs to.
        base: String,
    },
    /// Move AWSCURRENT to the token's version.
    MoveCurrent {
        /// The version that has it.
        from: String,
    },
    /// Give the role the password of the previous secret back, or none if that is not known.
    Restore {
        /// The role.
        role: String,
    },
    /// Remove AWSPENDING from the token's version.
    ClearPending,
    /// Write the rotation's next phase into the state table.
    Record {
        /// The phase.
        phase: Phase,
    },
}

/// What a step makes of the observed world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The world is as the step wants it.
    Done,
    /// This one action brings it on.
    Ready(Action),
    /// Not now, or not at all.
    Blocked(Blocked),
}

/// Judges a step from what is seen now.
pub fn judge(step: Step, seen: &Observed, patience: &Patience) -> Progress {
    next(step, seen, patience).unwrap_or_else(Progress::Blocked)
}

fn next(step: Step, seen: &Observed, patience: &Patience) -> Result<Progress, Blocked> {
    if seen.has(CURRENT) {
        return Ok(concluded(seen));
    }
    if !seen.enabled {
        return Err(Blocked::NotEnabled);
    }
    if !seen.has(PENDING) {
        let pending = seen.holder(PENDING).map(str::to_owned);
        return Err(Blocked::Superseded { token: seen.token.clone(), pending });
    }
    if seen.row().is_some_and(|row| row.token == seen.token && row.is_given_up()) {
        return Err(Blocked::GivenUp(seen.token.clone()));
    }
    let current = seen.current.as_ref().map_err(|error| Blocked::Document(error.clone()))?;
    check_host(current, seen)?;
    let role = alternate(current.username());
    if role.len() > NAME_MAX {
        return Err(Blocked::TooLong(role));
    }
    let pending = match (&seen.pending, step) {
        (None, Step::Create) => return Ok(Progress::Ready(Action::CreatePending { role })),
        (None, Step::Set | Step::Test | Step::Finish) => return Err(Blocked::NotCreated(seen.token.clone())),
        (Some(Err(error)), _) => return Err(Blocked::Pending(error.clone())),
        (Some(Ok(pending)), _) => pending,
    };
    // Secrets Manager tries testSecret out with a copy of the current secret (`RotateImmediately` false).
    let is_trial = step == Step::Test && pending.username() == current.username();
    if pending.username() != role && !is_trial {
        return Err(Blocked::OtherUser { found: pending.username().to_owned(), expected: role });
    }
    if step == Step::Create {
        return Ok(Progress::Done);
    }
    let Some(database) = &seen.database else {
        return Ok(Progress::Ready(Action::LookAtDatabase));
    };
    match step {
        Step::Create => Ok(Progress::Done),
        Step::Set => set(seen, database, &role, current.username(), patience),
        Step::Test => test(database, pending.username()),
        Step::Finish => finish(seen, database, &role, current.username()),
    }
}

/// The secret holds the next user; only the state table may not know yet.
fn concluded(seen: &Observed) -> Progress {
    match seen.row() {
        Some(row) if row.token == seen.token && row.phase == Phase::Changing => {
            Progress::Ready(Action::Record { phase: Phase::Finished })
        }
        Some(_) | None => Progress::Done,
    }
}

fn check_host(current: &Document, seen: &Observed) -> Result<(), Blocked> {
    match current.host() {
        Some(host) if !seen.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) => {
            Err(Blocked::OtherHost { host: host.to_owned(), expected: seen.hosts.join(", ") })
        }
        Some(_) | None => Ok(()),
    }
}

fn set(
    seen: &Observed,
    database: &Database,
    role: &str,
    old_role: &str,
    patience: &Patience,
) -> Result<Progress, Blocked> {
    if database.writer.login.writes() {
        return Ok(Progress::Done);
    }
    check_admin(database)?;
    let base = alternate::base(role);
    check_pair(database, base)?;
    check_owner(seen, role)?;
    check_free(seen)?;
    if database.changed {
        // The server took the password a moment ago: once more would change nothing.
        check_pending(&database.writer.instance, &database.writer.login, role)?;
    }
    check_vacant(seen, database, role, patience)?;
    let change = Action::SetPassword { role: role.to_owned(), base: base.to_owned() };
    Ok(announced(seen, role, old_role, Effect::SetPassword, change))
}

/// The second user may stand in for the first, and is no stranger who only has that name.
fn check_pair(database: &Database, base: &str) -> Result<(), Blocked> {
    match &database.base {
        Role::Fit => Ok(()),
        Role::Unpaired => Err(Blocked::Unpaired { base: base.to_owned(), role: alternate(base) }),
        Role::Missing => Err(Blocked::NoRole(base.to_owned())),
        Role::Unfit(attributes) => Err(Blocked::Unfit { role: base.to_owned(), attributes: attributes.clone() }),
        Role::Unknown => {
            let cause = "the catalog of roles could not be read".to_owned();
            Err(Blocked::Unreachable { instance: database.writer.instance.clone(), cause })
        }
    }
}

/// Two secrets that take turns with the same users would change each other's current password.
fn check_owner(seen: &Observed, role: &str) -> Result<(), Blocked> {
    let others = seen.state.rotations.iter().filter(|row| row.secret != seen.secret);
    match others.into_iter().find(|row| row.role == role || row.old_role == role) {
        Some(row) => Err(Blocked::Shared { role: role.to_owned(), secret: row.secret.clone() }),
        None => Ok(()),
    }
}

/// Nobody may be left with the user whose password changes: he would be refused at his next connection. His sessions
/// are ended by the sweep, once he had his time to read the new secret; whoever is there after that does not read it.
fn check_vacant(seen: &Observed, database: &Database, role: &str, patience: &Patience) -> Result<(), Blocked> {
    let finished = seen.row().filter(|row| row.phase == Phase::Finished).and_then(|row| row.finished_at);
    if let Some(until) = finished.map(|at| at.plus(patience.grace)).filter(|until| seen.now < *until) {
        return Err(Blocked::Grace { role: role.to_owned(), until });
    }
    check_seen(database)?;
    if database.sessions.is_empty() {
        return Ok(());
    }
    Err(Blocked::InUse { role: role.to_owned(), sessions: database.sessions.clone() })
}

/// Sessions that cannot be seen are not none.
pub(super) fn check_seen(database: &Database) -> Result<(), Blocked> {
    match database.unseen.first() {
        Some(unseen) => {
            let cause = "its sessions could not be seen".to_owned();
            Err(Blocked::Unreachable { instance: unseen.clone(), cause })
        }
        None => Ok(()),
    }
}

fn test(database: &Database, role: &str) -> Result<Progress, Blocked> {
    check_pending(&database.writer.instance, &database.writer.login, role)?;
    for reader in &database.readers {
        if let Login::Refused(cause) = &reader.login {
            // It may not have replayed the change yet.
            let (instance, cause) = (reader.instance.clone(), cause.clone());
            return Err(Blocked::Refused { role: role.to_owned(), instance, cause });
        }
    }
    let taken = database.readers.iter().any(|reader| matches!(reader.login, Login::Works { .. }));
    if taken || database.readers.is_empty() {
        return Ok(Progress::Done);
    }
    let causes = database.readers.iter().map(|reader| format!("{}: {}", reader.instance, reader.login.cause()));
    Err(Blocked::NoReader(causes.collect::<Vec<_>>().join("; ")))
}

/// A failover may have come between the test and this step: the writer of now is asked once more.
fn finish(seen: &Observed, database: &Database, role: &str, old_role: &str) -> Result<Progress, Blocked> {
    check_pending(&database.writer.instance, &database.writer.login, role)?;
    check_free(seen)?;
    let from = seen.holder(CURRENT).unwrap_or_default().to_owned();
    Ok(announced(seen, role, old_role, Effect::MoveCurrent, Action::MoveCurrent { from }))
}

fn check_pending(instance: &str, login: &Login, role: &str) -> Result<(), Blocked> {
    let instance = instance.to_owned();
    match login {
        Login::Works { writes: true } => Ok(()),
        Login::Works { writes: false } => Err(Blocked::NotWriter(instance)),
        Login::Refused(cause) => Err(Blocked::Refused { role: role.to_owned(), instance, cause: cause.clone() }),
        Login::Untried | Login::Unreachable(_) => Err(Blocked::Unreachable { instance, cause: login.cause() }),
    }
}

pub(super) fn check_admin(database: &Database) -> Result<(), Blocked> {
    let instance = database.writer.instance.clone();
    match &database.admin {
        Login::Works { writes: true } => Ok(()),
        Login::Works { writes: false } => Err(Blocked::NotWriter(instance)),
        Login::Refused(cause) => Err(Blocked::Admin { instance, cause: cause.clone() }),
        Login::Untried | Login::Unreachable(_) => Err(Blocked::Unreachable { instance, cause: database.admin.cause() }),
    }
}

/// Nothing is changed while somebody moves the writer role.
pub(super) fn check_free(seen: &Observed) -> Result<(), Blocked> {
    match (seen.open_episode(), seen.is_leased()) {
        (Some(epoch), _) => Err(Blocked::Episode(epoch)),
        (None, true) => Err(Blocked::Leased),
        (None, false) => Ok(()),
    }
}

/// An effect comes only after its announcement, which a switchover sees and the evidence keeps.
pub(super) fn announced(seen: &Observed, role: &str, old_role: &str, effect: Effect, action: Action) -> Progress {
    if seen.row().is_some_and(|row| row.covers(&seen.token, effect, seen.now)) {
        return Progress::Ready(action);
    }
    Progress::Ready(Action::Announce { role: role.to_owned(), old_role: old_role.to_owned(), effect })
}
