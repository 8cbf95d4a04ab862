//! How the platform's events are delivered: at once and in order, unless it is told otherwise.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::rds::RdsEvent;

/// Events that come within this time after the first are delivered in reverse.
const REORDERED_WITHIN: Duration = Duration::from_secs(1);

/// What is wrong with the delivery of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// They come this much later; of several delays the longest counts.
    Late(Duration),
    /// They do not come. `DescribeEvents` knows them all the same.
    Dropped,
    /// They come twice, the copy with the same id.
    Doubled,
    /// They come in another order: those of a second come last first.
    Reordered,
}

/// What is wrong with the delivery of events now. A clone is another handle on the same.
#[derive(Debug, Clone, Default)]
pub struct EventDelivery(Arc<watch::Sender<Vec<Delivery>>>);

impl EventDelivery {
    /// Events are disturbed from now on. Different disturbances add up.
    pub fn set(&self, delivery: Delivery) {
        self.0.send_modify(|set| set.push(delivery));
    }

    /// Ends a disturbance. Events that are held back for their order come now; late ones come when
    /// they are due.
    pub fn clear(&self, delivery: Delivery) {
        self.0.send_modify(|set| set.retain(|known| *known != delivery));
    }

    /// Ends every disturbance.
    pub fn clear_all(&self) {
        self.0.send_modify(Vec::clear);
    }

    fn has(&self, delivery: Delivery) -> bool {
        self.0.borrow().contains(&delivery)
    }

    fn delay(&self) -> Duration {
        let set = self.0.borrow();
        let delays = set.iter().filter_map(|delivery| match delivery {
            Delivery::Late(delay) => Some(*delay),
            Delivery::Dropped | Delivery::Doubled | Delivery::Reordered => None,
        });
        delays.max().unwrap_or_default()
    }
}

/// Passes every event on when it is due, until the control plane ends.
pub(super) async fn deliver(
    mut events: UnboundedReceiver<RdsEvent>,
    delivery: EventDelivery,
    due: UnboundedSender<Value>,
) {
    let mut changed = delivery.0.subscribe();
    let mut late = JoinSet::new();
    let mut held: Vec<Value> = Vec::new();
    let mut release_at = Instant::now();
    loop {
        let ended = tokio::select! {
            event = events.recv() => match event {
                Some(_) if delivery.has(Delivery::Dropped) => false,
                Some(event) => {
                    if held.is_empty() {
                        release_at = Instant::now() + REORDERED_WITHIN;
                    }
                    held.push(event.to_eventbridge());
                    false
                }
                None => true,
            },
            () = sleep_until(release_at), if !held.is_empty() => false,
            _ = changed.changed() => false,
            Some(_) = late.join_next() => false,
        };
        if ended || !delivery.has(Delivery::Reordered) || Instant::now() >= release_at {
            while let Some(event) = held.pop() {
                send(event, &delivery, &due, &mut late);
            }
        }
        if ended {
            return while late.join_next().await.is_some() {};
        }
    }
}

fn send(event: Value, delivery: &EventDelivery, due: &UnboundedSender<Value>, late: &mut JoinSet<()>) {
    let delay = delivery.delay();
    let copy = delivery.has(Delivery::Doubled).then(|| event.clone());
    for event in copy.into_iter().chain([event]) {
        if delay.is_zero() {
            pass(due, event);
        } else {
            late.spawn(after(delay, due.clone(), event));
        }
    }
}

fn after(delay: Duration, due: UnboundedSender<Value>, event: Value) -> impl Future<Output = ()> + use<> {
    let at = Instant::now() + delay;
    async move {
        sleep_until(at).await;
        pass(&due, event);
    }
}

fn pass(due: &UnboundedSender<Value>, event: Value) {
    if due.send(event).is_err() {
        tracing::debug!("an event came after the end of its delivery");
    }
}

#[cfg(test)]
mod tests;
