//! Any payload is a step of a rotation, none, or an error; any text is a secret that stays the same
//! when it is stored, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use steadfast_core::rotation::{Document, Request};

fuzz_target!(|text: &str| {
    if let Ok(secret) = Document::parse(text) {
        let stored = Document::parse(&secret.to_text()).expect("what is stored is a secret");
        assert_eq!((stored.username(), stored.password()), (secret.username(), secret.password()));
        assert_eq!((stored.host(), stored.dbname()), (secret.host(), secret.dbname()));
    }
    let Ok(payload) = serde_json::from_str::<Value>(text) else { return };
    match Request::read(&payload) {
        None => assert!(payload.get("Step").is_none(), "a step that is passed over"),
        Some(Err(error)) => assert!(!error.to_string().is_empty()),
        Some(Ok(request)) => {
            let handed_on = serde_json::to_value(&request).expect("serialises");
            assert_eq!(Request::read(&handed_on).and_then(Result::ok), Some(request));
        }
    }
});
