//! Writes pages to look at, and for the browser's test: `cargo run --example pages FOLDER`.

#![expect(clippy::expect_used, reason = "an example ends where its ground is missing")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("target/browser"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    for (name, report) in
        [("passed", support::passed()), ("failed", support::failed()), ("recorded", support::recorded())]
    {
        let page = steadfast_report::render(&report).expect("the report renders");
        std::fs::write(folder.join(name).with_extension("html"), page)?;
    }
    Ok(())
}
