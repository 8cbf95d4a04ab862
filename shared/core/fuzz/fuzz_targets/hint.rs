//! Any payload is read and routed without a panic, gives no order that nobody gave, and says no more
//! than fits into a message.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use steadfast_core::hint::{self, Hint, Wake};
use steadfast_core::route;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Deployment};

fuzz_target!(|input: &[u8]| {
    let Ok(payload) = serde_json::from_slice::<Value>(input) else { return };
    let cluster = ClusterId::new("orders");
    let now = Timestamp::from_millis(1_772_421_200_000);
    for event in hint::events(&payload) {
        let _stale = route::stale(&event.hint, &event.envelope, now);
        let route = route::choose(&event.hint, &cluster, Deployment::Cluster);
        if let Some(notice) = &route.notice {
            assert!(notice.sns_subject().len() < 100);
            assert!(notice.body.chars().count() < 60_000);
        }
        if matches!(event.hint, Hint::Operator(_)) {
            assert_eq!(payload.get("hint").and_then(Value::as_str), Some("operator"), "an order that nobody gave");
        }
        let wake = Wake { cluster: cluster.clone(), hint: event.hint };
        let handed_on = serde_json::to_value(&wake).expect("serialises");
        assert_eq!(hint::parse(&handed_on), wake.hint, "read differently when handed on");
    }
});
