//! Rotates the passwords of applications, probers and drainers between two users, while nobody notices.
//!
//! Woken by: Secrets Manager, once for each of its four steps; a five-minute schedule, which ends sessions of users
//! whose turn is over and rolls back what nobody finishes. Runs in the VPC. Writes: versions and labels of secrets,
//! roles on the writer, its rows in the state table. Never changes a password that is in use, never anything in an
//! episode, and never tells a secret to anybody.
//!
//! No rule lives here: the steps are judged in `steadfast_core::rotation`.

mod setup;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use steadfast_aws::rotation::FUNCTION;
use steadfast_aws::{log, startup};
use steadfast_core::hint::{self, Hint};
use steadfast_core::metric;
use steadfast_core::ports::Clock as _;
use steadfast_core::rotation::executor::{self, Which};
use steadfast_core::rotation::{Blocked, Request, Step, blocked};
use steadfast_core::time::Timestamp;

use setup::Setup;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let setup = startup::ready(Setup::from_environment()).await;
    lambda_runtime::run(service_fn(|event| handle(&setup, event))).await
}

async fn handle(setup: &Setup, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let deadline = Timestamp::from_millis(event.context.deadline).minus(setup::MARGIN);
    let until = deadline.min(setup.rotator.now().plus(setup::PATIENCE));
    if let Some(request) = Request::read(&event.payload) {
        let request =
            request.map_err(|error| format!("not a step of a rotation: {error}; Secrets Manager sends these"))?;
        return carry_out(setup, request, until).await;
    }
    let cluster = event.payload.get("cluster").and_then(Value::as_str);
    if hint::parse(&event.payload) != Hint::Tick
        || cluster.is_some_and(|cluster| cluster != setup.rotator.cluster.as_str())
    {
        log::audit(FUNCTION, "ignored", &json!({ "cluster": cluster }));
        return Ok(json!({ "ignored": "neither a step of a rotation nor a tick for this cluster" }));
    }
    sweep(setup, until).await
}

async fn carry_out(setup: &Setup, request: Request, until: Timestamp) -> Result<Value, Error> {
    log::audit(FUNCTION, "woken", &json!(request));
    let Request { step, secret_id, client_request_token } = request;
    if secret_id == setup.rotator.admin_secret {
        return Err(
            format!("secret {secret_id} is the administrator's, which RDS rotates by itself; rotate it there").into()
        );
    }
    let which = Which { secret: &secret_id, token: &client_request_token };
    match executor::carry_out(&setup.rotator, which, step, &setup.patience, until).await {
        Ok(()) => {
            log::audit(FUNCTION, "done", &json!({ "secret": secret_id, "step": step }));
            if step == Step::Finish {
                log::measure(&[(metric::CLUSTER, setup.rotator.cluster.as_str())], &[(metric::ROTATIONS, 1)]);
            }
            Ok(json!({ "secret": secret_id, "step": step, "done": true }))
        }
        Err(because) => {
            refuse(setup, &secret_id, step, &because).await;
            Err(format!("secret {secret_id}: {because}").into())
        }
    }
}

/// An episode is no failure: Secrets Manager tries again.
async fn refuse(setup: &Setup, secret: &str, step: Step, because: &Blocked) {
    let deferred = because.is_deferral();
    let line = json!({ "secret": secret, "step": step, "because": because.to_string(), "deferred": deferred });
    log::audit(FUNCTION, "refused", &line);
    if deferred {
        return;
    }
    log::measure(&[(metric::CLUSTER, setup.rotator.cluster.as_str())], &[(metric::ROTATION_FAILURES, 1)]);
    let step = json!(step);
    setup.tell(&blocked::notice(secret, step.as_str().unwrap_or_default(), because)).await;
}

/// Does what the rotations of all secrets have left. One that does not go on holds up no other.
async fn sweep(setup: &Setup, until: Timestamp) -> Result<Value, Error> {
    let rotations = setup.rotator.table.load(&setup.rotator.cluster).await?.rotations;
    let mut waiting = Vec::new();
    for row in &rotations {
        if let Err(because) = executor::sweep(&setup.rotator, row, &setup.patience, until).await {
            let line = json!({ "secret": row.secret, "phase": row.phase, "because": because.to_string() });
            log::audit(FUNCTION, "waiting", &line);
            waiting.push(line);
        }
    }
    Ok(json!({ "rotations": rotations.len(), "waiting": waiting }))
}
