//! What comes next in a run.

use serde::Serialize;

use super::finding::Check;
use super::manifest::{Manifest, SourceKind};
use super::observed::{Backup, Observed, Production, Thing};
use super::run::{Run, Source};
use crate::topology::Deployment;

/// One request to the outside, or one word in the state table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// Open a run from this source.
    Begin {
        /// What is expected.
        manifest: Box<Manifest>,
        /// From what it restores.
        source: Source,
    },
    /// Restore it beside production.
    Restore,
    /// Add an instance to the restored cluster.
    AddInstance,
    /// Have RDS give its master user a new password, in a secret of its own.
    TakePassword,
    /// Look at one thing in it.
    Look {
        /// What at.
        check: Check,
        /// Where it listens.
        host: String,
        /// Port of it.
        port: u16,
        /// The secret of its master user.
        secret: String,
    },
    /// Give the run up.
    Fail {
        /// Why.
        because: String,
    },
    /// Tell evidence, metric and people.
    Record,
    /// Delete the instance of the restored cluster.
    DeleteInstance,
    /// Delete what was restored.
    DeleteRestored,
    /// All is gone: the run is over.
    Close,
}

/// What the observed world asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing: no run is open, and none was ordered.
    Done,
    /// This one action.
    Ready(Action),
    /// To wait for the platform.
    Blocked(String),
}

/// Judges what comes next.
pub fn next(seen: &Observed) -> Progress {
    match (&seen.run, &seen.order) {
        (Some(run), _) if run.is_open() => going_on(seen, run),
        (_, Some(manifest)) => begin(seen, manifest),
        (_, None) => Progress::Done,
    }
}

/// A run is opened also for a backup that cannot be restored: its verdict must be heard.
fn begin(seen: &Observed, manifest: &Manifest) -> Progress {
    let source = match manifest.source {
        SourceKind::PointInTime => Source::PointInTime { to: seen.production.restorable_to.unwrap_or_default() },
        SourceKind::Snapshot => newest(&seen.backups).map_or_else(
            || Source::Snapshot { id: String::new(), taken_at: seen.now, engine_version: String::new() },
            |backup| Source::Snapshot {
                id: backup.id.clone(),
                taken_at: backup.taken_at,
                engine_version: backup.engine_version.clone(),
            },
        ),
    };
    Progress::Ready(Action::Begin { manifest: Box::new(manifest.clone()), source })
}

fn newest(backups: &[Backup]) -> Option<&Backup> {
    backups.iter().filter(|backup| backup.available).max_by_key(|backup| backup.taken_at)
}

fn going_on(seen: &Observed, run: &Run) -> Progress {
    if run.failed.is_some() || run.next_check().is_none() {
        return wind_up(seen, run);
    }
    match ahead(seen, run) {
        Ok(progress) => progress,
        Err(because) => Progress::Ready(Action::Fail { because }),
    }
}

fn ahead(seen: &Observed, run: &Run) -> Result<Progress, String> {
    if seen.now >= run.deadline() {
        return Err(late(seen, run));
    }
    if let Some(refusal) = run.refusal.as_ref().filter(|refusal| refusal.is_final()) {
        let minutes = refusal.last.since(refusal.since).as_secs() / 60;
        return Err(format!("it could not be opened for {minutes} min: {}", refusal.what));
    }
    let (status, host, port, secret) = match &seen.restored {
        Thing::Missing => return restore(seen, run),
        Thing::Foreign => return Err(foreign(&run.restored_id())),
        Thing::Ours { status, host, port, secret } => (status, host, *port, secret),
    };
    if let Some(waits) = awaited(&run.restored_id(), status)? {
        return Ok(waits);
    }
    let host = match run.deployment {
        Deployment::Instance => host.clone(),
        Deployment::Cluster => match &seen.instance {
            Thing::Missing => return Ok(Progress::Ready(Action::AddInstance)),
            Thing::Foreign => return Err(foreign(&run.instance_id())),
            Thing::Ours { status, host, .. } => {
                if let Some(waits) = awaited(&run.instance_id(), status)? {
                    return Ok(waits);
                }
                host.clone()
            }
        },
    };
    let (Some(host), Some(secret)) = (host, secret.clone()) else {
        return Ok(match secret {
            None => Progress::Ready(Action::TakePassword),
            Some(_) => Progress::Blocked(format!("{} has no endpoint yet", run.restored_id())),
        });
    };
    match (run.next_check(), &run.claim) {
        (Some(check), Some(claim)) if claim.holds(seen.now) => {
            Ok(Progress::Blocked(format!("{} looks at {} of {}", claim.by, check.as_str(), run.restored_id())))
        }
        (Some(check), _) => Ok(Progress::Ready(Action::Look { check, host, port, secret })),
        (None, _) => Ok(Progress::Ready(Action::Record)),
    }
}

/// What stood in the way last: whoever reads it shall not look in the wrong place.
fn late(seen: &Observed, run: &Run) -> String {
    let stood = match (&run.refusal, &seen.restored) {
        (Some(refusal), _) => format!("the last answer, at {}, was: {}", refusal.last.rfc3339(), refusal.what),
        (None, Thing::Ours { status, .. }) if status != "available" => {
            format!("{} is still {status:?}; look at what RDS says of the restore", run.restored_id())
        }
        (None, Thing::Ours { .. }) => match run.next_check() {
            Some(check) => format!("the check of {} had not come to its end", check.as_str()),
            None => "only the verdict was missing".to_owned(),
        },
        (None, Thing::Missing | Thing::Foreign) => "look at what RDS says of the restore".to_owned(),
    };
    format!("it was not done within six hours; {stood}")
}

fn restore(seen: &Observed, run: &Run) -> Result<Progress, String> {
    if run.opened_at.is_some() {
        return Err(format!("{} was deleted by somebody while it was looked through", run.restored_id()));
    }
    check_isolated(&seen.production)?;
    match &run.source {
        Source::PointInTime { to } if to.as_millis() == 0 => {
            Err("it can be restored to no point in time; are automated backups on?".to_owned())
        }
        Source::PointInTime { .. } => Ok(Progress::Ready(Action::Restore)),
        Source::Snapshot { id, .. } => {
            let backup = seen.backups.iter().find(|backup| backup.id == *id && backup.available);
            let backup = backup.ok_or_else(|| no_snapshot(id, &seen.backups))?;
            let serves = &seen.production.engine_version;
            if is_newer(&backup.engine_version, serves) {
                return Err(format!(
                    "snapshot {id} is of engine version {}, newer than {serves} of {}: it would not be what is restored \
                     in need; upgrade the database, or delete the snapshot",
                    backup.engine_version, seen.production.database
                ));
            }
            Ok(Progress::Ready(Action::Restore))
        }
    }
}

/// Whoever has production's security groups can be reached by production's clients.
fn check_isolated(production: &Production) -> Result<(), String> {
    if production.isolated.is_empty() {
        return Err("it has no security group of its own; set STEADFAST_VERIFY_SECURITY_GROUPS".to_owned());
    }
    match production.isolated.iter().find(|group| production.security_groups.contains(group)) {
        None => Ok(()),
        Some(shared) => Err(format!(
            "security group {shared} of STEADFAST_VERIFY_SECURITY_GROUPS is one of {}'s: its clients could reach the \
             restored database; name another one",
            production.database
        )),
    }
}

fn no_snapshot(id: &str, backups: &[Backup]) -> String {
    let known: Vec<&str> = backups.iter().map(|backup| backup.id.as_str()).take(5).collect();
    let known =
        if known.is_empty() { "there is none at all".to_owned() } else { format!("there are {}", known.join(", ")) };
    if id.is_empty() {
        return format!("no snapshot can be restored: {known}; are automated backups on?");
    }
    format!("snapshot {id} is missing, or cannot be restored: {known}")
}

/// By numbers: 16.10 is newer than 16.9.
fn is_newer(one: &str, other: &str) -> bool {
    let numbers = |version: &str| version.split('.').map(|part| part.parse::<u32>().unwrap_or(0)).collect::<Vec<_>>();
    numbers(one) > numbers(other)
}

fn foreign(id: &str) -> String {
    format!("{id} exists and does not carry our tag: it is not touched; rename or delete it")
}

/// Whether something has yet to become available; None when it is.
///
/// Source: the RDS guide, "Viewing DB instance status" and "Viewing DB cluster status": words for an end.
fn awaited(id: &str, status: &str) -> Result<Option<Progress>, String> {
    match status {
        "available" => Ok(None),
        "inaccessible-encryption-credentials" | "inaccessible-encryption-credentials-recoverable" => {
            Err(format!("{id} cannot use its encryption key; give the key back, or rights on it"))
        }
        "failed" | "restore-error" | "storage-full" | "insufficient-capacity" | "migration-failed" | "deleting" => {
            Err(format!("{id} became {status:?}; look at the events of RDS"))
        }
        status if status.starts_with("incompatible-") => {
            Err(format!("{id} became {status:?}; look at the events of RDS"))
        }
        status => Ok(Some(Progress::Blocked(format!("{id} is {status:?}")))),
    }
}

/// Tells first, and deletes what the run made, whatever became of it. Once its time is over, nothing waits to be told.
fn wind_up(seen: &Observed, run: &Run) -> Progress {
    if !run.recorded && seen.now < run.expires_at() {
        return Progress::Ready(Action::Record);
    }
    let deleting = |thing: &Thing| matches!(thing, Thing::Ours { status, .. } if status == "deleting");
    if seen.instance.is_ours() && !deleting(&seen.instance) {
        return Progress::Ready(Action::DeleteInstance);
    }
    if seen.restored.is_ours() && !deleting(&seen.restored) {
        return Progress::Ready(Action::DeleteRestored);
    }
    if deleting(&seen.instance) || deleting(&seen.restored) {
        return Progress::Blocked(format!("{} is being deleted", run.restored_id()));
    }
    Progress::Ready(if run.recorded { Action::Close } else { Action::Record })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_newer("16.10", "16.9"));
        assert!(is_newer("17.1", "16.14"));
        assert!(!is_newer("16.9", "16.9"));
        assert!(!is_newer("15.4", "15.12"));
    }
}
