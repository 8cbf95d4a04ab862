//! Any text is a time or none, and UTC is UTC in both ways in which AWS writes it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use steadfast_core::time::Timestamp;

fuzz_target!(|text: &str| {
    let Some(at) = Timestamp::parse(text) else { return };
    if let Some(bare) = text.strip_suffix('Z') {
        assert_eq!(Timestamp::parse(&format!("{bare}+0000")), Some(at), "{text}");
    }
});
