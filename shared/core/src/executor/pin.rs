//! Points the stable name at the proved writer, when all else is done and nothing is wrong.

use std::time::Duration;

use serde_json::json;

use super::{Executor, Patience};
use crate::decision::{self, Decision};
use crate::pin::{self, Pin};
use crate::ports::{CallError, State, World};
use crate::snapshot::Snapshot;
use crate::{metric, notice};

/// What a pin may take when every request of it is slow.
const TAKES_AT_MOST: Duration = Duration::from_secs(20);

impl<W: World> Executor<'_, W> {
    /// Once per run, at its end: the lease is given back, people are told, and whatever becomes of it changes nothing
    /// for the run. The sweep comes here as well, so a name that was not set is set within a minute.
    pub(super) async fn pin(&self, snapshot: &Snapshot, decision: &Decision, patience: Patience) {
        let Some(name) = self.world.stable_name() else {
            return;
        };
        let time_left = patience.until.since(self.world.now());
        if time_left < TAKES_AT_MOST || pin::due(&name, snapshot, decision, self.pin.as_ref()).is_none() {
            return;
        }
        let State { mode, lease, episode, reports, pin: known, rotations } = match self.world.load(&self.cluster).await
        {
            Ok(state) => state,
            Err(error) => return self.leave_name(&error.to_string()),
        };
        let now = self.world.now();
        let again = Snapshot { now, mode, lease, episode, reports, rotations, ..snapshot.clone() };
        let decision = decision::decide(&again, self.policy);
        if let Some(ask) = pin::due(&name, &again, &decision, known.as_ref()) {
            self.ask(ask, known.as_ref()).await;
        }
    }

    /// Writes down what is asked for, asks once, and writes down what came of it.
    ///
    /// The order of two calls cannot be enforced: one that was slow on its way may undo a newer one's work. Whoever
    /// asks after it has begun sees its mark, though, which is not settled then, and leaves its own unsettled as
    /// well; so a later sweep sets the name again, when the slow call has come to its end.
    async fn ask(&self, ask: Pin, known: Option<&Pin>) {
        if let Err(error) = self.world.write_pin(&self.cluster, known.map(|known| known.version), &ask).await {
            return self.leave_name(&error.to_string());
        }
        if !ask.may_begin(self.world.now()) {
            return self.leave_name("the state table was too slow");
        }
        let answer = self.world.point(&ask.aim).await;
        let result = answer.as_ref().map_or_else(ToString::to_string, |()| "set".to_owned());
        self.world.audit("pin", json!({ "aim": ask.aim, "result": result }));
        let told = match &answer {
            Ok(()) => {
                known.is_some_and(|known| known.told) && !self.has_told(&notice::pinned(&self.cluster, &ask.aim)).await
            }
            Err(error) => self.tell_unpinned(&ask, error).await,
        };
        let settled = answer.is_ok() && !known.is_some_and(|known| known.may_come_late(ask.asked_at));
        if (settled, told) == (ask.settled, ask.told) {
            return;
        }
        let next = Pin { settled, told, version: ask.version.saturating_add(1), ..ask.clone() };
        if let Err(error) = self.world.write_pin(&self.cluster, Some(ask.version), &next).await {
            self.leave_name(&error.to_string());
        }
    }

    /// A failure is told once, not every minute. Says whether people know.
    async fn tell_unpinned(&self, ask: &Pin, error: &CallError) -> bool {
        self.world.measure(&self.cluster, &[(metric::PIN_FAILURES, 1)]);
        ask.told || self.has_told(&notice::unpinned(&self.cluster, &ask.aim, error)).await
    }

    fn leave_name(&self, error: &str) {
        self.world.audit("pin_left", json!({ "error": error, "next": "the sweep looks again" }));
    }
}
