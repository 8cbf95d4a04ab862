use serde_json::{Value, json};
use steadfast_core::evidence::Entry;

use super::*;
use crate::{chaos, run};

const EVIDENCE: &str = include_str!("examples/evidence.json");
const EVENTS: &str = include_str!("examples/events.jsonl");

fn as_reviewed(name: &str, text: &str) {
    let told = told(text) + "\n";
    let path = format!("{}/src/explain/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::fs::read_to_string(&path).unwrap_or_default() != told {
        std::fs::write(&path, &told).expect("writes");
        panic!("the explanation has changed; {path} was rewritten: review the difference and commit it");
    }
}

fn entries() -> Vec<Entry> {
    serde_json::from_str(EVIDENCE).expect("parses")
}

fn told(text: &str) -> String {
    explain(text).expect("explains").lines.join("\n")
}

#[test]
fn evidence_is_told_as_reviewed() {
    as_reviewed("evidence", EVIDENCE);
}

#[test]
fn events_and_log_lines_are_told_as_reviewed() {
    as_reviewed("events", EVENTS);
}

#[test]
fn the_same_evidence_is_told_alike_in_whatever_form_it_is_exported() {
    let entries = entries();
    let lines =
        |line: &dyn Fn(&Entry) -> Value| entries.iter().map(|entry| line(entry).to_string() + "\n").collect::<String>();
    let stored = |entry: &Entry| {
        json!({ "pk": { "S": format!("evidence#{}#{}", entry.cluster, entry.epoch) },
            "sk": { "S": format!("{:010}", entry.seq) }, "body": { "S": json!(entry).to_string() } })
    };
    let audit =
        |entry: &Entry| json!({ "audit": "evidence", "at": 1, "function": "promotion-coordinator", "data": entry });
    let expected = told(EVIDENCE);
    assert_eq!(told(&lines(&|entry| json!(entry))), expected, "JSON lines");
    assert_eq!(told(&lines(&audit)), expected, "log lines");
    let items: Vec<Value> = entries.iter().rev().map(stored).collect();
    let query = json!({ "Count": items.len(), "Items": items });
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&told(&query.to_string())), sorted(&expected), "a query, last episode first");
    assert_eq!(told(&serde_json::to_string_pretty(&entries).expect("serialises")), expected, "pretty");
    let events: Vec<Value> =
        entries.iter().map(|entry| json!({ "timestamp": 1, "message": audit(entry).to_string() })).collect();
    assert_eq!(told(&json!({ "events": events }).to_string()), expected, "filter-log-events");
}

#[test]
fn an_event_is_judged_for_whatever_it_names() {
    let event = |source_type: &str, identifier: &str, message: &str| {
        json!({ "source": "aws.rds", "detail": { "SourceType": source_type, "SourceIdentifier": identifier,
            "Message": message } })
    };
    let switchover = "Switchover from DB cluster orders to orders-green-1 started";
    for message in [switchover.to_owned(), format!("{switchover}.")] {
        let text = told(&event("BLUE_GREEN_DEPLOYMENT", "bgd-1", &message).to_string());
        assert!(text.ends_with("tells people (warning); the router of another cluster drops it"), "{text}");
    }
    let text = told(&event("BLUE_GREEN_DEPLOYMENT", "bgd-1", "Switchover completed.").to_string());
    assert!(text.ends_with("dropped, it is of another cluster; it names no cluster"), "{text}");

    let restarted = event("DB_INSTANCE", "orders-1", "DB instance restarted");
    let text = told(&restarted.to_string());
    assert!(text.ends_with("tells nobody; the router of another Multi-AZ DB instance drops it"), "{text}");
    let mut wake = json!(steadfast_core::hint::parse(&restarted));
    wake["cluster"] = json!("orders");
    let text = told(&wake.to_string());
    assert!(text.ends_with("; if orders is a Multi-AZ DB instance: dropped, it is of another cluster"), "{text}");
}

#[test]
fn what_was_tampered_with_is_named() {
    let mut changed = entries();
    let at = changed.iter().position(|entry| entry.epoch == 3 && entry.seq == 3).expect("there");
    changed[at].data["verdict"] = json!("rest");
    let text = told(&json!(changed).to_string());
    assert!(text.contains("THE CHAIN DOES NOT VERIFY: entry 3 was changed"), "{text}");
    assert!(text.contains("2 entries before it verify"), "{text}");
    assert_eq!(text.matches("the chain verifies").count(), 1, "the other episode is as it was: {text}");

    let mut missing = entries();
    missing.remove(0);
    let text = told(&json!(missing).to_string());
    assert!(text.contains("DOES NOT VERIFY: entry 1 is missing: number 2 stands in its place; 0 entries"), "{text}");
}

#[test]
fn evidence_that_does_not_verify_is_no_success() {
    assert!(explain(EVIDENCE).expect("explains").verifies);
    assert!(explain(EVENTS).expect("explains").verifies, "there is none");
    let tampered = explain(&EVIDENCE.replacen("orders-3", "orders-9", 1)).expect("explains");
    assert!(!tampered.verifies, "{:?}", tampered.lines);
}

/// As `aws dynamodb query` prints it.
fn queried() -> String {
    let stored = |entry: Entry| {
        json!({ "pk": { "S": format!("evidence#{}#{}", entry.cluster, entry.epoch) },
            "sk": { "S": format!("{:010}", entry.seq) }, "body": { "S": json!(entry).to_string() } })
    };
    let items: Vec<Value> = entries().into_iter().map(stored).collect();
    let (count, items) = (items.len(), serde_json::to_string_pretty(&items).expect("serialises"));
    format!("{{\n  \"Items\": {},\n  \"Count\": {count}\n}}\n", items.replace('\n', "\n  "))
}

/// How many entries are told, and what is said of what was not read.
fn told_and_unread(text: &str) -> (usize, Vec<String>) {
    let lines = explain(text).expect("explains").lines;
    let is_entry = |line: &&String| {
        line.starts_with("  ") && line.trim_start().split(' ').next().is_some_and(|seq| seq.parse::<u64>().is_ok())
    };
    let unread = lines.iter().filter(|line| line.contains("was not read")).cloned().collect();
    (lines.iter().filter(is_entry).count(), unread)
}

#[test]
fn of_an_answer_that_is_cut_short_every_whole_item_is_told() {
    let text = queried();
    let cut = &text[..text.len() - 200];
    let (told, unread) = told_and_unread(cut);
    assert_eq!(told, entries().len() - 1, "{unread:?}");
    assert_eq!(unread.len(), 2, "{unread:?}");
    let head = "line 1 was not read: \"{ \"Items\": [\" and what follows, to line 2: what begins in line 1 is cut off; \
                export it again, or complete it";
    assert_eq!(unread[0], head);
    assert!(unread[1].contains("is cut off"), "{unread:?}");
    assert!(matches!(evidence(cut), Err(ExplainError::Hole(_))));
}

#[test]
fn of_an_answer_with_damage_in_its_midst_all_but_the_damaged_item_is_told() {
    let text = queried().replacen("\"sk\": {", "\"sk\" {", 1);
    let (told, unread) = told_and_unread(&text);
    assert_eq!(told, entries().len() - 1, "{unread:?}");
    assert_eq!(unread.len(), 1, "{unread:?}");
}

#[test]
fn what_a_terminal_or_a_log_puts_around_an_answer_costs_nothing_of_it() {
    let prompt = "$ aws dynamodb query --expression-attribute-values '{\":pk\":{\"S\":\"evidence#orders#3\"}}'";
    for text in [queried(), serde_json::to_string_pretty(&entries()).expect("serialises"), EVIDENCE.to_owned()] {
        for before in [prompt, "ops@host:~$ cat evidence.json", "[root@host ~]$ cat evidence.json"] {
            let (told, unread) = told_and_unread(&format!("{before}\n{text}"));
            assert_eq!((told, unread.len()), (entries().len(), 1), "{unread:?}");
            let excerpt: String = before.chars().take(30).collect();
            assert!(unread[0].starts_with(&format!("line 1 was not read: \"{excerpt}")), "{unread:?}");
        }
        let (told, unread) = told_and_unread(&format!("{text}\n\nops@host:~$ logout\nConnection closed.\n"));
        assert_eq!((told, unread.len()), (entries().len(), 1), "{unread:?}");
        assert!(unread[0].contains("\"ops@host:~$ logout\" and what follows, to line "), "{unread:?}");
        let (told, unread) = told_and_unread(&format!("2026-03-02T03:12:08 [INFO] {text}"));
        assert_eq!((told, unread.len()), (entries().len(), 0), "a prefix on its line: {unread:?}");
    }
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    assert_eq!(told(&format!("\u{feff}{EVIDENCE}")), told(EVIDENCE));
    assert_eq!(evidence(&format!("\u{feff}{EVIDENCE}")), evidence(EVIDENCE));
    assert_eq!(explain("\u{feff}\n"), Err(ExplainError::Empty));
}

#[test]
fn an_empty_list_is_called_so() {
    for (text, missing) in [
        ("[]", "line 1: the list has no entries"),
        ("\n{\"Items\":[],\"Count\":0}", "line 2: there are no items: the list `Items` has no entries"),
        ("{\"Events\":[]}", "line 1: there are no events: the list `Events` has no entries"),
        ("{\"events\":[]}", "line 1: there are no log lines: the list `events` has no entries"),
    ] {
        assert_eq!(explain(text), Err(ExplainError::NoEntries(vec![missing.to_owned()])), "{text}");
        assert!(told(&format!("{text}\n{EVIDENCE}")).ends_with(missing), "{text}");
    }
}

#[test]
fn a_single_item_is_read_like_one_of_many() {
    let entry = json!(entries().remove(0)).to_string();
    let item = json!({ "pk": { "S": "evidence#orders#1" }, "sk": { "S": "0000000001" }, "body": { "S": entry } });
    assert_eq!(told(&json!({ "Item": item }).to_string()), told(&entry));
}

#[test]
fn entries_that_stand_there_twice_are_told_once() {
    let text = told(&format!("{EVIDENCE}\n{EVIDENCE}"));
    assert_eq!(text.matches("the chain verifies").count(), 2, "{text}");
    assert_eq!(text.matches("stood there more than once").count(), 2, "{text}");
}

#[test]
fn an_episode_without_its_end_is_called_open() {
    let entries = entries();
    let begun: Vec<&Entry> = entries.iter().filter(|entry| entry.epoch == 1).take(3).collect();
    let text = told(&json!(begun).to_string());
    assert!(text.contains("the chain verifies: 3 entries") && text.contains("it is not closed"), "{text}");
    assert!(!told(EVIDENCE).contains("it is not closed"));
}

#[test]
fn a_text_that_is_cut_off_anywhere_is_told_as_far_as_it_goes() {
    for text in [EVENTS, EVIDENCE] {
        for end in (0..text.len()).step_by(53).filter(|end| text.is_char_boundary(*end)) {
            let whole_lines = text[..end].matches('\n').count();
            match explain(&text[..end]) {
                Ok(Explanation { lines, .. }) => assert!(lines.len() > whole_lines / 2, "{end}: {lines:?}"),
                Err(_) => assert_eq!(whole_lines, 0, "nothing told of {end} bytes"),
            }
        }
    }
}

#[test]
fn a_text_with_nothing_in_it_is_an_error_that_says_what_to_give() {
    assert_eq!(explain(" \n\n"), Err(ExplainError::Empty));
    let error = explain("hello\n{broken").expect_err("nothing to read").to_string();
    let complaint = "line 1 was not read: \"hello\" and what follows, to line 2: what begins in line 2 is no JSON in \
                     line 2: key must be a string; export it again, or complete it";
    assert_eq!(error.lines().nth(1), Some(complaint), "{error}");
    assert!(explain("[1, 2]").expect_err("no object").to_string().contains("line 1, item 2"));
}

#[test]
fn everything_the_simulated_coordinators_record_verifies_and_is_decided_alike_today() {
    let mut decided = 0;
    for seed in 0..40 {
        let report = run::run(chaos::plan(seed));
        if report.evidence.is_empty() {
            continue;
        }
        let text = told(&json!(report.evidence).to_string());
        assert!(!text.contains("DOES NOT VERIFY"), "seed {seed}: {text}");
        assert!(!text.contains("DIFFER") && !text.contains("written differently"), "seed {seed}: {text}");
        assert!(!text.contains('?'), "something is not told, seed {seed}: {text}");
        decided += text.matches("today's rules decide the same").count();
    }
    assert!(decided > 50, "only {decided} decisions in all of them");
}

#[test]
fn every_shape_the_core_knows_is_told() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/core/tests/events");
    let mut told = 0;
    for file in std::fs::read_dir(folder).expect("the folder") {
        let path = file.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let lines = explain(&std::fs::read_to_string(&path).expect("reads")).expect("explains").lines;
            assert!(lines.iter().all(|line| line.contains(" -> ")), "{}: {lines:?}", path.display());
            told += 1;
        }
    }
    assert!(told > 50, "only {told} shapes");
}

#[test]
fn a_message_alone_is_explained_for_the_cluster_that_it_names_and_for_no_other() {
    let message = |text: &str| json!({ "Event Message": text }).to_string();
    let own = told(&message("Switchover from DB cluster `orders` to `orders-green-1` started."));
    assert!(own.contains("tells people (warning); the router of another cluster drops it"), "{own}");
    let mut foreign = json!({ "Event Message": "Switchover from DB cluster billing to billing-green-1 completed." });
    foreign["cluster"] = json!("orders");
    assert!(told(&foreign.to_string()).contains("dropped, it is of another cluster"), "{foreign}");
    for source in ["db-cluster", "db-instance"] {
        let text = json!({ "Event Source": source, "Event Message": "Cluster failover failed, check." }).to_string();
        assert!(!told(&text).contains("drops it"), "nobody drops what names nobody: {text}");
    }
}
