//! Restores that are opened: good backups, damaged ones, and functions that die at each step.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use steadfast_core::evidence;
use steadfast_core::verification::manifest::{Assertion, Bounds};
use steadfast_core::verification::{Check, Manifest, Run, SourceKind};
use tokio::time::{Instant, sleep};

use super::result::write_json;
use super::{DrillError, Progress, fresh_folder};
use crate::assembly::{Lab, LabConfig, call, names};
use crate::lambda::Outcome;
use crate::postgres::Damage;
use crate::rds::Snapshot;
use crate::workload::{self, Workload};

/// The result's file.
const FILE: &str = "backup.json";
/// Between two ticks. A minute on AWS.
const TICK: Duration = Duration::from_millis(150);
/// A run ends within this, on a loaded machine.
const RUN_LIMIT: Duration = Duration::from_secs(300);
/// The latest restorable point in time trails the present by this; up to five minutes on AWS.
const RESTORABLE_LAG: Duration = Duration::from_secs(1);
/// Into an invocation when it is killed. A step takes some tens of milliseconds.
const INTO_THE_STEP: Duration = Duration::from_millis(12);
/// Somebody else's, by a name like ours.
const DECOY: &str = "verify-orders-decoy";

/// What to drill.
#[derive(Clone, Debug)]
pub struct BackupPlan {
    /// Good restores of each kind.
    pub repeat: u32,
    /// Where the result goes.
    pub output: PathBuf,
}

/// What was planted in a backup, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Planted {
    /// What.
    pub what: String,
    /// The check that found it.
    pub found_by: Option<Check>,
    /// In its words.
    pub finding: Option<String>,
}

/// A backup that cannot be restored, and what people are told.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    /// What is wrong with it.
    pub what: String,
    /// What was said.
    pub said: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BackupResult {
    /// Good backups that were restored, opened and found good.
    pub verified: u32,
    /// Good backups.
    pub good: u32,
    /// The worst of the restores to a point in time.
    pub achieved_rpo_s: f64,
    /// The worst of all.
    pub achieved_rto_s: f64,
    /// Each restore's own, in order.
    pub rpo_s: Vec<f64>,
    /// Each restore's own, in order.
    pub rto_s: Vec<f64>,
    /// Of backups.
    pub corruptions_planted: u32,
    /// Of these.
    pub corruptions_found: u32,
    /// One by one.
    pub planted: Vec<Planted>,
    /// Backups that cannot be restored.
    pub refused: Vec<Refused>,
    /// Invocations that ended before they answered, each in another step.
    pub crashes: u32,
    /// The steps that a run survived a crash in.
    pub crashed_in: Vec<String>,
    /// The steps whose invocation answered before it could be killed: no crashes.
    pub answered_in: Vec<String>,
    /// What was still there after the janitor.
    pub left_behind: Vec<String>,
    /// Whether somebody else's database by a name like ours is untouched.
    pub decoy_untouched: bool,
    /// Evidence chains that verify.
    pub chains_verified: u32,
    /// What is wrong; empty when the drill passes.
    pub failures: Vec<String>,
}

/// Verifies the backups of a lab of its own. Dropping it ends the lab.
///
/// # Errors
///
/// When the lab does not start or answer, or the result cannot be written. What a verification does wrong is no error
/// here: the result says so.
pub async fn drill_backup(
    config: &LabConfig,
    plan: &BackupPlan,
    progress: &dyn Progress,
) -> Result<BackupResult, DrillError> {
    super::result::remove(&plan.output.join(FILE))?;
    progress.say("starting PostgreSQL, its control plane, local AWS and the functions");
    let logs = fresh_folder(&config.logs.join("backup"))?;
    let lab = Lab::start(&LabConfig {
        logs,
        restorable_lag: Some(RESTORABLE_LAG),
        coordinator: LabConfig::patient(),
        ..config.clone()
    })
    .await?;
    workload::create(&lab).await?;
    furnish(&lab).await?;
    let workload = Workload::start(&lab, &workload::Plan::default(), "backup").await?;
    let mut drill = Drill { lab: &lab, result: BackupResult::default(), runs: Vec::new() };
    let done = drill.run(plan, progress).await;
    let Drill { mut result, .. } = drill;
    drop(workload.stop().await);
    lab.shutdown().await;
    done?;
    result.judge();
    write_json(&plan.output.join(FILE), &result)?;
    Ok(result)
}

/// Tables that nobody writes, so that what is damaged in a backup is not mended by the log.
async fn furnish(lab: &Lab) -> Result<(), DrillError> {
    let client = lab.cluster.admin_to(lab.cluster.writer(), names::DATABASE).await?;
    let made = client
        .batch_execute(
            "CREATE TABLE bank.archive AS SELECT id, md5(id::text) AS text FROM generate_series(1, 5000) AS id;
             CREATE INDEX archive_id ON bank.archive (id);
             CREATE TABLE bank.statements AS SELECT id, md5(id::text) AS text FROM generate_series(1, 5000) AS id;
             ANALYZE bank.archive; ANALYZE bank.statements; CHECKPOINT",
        )
        .await;
    made.map_err(|error| DrillError::Lab(error.into()))
}

fn manifest(source: SourceKind) -> Manifest {
    let rows = |rows| Bounds { at_least: rows, at_most: Some(rows) };
    let assertion = |name: &str, sql: &str, expected: &str| Assertion {
        name: name.to_owned(),
        sql: sql.to_owned(),
        expected: expected.to_owned(),
    };
    Manifest {
        source,
        extensions: vec!["plpgsql".to_owned()],
        settings: [("server_encoding".to_owned(), "UTF8".to_owned())].into(),
        tables: [
            ("bank.accounts".to_owned(), rows(workload::ACCOUNTS.unsigned_abs())),
            ("bank.archive".to_owned(), rows(5_000)),
            ("bank.statements".to_owned(), rows(5_000)),
        ]
        .into(),
        assertions: vec![assertion(
            "money is conserved",
            "SELECT sum(balance) = 1000000 * count(*) FROM bank.accounts",
            "t",
        )],
        ..Manifest::default()
    }
}

struct Drill<'l> {
    lab: &'l Lab,
    result: BackupResult,
    runs: Vec<Run>,
}

impl Drill<'_> {
    async fn run(&mut self, plan: &BackupPlan, progress: &dyn Progress) -> Result<(), DrillError> {
        self.restore_decoy().await?;
        self.lab.take_snapshot("rds:orders-good").await?;
        sleep(RESTORABLE_LAG.saturating_mul(2)).await;
        for _ in 0..plan.repeat {
            for source in [SourceKind::PointInTime, SourceKind::Snapshot] {
                let run = self.verify(&manifest(source), Killing::Never).await?;
                progress.say(&format!("a good backup, {source:?}: verified {}", run.is_verified()));
                self.note_good(&run, source);
            }
        }
        self.planted(progress).await?;
        self.refusals(progress).await?;
        self.crashes(progress).await?;
        self.leak().await?;
        for run in &self.runs {
            let chain = self.lab.table.evidence(&Run::evidence_of(&run.database), run.id).await;
            let chain = chain.map_err(crate::assembly::AssemblyError::from)?;
            self.result.chains_verified += u32::from(evidence::verify(&chain).as_ref() == Ok(&run.evidence));
        }
        if self.result.chains_verified as usize != self.runs.len() {
            self.result.failures.push("an evidence chain does not verify".to_owned());
        }
        self.what_is_left().await
    }

    fn note_good(&mut self, run: &Run, source: SourceKind) {
        let result = &mut self.result;
        result.good += 1;
        if run.is_verified() {
            result.verified += 1;
        } else {
            result.failures.push(format!("a good backup is not verified: {:?} {:?}", run.failed, run.findings));
        }
        let (rpo, rto) = (run.achieved_rpo(), run.achieved_rto());
        let seconds = |of: Option<Duration>| of.map_or(f64::NAN, |of| of.as_secs_f64());
        result.rpo_s.push(seconds(rpo));
        result.rto_s.push(seconds(rto));
        if source == SourceKind::PointInTime {
            result.achieved_rpo_s = result.achieved_rpo_s.max(seconds(rpo));
        }
        result.achieved_rto_s = result.achieved_rto_s.max(seconds(rto));
    }

    /// A page that is another, a file that is gone, a backup that is old.
    async fn planted(&mut self, progress: &dyn Progress) -> Result<(), DrillError> {
        let damages = [
            ("rds:orders-page", "bank.archive", Damage::Page, "a corrupted page of bank.archive"),
            ("rds:orders-file", "bank.statements", Damage::File, "a missing file of bank.statements"),
        ];
        for (id, relation, damage, what) in damages {
            self.lab.take_snapshot(id).await?;
            self.lab.vault.damage(id, relation, damage).await?;
            let run = self.verify(&manifest(SourceKind::Snapshot), Killing::Never).await?;
            self.lab.delete_snapshot(id).await;
            self.note_planted(&run, what, relation);
            progress.say(&format!("{what}: {} findings", run.found));
        }
        let stale = Manifest { rpo_max_s: 1, ..manifest(SourceKind::Snapshot) };
        let run = self.verify(&stale, Killing::Never).await?;
        self.note_planted(&run, "a backup older than its limit", "RPO");
        progress.say(&format!("a stale backup: {} findings", run.found));
        Ok(())
    }

    fn note_planted(&mut self, run: &Run, what: &str, about: &str) {
        let finding = run.findings.iter().find(|finding| finding.about == about);
        self.result.corruptions_planted += 1;
        self.result.corruptions_found += u32::from(finding.is_some() && !run.is_verified());
        self.result.planted.push(Planted {
            what: what.to_owned(),
            found_by: finding.map(|finding| finding.check),
            finding: finding.map(|finding| format!("{}: {}", finding.about, finding.what)),
        });
    }

    /// Backups that nobody could restore in need.
    async fn refusals(&mut self, progress: &dyn Progress) -> Result<(), DrillError> {
        let good = self.lab.take_snapshot("rds:orders-refused").await?;
        let spoilt = [
            ("encrypted with a key that cannot be used", Snapshot { key_usable: false, ..good.clone() }),
            ("of a newer engine", Snapshot { engine_version: "99.1".to_owned(), ..good.clone() }),
        ];
        for (what, snapshot) in spoilt {
            self.lab.rds.show_snapshot(snapshot);
            self.refused(what).await?;
        }
        self.lab.rds.hide_snapshot(&good.id);
        self.lab.rds.hide_snapshot("rds:orders-good");
        self.refused("missing").await?;
        progress.say("backups that cannot be restored were told from good ones");
        Ok(())
    }

    async fn refused(&mut self, what: &str) -> Result<(), DrillError> {
        let run = self.verify(&manifest(SourceKind::Snapshot), Killing::Never).await?;
        if run.is_verified() || run.failed.is_none() {
            self.result.failures.push(format!("a snapshot that is {what} was not refused"));
        }
        self.result.refused.push(Refused { what: what.to_owned(), said: run.failed });
        Ok(())
    }

    /// A run whose every step is killed once, and taken again.
    async fn crashes(&mut self, progress: &dyn Progress) -> Result<(), DrillError> {
        let run = self.verify(&manifest(SourceKind::PointInTime), Killing::EachStep).await?;
        progress.say(&format!("a crash in each step: verified {}", run.is_verified()));
        if !run.is_verified() {
            let seen = format!("{:?} {:?}", run.failed, run.findings);
            self.result.failures.push(format!("a run that was killed in each step is not verified: {seen}"));
        }
        Ok(())
    }

    /// Orders a run, and ticks until it is over.
    async fn verify(&mut self, manifest: &Manifest, killing: Killing) -> Result<Run, DrillError> {
        let order = json!({ "order": "verify", "cluster": names::CLUSTER, "manifest": manifest });
        let before = self.latest().await?.map_or(0, |run| run.id);
        let began = Instant::now();
        let mut last = String::new();
        loop {
            let begun = self.latest().await?.is_some_and(|run| run.id > before);
            let event = if begun { tick() } else { order.clone() };
            if killing == Killing::EachStep && self.crash(&event, &mut last).await? {
                continue;
            }
            match self.lab.invoke(names::VERIFIER, &event).await {
                Ok(answer) => {
                    let did = answer.pointer("/did/action").and_then(Value::as_str);
                    last = did.map_or(last, |did| label(did, &answer));
                }
                // The next tick tries again.
                Err(error) => tracing::info!(%error, "a step of a verification was not taken"),
            }
            if let Some(run) = self.latest().await?.filter(|run| run.id > before && !run.is_open()) {
                self.runs.push(run.clone());
                return Ok(run);
            }
            if began.elapsed() > RUN_LIMIT {
                return Err(DrillError::Unable(format!("a verification is not over after {RUN_LIMIT:?}")));
            }
            sleep(TICK).await;
        }
    }

    /// Kills the function in the midst of the step that follows on `last`, unless that was tried before.
    async fn crash(&mut self, event: &Value, last: &mut String) -> Result<bool, DrillError> {
        let step = format!("after {}", if last.is_empty() { "nothing" } else { last.as_str() });
        if self.result.crashed_in.contains(&step) || self.result.answered_in.contains(&step) {
            return Ok(false);
        }
        let killed = async {
            sleep(INTO_THE_STEP).await;
            self.lab.lambda.kill_environments(names::VERIFIER).await
        };
        let (answer, killed) = tokio::join!(self.lab.invoke(names::VERIFIER, event), killed);
        killed.map_err(crate::assembly::AssemblyError::from)?;
        if let Ok(answer) = answer
            && let Some(did) = answer.pointer("/did/action").and_then(Value::as_str)
        {
            *last = label(did, &answer);
        }
        // An error may also be an answer.
        let records = self.lab.lambda.records().await;
        let ended = records.into_iter().rfind(|record| record.function == names::VERIFIER).map(|record| record.outcome);
        if matches!(ended, Some(Outcome::Exited | Outcome::InitFailed)) {
            self.result.crashes += 1;
            self.result.crashed_in.push(step);
        } else {
            self.result.answered_in.push(step);
        }
        Ok(true)
    }

    async fn latest(&self) -> Result<Option<Run>, DrillError> {
        let latest = self.lab.table.verification(&self.lab.cluster_id()).await;
        Ok(latest.map_err(crate::assembly::AssemblyError::from)?)
    }

    fn rds(&self) -> aws_sdk_rds::Client {
        let endpoint = format!("http://{}", self.lab.rds.address());
        aws_sdk_rds::Client::new(&self.lab.aws.to_builder().endpoint_url(endpoint).build())
    }

    /// Somebody restores by hand, under a name that looks like ours.
    async fn restore_decoy(&self) -> Result<(), DrillError> {
        self.lab.take_snapshot("by-hand").await?;
        let call_it = self.rds().restore_db_cluster_from_snapshot().db_cluster_identifier(DECOY);
        let made = call_it.snapshot_identifier("by-hand").engine("aurora-postgresql").send().await;
        made.map_err(call("RestoreDBClusterFromSnapshot"))?;
        self.lab.rds.hide_snapshot("by-hand");
        Ok(())
    }

    /// A run whose row is lost leaves a cluster behind, which the janitor finds when its time is over.
    async fn leak(&mut self) -> Result<(), DrillError> {
        use steadfast_core::verification::janitor::{EXPIRES_TAG, OWNER_TAG, RUN_TAG, owner};
        let snapshot = self.lab.take_snapshot("rds:orders-leak").await?;
        let tag = |key: &str, value: &str| aws_sdk_rds::types::Tag::builder().key(key).value(value).build();
        let tags = vec![tag(OWNER_TAG, &owner(names::CLUSTER)), tag(RUN_TAG, "7"), tag(EXPIRES_TAG, "1")];
        let made = self.rds().restore_db_cluster_from_snapshot().db_cluster_identifier("verify-orders-7");
        let made = made.snapshot_identifier(&snapshot.id).engine("aurora-postgresql").set_tags(Some(tags));
        made.send().await.map_err(call("RestoreDBClusterFromSnapshot"))?;
        self.lab.rds.hide_snapshot(&snapshot.id);
        Ok(())
    }

    /// What is there after the janitor, but for the decoy.
    async fn what_is_left(&mut self) -> Result<(), DrillError> {
        let began = Instant::now();
        loop {
            if let Err(error) = self.lab.invoke(names::VERIFIER, &tick()).await {
                tracing::info!(%error, "the janitor was not there");
            }
            let all = self.lab.rds.restored();
            self.result.decoy_untouched = all.iter().any(|id| id == DECOY);
            let servers = self.lab.vault.left_behind().await;
            let left = all.into_iter().filter(|id| id != DECOY);
            let left = left.chain(servers.into_iter().filter(|what| !what.contains(DECOY)));
            self.result.left_behind = left.collect();
            if self.result.left_behind.is_empty() || began.elapsed() > Duration::from_secs(60) {
                return Ok(());
            }
            sleep(TICK).await;
        }
    }
}

/// Whether the function is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Killing {
    Never,
    EachStep,
}

fn tick() -> Value {
    json!({ "hint": "tick", "cluster": names::CLUSTER })
}

/// The step, with the check where there is one.
fn label(did: &str, answer: &Value) -> String {
    match answer.pointer("/did/check").and_then(Value::as_str) {
        Some(check) => format!("{did} {check}"),
        None => did.to_owned(),
    }
}

impl BackupResult {
    fn judge(&mut self) {
        let checks = [
            (self.verified < self.good, format!("{} of {} good backups verified", self.verified, self.good)),
            (
                self.corruptions_found < self.corruptions_planted,
                format!("{} of {} corruptions found", self.corruptions_found, self.corruptions_planted),
            ),
            (!self.left_behind.is_empty(), format!("left behind: {}", self.left_behind.join(", "))),
            (!self.decoy_untouched, "somebody else's database was deleted".to_owned()),
            (self.crashes == 0, "nothing was killed".to_owned()),
        ];
        self.failures.extend(checks.into_iter().filter(|(failed, _)| *failed).map(|(_, words)| words));
    }
}
