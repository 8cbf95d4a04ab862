//! What happens in the midst of a step.

use std::fmt;
use std::time::Duration;

use serde_json::json;
use steadfast_core::rotation::step::{STEPS, Step};
use tokio::time::sleep;

use super::super::inject::Stage;
use super::super::{DrillError, deeds};
use crate::assembly::{AssemblyError, Lab, names};

/// A step takes some tens of milliseconds: this is in its midst.
const INTO_THE_STEP: Duration = Duration::from_millis(15);

/// How the writer role moves, or who dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// PostgreSQL of the writer is killed, and Steadfast promotes.
    Killed,
    /// A person calls `FailoverDBCluster`.
    ByHand,
    /// A person orders a switchover from the coordinator.
    SwitchedOver,
    /// The rotator is killed.
    FunctionKilled,
}

/// One of them, in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disturbance {
    pub(super) step: Step,
    how: How,
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.how {
            How::Killed => "the writer killed",
            How::ByHand => "a failover by hand",
            How::SwitchedOver => "a switchover",
            How::FunctionKilled => "the function killed",
        };
        write!(f, "{how} in {:?}", self.step)
    }
}

impl Disturbance {
    /// A failover in every fourth rotation, through all steps; in others the function is killed. Steadfast promotes
    /// twice at most: that is its budget for one cause in an hour.
    pub(super) fn of(number: u32) -> Option<Self> {
        let turn = usize::try_from(number / 4).unwrap_or(0);
        let step = *STEPS.get(turn % STEPS.len())?;
        let how = match (number % 4, turn) {
            (0, 2 | 8) => How::Killed,
            (0, turn) if turn % 3 == 1 => How::SwitchedOver,
            (0, _) => How::ByHand,
            (2, _) => How::FunctionKilled,
            _ => return None,
        };
        Some(Self { step, how })
    }

    /// Whether a failover that nobody may refuse is planned in this step within so many rotations.
    pub(super) fn in_step(step: Step, rotations: u32) -> bool {
        (1..=rotations)
            .filter_map(Self::of)
            .any(|planned| planned.step == step && matches!(planned.how, How::Killed | How::ByHand))
    }

    pub(super) fn is_failover(self) -> bool {
        self.how != How::FunctionKilled
    }

    /// The steps that come before it.
    pub(super) fn before(self) -> impl Iterator<Item = Step> {
        STEPS.into_iter().take_while(move |step| *step != self.step)
    }

    /// Whether it happened: a switchover may be refused, because of the rotation.
    pub(super) async fn strike(self, lab: &Lab) -> Result<bool, DrillError> {
        sleep(INTO_THE_STEP).await;
        let stage = Stage { lab, instance: lab.cluster.writer().to_owned() };
        match self.how {
            How::Killed => deeds::kill_postgres(&stage).await.map(|()| true),
            How::ByHand => deeds::fail_over_by_hand(&stage).await.map(|()| true),
            How::SwitchedOver => {
                let order = json!({ "cluster": names::CLUSTER, "hint": "operator", "order": "switchover",
                    "reason": "a rotation is drilled" });
                let answer = lab.invoke(names::COORDINATOR, &order).await?;
                tracing::info!(%answer, "a switchover in a rotation");
                Ok(answer.get("switched_over") == Some(&serde_json::Value::Bool(true)))
            }
            How::FunctionKilled => {
                let killed = lab.lambda.kill_environments(names::ROTATOR).await;
                killed.map(|killed| killed > 0).map_err(|error| DrillError::Lab(AssemblyError::from(error)))
            }
        }
    }
}
