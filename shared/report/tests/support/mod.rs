//! Reports to try: of a killed host, of a drill that failed, of evidence alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use steadfast_core::evidence::Entry;
use steadfast_core::time::Timestamp;
use steadfast_report::{
    Call, Client, Counts, Episode, Expected, Injected, Kind, Load, Pause, Phase, Report, Run, Subject, of_evidence,
};

/// Text that must come out as text.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script> & \"more\"";

const EVIDENCE: &str = include_str!("../../../../tests/simulation/src/explain/examples/evidence.json");
/// The episode of a dead writer within it.
const EPOCH: u64 = 3;

/// The entries of an episode that Steadfast ended.
pub(crate) fn entries() -> Vec<Entry> {
    let all: Vec<Entry> = serde_json::from_str(EVIDENCE).expect("the example parses");
    all.into_iter().filter(|entry| entry.epoch == EPOCH).collect()
}

fn client(number: usize, seconds: u32, pause: Pause) -> Client {
    let offset = number as f64 * 0.007;
    let all = (0..seconds * 30).map(|step| f64::from(step) / 30.0 - 3.0 + offset);
    Client {
        number,
        route: if number < 4 {
            "all instance endpoints in one connection string"
        } else {
            "the cluster endpoint, by DNS"
        }
        .to_owned(),
        longest: Some(pause),
        first_good_commit_s: Some(pause.to_s),
        refused_connections: 3,
        evicted: 0,
        acknowledged_s: all.filter(|at| *at < pause.from_s || *at >= pause.to_s).collect(),
        failed_s: vec![pause.to_s - 0.1],
        in_doubt_s: if number == 1 { vec![pause.to_s - 0.2] } else { Vec::new() },
    }
}

fn load(seconds: u32) -> Load {
    let pause = |number: usize| Pause { from_s: -0.01, to_s: if number < 4 { 1.06 } else { 3.31 } };
    let clients = (0..6).map(|number| client(number, seconds, pause(number))).collect();
    Load { from_s: -3.0, to_s: f64::from(seconds) - 3.0, clients }
}

fn call(at_s: f64, action: &str, parameter: Option<(&str, &str)>) -> Call {
    Call {
        at_s,
        took_ms: 3,
        action: action.to_owned(),
        parameters: parameter
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect::<BTreeMap<_, _>>(),
        outcome: "carried out".to_owned(),
        changes: !action.starts_with("Describe"),
    }
}

/// A run of so many seconds.
pub(crate) fn run(number: u32, seconds: u32) -> Run {
    let entries = entries();
    let zero_at = Timestamp::from_millis(1_800_000_010_166);
    let phases = [
        ("detected", Some(0.693)),
        ("decided", Some(0.742)),
        ("called", Some(0.761)),
        ("promoted", Some(0.842)),
        ("proved", Some(0.951)),
        ("writes flow", Some(1.06)),
    ];
    Run {
        number,
        zero_at,
        zero: "the fault".to_owned(),
        outage: Some(Pause { from_s: -0.01, to_s: 1.06 }),
        phases: Phase::reached(&phases, false),
        injected: vec![Injected { at_s: 0.0, what: "kill-host writer (orders-2)".to_owned() }],
        load: Some(load(seconds)),
        counts: Some(Counts {
            acknowledged: 2_431,
            in_doubt: 1,
            failed: 6,
            money_conserved: true,
            ..Counts::default()
        }),
        episodes: Episode::read(&entries, zero_at, None, Some(PathBuf::from("target/drill/evidence-kill-host-1.json")))
            .into_iter()
            .collect(),
        calls: vec![
            call(0.71, "DescribeDBClusters", Some(("DBClusterIdentifier", "orders"))),
            call(0.761, "FailoverDBCluster", Some(("TargetDBInstanceIdentifier", "orders-1"))),
        ],
        expectations: vec![Expected {
            expectation: "outage at most 120s".to_owned(),
            held: Some(true),
            seen: "outage 1.070s".to_owned(),
        }],
        recovered: Some(true),
        machine_late_s: Some(0.02),
    }
}

fn subject(kind: Kind, name: &str, about: &str) -> Subject {
    Subject { kind, name: name.to_owned(), about: about.to_owned(), place: "Cluster orders".to_owned() }
}

/// A drill that passed.
pub(crate) fn passed() -> Report {
    let about = "The host of the writer vanishes: no goodbye, no reset connections, packets are dropped.";
    let made_at = Timestamp::from_millis(1_800_000_100_000);
    Report::new(subject(Kind::Drill, "kill-host", about), made_at, Vec::new(), vec![run(1, 12)])
}

/// A long one of several runs that failed, with text that must not become markup.
pub(crate) fn failed() -> Report {
    let mut runs = vec![run(1, 12), run(2, 12), run(3, 90)];
    if let Some(run) = runs.get_mut(2) {
        run.outage = Some(Pause { from_s: -0.01, to_s: 61.2 });
        run.injected.push(Injected { at_s: 2.0, what: HOSTILE.to_owned() });
        run.recovered = Some(false);
        if let Some(counts) = &mut run.counts {
            counts.lost = 2;
        }
        if let Some(episode) = run.episodes.first_mut() {
            episode.chain.verified = false;
            episode.chain.because = Some("entry 4 was changed: its content does not give its hash".to_owned());
        }
    }
    let failures = vec!["run 3: 2 acknowledged transfers are lost".to_owned(), format!("run 3: expected {HOSTILE}")];
    let made_at = Timestamp::from_millis(1_800_000_100_000);
    Report::new(subject(Kind::GameDay, "reboot-with-failover", HOSTILE), made_at, failures, runs)
}

/// An episode, from its evidence alone.
pub(crate) fn recorded() -> Report {
    let runs = of_evidence(&[(entries(), None)]);
    Report::new(subject(Kind::Episode, "episode 3 of orders", ""), Timestamp::default(), Vec::new(), runs)
}
