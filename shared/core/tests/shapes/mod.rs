//! The event files: one per shape that a function may meet, written from the documented form.

use serde_json::Value;

/// All of them, by name, in order.
pub(crate) fn all() -> Vec<(String, Value)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/events");
    let mut found: Vec<(String, Value)> = std::fs::read_dir(directory)
        .expect("the directory is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
            let text = std::fs::read_to_string(&path).expect("reads");
            (name, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        })
        .collect();
    found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    assert!(found.len() > 50, "only {} event files", found.len());
    found
}
