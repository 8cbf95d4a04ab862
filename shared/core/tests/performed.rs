//! Whatever the rules may order, the executor carries it out: every situation below is decided, and then acted on by
//! the executor itself. The tests of the table alone cannot say so: they see facts, and not what a step makes of them.

#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]
#![expect(clippy::panic, reason = "a test ends where its ground is missing")]

mod support;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use steadfast_core::decision::{Decision, decide};
use steadfast_core::diagnosis::diagnose;
use steadfast_core::episode::{Closed, Episode, PastPromotion, Promotion, RecoveredBy};
use steadfast_core::evidence::Kind;
use steadfast_core::executor::{Executor, Patience};
use steadfast_core::gate::Phase;
use steadfast_core::lease::{Lease, LeaseState};
use steadfast_core::mode::Mode;
use steadfast_core::policy::Policy;
use steadfast_core::ports::*;
use steadfast_core::rules::{OTHERWISE, TABLE, Verdict};
use steadfast_core::snapshot::{Seen, Snapshot};
use steadfast_core::step::{Action, Progress, next};
use steadfast_core::switchover::{Ordered, Plan};
use steadfast_core::time::Timestamp;
use steadfast_core::topology::*;
use steadfast_core::witness::*;
use support::*;
use world::*;

/// One thing that may be so, and how the world gets it.
type Part = (&'static str, fn(&mut W));

/// The episode's epoch, and the lease's while it has not changed hands.
const EPOCH: u64 = 7;
const CALLED_OFF: &str = "a session did not leave";

fn inner(w: &mut W) -> &mut Inner {
    w.i.get_mut().unwrap()
}

fn held(w: &mut W, owner: &str, epoch: u64, expires_at: Timestamp) {
    inner(w).state.lease = Some(Lease { owner: Owner::new(owner), epoch, expires_at });
}

const MODES: [Part; 3] = [
    ("armed", |w| inner(w).state.mode = Mode::Armed),
    ("shadow", |w| inner(w).state.mode = Mode::Shadow),
    ("paused", |w| inner(w).state.mode = Mode::Paused),
];

const LEASES: [Part; 5] = [
    ("no lease", |w| inner(w).state.lease = None),
    ("our lease", |w| held(w, "me", EPOCH, NOW.plus(Duration::from_secs(10)))),
    ("our lease of a later epoch", |w| held(w, "me", EPOCH + 1, NOW.plus(Duration::from_secs(10)))),
    ("another's lease", |w| held(w, "other", EPOCH + 1, NOW.plus(Duration::from_secs(10)))),
    ("another's lease that ran out", |w| held(w, "other", EPOCH + 1, ago(60_000))),
];

fn named(w: &mut W, writer: Option<&str>) {
    for member in &mut w.topo.members {
        member.is_writer = Some(member.id.as_str()) == writer;
    }
}

fn every_status(w: &mut W, readers: &str) {
    for member in w.topo.members.iter_mut().filter(|member| !member.is_writer) {
        member.status = readers.to_owned();
    }
}

const CONTROL_PLANES: [Part; 9] = [
    ("idle", |_| {}),
    ("mute", |w| inner(w).describe_fails = true),
    ("failing over", |w| w.topo.status = ClusterStatus::FailingOver),
    ("changing", |w| w.topo.status = ClusterStatus::Changing("upgrading".to_owned())),
    ("stopped", |w| w.topo.status = ClusterStatus::Unusable("stopped".to_owned())),
    ("reader named as writer", |w| named(w, Some("r1"))),
    ("no writer named", |w| named(w, None)),
    ("no reader available", |w| every_status(w, "rebooting")),
    ("no reader", |w| w.topo.members.truncate(1)),
];

fn seen_by_all(w: &mut W, outcome: Outcome) {
    w.reports = Box::new(reports(outcome, ago(50_000)));
}

fn everybody(w: &mut W, outcome: Outcome) {
    w.reports = Box::new(move |now| {
        let mut all = reports(outcome, ago(50_000))(now);
        for sighting in all.iter_mut().flat_map(|report| &mut report.sightings) {
            sighting.outcome = outcome;
        }
        all
    });
}

const WITNESSES: [Part; 16] = [
    ("committing", |w| seen_by_all(w, Outcome::Committing)),
    ("refused", |w| seen_by_all(w, Outcome::Refused)),
    ("unreachable", |w| seen_by_all(w, Outcome::Unreachable)),
    ("restarting", |w| seen_by_all(w, Outcome::Restarting)),
    ("silent", |w| seen_by_all(w, Outcome::Silent)),
    ("stalled", |w| seen_by_all(w, Outcome::Stalled)),
    ("a reader", |w| seen_by_all(w, Outcome::Reading)),
    ("saturated", |w| seen_by_all(w, Outcome::Saturated)),
    ("bad credentials", |w| everybody(w, Outcome::BadCredentials)),
    ("disk full", |w| seen_by_all(w, Outcome::DiskFull)),
    ("check failed", |w| seen_by_all(w, Outcome::CheckFailed)),
    ("moved to r1", |w| {
        w.reports = Box::new(|now| {
            let mut all = reports(Outcome::Refused, ago(50_000))(now);
            for report in &mut all {
                report.sightings[1] = sighting("r1", Outcome::Committing, ago(500));
            }
            all
        });
    }),
    ("silent for a moment", |w| w.reports = Box::new(reports(Outcome::Silent, ago(500)))),
    ("one witness left", |w| {
        w.reports = Box::new(|now| reports(Outcome::Refused, ago(50_000))(now).into_iter().take(1).collect());
    }),
    ("nobody reports", |w| w.reports = Box::new(|_| Vec::new())),
    ("in the dark", |w| everybody(w, Outcome::Unreachable)),
];

/// An open episode about `w`, since `opened`.
fn episode(w: &mut W, opened: u64, change: impl FnOnce(&mut Episode)) {
    let diagnosis = diagnose(&unanimous(Outcome::Refused, ago(opened + 500)), &Policy::default());
    let cluster = ClusterId::new("orders");
    let writer = InstanceId::new(WRITER);
    let mut episode = Episode::open(&cluster, EPOCH, &diagnosis, writer, None, ago(opened), &Policy::default());
    change(&mut episode);
    inner(w).state.episode = Some(episode);
}

/// A call that was made so long ago, in the episode's own epoch.
fn called(w: &mut W, since: u64, change: impl FnOnce(&mut Promotion)) {
    episode(w, since + 1_000, |episode| {
        let mut promotion = episode.next_promotion(InstanceId::new("r1"), EPOCH, ago(since));
        change(&mut promotion);
        episode.promotion = Some(promotion);
    });
}

/// A planned switchover to r1.
fn planned(w: &mut W, change: impl FnOnce(&mut Episode, &mut Plan)) {
    let order = Ordered { target: None, reason: "exercise".to_owned(), request: "request-1".to_owned() };
    let mut plan = Plan::new(&order, InstanceId::new("r1"), ago(1_000));
    episode(w, 1_000, |episode| {
        episode.failed_since = ago(1_000);
        episode.gone_since = None;
        change(episode, &mut plan);
        episode.plan = Some(plan);
    });
}

fn closed_gate(plan: &mut Plan) {
    plan.asked = true;
    plan.gate = Phase::Closed { until: NOW.plus(Duration::from_secs(20)) };
    plan.hold = Some("tx".to_owned());
}

fn refused(w: &mut W, passing: bool) {
    called(w, 5_000, |promotion| {
        promotion.refused = Some("InvalidDBClusterStateFault".to_owned());
        promotion.passing = passing;
    });
}

fn spent(episode: &mut Episode) {
    let causes = [Outcome::Refused, Outcome::Silent].map(|outcome| unanimous(outcome, ago(60_000)));
    let past = causes.iter().map(|seen| diagnose(seen, &Policy::default()).writer).flat_map(|cause| {
        let past = PastPromotion { at: ago(600_000), cause };
        [past.clone(), past]
    });
    episode.past = past.collect();
}

const EPISODES: [Part; 22] = [
    ("no episode", |_| {}),
    ("a closed episode", |w| {
        let closed = Closed { at: ago(700_000), writer: InstanceId::new(WRITER), by: RecoveredBy::Itself };
        episode(w, 800_000, |episode| episode.closed = Some(closed));
    }),
    ("an episode", |w| episode(w, 1_000, |_| {})),
    ("an old episode", |w| episode(w, 200_000, |_| {})),
    ("a proved episode", |w| episode(w, 1_000, |episode| episode.proved_at = Some(ago(50)))),
    ("a proved episode with its eviction", |w| {
        episode(w, 1_000, |episode| {
            episode.proved_at = Some(ago(50));
            episode.evicted = true;
        });
    }),
    ("an episode of which a person knows", |w| {
        episode(w, 200_000, |episode| episode.human_called = TABLE.iter().map(|rule| rule.id).collect());
    }),
    ("an episode with a spent budget", |w| episode(w, 1_000, spent)),
    ("a call", |w| called(w, 1_000, |_| {})),
    ("a call without a trace", |w| called(w, 20_000, |_| {})),
    ("a last call without a trace", |w| called(w, 20_000, |promotion| promotion.number = 9)),
    ("an old call", |w| called(w, 100_000, |promotion| promotion.number = 9)),
    ("a refused call", |w| refused(w, false)),
    ("a call refused for now", |w| refused(w, true)),
    ("a proved call", |w| {
        called(w, 1_000, |_| {});
        inner(w).state.episode.as_mut().unwrap().proved_at = Some(ago(50));
    }),
    ("a plan", |w| planned(w, |_, _| {})),
    ("a plan behind a closed gate", |w| planned(w, |_, plan| closed_gate(plan))),
    ("a plan that was called off behind a closed gate", |w| {
        planned(w, |_, plan| {
            closed_gate(plan);
            plan.called_off = Some(CALLED_OFF.to_owned());
        });
    }),
    ("a plan that was called off before the gate", |w| {
        planned(w, |_, plan| plan.called_off = Some(CALLED_OFF.to_owned()));
    }),
    ("a planned call", |w| {
        planned(w, |episode, plan| {
            closed_gate(plan);
            episode.promotion = Some(episode.next_promotion(InstanceId::new("r1"), EPOCH, ago(500)));
        });
    }),
    ("a planned call that was refused", |w| {
        planned(w, |episode, plan| {
            closed_gate(plan);
            let call = episode.next_promotion(InstanceId::new("r1"), EPOCH, ago(500));
            episode.promotion = Some(Promotion { refused: Some("no".to_owned()), ..call });
        });
    }),
    ("a planned call whose gate is open again", |w| {
        planned(w, |episode, plan| {
            closed_gate(plan);
            plan.resumed = true;
            let call = episode.next_promotion(InstanceId::new("r1"), EPOCH, ago(500));
            episode.promotion = Some(Promotion { refused: Some("no".to_owned()), ..call });
        });
    }),
];

/// What each verdict may lead to; nothing stands for waiting. Each of these is met below, and nothing else.
const CARRIED_OUT: [(Verdict, &[&str]); 12] = [
    (Verdict::Rest, &["nothing"]),
    (Verdict::Hold, &["nothing", "resume"]),
    (Verdict::StandBy, &["nothing"]),
    (Verdict::LookAgain, &["nothing"]),
    (Verdict::TakeLease, &["nothing", "take_lease"]),
    (Verdict::AwaitPlatform, &["nothing"]),
    (Verdict::Observe, &["nothing"]),
    (Verdict::FailOver, &["promote"]),
    (Verdict::SwitchOver, &["promote", "quiesce"]),
    (Verdict::WouldFailOver, &["nothing"]),
    (Verdict::Recovered, &["close", "evict", "record_proof", "resume"]),
    (Verdict::CallHuman, &["call_human", "nothing"]),
];

fn situation(parts: &[Part]) -> (String, W) {
    let mut w = world(Outcome::Committing, 0, 0);
    let mut names = Vec::new();
    for (name, make) in parts {
        make(&mut w);
        names.push(*name);
    }
    (names.join(", "), w)
}

/// What the executor will see at its first look.
fn snapshot_of(w: &W) -> Snapshot {
    let i = w.i.lock().unwrap();
    let State { mode, lease, episode, rotations, .. } = i.state.clone();
    Snapshot {
        now: NOW,
        me: Owner::new("me"),
        cluster: ClusterId::new("orders"),
        mode,
        lease,
        topology: (!i.describe_fails).then(|| Seen { at: NOW, what: w.topo.clone() }),
        reports: (w.reports)(NOW),
        episode,
        rotations,
    }
}

/// Everything that reached the outside, and the changes of the record that stand for an action.
fn effects(w: &W, before: &Snapshot) -> Vec<&'static str> {
    let i = w.i.lock().unwrap();
    let (old, new) = (before.episode.as_ref(), i.state.episode.as_ref());
    let epoch = |lease: Option<&Lease>| lease.map_or(0, |lease| lease.epoch);
    let is_new = |of: fn(&Episode) -> bool| new.is_some_and(of) && !old.is_some_and(of);
    let effects = [
        ("take_lease", epoch(i.state.lease.as_ref()) > epoch(before.lease.as_ref())),
        ("quiesce", !i.quiesces.is_empty()),
        ("resume", !i.resumes.is_empty()),
        ("promote", !i.fail_overs.is_empty()),
        ("record_proof", is_new(|episode| episode.proved_at.is_some())),
        ("evict", !i.evicts.is_empty()),
        ("close", is_new(|episode| episode.closed.is_some())),
        ("call_human", i.notices.iter().any(|notice| notice.subject.contains("you are needed"))),
    ];
    effects.into_iter().filter_map(|(name, happened)| happened.then_some(name)).collect()
}

/// That what was done is what was due, once, to the right instance, and written down.
fn judge(name: &str, w: &W, before: &Snapshot, decision: &Decision, due: Option<&Action>) -> &'static str {
    let done = effects(w, before);
    let i = w.i.lock().unwrap();
    let Some(action) = due else {
        assert!(done.is_empty(), "{name}: rule {} asks for nothing, and {done:?} was done", decision.rule);
        assert!(i.evidence.values().all(|entry| entry.kind == Kind::Decided), "{name}: {:?}", i.evidence);
        return "nothing";
    };
    let episode = i.state.episode.as_ref().unwrap();
    let lease = i.state.lease.as_ref().unwrap();
    let written = |kind: Kind| i.evidence.values().filter(move |entry| entry.kind == kind);
    let open = before.open_episode();
    assert_eq!(lease.owner.as_str(), "me", "{name}");
    let (did, as_due) = match action {
        Action::TakeLease => {
            let begun = if open.is_some() { Kind::Adopted } else { Kind::Opened };
            let kept = open.is_none_or(|open| (open.epoch, &open.promotion) == (episode.epoch, &episode.promotion));
            let about = open.map(|open| &open.old_writer).or(decision.diagnosis.presumed.as_ref());
            let is_right = kept && about == Some(&episode.old_writer) && episode.is_open();
            ("take_lease", written(begun).count() == 1 && is_right)
        }
        Action::Quiesce { writer } => {
            ("quiesce", i.quiesces == [writer.to_string()] && episode.plan.as_ref().unwrap().asked)
        }
        Action::Resume { hold } => ("resume", i.resumes == [hold.clone()] && episode.plan.as_ref().unwrap().resumed),
        Action::Promote { target } => {
            let intended = episode.promotion.as_ref().unwrap();
            ("promote", i.fail_overs == [target.to_string()] && intended.epoch == lease.epoch)
        }
        Action::RecordProof { writer } => {
            ("record_proof", written(Kind::Proved).all(|entry| entry.data["writer"] == writer.as_str()))
        }
        Action::Evict { demoted } => {
            ("evict", i.evicts == [demoted.to_string()] && *demoted == episode.old_writer && episode.evicted)
        }
        Action::Close { writer } => ("close", episode.closed.as_ref().unwrap().writer == *writer),
        Action::CallHuman => ("call_human", i.notices.len() == 1 && episode.human_called.contains(&decision.rule)),
    };
    assert_eq!(done, [did], "{name}: rule {} asks for {action:?}", decision.rule);
    let outside = ["quiesce", "resume", "promote", "evict", "call_human"].contains(&did);
    assert_eq!(written(Kind::Intended).count(), usize::from(outside), "{name}: {action:?}");
    assert!(as_due, "{name}: {action:?} left {episode:?}");
    did
}

/// A person who has been called already is not called by taking the lease once more.
fn waits_for_a_person(seen: &Snapshot, decision: &Decision, policy: &Policy) -> bool {
    let Some(open) = seen.open_episode().filter(|_| decision.verdict == Verdict::TakeLease) else {
        return false;
    };
    let lease = Lease::taken(seen.lease.as_ref(), open.epoch_used(), &seen.me, NOW, policy);
    let then = decide(&Snapshot { lease, ..seen.clone() }, policy);
    then.verdict == Verdict::CallHuman && open.human_called.contains(&then.rule)
}

/// Tries invariants 3, 4, 9 and 11 in every situation: an effect has its evidence, and none is without our lease or
/// while Steadfast only watches; the world ends the test at a line of ERROR.
#[test]
fn whatever_is_decided_is_carried_out() {
    let mut rules = BTreeSet::new();
    let mut met: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    let mut tried = 0_u64;
    for (policy, mode) in [Policy::default(), no_grace()].iter().flat_map(|policy| MODES.map(|mode| (policy, mode))) {
        for (lease, control) in LEASES.iter().flat_map(|lease| CONTROL_PLANES.map(|control| (*lease, control))) {
            for (seen, episode) in WITNESSES.iter().flat_map(|seen| EPISODES.map(|episode| (*seen, episode))) {
                let (name, w) = situation(&[mode, lease, control, seen, episode]);
                let before = snapshot_of(&w);
                let decision = decide(&before, policy);
                assert_ne!(decision.rule, OTHERWISE.id, "{name}");
                let due = match next(&before, &decision) {
                    Some((_, Progress::Ready(action))) if !waits_for_a_person(&before, &decision, policy) => {
                        Some(action)
                    }
                    Some((_, Progress::Ready(_) | Progress::Blocked)) => None,
                    Some((step, Progress::Done)) => panic!("{name}: {step:?} is next and done"),
                    None => panic!("{name}: nothing is left, and nobody closed it"),
                };
                let patience = Patience { until: NOW, suspicion: Duration::from_secs(15) };
                let executor = Executor::new(&w, policy, before.cluster.clone(), before.me.clone());
                let ended = block(executor.run(patience)).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!((ended.rule, ended.verdict), (decision.rule, decision.verdict), "{name}");
                let did = judge(&name, &w, &before, &decision, due.as_ref());
                assert!(
                    did == "nothing" || did == "take_lease" || decision.facts.lease == LeaseState::Ours,
                    "{name}: {did}"
                );
                let acts = ["quiesce", "promote", "evict"].contains(&did);
                assert!(!acts || decision.facts.mode == Mode::Armed, "{name}: {did}");
                met.entry(format!("{:?}", decision.verdict)).or_default().insert(did);
                rules.insert(decision.rule);
                tried += 1;
            }
        }
    }
    let missing: Vec<u16> = TABLE.iter().map(|rule| rule.id).filter(|id| !rules.contains(id)).collect();
    assert!(missing.is_empty(), "in {tried} situations, none is for the rules {missing:?}");
    let allowed = CARRIED_OUT.map(|(verdict, actions)| (format!("{verdict:?}"), actions.iter().copied().collect()));
    assert_eq!(met, BTreeMap::from(allowed));
}
