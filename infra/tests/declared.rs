//! What the functions do against what they declare: calls and grants, settings, metrics. Read from their sources.

mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use sources::{Reached, Sources, reached};
use steadfast_aws::functions::{self, Function};
use steadfast_core::metric;

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn ports() -> Sources {
    Sources::read(&root().join("shared/aws/src"))
}

fn sources_of(function: &Function) -> Sources {
    Sources::read(&root().join("functions").join(function.name).join("src"))
}

/// By function: what is reached from its sources.
fn all() -> BTreeMap<&'static str, Reached> {
    let ports = ports();
    functions::ALL.iter().map(|function| (function.name, reached(&sources_of(function), &ports))).collect()
}

#[test]
fn every_function_that_is_built_is_deployed() {
    let folders = std::fs::read_dir(root().join("functions")).expect("the functions");
    let built: BTreeSet<String> =
        folders.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    let deployed: BTreeSet<String> = functions::ALL.iter().map(|function| function.name.to_owned()).collect();
    assert_eq!(built, deployed, "add what is missing to shared/aws/src/functions");
}

#[test]
fn a_function_is_granted_what_it_calls_and_nothing_else() {
    let reached = all();
    for function in functions::ALL {
        let found = &reached[function.name];
        assert!(
            found.unresolved.is_empty(),
            "{}: whose methods are these? Name the receiver like a field of its type, or list it as a stranger: {:?}",
            function.name,
            found.unresolved
        );
        let called: BTreeSet<&str> = found.actions.iter().map(String::as_str).collect();
        let granted = function.actions();
        let without: Vec<_> = called.difference(&granted).collect();
        let surplus: Vec<_> = granted.difference(&called).collect();
        assert!(without.is_empty(), "{} calls without a grant: {without:?}", function.name);
        assert!(surplus.is_empty(), "{} is granted without calling: {surplus:?}", function.name);
        println!("{}: {} actions granted, {} called", function.name, granted.len(), called.len());
    }
}

#[test]
fn a_function_reads_every_setting_that_it_declares() {
    let table = std::fs::read_to_string(root().join("shared/aws/src/settings/table.rs")).expect("the table");
    let constant_of = |name: &str| name.trim_start_matches("STEADFAST_").to_owned();
    let reached = all();
    for function in functions::ALL {
        let read: BTreeSet<&str> = reached[function.name].constants.iter().map(|(_, name)| name.as_str()).collect();
        for declared in function.settings {
            let constant = constant_of(declared.setting.name);
            assert!(table.contains(&format!("pub const {constant}: Setting")), "{constant} is named like its variable");
            assert!(read.contains(constant.as_str()), "{} declares {constant} and never reads it", function.name);
        }
    }
}

#[test]
fn every_setting_is_explained_to_users() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    for declared in functions::ALL.iter().flat_map(|function| function.settings) {
        let row = format!("| `{}` |", declared.setting.name);
        assert!(readme.contains(&row), "README.md has no row for {}", declared.setting.name);
    }
}

/// `CANARY_LOST` of `CanaryLost`.
fn constant(metric: &str) -> String {
    let mut constant = String::new();
    for letter in metric.chars() {
        if letter.is_ascii_uppercase() && !constant.is_empty() {
            constant.push('_');
        }
        constant.push(letter.to_ascii_uppercase());
    }
    constant
}

#[test]
fn a_function_emits_the_metrics_that_it_declares_with_their_dimensions() {
    let core = root().join("shared/core/src");
    let mut emitted_by_anybody = BTreeSet::new();
    for function in functions::ALL {
        let own = sources_of(function);
        // These three measure through the core, for what is watched as the only dimension.
        let of_core = match function.name {
            "promotion-coordinator" => Sources::of(&core, &["executor", "executor.rs"]),
            "backup-verifier" => Sources::of(&core, &["verification"]),
            "fis-scheduler" => Sources::of(&core, &["game_day"]),
            _ => Sources::default(),
        };
        let through_core = !of_core.bodies.is_empty();
        let bodies = own.bodies.iter().chain(&of_core.bodies);
        let mut emitted = BTreeSet::new();
        for (mut dimensions, metrics) in bodies.flat_map(|body| body.measured.iter().cloned()) {
            if through_core {
                dimensions.insert("CLUSTER".to_owned());
            }
            for name in &metrics {
                let known = metric::ALL.iter().find(|metric| constant(metric.name) == *name);
                let known = known.unwrap_or_else(|| panic!("{name} is in no row of the table"));
                let has = |dimension: &&str| dimensions.contains(&dimension.to_ascii_uppercase());
                assert!(known.dimensions.iter().all(has), "{name} is emitted without {:?}", known.dimensions);
            }
            emitted.extend(metrics);
        }
        let declared: BTreeSet<String> = function.metrics.iter().map(|metric| constant(metric.name)).collect();
        assert_eq!(emitted, declared, "{} emits on the left what is declared on the right", function.name);
        emitted_by_anybody.extend(emitted);
    }
    let table: BTreeSet<String> = metric::ALL.iter().map(|metric| constant(metric.name)).collect();
    assert_eq!(emitted_by_anybody, table, "nobody emits what is only on the right");
}
