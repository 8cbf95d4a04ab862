//! AWS FIS: templates, experiments, and the account's safety lever.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_fis::Client;
use aws_sdk_fis::types::{Experiment, ExperimentActionStatus};
use steadfast_core::game_day::plan::Experimenting;
use steadfast_core::game_day::preflight::Guard;
use steadfast_core::ports::CallError;
use steadfast_core::time::Timestamp;

use crate::control_plane::call_error;
use crate::grant::{Call, Calls, On};

/// The only safety lever of an account and Region.
///
/// Source: FIS API, `GetSafetyLever`.
const LEVER: &str = "default";
/// The kind of a stop condition, and the action that asserts the state of alarms.
///
/// Source: FIS actions reference.
const ALARM: &str = "aws:cloudwatch:alarm";
const ASSERTS: &str = "aws:cloudwatch:assert-alarm-state";
/// The actions of a template, by the names that the Terraform module gives them.
const FAULT: &str = "fault";
const OBSERVE: &str = "observe";
/// FIS takes up to a minute before the first action.
const BEGINS_WITHIN: Duration = Duration::from_secs(150);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// FIS with the templates of this installation.
#[derive(Clone, Debug)]
pub struct Experiments {
    client: Client,
    templates: BTreeMap<String, String>,
}

impl Experiments {
    /// What [`Self::stop_alarms`], [`Self::lever_engaged`] and [`Self::experimenting`] call.
    pub const LOOK: Calls = &[
        Call::new("fis:GetExperimentTemplate", On::Experiments),
        Call::new("fis:GetExperiment", On::Experiments),
        Call::new("fis:GetSafetyLever", On::Lever),
    ];
    /// What [`Self::start`] calls.
    pub const START: Calls =
        &[Call::new("fis:StartExperiment", On::Experiments), Call::new("fis:TagResource", On::Experiments)];
    /// What [`Self::stop`] calls.
    pub const STOP: Calls = &[Call::new("fis:StopExperiment", On::Experiments)];

    /// Takes a client of [`crate::clients`], and templates by the names of experiments.
    pub fn new(client: Client, templates: BTreeMap<String, String>) -> Self {
        Self { client, templates }
    }

    /// The alarms of the stop conditions of every template, and whether the template asserts that they are OK.
    pub(super) async fn stop_alarms(&self) -> Option<Vec<(String, Guard)>> {
        let mut found = Vec::new();
        for (name, template) in &self.templates {
            let answer = self.client.get_experiment_template().id(template).send().await.ok()?;
            let template = answer.experiment_template?;
            let actions = template.actions.unwrap_or_default();
            let asserting = actions.values().filter(|action| action.action_id.as_deref() == Some(ASSERTS));
            let parameters = asserting.filter_map(|action| action.parameters.as_ref()?.get("alarmArns"));
            let asserted: Vec<&str> = parameters.flat_map(|arns| arns.split(',').map(str::trim)).collect();
            let conditions = template.stop_conditions.unwrap_or_default();
            let alarms = conditions.into_iter().filter(|condition| condition.source.as_deref() == Some(ALARM));
            let alarms: Vec<String> = alarms.filter_map(|condition| condition.value).collect();
            if alarms.is_empty() {
                found.push((format!("{name} has none"), Guard::Unasserted));
            }
            found.extend(alarms.into_iter().map(|arn| {
                let guard = if asserted.contains(&arn.as_str()) { Guard::Asserted } else { Guard::Unasserted };
                (arn, guard)
            }));
        }
        found.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        found.dedup();
        Some(found)
    }

    pub(super) async fn lever_engaged(&self) -> Option<bool> {
        let lever = self.client.get_safety_lever().id(LEVER).send().await.ok()?.safety_lever?;
        // One that is just being engaged, or in a state that this build does not know, is no green light.
        Some(lever.state?.status?.as_str() != "disengaged")
    }

    /// Starts the experiment of this name; the same token starts no second one.
    pub(super) async fn start(&self, experiment: &str, token: &str) -> Result<String, CallError> {
        let action = "StartExperiment";
        let Some(template) = self.templates.get(experiment) else {
            let message = format!("STEADFAST_TEMPLATES names no experiment template for {experiment}");
            return Err(CallError::Refused { action, code: "NoTemplate".to_owned(), message });
        };
        let answer = self
            .client
            .start_experiment()
            .client_token(token)
            .experiment_template_id(template)
            .tags("Name", token)
            .send()
            .await
            .map_err(|error| call_error(action, &error))?;
        let id = answer.experiment.and_then(|experiment| experiment.id);
        id.ok_or_else(|| CallError::Unanswered { action, cause: "the answer has no id".to_owned() })
    }

    pub(super) async fn stop(&self, id: &str) -> Result<(), CallError> {
        let answer = self.client.stop_experiment().id(id).send().await;
        answer.map(|_| ()).map_err(|error| call_error("StopExperiment", &error))
    }

    pub(super) async fn experimenting(&self, id: &str) -> Experimenting {
        self.experiment(id).await.map_or(Experimenting::Unknown, |experiment| read(&experiment))
    }

    /// Waits until all assertions have held and the experiment only waits: the moment for a statement.
    pub(super) async fn until_guarding(&self, id: &str) -> Result<(), CallError> {
        let refused =
            |message: String| CallError::Refused { action: "StartExperiment", code: "NotSteady".to_owned(), message };
        for _ in 0..BEGINS_WITHIN.as_secs() {
            let experiment = self.experiment(id).await;
            let shown = experiment.as_ref().map_or(Experimenting::Unknown, read);
            match shown {
                Experimenting::Running | Experimenting::Unknown => {}
                Experimenting::Completed | Experimenting::Stopped | Experimenting::Failed | Experimenting::NotBegun => {
                    let state = experiment.and_then(|experiment| experiment.state);
                    let reason = state.and_then(|state| state.reason).unwrap_or_default();
                    return Err(refused(format!("FIS ended it before the statement was sent: {reason}")));
                }
            }
            let is_waiting =
                |experiment: &Experiment| action(experiment, OBSERVE) == Some(ExperimentActionStatus::Running);
            if experiment.as_ref().is_some_and(is_waiting) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.stop(id).await?;
        Err(refused(format!("FIS has not asserted the alarms within {} s", BEGINS_WITHIN.as_secs())))
    }

    /// When the fault itself began: a template asserts first. Around a statement: when FIS began to wait.
    pub(super) async fn fault_at(&self, id: &str) -> Option<Timestamp> {
        let actions = self.experiment(id).await?.actions?;
        let began = actions.get(FAULT).or_else(|| actions.get(OBSERVE))?.start_time?;
        u64::try_from(began.to_millis().ok()?).ok().map(Timestamp::from_millis)
    }

    async fn experiment(&self, id: &str) -> Option<Experiment> {
        self.client.get_experiment().id(id).send().await.ok()?.experiment
    }
}

fn action(experiment: &Experiment, name: &str) -> Option<ExperimentActionStatus> {
    experiment.actions.as_ref()?.get(name)?.state.as_ref()?.status.clone()
}

fn read(experiment: &Experiment) -> Experimenting {
    let Some(status) = experiment.state.as_ref().and_then(|state| state.status.clone()) else {
        return Experimenting::Unknown;
    };
    let has_fault = experiment.actions.as_ref().is_some_and(|actions| actions.contains_key(FAULT));
    let begun = experiment
        .actions
        .as_ref()
        .is_some_and(|actions| actions.get(FAULT).is_some_and(|fault| fault.start_time.is_some()));
    let ended = |how| if has_fault && !begun { Experimenting::NotBegun } else { how };
    match status.as_str() {
        "completed" => Experimenting::Completed,
        "stopped" | "cancelled" => ended(Experimenting::Stopped),
        "failed" => ended(Experimenting::Failed),
        "pending" | "initiating" | "running" | "stopping" => Experimenting::Running,
        // A state that this build does not know: it is looked at again.
        _ => Experimenting::Unknown,
    }
}
