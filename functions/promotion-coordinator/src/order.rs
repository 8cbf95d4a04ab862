//! What an operator orders by payload.

use lambda_runtime::Error;
use serde_json::{Value, json};
use steadfast_core::executor::Executor;
use steadfast_core::hint::Order;
use steadfast_core::ports::{Clock as _, Log as _, StateTable as _};
use steadfast_core::switchover::Ordered;

use crate::Call;
use crate::setup::Setup;

/// Carries the order out and answers with what has changed.
pub(crate) async fn obey(setup: &Setup, order: Order, call: Call<'_>) -> Result<Value, Error> {
    match order {
        Order::SetMode { mode, reason } => {
            // An order to pause must get through also when the rest of the state cannot be read.
            let before = setup.world.table.load(&setup.cluster).await.map(|state| state.mode).ok();
            setup.world.table.set_mode(&setup.cluster, mode, &reason, setup.world.now()).await?;
            let answer = json!({ "cluster": setup.cluster, "mode": mode, "before": before, "reason": reason });
            setup.world.audit("mode", answer.clone());
            Ok(answer)
        }
        Order::Switchover { target, reason } => {
            let order = Ordered { target, reason, request: call.request.to_owned() };
            switch_over(setup, &order, call).await
        }
    }
}

/// Answers with what became of the role, or with what stood in the way.
async fn switch_over(setup: &Setup, order: &Ordered, call: Call<'_>) -> Result<Value, Error> {
    let executor = Executor::new(&setup.world, &setup.policy, setup.cluster.clone(), call.owner(setup));
    let done = executor.switch_over(order, call.patience()).await?;
    let answer = match done {
        Err(because) => json!({ "cluster": setup.cluster, "switched_over": false, "because": because.to_string() }),
        Ok(_) => ended(setup, order).await?,
    };
    setup.world.audit("switchover", answer.clone());
    Ok(answer)
}

/// What the episode of the order says of its end.
async fn ended(setup: &Setup, order: &Ordered) -> Result<Value, Error> {
    let episode = setup.world.load(&setup.cluster).await?.episode;
    let ours = episode.filter(|episode| episode.plan.as_ref().is_some_and(|plan| plan.request == order.request));
    let Some((episode, plan)) = ours.and_then(|episode| Some((episode.clone(), episode.plan?))) else {
        return Ok(json!({ "cluster": setup.cluster, "switched_over": null,
            "because": "a later episode has begun; look at the evidence" }));
    };
    let writer = episode.closed.map(|closed| closed.writer);
    // While the episode is open, nobody knows.
    let switched_over = writer.as_ref().map(|writer| *writer == plan.target);
    let refused = episode.promotion.and_then(|promotion| promotion.refused);
    Ok(json!({ "cluster": setup.cluster, "episode": episode.epoch, "switched_over": switched_over,
        "writer": writer, "target": plan.target, "because": plan.called_off.or(refused) }))
}
