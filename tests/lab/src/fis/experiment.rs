//! One experiment and its states.

use serde_json::{Value, json};
use steadfast_aws::clock;

use super::{STOP_ALARM, Template};

/// The states that the lab's experiments go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
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
            ended_ms: None,
        }
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
        json!({
            "id": self.id,
            "arn": format!("arn:aws:fis:eu-central-1:123456789012:experiment/{}", self.id),
            "experimentTemplateId": self.template.id,
            "state": state,
            "actions": { "fault": {
                "actionId": self.template.action,
                "state": state,
                "startTime": seconds(self.began_ms),
                "endTime": self.ended_ms.map(seconds),
            } },
            "stopConditions": [{ "source": "aws:cloudwatch:alarm", "value": STOP_ALARM }],
            "creationTime": seconds(self.began_ms),
            "startTime": seconds(self.began_ms),
            "endTime": self.ended_ms.map(seconds),
            "tags": {},
        })
    }
}

/// As `GetExperimentTemplate` shows it.
pub(super) fn template(template: &Template) -> Value {
    json!({
        "id": template.id,
        "arn": format!("arn:aws:fis:eu-central-1:123456789012:experiment-template/{}", template.id),
        "description": template.description,
        "targets": {},
        "actions": {
            "steady": { "actionId": "aws:cloudwatch:assert-alarm-state",
                "parameters": { "alarmArns": STOP_ALARM, "alarmStates": "OK" } },
            "fault": { "actionId": template.action, "startAfter": ["steady"] },
        },
        "stopConditions": [{ "source": "aws:cloudwatch:alarm", "value": STOP_ALARM }],
        "roleArn": "arn:aws:iam::123456789012:role/drills",
        "tags": {},
    })
}
