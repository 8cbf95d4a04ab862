//! What is refused, and with what words.

use crate::parse;

/// The errors of a scenario whose reason stands in line 1 and whose statements follow.
fn told(statements: &str) -> Vec<String> {
    match parse("refused", &format!("# why\n{statements}")) {
        Ok(scenario) => panic!("was read:\n{scenario}"),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn each_mistake_is_told_with_line_word_and_remedy() {
    for (statement, expected) in [
        ("at 0s kill-hots writer", "`kill-hots`: is not a fault; did you mean `kill-host`?"),
        (
            "at 0s freeze primary",
            "`primary`: is not an instance; write one of: writer, old-writer, target, reader-1, reader-2",
        ),
        (
            "at 0s freeze",
            "`freeze`: the line ends here; add an instance: writer, old-writer, target, reader-1, reader-2",
        ),
        ("at soon freeze writer", "`soon`: is not a time; write a whole number with its unit: 500ms, 12s, 5m or 1h"),
        ("at 1.5s freeze writer", "`1.5s`: is not a time; write a whole number with its unit: 500ms, 12s, 5m or 1h"),
        ("at 25h freeze writer", "`25h`: is too long; nothing in a scenario takes longer than 24h"),
        ("at 0s freeze writer for 0s", "`0s`: is no time at all; write more than 0s"),
        (
            "at 0s freeze writer now",
            "`now`: is not expected here; end the line after `writer`, or put a # before the rest",
        ),
        ("at 0s freeze reader-3", "`reader-3`: the cluster has 2 readers; write `readers 3`, or another"),
        (
            "at 0s freeze reader-0",
            "`reader-0`: is not a reader; readers are counted from reader-1 to reader-15 at most",
        ),
        ("at 0s cut writer from az-d", "`az-d`: is not a place to see it from; did you mean `az-a`?"),
        ("at 0s lag writer 45s", "`writer`: cannot lag behind itself; name a reader, such as `lag reader-1 45s`"),
        (
            "at 0s freeze target",
            "`target`: there is none before a promotion was called; name another instance, or let it come `after called`",
        ),
        ("at 0s freeze writer until promotd", "`promotd`: is not a milestone; did you mean `promoted`?"),
        (
            "at 200s freeze writer\nat 0s freeze writer",
            "`200s`: the scenario is over after 120s; let it come earlier, or write a longer `lasts`",
        ),
        (
            "at 0s fail state-table stale",
            "`stale`: is no trouble of this service; only rds goes on showing what was true; choose another trouble",
        ),
        (
            "at 0s fail rds error FailoverCluster",
            "`FailoverCluster`: is no action that a function calls on this service; did you mean `FailoverDBCluster`?",
        ),
        ("expect calls at least 1", "`least`: is not expected here; write `most`"),
        ("expect calls -1", "`-1`: is not a number of calls; write a number from 0 to 4294967295"),
        ("Expect calls 1", "`Expect`: begins no statement; did you mean `expect`?"),
        ("readers 16", "`16`: is not a number of readers; write a number from 0 to 15"),
        (
            "policy grace 2s",
            "`grace`: is not a threshold of the policy; write one of: platform_grace, platform_deadline, \
          promotion_deadline, episode_deadline, silent_after, stalled_after, lag_max",
        ),
        ("only simulator: it is late", "`simulator`: is not a place where scenarios run; did you mean `simulation`?"),
        ("only lab", "`lab`: no reason is given; write `only lab: ` and the reason"),
    ] {
        assert_eq!(told(statement), [format!("refused.txt:2: {expected}")], "{statement}");
    }
}

#[test]
fn a_rule_that_is_not_in_the_table_is_refused_with_those_that_are() {
    let unknown = told("expect rule 641").join("\n");
    assert!(unknown.starts_with("refused.txt:2: `641`: is not a rule; write one of: 110, 120, "), "{unknown}");
    assert!(unknown.ends_with(", 640, 650, 660, 999"), "{unknown}");
    let calls_nobody = told("expect person called by rule 640").join("\n");
    let expected = "refused.txt:2: `640`: is not a rule that calls a person; write one of: 205, ";
    assert!(calls_nobody.starts_with(expected) && !calls_nobody.contains("640,"), "{calls_nobody}");
}

#[test]
fn a_fault_that_is_over_at_once_cannot_end() {
    for fault in [
        "kill-postgres writer",
        "restart writer",
        "coordinator killed",
        "kill-prober az-a",
        "platform fails-over",
        "operator sets shadow",
        "operator fails-over",
        "operator switches-over",
        "operator deletes-lease",
    ] {
        for end in ["for 5s", "until promoted"] {
            let word = end.split(' ').next().unwrap_or_default();
            let expected = format!(
                "refused.txt:2: `{word}`: cannot end `{fault}`, which is over at once; leave out `{word}` and what follows"
            );
            assert_eq!(told(&format!("at 0s {fault} {end}")), [expected]);
        }
    }
}

#[test]
fn what_can_never_happen_is_refused() {
    for (statements, line, problem) in [
        ("after opened freeze writer", 1, "every line waits for a milestone, so nothing begins"),
        ("", 1, "expects nothing"),
        ("at 0s freeze writer", 1, "expects nothing"),
        ("at 0s freeze writer until opened\nexpect episodes 0", 2, "is never reached: no episode is expected"),
        (
            "at 0s freeze writer\nafter called freeze target\nexpect calls at most 0",
            3,
            "is never reached: no call is expected",
        ),
        ("at 0s freeze writer\nafter called 2s freeze target until called 1s", 3, "it would end before it begins"),
        ("at 0s freeze writer\nafter called freeze target until opened 9s", 3, "it would end before it begins"),
        ("expect episodes 0\nexpect recovered by itself", 3, "cannot be: no episode is expected"),
        ("expect episodes 0\nexpect calls 1", 3, "cannot be: no episode is expected"),
        ("expect nobody called\nexpect person called by rule 610", 3, "cannot be: nobody is to be called"),
        ("expect rule 640\nexpect no rule 640", 3, "line 2 has said it"),
        ("expect calls 1\nexpect calls at most 2", 3, "line 2 has said it"),
        ("deployment multi-az\nreaders 1\nexpect calls 1", 1, "a Multi-AZ DB instance has no readers"),
        ("deployment multi-az\nclients use the gate\nexpect calls 1", 1, "no gate is held"),
        ("deployment multi-az\nat 0s freeze reader-1", 3, "the cluster has 0 readers"),
        ("deployment multi-az\nat 0s operator switches-over", 1, "happens to clusters alone"),
        ("deployment multi-az\nexpect sessions evicted", 1, "nobody is left on the old host"),
        ("lasts 20s\nlasts 30s\nexpect calls 1", 3, "line 2 has said it"),
    ] {
        let told = told(statements);
        let found =
            told.iter().any(|error| error.starts_with(&format!("refused.txt:{line}: ")) && error.contains(problem));
        assert!(found, "{statements}: {told:?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_by_line() {
    let told = told(
        "readers many\n\nmode on\nat 0s explode writer   # no such fault\nexpect calls one\nat 1s freeze reader-9",
    );
    let places: Vec<&str> = told.iter().filter_map(|error| error.split(": ").next()).collect();
    assert_eq!(places, ["refused.txt:2", "refused.txt:4", "refused.txt:5", "refused.txt:6"], "{told:?}");
}

#[test]
fn a_scenario_without_a_reason_is_refused() {
    for text in ["at 0s freeze writer", "\n\n#\nat 0s freeze writer", "at 0s freeze writer\n# too late"] {
        let errors = parse("refused", text).expect_err("no reason");
        let told = errors.to_string();
        assert!(
            told.starts_with("refused.txt:1: `#`: the reason for the scenario is missing; begin the file with"),
            "{told}"
        );
    }
    let scenario = parse("kept", "\n# One.\n#\n#   Two # three.\n\n# no more\nat 0s freeze writer\nexpect lost 0")
        .expect("a reason");
    assert_eq!(scenario.why, "One.\n\nTwo # three.");
    assert_eq!(scenario.timeline.first().map(|event| event.line), Some(7));
}

#[test]
fn a_multi_az_instance_runs_where_the_scenario_says() {
    use crate::scenario::Interpreter;
    let scenario =
        parse("multi-az", "# why\ndeployment multi-az\nat 0s kill-host writer\nexpect lost 0\n").expect("a scenario");
    assert_eq!(scenario.keeps_out(Interpreter::Lab), None);
    assert_eq!(scenario.keeps_out(Interpreter::Simulation), None);
    assert!(scenario.to_string().contains("\ndeployment multi-az\n"), "{scenario}");
    let cluster =
        parse("cluster", "# why\nonly lab: it is real\nat 0s kill-host writer\nexpect lost 0\n").expect("a scenario");
    assert_eq!(cluster.keeps_out(Interpreter::Simulation), Some("it is real"));
    assert_eq!(cluster.keeps_out(Interpreter::Lab), None);
}

#[test]
fn a_scenario_that_expects_nothing_is_refused_with_what_to_add() {
    let expected = "refused.txt:1: `refused`: expects nothing; add at least one line such as `expect lost 0`";
    for statements in ["", "mode shadow", "at 0s kill-host writer\nlasts 30s"] {
        assert_eq!(told(statements), [expected], "{statements}");
    }
}

#[test]
fn a_byte_order_mark_before_the_reason_is_passed_over() {
    let text = "# why\nat 0s freeze writer\nexpect lost 0\n";
    assert_eq!(parse("marked", &format!("\u{feff}{text}")), parse("marked", text));
    assert!(parse("marked", text).is_ok());
}
