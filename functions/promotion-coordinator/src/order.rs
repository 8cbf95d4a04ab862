//! What an operator orders by payload.

use lambda_runtime::Error;
use serde_json::{Value, json};
use steadfast_core::hint::Order;
use steadfast_core::ports::{Clock as _, Log as _};

use crate::setup::Setup;

/// Carries the order out and answers with what has changed.
pub(crate) async fn obey(setup: &Setup, order: Order) -> Result<Value, Error> {
    match order {
        Order::SetMode { mode, reason } => {
            // An order to pause must get through also when the rest of the state cannot be read.
            let before = setup.world.table.load(&setup.cluster).await.map(|state| state.mode).ok();
            setup.world.table.set_mode(&setup.cluster, mode, &reason, setup.world.now()).await?;
            let answer = json!({ "cluster": setup.cluster, "mode": mode, "before": before, "reason": reason });
            setup.world.audit("mode", answer.clone());
            Ok(answer)
        }
    }
}
