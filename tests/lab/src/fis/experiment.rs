//! One experiment and its states.

use serde_json::{Value, json};
use steadfast_aws::clock;
use steadfast_core::time::Timestamp;

use super::{STOP_ALARM, Template};

/// The states that the lab's experiments go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// Its fault is being injected.
    Running,
    /// All actions have ended.
    Completed,
    /// It was ended before.
    Stopped,
    /// Its fault could not be injected.
    Failed,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Experiment {
    id: String,
    template: Template,
    status: Status,
    reason: String,
    began_ms: u64,
    /// Whether its alarm was OK, so that it went on to its fault.
    asserted: bool,
    ended_ms: Option<u64>,
}

impl Experiment {
    pub(super) fn begin(id: &str, template: &Template) -> Self {
        Self {
            id: id.to_owned(),
            template: template.clone(),
            status: Status::Running,
            reason: "Experiment is running.".to_owned(),
            began_ms: clock::now().as_millis(),
            asserted: true,
            ended_ms: None,
        }
    }

    /// One whose alarm is not OK.
    pub(super) fn unsteady(id: &str, template: &Template) -> Self {
        let mut experiment = Self { asserted: false, ..Self::begin(id, template) };
        experiment.settle(Status::Failed, "The alarm state is not OK.");
        experiment
    }

    pub(super) fn began_at(&self) -> Timestamp {
        Timestamp::from_millis(self.began_ms)
    }

    pub(super) fn is_running(&self) -> bool {
        self.status == Status::Running
    }

    pub(super) fn end(&mut self, result: Result<(), String>) {
        match result {
            Ok(()) => self.settle(Status::Completed, "Experiment completed."),
            Err(error) => self.settle(Status::Failed, &error),
        }
    }

    pub(super) fn stop(&mut self, because: &str) {
        self.settle(Status::Stopped, because);
    }

    fn settle(&mut self, status: Status, reason: &str) {
        if self.is_running() {
            self.status = status;
            reason.clone_into(&mut self.reason);
            self.ended_ms = Some(clock::now().as_millis());
        }
    }

    /// As `GetExperiment` shows it. Times are seconds since the Unix epoch, with a fraction.
    pub(super) fn document(&self) -> Value {
        let seconds = |millis: u64| millis as f64 / 1_000.0;
        let state = json!({ "status": self.status.as_str(), "reason": self.reason });
        let steady = if self.asserted { "completed" } else { "failed" };
        let (name, action_id) = fault_of(&self.template);
        let fault = match self.asserted {
            true => json!({ "actionId": action_id, "state": state, "startTime": seconds(self.began_ms),
                "endTime": self.ended_ms.map(seconds) }),
            false => json!({ "actionId": action_id, "state": { "status": "cancelled" } }),
        };
        json!({
            "id": self.id,
            "arn": format!("arn:aws:fis:eu-central-1:123456789012:experiment/{}", self.id),
            "experimentTemplateId": self.template.id,
            "state": state,
            "actions": {
                "steady": { "actionId": ASSERTS, "state": { "status": steady } },
                name: fault,
            },
            "stopConditions": [{ "source": "aws:cloudwatch:alarm", "value": STOP_ALARM }],
            "creationTime": seconds(self.began_ms),
            "startTime": seconds(self.began_ms),
            "endTime": self.ended_ms.map(seconds),
            "tags": {},
        })
    }
}

const ASSERTS: &str = "aws:cloudwatch:assert-alarm-state";

/// The action that breaks something, or that waits where nothing is to be broken.
fn fault_of(template: &Template) -> (&'static str, &'static str) {
    template.action.map_or(("observe", "aws:fis:wait"), |action| ("fault", action))
}

/// As `GetExperimentTemplate` shows it.
pub(super) fn template(template: &Template) -> Value {
    let (name, action_id) = fault_of(template);
    json!({
        "id": template.id,
        "arn": format!("arn:aws:fis:eu-central-1:123456789012:experiment-template/{}", template.id),
        "description": template.id,
        "targets": {},
        "actions": {
            "steady": { "actionId": ASSERTS, "parameters": { "alarmArns": STOP_ALARM, "alarmStates": "OK" } },
            name: { "actionId": action_id, "startAfter": ["steady"] },
        },
        "stopConditions": [{ "source": "aws:cloudwatch:alarm", "value": STOP_ALARM }],
        "roleArn": "arn:aws:iam::123456789012:role/drills",
        "tags": {},
    })
}
