//! Whoever is called at night is told what to do.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use steadfast_core::decision::decide;
use steadfast_core::diagnosis::diagnose;
use steadfast_core::episode::Episode;
use steadfast_core::notice::{self, Notice};
use steadfast_core::remedy;
use steadfast_core::rules::{OTHERWISE, TABLE, Verdict};
use steadfast_core::topology::{ClusterId, Deployment, InstanceId};
use steadfast_core::witness::Outcome;
use support::*;

/// The notice of each rule that calls a person.
fn notices() -> BTreeMap<u16, Notice> {
    notices_about(Deployment::Cluster)
}

fn notices_about(deployment: Deployment) -> BTreeMap<u16, Notice> {
    let mut seen = unanimous(Outcome::Refused, ago(2_000));
    if let Some(described) = &mut seen.topology {
        described.what.deployment = deployment;
    }
    let writer = InstanceId::new(WRITER);
    let policy = no_grace();
    let opened =
        Episode::open(&ClusterId::new("orders"), 7, &diagnose(&seen, &policy), writer, None, ago(1_000), &policy);
    let calling = TABLE.iter().chain([&OTHERWISE]).filter(|rule| rule.verdict == Verdict::CallHuman);
    let notice = |rule: u16, says: &str| {
        let mut decision = decide(&seen, &policy);
        (decision.rule, decision.says) = (rule, says.to_owned());
        notice::human_needed(&opened, &decision)
    };
    calling.map(|rule| (rule.id, notice(rule.id, rule.says))).collect()
}

/// What stands between these words.
fn between<'t>(text: &'t str, from: &str, to: &str) -> Option<&'t str> {
    text.split_once(from)?.1.split_once(to).map(|(inside, _)| inside)
}

#[test]
fn every_rule_that_calls_a_person_has_a_remedy_of_its_own_and_no_other_rule_has_one() {
    let notices = notices();
    let rules: BTreeSet<u16> = remedy::rules().collect();
    assert_eq!(notices.keys().copied().collect::<BTreeSet<_>>(), rules);
    let mut told: BTreeMap<&str, u16> = BTreeMap::new();
    for (rule, notice) in &notices {
        let remedy = between(&notice.body, "What to do: ", "\nRefused as writers").unwrap();
        assert!(remedy.len() > 80, "{rule}: {remedy}");
        assert_eq!(told.insert(remedy, *rule), None, "{rule}: {remedy}");
        let concrete = ["aws ", "SELECT ", "ALTER ROLE", "CloudWatch", "console"];
        assert!(concrete.iter().any(|word| remedy.contains(word)), "{rule}: {remedy}");
    }
}

#[test]
fn a_call_at_night_says_what_where_since_when_and_in_which_episode() {
    for (rule, Notice { subject, body, .. }) in notices() {
        assert_eq!(subject, format!("orders: you are needed, rule {rule}"));
        for part in [&format!("Rule {rule}: "), "episode 7", "2027-01-15T07:59:58.000Z", "writer w", "cluster orders"] {
            assert!(body.contains(part), "{rule} without {part}: {body}");
        }
        for word in ["{fail over}", "{events}", "{status}", "{cluster}", "{writer}", "{called}", "{refusal}"] {
            assert!(!body.contains(word), "{rule}: {body}");
        }
        assert!(body.len() < 1_400, "{rule} is read on a telephone: {} bytes", body.len());
    }
}

#[test]
fn nobody_is_told_to_fail_over_where_another_writer_does_not_help() {
    for rule in [455, 510, 520, 530, 570] {
        assert!(!notices()[&rule].body.contains("failover-db-cluster"), "{rule}");
    }
}

#[test]
fn who_is_called_about_a_multi_az_instance_reads_nothing_of_clusters() {
    for (rule, Notice { body, .. }) in notices_about(Deployment::Instance) {
        let remedy = between(&body, "What to do: ", "\nRefused as writers").unwrap();
        for word in ["db-cluster", "Aurora", "FailoverDBCluster", "{", "READER"] {
            assert!(!remedy.replace("'{\"cluster\"", "").contains(word), "{rule} says {word}: {remedy}");
        }
        assert!(body.len() < 1_400, "{rule} is read on a telephone: {} bytes", body.len());
    }
}
