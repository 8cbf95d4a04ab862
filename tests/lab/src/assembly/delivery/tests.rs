use tokio::sync::mpsc::unbounded_channel;
use uuid::Uuid;

use super::*;
use crate::rds::SourceType;

/// Generous: only a hanging test gets here.
const LIMIT: Duration = Duration::from_secs(60);

/// Events on their way, and what has arrived.
struct Way {
    events: UnboundedSender<RdsEvent>,
    delivery: EventDelivery,
    arrived: UnboundedReceiver<Value>,
    _carrier: JoinSet<()>,
}

fn way() -> Way {
    let (events, incoming) = unbounded_channel();
    let (due, arrived) = unbounded_channel();
    let delivery = EventDelivery::default();
    let mut carrier = JoinSet::new();
    carrier.spawn(deliver(incoming, delivery.clone(), due));
    Way { events, delivery, arrived, _carrier: carrier }
}

impl Way {
    fn emit(&self, messages: &[&str]) {
        for message in messages {
            let event = RdsEvent {
                envelope_id: Uuid::new_v4(),
                at_ms: 0,
                event_id: "RDS-EVENT-0071",
                category: "failover",
                source_type: SourceType::Cluster,
                identifier: "orders".to_owned(),
                arn: "arn".to_owned(),
                message: (*message).to_owned(),
                account: "123456789012".to_owned(),
                region: "eu-central-1".to_owned(),
                tags: Vec::new(),
            };
            self.events.send(event).unwrap();
        }
    }

    /// Lets the schedule take what was emitted: there is one thread, and it is this test's.
    async fn scheduled(&self) {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    async fn next(&mut self) -> Value {
        tokio::time::timeout(LIMIT, self.arrived.recv()).await.unwrap().unwrap()
    }

    async fn messages<const N: usize>(&mut self) -> [String; N] {
        let mut seen = Vec::new();
        while seen.len() < N {
            seen.push(self.next().await["detail"]["Message"].as_str().unwrap().to_owned());
        }
        seen.try_into().unwrap()
    }
}

#[tokio::test]
async fn undisturbed_events_come_in_order() {
    let mut way = way();
    way.emit(&["a", "b", "c"]);
    assert_eq!(way.messages().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn late_events_are_overtaken_by_those_after_the_disturbance() {
    let mut way = way();
    let late = Delivery::Late(Duration::from_secs(1));
    way.delivery.set(late);
    way.emit(&["late"]);
    way.scheduled().await;
    way.delivery.clear(late);
    way.emit(&["prompt"]);
    assert_eq!(way.messages().await, ["prompt"]);
    assert_eq!(way.messages().await, ["late"]);
}

#[tokio::test]
async fn dropped_events_never_come() {
    let mut way = way();
    way.delivery.set(Delivery::Dropped);
    way.emit(&["lost"]);
    way.scheduled().await;
    way.delivery.clear(Delivery::Dropped);
    way.emit(&["seen"]);
    assert_eq!(way.messages().await, ["seen"]);
}

#[tokio::test]
async fn a_double_has_the_id_of_its_event() {
    let mut way = way();
    way.delivery.set(Delivery::Doubled);
    way.delivery.set(Delivery::Late(Duration::from_millis(1)));
    way.emit(&["twice"]);
    let first = way.next().await;
    assert_eq!(first["detail"]["Message"], "twice");
    assert_eq!(way.next().await, first);
    way.delivery.clear_all();
    way.emit(&["once", "again"]);
    assert_eq!(way.messages().await, ["once", "again"]);
}

#[tokio::test]
async fn reordered_events_come_last_first() {
    let mut way = way();
    way.delivery.set(Delivery::Reordered);
    way.emit(&["a", "b", "c"]);
    assert_eq!(way.messages().await, ["c", "b", "a"]);
    // Held back, until the order does not matter any more.
    way.emit(&["d", "e"]);
    way.scheduled().await;
    assert!(way.arrived.is_empty());
    way.delivery.clear(Delivery::Reordered);
    assert_eq!(way.messages().await, ["e", "d"]);
    way.emit(&["f", "g"]);
    assert_eq!(way.messages().await, ["f", "g"]);
}
