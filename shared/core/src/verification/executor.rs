//! Brings a run one step further: look, judge, do one thing, write it down.

use std::future::Future;
use std::time::Duration;

use serde_json::{Value, json};

use super::finding::Check;
use super::janitor::{self, Found};
use super::manifest::Manifest;
use super::notice;
use super::observed::Observed;
use super::refusal::Unseen;
use super::run::{Looked, Run};
use super::step::{self, Action, Progress};
use crate::evidence::{Entry, Kind};
use crate::metric::{self, Metric};
use crate::notice::Notice;
use crate::ports::{CallError, Clock, StateError};
use crate::time::Timestamp;
use crate::topology::Owner;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct NotDone {
    /// What was said, in words that say what to do.
    pub what: String,
    /// Whether trying again may help.
    pub passes: bool,
}

impl From<StateError> for NotDone {
    fn from(error: StateError) -> Self {
        Self { what: error.to_string(), passes: true }
    }
}

/// RDS, the restored database and the state table.
pub trait World: Clock {
    /// Looks at everything now.
    fn look(&self, order: Option<&Manifest>) -> impl Future<Output = Result<Observed, NotDone>> + Send;

    /// Makes one call to the platform. What is there already counts as made, what is gone as deleted.
    fn call(&self, run: &Run, action: &Action) -> impl Future<Output = Result<(), NotDone>> + Send;

    /// Looks at one thing in the restored database, and goes on where [`Run::place`] says. What fits into no part is
    /// cut off at `until`; what was seen before is returned. Dropped when somebody else takes the run over.
    fn inspect(
        &self,
        run: &Run,
        check: Check,
        at: At<'_>,
        until: Timestamp,
    ) -> impl Future<Output = Result<Looked, Unseen>> + Send;

    /// Writes run and evidence, if there is any, in one transaction, over the version that was seen.
    fn save(
        &self,
        run: &Run,
        seen: Option<u64>,
        entries: &[Entry],
    ) -> impl Future<Output = Result<(), StateError>> + Send;

    /// Everything in the account that carries our owner tag.
    fn find(&self) -> impl Future<Output = Result<Vec<Found>, NotDone>> + Send;

    /// Deletes one of them.
    fn delete(&self, found: &Found) -> impl Future<Output = Result<(), NotDone>> + Send;

    /// Tells people.
    fn notify(&self, notice: &Notice) -> impl Future<Output = Result<(), CallError>> + Send;

    /// One audit line.
    fn audit(&self, what: &str, data: Value);

    /// One metrics line.
    fn measure(&self, metrics: &[(Metric, u64)]);
}

/// Where a restored database listens.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// Its host.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The secret of its master user.
    pub secret: &'a str,
}

/// What an invocation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advanced {
    /// Nothing was to be done.
    Nothing,
    /// The platform is still at it.
    Waits(String),
    /// One step was taken.
    Did {
        /// The run.
        run: Box<Run>,
        /// What.
        action: Action,
    },
}

/// Brings the open run one step further, or begins the one that was ordered. Dying anywhere leaves the next step to the
/// next invocation.
///
/// # Errors
///
/// What was not done, and is tried again by the next invocation.
pub async fn advance<W: World>(
    world: &W,
    me: &Owner,
    order: Option<&Manifest>,
    until: Timestamp,
) -> Result<Advanced, NotDone> {
    go_on(world, me, world.look(order).await?, until).await
}

async fn go_on<W: World>(world: &W, me: &Owner, seen: Observed, until: Timestamp) -> Result<Advanced, NotDone> {
    let action = match step::next(&seen) {
        Progress::Done => return Ok(Advanced::Nothing),
        Progress::Blocked(on) => return Ok(Advanced::Waits(on)),
        Progress::Ready(action) => action,
    };
    world.audit("verification", json!({ "run": seen.run.as_ref().map(|run| run.id), "does": action }));
    let step = Step { world, me, until };
    let run = match (&action, seen.run) {
        (Action::Begin { manifest, source }, before) => {
            let production = &seen.production;
            let run = Run::begin(
                &production.database,
                production.deployment,
                Manifest::clone(manifest),
                source.clone(),
                before.as_ref(),
                seen.now,
            );
            let told = json!({ "source": run.source, "manifest": run.manifest, "production": production });
            step.write(run, before.map(|run| run.version), Kind::Opened, told).await?
        }
        (_, None) => return Ok(Advanced::Nothing),
        (_, Some(run)) => step.take(run, &action).await?,
    };
    Ok(Advanced::Did { run: Box::new(run), action })
}

/// Between two tries of an order, at first and at most.
const ORDER_PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// Takes an order as [`advance`] does, again and again while its failure passes and `until` is not near: a tick comes
/// again within the minute, an order only the next day. An open run is the ticks' to bring on.
///
/// # Errors
///
/// The last failure.
pub async fn take_order<W: World>(
    world: &W,
    me: &Owner,
    order: &Manifest,
    until: Timestamp,
) -> Result<Advanced, NotDone> {
    let (mut pause, longest) = ORDER_PAUSES;
    loop {
        let tried = match world.look(Some(order)).await {
            Ok(seen) if seen.run.as_ref().is_some_and(Run::is_open) => return go_on(world, me, seen, until).await,
            Ok(seen) => go_on(world, me, seen, until).await,
            Err(error) => Err(error),
        };
        match tried {
            Err(error) if error.passes && world.now().plus(pause).plus(longest) < until => {
                world.audit("order_is_tried_again", json!({ "error": error.what }));
                world.pause(pause).await;
                pause = pause.saturating_mul(2).min(longest);
            }
            done => return done,
        }
    }
}

pub(super) struct Step<'w, W> {
    pub(super) world: &'w W,
    pub(super) me: &'w Owner,
    pub(super) until: Timestamp,
}

impl<W: World> Step<'_, W> {
    async fn take(&self, run: Run, action: &Action) -> Result<Run, NotDone> {
        let seen = Some(run.version);
        match action {
            Action::Begin { .. } => Ok(run),
            Action::Restore
            | Action::AddInstance
            | Action::TakePassword
            | Action::DeleteInstance
            | Action::DeleteRestored => self.call(run, action).await,
            Action::Look { check, host, port, secret } => {
                self.look(run, *check, At { host, port: *port, secret }).await
            }
            Action::Fail { because } => self.give_up(run, because).await,
            Action::Record => self.record(run).await,
            Action::Close => {
                let next = Run { closed_at: Some(self.world.now()), ..run };
                self.write(next, seen, Kind::Closed, json!({})).await
            }
        }
    }

    /// The intention stands in the evidence before the call is made.
    async fn call(&self, run: Run, action: &Action) -> Result<Run, NotDone> {
        let seen = Some(run.version);
        let intended = Run { refusal: None, ..run };
        let run = self.write(intended, seen, Kind::Intended, json!(action)).await?;
        match self.world.call(&run, action).await {
            Ok(()) => Ok(run),
            // What cannot be deleted says nothing about the backup; the next tick tries again.
            Err(error) if matches!(action, Action::DeleteInstance | Action::DeleteRestored) => Err(error),
            Err(error) if error.passes => self.refused(run, &Unseen::Later(error.what)).await,
            Err(error) => self.give_up(run, &error.what).await,
        }
    }

    async fn give_up(&self, run: Run, because: &str) -> Result<Run, NotDone> {
        let seen = Some(run.version);
        let next = Run { failed: Some(because.to_owned()), ..run };
        self.write(next, seen, Kind::Decided, json!({ "failed": because })).await
    }

    /// People may hear a verdict twice, never not at all.
    async fn record(&self, run: Run) -> Result<Run, NotDone> {
        let told = self.world.notify(&notice::verdict(&run)).await;
        told.map_err(|error| NotDone { what: error.to_string(), passes: true })?;
        let millis = |of: std::time::Duration| u64::try_from(of.as_millis()).unwrap_or(u64::MAX);
        self.world.measure(&[(metric::BACKUP_VERIFIED, u64::from(run.is_verified()))]);
        if let Some(rpo) = run.achieved_rpo() {
            self.world.measure(&[(metric::BACKUP_AGE, millis(rpo))]);
        }
        if let Some(rto) = run.achieved_rto() {
            self.world.measure(&[(metric::RESTORE, millis(rto))]);
        }
        let seen = Some(run.version);
        let verdict = json!({ "verified": run.is_verified(), "failed": run.failed, "findings": run.findings,
            "found": run.found, "rpo_s": run.achieved_rpo().map(|rpo| rpo.as_secs_f64()),
            "rto_s": run.achieved_rto().map(|rto| rto.as_secs_f64()) });
        self.write(Run { recorded: true, ..run }, seen, Kind::Proved, verdict).await
    }

    pub(super) async fn write(&self, run: Run, seen: Option<u64>, kind: Kind, data: Value) -> Result<Run, NotDone> {
        let (of, id) = (Run::evidence_of(&run.database), run.id);
        let (entry, evidence) = run.evidence.append(&of, id, self.world.now(), self.me, kind, data);
        let next = Run { evidence, version: run.version.saturating_add(1), ..run };
        self.world.save(&next, seen, &[entry]).await?;
        Ok(next)
    }
}

/// Deletes what no open run needs; returns what that was. The intention stands in the evidence of the latest run.
///
/// # Errors
///
/// When RDS does not say what there is, or the intention cannot be written.
pub async fn tidy<W: World>(
    world: &W,
    me: &Owner,
    database: &str,
    latest: Option<&Run>,
) -> Result<Vec<String>, NotDone> {
    let found = world.find().await?;
    let leaks: Vec<&Found> = janitor::leaks(&found, database, latest, world.now()).into_iter().collect();
    if leaks.is_empty() {
        return Ok(Vec::new());
    }
    let intended = json!({ "action": "delete_leaks", "leaks": leaks });
    world.audit("leaks", intended.clone());
    if let Some(run) = latest {
        let step = Step { world, me, until: world.now() };
        step.write(run.clone(), Some(run.version), Kind::Intended, intended).await?;
    }
    let mut deleted = Vec::new();
    for leak in leaks {
        match world.delete(leak).await {
            Ok(()) => deleted.push(leak.id.clone()),
            // The next tick tries again: a cluster waits for its instances.
            Err(error) => world.audit("not_deleted", json!({ "found": leak, "because": error.what })),
        }
    }
    if !deleted.is_empty()
        && let Err(error) = world.notify(&notice::leaked(database, &deleted)).await
    {
        world.audit("notice_failed", json!({ "error": error.to_string() }));
    }
    Ok(deleted)
}
