use serde_json::{Value, json};
use steadfast_core::pattern;

use super::{DATABASE, NAME};

/// The patterns of the rules that wake the router. Alarms of an installation begin with its name and a hyphen.
pub(super) fn all() -> Value {
    json!(pattern::all(DATABASE, &format!("{NAME}-")))
}
