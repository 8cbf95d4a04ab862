//! Entries from anywhere are verified without a panic; a chain made of any data verifies after it was
//! stored, and no longer once a part of it was changed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use steadfast_core::evidence::{self, Entry, Head, Kind};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Owner};

fuzz_target!(|input: &[u8]| {
    if let Ok(entries) = serde_json::from_slice::<Vec<Entry>>(input) {
        if let Err(error) = evidence::verify(&entries) {
            assert!(!error.to_string().is_empty());
        }
    }
    let Ok(data) = serde_json::from_slice::<Value>(input) else { return };
    let stored = serde_json::to_string(&chain(&data)).expect("serialises");
    // Data nested deeper than serde_json reads back is none of ours.
    let Ok(mut entries) = serde_json::from_str::<Vec<Entry>>(&stored) else { return };
    assert_eq!(evidence::verify(&entries).map(|head| head.length), Ok(2), "{stored}");
    entries[0].data = json!({ "was": data });
    assert!(evidence::verify(&entries).is_err(), "a change does not show: {stored}");
});

fn chain(data: &Value) -> Vec<Entry> {
    let (cluster, by) = (ClusterId::new("orders"), Owner::new("me"));
    let at = Timestamp::from_millis(1_772_421_200_000);
    let (first, head) = Head::default().append(&cluster, 7, at, &by, Kind::Opened, data.clone());
    let (second, _) = head.append(&cluster, 7, at, &by, Kind::Closed, json!([data]));
    vec![first, second]
}
