//! What is expected, as numbers, and whether it held. Never prose: evidence, canary and ledger.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::application::Felt;

/// When it is judged, the application must be at work again.
const SILENT_AT_MOST: Duration = Duration::from_secs(30);

/// What is expected of every experiment beside: nothing lost, nothing applied twice, one call at most, and evidence
/// that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hypothesis {
    /// From the fault to the opening of the episode, if one is opened.
    pub detected_at_most: Duration,
    /// The longest time without a commit.
    pub outage_at_most: Duration,
    /// Whether another instance must write afterwards; None: either is right.
    pub moves: Option<bool>,
}

/// What was measured. None: it could not be, or there was nothing to measure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// From the fault to the opening of the first episode, in milliseconds.
    pub detected_ms: Option<u64>,
    /// The longest time between two acknowledged commits of the canary, in milliseconds.
    pub outage_ms: Option<u64>,
    /// Acknowledged writes that are not there, by canary and ledger.
    pub lost: Option<u64>,
    /// Protected transactions that are there more than once, by the ledger.
    pub duplicated: Option<u64>,
    /// Calls of Steadfast that move the writer.
    pub calls: u64,
    /// Episodes that were opened.
    pub episodes: u64,
    /// Of these, those that are closed and whose evidence verifies to the end that the state table names.
    pub evidenced: u64,
    /// Whether another instance writes than before; None when no instance was seen to commit.
    pub moved: Option<bool>,
    /// What the application probe felt since the fault; None without one.
    #[serde(default)]
    pub application: Option<Felt>,
}

/// Who can be asked beside evidence and canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// Whether the ledger can be read.
    pub ledger: bool,
    /// Whether an application probe is there.
    pub application: bool,
}

/// One part of the hypothesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was expected.
    pub expectation: String,
    /// Whether it held.
    pub held: bool,
    /// What was measured.
    pub seen: String,
}

/// Holds what was measured against what was expected. What could not be measured did not hold, but for a detection
/// where there was nothing to detect. Nothing is expected of what this installation does not have.
pub fn judge(hypothesis: &Hypothesis, measured: &Measured, sources: Sources) -> Vec<Finding> {
    let seconds = |limit: Duration| format!("{} s", limit.as_secs_f64());
    let mut findings = vec![
        at_most("longest time without a commit", measured.outage_ms, hypothesis.outage_at_most),
        none("acknowledged writes lost", measured.lost),
        Finding {
            expectation: "at most one call that moves the writer in each episode".to_owned(),
            held: measured.calls <= measured.episodes,
            seen: format!("{} calls in {} episodes", measured.calls, measured.episodes),
        },
        Finding {
            expectation: "every episode closed, with evidence that verifies".to_owned(),
            held: measured.evidenced == measured.episodes,
            seen: format!("{} of {} episodes", measured.evidenced, measured.episodes),
        },
    ];
    if sources.ledger {
        findings.push(none("protected transactions applied twice", measured.duplicated));
    }
    if sources.application {
        findings.extend(of_application(hypothesis, measured.application.as_ref()));
    }
    if measured.episodes > 0 {
        let limit = hypothesis.detected_at_most;
        let expectation = format!("detected within {}", seconds(limit));
        findings.insert(0, Finding { expectation, ..at_most("detection", measured.detected_ms, limit) });
    }
    if hypothesis.moves == Some(false) {
        findings.push(none("calls that move the writer", Some(measured.calls)));
    }
    if let Some(moves) = hypothesis.moves {
        findings.push(Finding {
            expectation: if moves { "another instance writes" } else { "the same instance writes" }.to_owned(),
            held: measured.moved == Some(moves),
            seen: match measured.moved {
                Some(true) => "another instance writes".to_owned(),
                Some(false) => "the same instance writes".to_owned(),
                None => "no instance was seen to commit".to_owned(),
            },
        });
    }
    findings
}

/// What an application with the client must not feel.
fn of_application(hypothesis: &Hypothesis, felt: Option<&Felt>) -> [Finding; 4] {
    let audit = felt.and_then(|felt| felt.audit);
    let longest = felt.map(|felt| felt.longest_ms);
    [
        none("transfers of the application that failed", felt.map(|felt| felt.errors)),
        at_most("longest wait of a transfer of the application", longest, hypothesis.outage_at_most),
        at_most("time since the application's latest transfer", felt.map(|felt| felt.silent_ms), SILENT_AT_MOST),
        Finding {
            expectation: "the application's books are as it was told".to_owned(),
            held: audit.is_some_and(|audit| audit.wrong() == 0),
            seen: audit.map_or_else(
                || "nobody looked into them since".to_owned(),
                |audit| {
                    let told =
                        [(audit.lost, "lost"), (audit.duplicated, "twice"), (audit.phantom, "there though denied")];
                    let told = told.map(|(count, what)| format!("{count} {what}")).join(", ");
                    format!("{told}, balance {}", audit.balance)
                },
            ),
        },
    ]
}

fn at_most(what: &str, measured_ms: Option<u64>, limit: Duration) -> Finding {
    Finding {
        expectation: format!("{what} at most {} s", limit.as_secs_f64()),
        held: measured_ms.is_some_and(|ms| u128::from(ms) <= limit.as_millis()),
        seen: measured_ms.map_or_else(|| "not measured".to_owned(), |ms| format!("{} ms", ms)),
    }
}

fn none(what: &str, number: Option<u64>) -> Finding {
    Finding {
        expectation: format!("{what}: 0"),
        held: number == Some(0),
        seen: number.map_or_else(|| "not counted".to_owned(), |number| number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::Audit;

    const EXPECTED: Hypothesis = Hypothesis {
        detected_at_most: Duration::from_secs(30),
        outage_at_most: Duration::from_secs(120),
        moves: Some(true),
    };
    const ALL: Sources = Sources { ledger: true, application: true };

    fn good() -> Measured {
        Measured {
            detected_ms: Some(700),
            outage_ms: Some(1_060),
            lost: Some(0),
            duplicated: Some(0),
            calls: 1,
            episodes: 1,
            evidenced: 1,
            moved: Some(true),
            application: Some(unhurt()),
        }
    }

    fn unhurt() -> Felt {
        Felt { acknowledged: 100, errors: 0, longest_ms: 1_900, silent_ms: 4_000, audit: Some(Audit::default()) }
    }

    fn held(measured: &Measured) -> bool {
        judge(&EXPECTED, measured, ALL).iter().all(|finding| finding.held)
    }

    #[test]
    fn each_number_decides_by_itself() {
        assert!(held(&good()));
        let phantom = Audit { phantom: 1, ..Audit::default() };
        for (what, bad) in [
            ("late", Measured { detected_ms: Some(30_001), ..good() }),
            ("undetected", Measured { detected_ms: None, ..good() }),
            ("long", Measured { outage_ms: Some(120_001), ..good() }),
            ("lost", Measured { lost: Some(1), ..good() }),
            ("twice", Measured { duplicated: Some(1), ..good() }),
            ("called twice", Measured { calls: 2, ..good() }),
            ("no evidence", Measured { evidenced: 0, ..good() }),
            ("stayed", Measured { moved: Some(false), ..good() }),
            ("failed", Measured { application: Some(Felt { errors: 1, ..unhurt() }), ..good() }),
            ("waited", Measured { application: Some(Felt { longest_ms: 120_001, ..unhurt() }), ..good() }),
            ("silent", Measured { application: Some(Felt { silent_ms: 30_001, ..unhurt() }), ..good() }),
            ("wrong books", Measured { application: Some(Felt { audit: Some(phantom), ..unhurt() }), ..good() }),
            ("unread books", Measured { application: Some(Felt { audit: None, ..unhurt() }), ..good() }),
        ] {
            assert!(!held(&bad), "{what}");
        }
    }

    #[test]
    fn where_nobody_may_act_no_call_is_right() {
        let untouched = Hypothesis { moves: Some(false), ..EXPECTED };
        let stayed = |calls| Measured { calls, moved: Some(false), ..good() };
        let holds = |measured: &Measured| judge(&untouched, measured, ALL).iter().all(|finding| finding.held);
        assert!(holds(&stayed(0)) && !holds(&stayed(1)));
    }

    #[test]
    fn what_was_not_measured_did_not_hold() {
        for unmeasured in [
            Measured { outage_ms: None, ..good() },
            Measured { lost: None, ..good() },
            Measured { duplicated: None, ..good() },
            Measured { moved: None, ..good() },
            Measured { application: None, ..good() },
        ] {
            assert!(!held(&unmeasured), "{unmeasured:?}");
        }
        let uncounted = Measured { duplicated: None, ..good() };
        assert!(
            judge(&EXPECTED, &uncounted, Sources { ledger: false, ..ALL }).iter().all(|finding| finding.held),
            "there is no ledger to read"
        );
        let unfelt = Measured { application: None, ..good() };
        let alone = Sources { application: false, ..ALL };
        assert!(judge(&EXPECTED, &unfelt, alone).iter().all(|finding| finding.held), "there is no application probe");
        // The platform moved the writer before anybody noticed: nothing was to be detected.
        assert!(held(&Measured { detected_ms: None, calls: 0, episodes: 0, evidenced: 0, ..good() }));
    }
}
