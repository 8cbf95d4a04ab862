//! Rotations under load, with failovers in their midst and functions that die.

mod disturbance;
mod leaks;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use steadfast_core::ports::State;
use steadfast_core::rotation::Phase;
use steadfast_core::rotation::step::STEPS;
use tokio::time::{Instant, sleep};

use super::result::write_json;
use super::{DrillError, Progress, fresh_folder};
use crate::assembly::{Lab, LabConfig, names};
use crate::secrets::{Ordered, SecretsManager};
use crate::workload::{self, Diary, Workload};

use disturbance::Disturbance;

/// The result's file.
const FILE: &str = "rotation.json";
/// How often Secrets Manager tries a rotation here. A failover, or our own sessions that end by themselves, are waited
/// for.
const TRIES: u32 = 120;
/// Between two tries. Hours on AWS.
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// Clients take another session, with the secret read anew, this often.
const SESSION_LASTS: Duration = Duration::from_millis(700);
/// An episode is closed within this, on a loaded machine.
const QUIET_LIMIT: Duration = Duration::from_secs(120);
/// Of the other secrets, these rotations are the ones of the prober and of the drainer.
const OF_PROBER: [u32; 2] = [3, 33];
const OF_DRAINER: [u32; 2] = [7, 37];

/// What to drill.
#[derive(Clone, Debug)]
pub struct RotationPlan {
    /// How many rotations.
    pub rotations: u32,
    /// Where the result goes.
    pub output: PathBuf,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RotationResult {
    /// Rotations that gave a secret its next user.
    pub rotations: u32,
    /// By secret.
    pub rotations_of: BTreeMap<String, u32>,
    /// Times the writer role moved meanwhile.
    pub failovers_during: u64,
    /// In the midst of which step, and how.
    pub failovers_in: BTreeMap<String, u32>,
    /// Switchovers that were refused because a rotation was announced.
    pub switchovers_refused: u32,
    /// Functions that were killed in a step.
    pub functions_killed: u32,
    /// Tries of Secrets Manager that ended early, each followed by another one.
    pub tries_again: u32,
    /// Of these, because an episode was open or the lease held.
    pub deferred: u32,
    /// Connection attempts of clients that were refused for the user or the password.
    pub authentication_failures: u64,
    /// Versions with AWSPENDING that are not current, at the end.
    pub stuck_versions: u64,
    /// Passwords that were found in logs, the state table or notices.
    pub secrets_found_in_output: u64,
    /// Where.
    pub found_in: Vec<String>,
    /// Passwords that were looked for.
    pub secrets_looked_for: u64,
    /// Bytes of output that were searched.
    pub bytes_searched: u64,
    /// Old users whose sessions had all ended at the last sweep.
    pub drained: u32,
    /// Transfers of the clients.
    pub audit: workload::Audit,
    /// What is wrong; empty when the drill passes.
    pub failures: Vec<String>,
}

/// Rotates the secrets of a lab of its own under load. Dropping it ends the lab.
///
/// # Errors
///
/// When the lab does not start or answer, or the result cannot be written. What a rotation does wrong is no error
/// here: the result says so.
pub async fn drill_rotation(
    config: &LabConfig,
    plan: &RotationPlan,
    progress: &dyn Progress,
) -> Result<RotationResult, DrillError> {
    super::result::remove(&plan.output.join(FILE))?;
    progress.say("starting PostgreSQL, its control plane, local AWS and the functions");
    let logs = fresh_folder(&config.logs.join("rotation"))?;
    let rotator = BTreeMap::from([("STEADFAST_DRAIN_AFTER", "1s".to_owned())]);
    let lab =
        Lab::start(&LabConfig { logs: logs.clone(), rotator, coordinator: LabConfig::patient(), ..config.clone() })
            .await?;
    workload::create(&lab).await?;
    let mut drill = Drill {
        lab: &lab,
        secrets: SecretsManager::new(&lab),
        passwords: BTreeSet::new(),
        result: RotationResult::default(),
    };
    let done = drill.run(plan, progress).await;
    let Drill { passwords, mut result, .. } = drill;
    if done.is_ok() {
        leaks::search(&lab, &logs, &passwords, &mut result).await?;
    }
    lab.shutdown().await;
    done?;
    result.judge(plan);
    write_json(&plan.output.join(FILE), &result)?;
    Ok(result)
}

struct Drill<'l> {
    lab: &'l Lab,
    secrets: SecretsManager<'l>,
    /// All that a secret has ever held.
    passwords: BTreeSet<String>,
    result: RotationResult,
}

impl Drill<'_> {
    async fn run(&mut self, plan: &RotationPlan, progress: &dyn Progress) -> Result<(), DrillError> {
        let load = workload::Plan { session_lasts: Some(SESSION_LASTS), ..workload::Plan::default() };
        let workload = Workload::start(self.lab, &load, "rotation").await?;
        let resources = &self.lab.resources;
        let all = [
            ("application", resources.application_secret_arn.clone()),
            ("prober", resources.prober_secret_arn.clone()),
            ("drainer", resources.drainer_secret_arn.clone()),
        ];
        for (_, secret) in &all {
            self.secrets.enable(secret).await?;
            self.learn(secret).await?;
        }
        let promotions = self.lab.rds.promotions().len();
        for number in 1..=plan.rotations {
            let whose = match number {
                number if OF_PROBER.contains(&number) => 1,
                number if OF_DRAINER.contains(&number) => 2,
                _ => 0,
            };
            let Some((name, secret)) = all.get(whose) else { continue };
            let disturbance = Disturbance::of(number);
            self.rotate(name, secret, disturbance).await?;
            let with = disturbance.map(|disturbance| format!(", with {disturbance}")).unwrap_or_default();
            progress.say(&format!("rotation {number} of {}: {name}{with}", plan.rotations));
            self.sweep().await?;
        }
        self.until_quiet().await?;
        self.until_drained(&all[0].1).await?;
        let moved = self.lab.rds.promotions().into_iter().skip(promotions).filter(|moved| moved.writable_ms.is_some());
        self.result.failovers_during = moved.count().try_into().unwrap_or(u64::MAX);
        let diaries = workload.stop().await;
        self.result.authentication_failures = diaries.iter().map(|diary: &Diary| diary.authentication_failures).sum();
        self.result.audit = workload::audit(self.lab, &diaries, "rotation").await?;
        for (_, secret) in &all {
            let stuck = self.secrets.versions(secret).await?.stuck().is_some();
            self.result.stuck_versions += u64::from(stuck);
            self.learn(secret).await?;
        }
        Ok(())
    }

    /// One rotation to its end, with as many tries as it takes; the disturbance comes in the first.
    async fn rotate(&mut self, name: &str, secret: &str, disturbance: Option<Disturbance>) -> Result<(), DrillError> {
        let ordered = self.secrets.order(secret).await?;
        if let Some(disturbance) = disturbance {
            self.disturbed(&ordered, disturbance).await?;
        }
        let mut last = String::new();
        for _ in 0..TRIES {
            match self.secrets.attempt(&ordered).await {
                Ok(()) => {
                    self.learn(secret).await?;
                    self.result.rotations += 1;
                    *self.result.rotations_of.entry(name.to_owned()).or_default() += 1;
                    if disturbance.is_some() {
                        self.until_quiet().await?;
                    }
                    return Ok(());
                }
                Err((step, error)) => last = self.again(step, &error.to_string()),
            }
            self.sweep().await?;
            sleep(TRY_AGAIN).await;
        }
        self.result.failures.push(format!("{name}: a rotation has not ended after {TRIES} tries: {last}"));
        Ok(())
    }

    /// Carries out the steps before the disturbed one, and that one with the disturbance in its midst.
    async fn disturbed(&mut self, ordered: &Ordered, disturbance: Disturbance) -> Result<(), DrillError> {
        for step in disturbance.before() {
            if let Err(error) = self.secrets.step(ordered, step).await {
                self.again(step, &error.to_string());
                break;
            }
        }
        let (stepped, disturbed) =
            tokio::join!(self.secrets.step(ordered, disturbance.step), disturbance.strike(self.lab));
        let happened = disturbed?;
        if let Err(error) = stepped {
            self.again(disturbance.step, &error.to_string());
        }
        if disturbance.is_failover() && !happened {
            self.result.switchovers_refused += 1;
        } else if disturbance.is_failover() {
            *self.result.failovers_in.entry(disturbance.to_string()).or_default() += 1;
        } else {
            self.result.functions_killed += 1;
        }
        Ok(())
    }

    fn again(&mut self, step: steadfast_core::rotation::Step, error: &str) -> String {
        self.result.tries_again += 1;
        if error.contains("the rotation goes on when") {
            self.result.deferred += 1;
        }
        tracing::info!(?step, error, "a try of a rotation has ended");
        format!("{step:?}: {error}")
    }

    /// Notes every password that the versions with labels hold.
    async fn learn(&mut self, secret: &str) -> Result<(), DrillError> {
        let versions = self.secrets.versions(secret).await?;
        for version in [versions.current, versions.pending].into_iter().flatten() {
            if let Some(document) = self.secrets.held(secret, &version).await? {
                self.passwords.insert(document.password().to_owned());
            }
        }
        Ok(())
    }

    async fn sweep(&mut self) -> Result<(), DrillError> {
        let tick = json!({ "hint": "tick", "cluster": names::CLUSTER });
        // In a failover it sees too little; the next one comes soon.
        if let Err(error) = self.lab.invoke(names::ROTATOR, &tick).await {
            tracing::info!(%error, "a sweep has ended early");
        }
        Ok(())
    }

    /// Until no episode is open, nobody holds the lease, and every prober sees what it should.
    async fn until_quiet(&self) -> Result<(), DrillError> {
        let began = Instant::now();
        let open = |state: &State| state.episode.as_ref().is_some_and(steadfast_core::episode::Episode::is_open);
        while open(&self.lab.state().await?) && began.elapsed() < QUIET_LIMIT {
            sleep(TRY_AGAIN).await;
        }
        Ok(self.lab.until_healthy().await?)
    }

    /// Until nobody is left with the application's old user.
    async fn until_drained(&mut self, secret: &str) -> Result<(), DrillError> {
        let began = Instant::now();
        while began.elapsed() < QUIET_LIMIT {
            self.sweep().await?;
            let rows = self.lab.state().await?.rotations;
            if rows.iter().any(|row| row.secret == secret && row.phase == Phase::Drained) {
                self.result.drained = rows.iter().map(|row| u32::from(row.phase == Phase::Drained)).sum();
                return Ok(());
            }
            sleep(TRY_AGAIN).await;
        }
        self.result.failures.push("sessions of the application's old user are still there".to_owned());
        Ok(())
    }
}

impl RotationResult {
    fn judge(&mut self, plan: &RotationPlan) {
        let audit = &self.audit;
        let checks = [
            (self.rotations != plan.rotations, format!("{} of {} rotations ended", self.rotations, plan.rotations)),
            (self.authentication_failures > 0, format!("{} authentication failures", self.authentication_failures)),
            (self.stuck_versions > 0, format!("{} versions are stuck in AWSPENDING", self.stuck_versions)),
            (self.secrets_found_in_output > 0, format!("{} secrets were told", self.secrets_found_in_output)),
            (!audit.is_clean(), format!("transfers are lost, doubled or wrong: {audit:?}")),
            (audit.acknowledged == 0, "there was no load".to_owned()),
        ];
        self.failures.extend(checks.into_iter().filter(|(failed, _)| *failed).map(|(_, words)| words));
        for step in STEPS.into_iter().filter(|step| Disturbance::in_step(*step, plan.rotations)) {
            let name = format!("{step:?}");
            if !self.failovers_in.keys().any(|disturbance| disturbance.ends_with(&name)) {
                self.failures.push(format!("no failover came in the midst of {name}"));
            }
        }
    }
}
