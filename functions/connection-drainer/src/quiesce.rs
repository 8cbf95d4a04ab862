//! Quiesce: close the gate on the writer, and see to it that whoever is inside leaves, by policy and in time.
//!
//! The gate is held by a transaction of the RDS Data API, which outlives this function: until its limit nobody can
//! enter, whoever has crashed, and at its limit the server itself lets go. Who is inside is seen over a session of
//! our own, opened before anybody has to wait.

use std::time::Duration;

use steadfast_aws::clock;
use steadfast_aws::postgres::{ConnectLimits, Session, Target};
use steadfast_aws::{log, secret};
use steadfast_core::drain;
use steadfast_core::gate::{self, Escalation, Limits, Phase};
use steadfast_core::ports::CallError;
use steadfast_core::switchover::Quiesced;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::InstanceId;

use crate::FUNCTION;
use crate::setup::Setup;
use crate::stragglers::{Stragglers, begun, is_held};

/// Between two looks at those inside.
const PAUSE: Duration = Duration::from_millis(20);
const CONNECT: ConnectLimits = ConnectLimits { tcp: Duration::from_secs(1), total: Duration::from_secs(2) };
/// One look at those inside.
const LOOK: Duration = Duration::from_secs(1);
/// Nobody waits for a gate that closes later than asked.
const LATE: &str = "closing the gate took longer than the coordinator waits";
/// What the network may add to the server's own limits.
const NETWORK: Duration = Duration::from_secs(1);

/// Closes the gate on `writer`, which must be the instance that writes; returns what came of it. A failure is no
/// error: the gate is open then, and the answer says why.
///
/// Whoever asked has given up by `until`: a gate that would be closed for nobody is opened.
///
/// Cancelling it leaves the gate to the server's limits.
pub(crate) async fn quiesce(setup: &Setup, epoch: u64, writer: &InstanceId, until: Timestamp) -> Quiesced {
    match close(setup, epoch, writer, until).await {
        Ok(quiesced) => quiesced,
        Err(because) => Quiesced { because: Some(because), ..Quiesced::default() },
    }
}

async fn close(setup: &Setup, epoch: u64, writer: &InstanceId, until: Timestamp) -> Result<Quiesced, String> {
    let data = setup.data.as_ref().ok_or("STEADFAST_CLUSTER_ARN is not set, so there is no Data API to hold a gate")?;
    is_asked_for(setup, epoch, writer).await?;
    let session = watch(setup, writer).await?;
    let mut stragglers = Stragglers::new(&session, &setup.roles, begun(&session, LOOK).await?);
    let transaction = data.begin().await.map_err(|error| error.to_string())?;
    if clock::now() >= until {
        return open(setup, &transaction, &mut stragglers, LATE.to_owned()).await;
    }
    let limits = &setup.gate;
    let held = async {
        data.execute(&transaction, &settings(limits), NETWORK).await?;
        let at = clock::now();
        let closing = data.execute(&transaction, gate::CLOSE, limits.closing.saturating_add(NETWORK));
        Ok::<_, CallError>((at, closing))
    };
    let (at, closing) = match held.await {
        Ok(asked) => asked,
        Err(error) => return open(setup, &transaction, &mut stragglers, error.to_string()).await,
    };
    let asked = Phase::Open.after(gate::Event::Asked { at }, limits);
    let left = async {
        while stragglers.look(limits.escalation(clock::now().since(at)), LOOK).await? > 0 {
            if is_over(limits, at) {
                return Err("a transaction from before goes on; see the stragglers".to_owned());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    };
    // Both go on side by side: the lock waits for those inside, and the escalation moves them.
    let (granted, left) = tokio::join!(closing, left);
    let closed = match granted.map_err(|error| error.to_string()).and(left) {
        Ok(()) => is_rightly_closed(&session, until).await,
        Err(because) => Err(because),
    };
    match closed {
        Ok(()) => {
            let gate = asked.after(gate::Event::Granted, limits);
            Ok(Quiesced { gate, hold: Some(transaction), because: None, stragglers: stragglers.met() })
        }
        Err(because) => open(setup, &transaction, &mut stragglers, because).await,
    }
}

/// The Data API reaches whoever writes now: the role may have moved since, and the gate be closed on another.
async fn is_rightly_closed(session: &Session, until: Timestamp) -> Result<(), String> {
    if !is_held(session, LOOK).await? {
        return Err("the gate is not closed on this instance: another one writes by now".to_owned());
    }
    if clock::now() < until { Ok(()) } else { Err(LATE.to_owned()) }
}

/// Lets go of what was asked for. Should that fail, the server does it.
async fn open(
    setup: &Setup,
    transaction: &str,
    stragglers: &mut Stragglers<'_>,
    because: String,
) -> Result<Quiesced, String> {
    resume(setup, transaction).await;
    Ok(Quiesced { because: Some(because), stragglers: stragglers.met(), ..Quiesced::default() })
}

/// Opens the gate that this transaction holds.
pub(crate) async fn resume(setup: &Setup, transaction: &str) -> Option<String> {
    let data = setup.data.as_ref()?;
    let failed = data.roll_back(transaction).await.err().map(|error| error.to_string());
    if let Some(error) = &failed {
        log::audit(FUNCTION, "resume_failed", &serde_json::json!({ "error": error }));
    }
    failed
}

fn is_over(limits: &Limits, asked: Timestamp) -> bool {
    limits.escalation(clock::now().since(asked)) == Escalation::GiveUp
}

async fn is_asked_for(setup: &Setup, epoch: u64, writer: &InstanceId) -> Result<(), String> {
    let state = setup.table.load(&setup.cluster).await.map_err(|error| error.to_string())?;
    drain::may_close_gate(state.mode, state.episode.as_ref(), epoch, writer).map_err(|because| because.to_string())
}

async fn watch(setup: &Setup, writer: &InstanceId) -> Result<Session, String> {
    let topology = setup.rds.describe(&setup.cluster).await.map_err(|error| error.to_string())?;
    let member = topology.member(writer).ok_or_else(|| format!("{writer} is no member of {}", setup.cluster))?;
    if !member.is_writer {
        return Err(format!("{writer} is not the writer any more"));
    }
    let target = Target {
        host: member.endpoint.clone(),
        port: topology.port,
        database: setup.database.clone(),
        application: "steadfast-drainer",
    };
    let credentials = secret::credentials(&setup.secrets, &setup.secret).await.map_err(|error| error.to_string())?;
    setup.connector.connect(&target, &credentials, CONNECT).await.map_err(|error| error.to_string())
}

/// One statement, since the Data API takes one at a time.
fn settings(limits: &Limits) -> String {
    let set: Vec<String> = limits
        .settings()
        .iter()
        .map(|(name, millis)| format!("pg_catalog.set_config('{name}', '{millis}', true)"))
        .collect();
    format!("SELECT {}", set.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_limits_are_set_for_the_transaction_alone() {
        let sql = settings(&Limits::default());
        assert_eq!(
            sql,
            "SELECT pg_catalog.set_config('lock_timeout', '3000', true), \
             pg_catalog.set_config('statement_timeout', '3000', true), \
             pg_catalog.set_config('idle_in_transaction_session_timeout', '20000', true)"
        );
    }
}
