//! Verification of backups: a backup counts only once it was restored, opened and looked through.
//!
//! A restore outlasts a function, so a run is stored in the state table, and each invocation judges from the observed
//! world what comes next, does that one thing, and ends. Names follow from the run, so that a repeated call meets what
//! the first one made; nothing is deleted that does not carry both our name and our tag.

pub mod claim;
pub mod executor;
pub mod finding;
pub mod janitor;
mod look;
pub mod manifest;
pub mod notice;
pub mod observed;
pub mod place;
pub mod refusal;
pub mod run;
pub mod step;

pub use finding::{Check, Finding};
pub use manifest::{Manifest, SourceKind};
pub use observed::{Backup, Observed, Production, Thing};
pub use place::{Part, Place};
pub use refusal::{Refusal, Unseen};
pub use run::{Run, Source};
pub use step::{Action, Progress};
