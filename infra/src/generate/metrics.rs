use serde_json::{Map, Value, json};
use steadfast_core::metric;

/// The table of metrics, by name.
pub(super) fn all() -> Value {
    let metrics: Map<String, Value> = metric::ALL
        .iter()
        .map(|metric| {
            let row =
                json!({ "unit": metric.unit.as_str(), "dimensions": metric.dimensions, "meaning": metric.meaning });
            (metric.name.to_owned(), row)
        })
        .collect();
    json!({ "namespace": metric::NAMESPACE, "metrics": metrics })
}
