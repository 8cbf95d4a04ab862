//! A world in memory for the executor, with the surprises that the lab does not make.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use steadfast_core::episode::Episode;
use steadfast_core::evidence::{Entry, Kind};
use steadfast_core::gate::{Event, Limits, Phase};
use steadfast_core::lease::Lease;
use steadfast_core::metric::Metric;
use steadfast_core::mode::Mode;
use steadfast_core::notice::Notice;
use steadfast_core::pin::{Aim, Pin, PinName};
use steadfast_core::ports::*;
use steadfast_core::switchover::Quiesced;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::*;
use steadfast_core::witness::*;

use crate::support::*;

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) now: u64,
    pub(crate) state: State,
    pub(crate) evidence: BTreeMap<(u64, u64), Entry>,
    pub(crate) fail_overs: Vec<String>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) evicts: Vec<String>,
    pub(crate) sns_fails: bool,
    pub(crate) renewed_by_another: bool,
    pub(crate) lose_answer_of_intention: bool,
    pub(crate) slow_intention: bool,
    pub(crate) pause_before: Option<&'static str>,
    pub(crate) renewed_at: Option<Timestamp>,
    pub(crate) stolen_after_intention: bool,
    pub(crate) lease_left_at_call: Vec<Duration>,
    pub(crate) called_at: Vec<Timestamp>,
    /// How old the intention was at each call.
    pub(crate) age_at_call: Vec<Duration>,
    /// How long the writer of a lost intention waits for its answer.
    pub(crate) answer_lost_after_ms: u64,
    /// What the control plane answers to calls, the first one first; then it accepts.
    pub(crate) answers: Vec<Option<CallError>>,
    pub(crate) lose_answer_of_second_intention: bool,
    /// The write that intends this takes so many milliseconds.
    pub(crate) slow_before: Option<(&'static str, u64)>,
    pub(crate) quiesces: Vec<String>,
    pub(crate) quiesce_takes_ms: u64,
    pub(crate) quiesced: Option<Result<Quiesced, CallError>>,
    pub(crate) resumes: Vec<String>,
    pub(crate) stable_name: Option<PinName>,
    pub(crate) points: Vec<Aim>,
    /// What writing about the name takes.
    pub(crate) pin_ms: u64,
    /// What the name service answers; None: it sets the name.
    pub(crate) point_fails: Option<CallError>,
    /// What happens while the name is being set.
    pub(crate) meanwhile: Option<fn(&mut Inner)>,
    pub(crate) describe_fails: bool,
    /// Since when the target of an accepted call has written.
    pub(crate) moved_at: Option<Timestamp>,
}
impl Inner {
    /// Tries invariants 3 and 4 at every effect: its intention is the latest, and the lease it stands under lasts.
    fn is_intended(&self, actions: &[&str]) {
        let intended = self.evidence.values().rfind(|entry| entry.kind == Kind::Intended);
        let intended = intended.unwrap_or_else(|| panic!("{actions:?} without an intention"));
        let named = intended.data["action"].as_str().unwrap_or_default();
        assert!(actions.contains(&named), "{actions:?} is done, and {named} intended");
        let lease = self.state.lease.as_ref().unwrap();
        assert_eq!(lease.owner, intended.by, "{actions:?} under another's lease");
        assert!(lease.expires_at.as_millis() > self.now, "{actions:?} under a lease that has ended");
    }

    /// The same, and that it names the open episode.
    fn is_ordered(&self, action: &str, epoch: u64) {
        self.is_intended(&[action]);
        assert_eq!(epoch, self.state.episode.as_ref().unwrap().epoch, "{action} for another episode");
    }
}

pub(crate) struct W {
    pub(crate) i: Mutex<Inner>,
    pub(crate) topo: Topology,
    pub(crate) describe_ms: u64,
    pub(crate) load_ms: u64,
    /// What is reported at a moment, once the role has moved at another.
    pub(crate) after_move: Option<fn(Timestamp, Timestamp) -> Vec<WitnessReport>>,
    pub(crate) reports: Box<dyn Fn(Timestamp) -> Vec<WitnessReport> + Send + Sync>,
}
impl Clock for W {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.i.lock().unwrap().now)
    }
    async fn pause(&self, by: Duration) {
        self.i.lock().unwrap().now += by.as_millis() as u64;
    }
}
impl StateTable for W {
    async fn load(&self, _: &ClusterId) -> Result<State, StateError> {
        let mut i = self.i.lock().unwrap();
        i.now += self.load_ms;
        if i.renewed_by_another {
            let expires_at = Timestamp::from_millis(i.now).plus(Duration::from_secs(10));
            i.state.lease = Some(Lease { owner: Owner::new("other"), epoch: 1, expires_at });
        }
        let now = Timestamp::from_millis(i.now);
        if i.renewed_at.is_some_and(|at| now >= at) {
            i.state.lease.as_mut().unwrap().expires_at = now.plus(Duration::from_secs(300));
        }
        let mut s = i.state.clone();
        s.reports = match self.after_move.zip(i.moved_at) {
            Some((reports, at)) => reports(now, at),
            None => (self.reports)(now),
        };
        Ok(s)
    }
    async fn write_lease(&self, _: &ClusterId, seen: Option<&Lease>, next: &Lease) -> Result<(), StateError> {
        let mut i = self.i.lock().unwrap();
        if i.state.lease.as_ref() != seen {
            return Err(StateError::Superseded { table: "t".into() });
        }
        i.state.lease = Some(next.clone());
        Ok(())
    }
    async fn commit(&self, under: Under<'_>, e: &Episode, v: Option<u64>, entries: &[Entry]) -> Result<(), StateError> {
        let mut i = self.i.lock().unwrap();
        i.now += 5;
        if i.pause_before.is_some_and(|action| entries.iter().any(|entry| entry.data["action"] == action)) {
            i.state.mode = Mode::Paused;
        }
        let slow = i.slow_before.filter(|(action, _)| entries.iter().any(|entry| entry.data["action"] == *action));
        if let Some((_, takes_ms)) = slow {
            i.slow_before = None;
            i.now += takes_ms;
        }
        let bad = match &under {
            Under::Held(l) => i.state.lease.as_ref().is_none_or(|c| (&c.owner, c.epoch) != (&l.owner, l.epoch)),
            Under::Armed(l) => {
                i.state.mode != Mode::Armed
                    || i.state.lease.as_ref().is_none_or(|c| (&c.owner, c.epoch) != (&l.owner, l.epoch))
            }
            Under::Changing { seen, .. } => i.state.lease.as_ref() != *seen,
        } || i.state.episode.as_ref().map(|e| e.version) != v
            || entries.iter().any(|n| i.evidence.contains_key(&(n.epoch, n.seq)));
        if bad {
            return Err(StateError::Superseded { table: "t".into() });
        }
        if let Under::Changing { next, .. } = under {
            i.state.lease = Some(next.clone());
        }
        i.state.episode = Some(e.clone());
        for n in entries {
            i.evidence.insert((n.epoch, n.seq), n.clone());
        }
        if e.promotion.is_some() && std::mem::take(&mut i.slow_intention) {
            i.now += 4_900;
        }
        if i.lose_answer_of_second_intention && e.promotion.as_ref().is_some_and(|promotion| promotion.number == 2) {
            i.lose_answer_of_second_intention = false;
            i.now += 5_000;
            return Err(StateError::Unavailable { table: "t".into(), cause: "timeout".into() });
        }
        if i.lose_answer_of_intention && e.promotion.is_some() {
            i.lose_answer_of_intention = false;
            if i.stolen_after_intention {
                let expires_at = Timestamp::from_millis(i.now).plus(Duration::from_secs(300));
                i.state.lease = Some(Lease { owner: Owner::new("other"), epoch: 9, expires_at });
            }
            i.now += i.answer_lost_after_ms;
            return Err(StateError::Unavailable { table: "t".into(), cause: "timeout".into() });
        }
        Ok(())
    }
    async fn write_pin(&self, _: &ClusterId, seen: Option<u64>, next: &Pin) -> Result<(), StateError> {
        let mut i = self.i.lock().unwrap();
        i.now += i.pin_ms;
        let paused = i.state.mode != Mode::Armed && !next.settled;
        if i.state.pin.as_ref().map(|pin| pin.version) != seen || paused {
            return Err(StateError::Superseded { table: "t".into() });
        }
        i.state.pin = Some(next.clone());
        Ok(())
    }
}
impl Names for W {
    fn stable_name(&self) -> Option<PinName> {
        self.i.lock().unwrap().stable_name.clone()
    }
    async fn point(&self, aim: &Aim) -> Result<(), CallError> {
        let mut i = self.i.lock().unwrap();
        assert!(i.state.pin.as_ref().is_some_and(|pin| pin.aim == *aim && !pin.settled), "announced first");
        if let Some(meanwhile) = i.meanwhile.take() {
            meanwhile(&mut i);
        }
        i.points.push(aim.clone());
        i.point_fails.clone().map_or(Ok(()), Err)
    }
}
impl ControlPlane for W {
    async fn describe(&self, _: &ClusterId) -> Result<Topology, CallError> {
        let mut i = self.i.lock().unwrap();
        i.now += self.describe_ms;
        if i.describe_fails {
            return Err(CallError::Unanswered { action: "DescribeDBClusters", cause: "timeout".into() });
        }
        drop(i);
        let mut topo = self.topo.clone();
        let target = self.after_move.and(self.i.lock().unwrap().fail_overs.last().cloned());
        for member in topo.members.iter_mut().filter(|_| target.is_some() && self.i.lock().unwrap().moved_at.is_some())
        {
            member.is_writer = Some(member.id.as_str()) == target.as_deref();
        }
        Ok(topo)
    }
    async fn fail_over(&self, _: &ClusterId, t: &InstanceId) -> Result<(), CallError> {
        let mut i = self.i.lock().unwrap();
        i.is_intended(&["FailoverDBCluster", "RebootDBInstance"]);
        let now = Timestamp::from_millis(i.now);
        let lease = i.state.lease.clone().unwrap();
        let intended = i.state.episode.as_ref().unwrap().promotion.clone().unwrap();
        assert_eq!(intended.epoch, lease.epoch, "a call under an epoch that its intention does not name");
        i.lease_left_at_call.push(lease.expires_at.since(now));
        i.age_at_call.push(now.since(intended.at));
        i.called_at.push(now);
        i.fail_overs.push(t.to_string());
        let answer = if i.answers.is_empty() { None } else { i.answers.remove(0) };
        if answer.is_none() {
            i.moved_at = Some(now);
        }
        answer.map_or(Ok(()), Err)
    }
}
impl Drainer for W {
    async fn evict(&self, _: &ClusterId, epoch: u64, demoted: &InstanceId) -> Result<(), CallError> {
        let mut i = self.i.lock().unwrap();
        i.is_ordered("evict", epoch);
        i.evicts.push(demoted.to_string());
        Ok(())
    }
    async fn quiesce(&self, _: &ClusterId, epoch: u64, writer: &InstanceId) -> Result<Quiesced, CallError> {
        let mut i = self.i.lock().unwrap();
        i.is_ordered("quiesce", epoch);
        i.quiesces.push(writer.to_string());
        let asked = Phase::Open.after(Event::Asked { at: Timestamp::from_millis(i.now) }, &Limits::default());
        i.now += i.quiesce_takes_ms;
        match i.quiesced.clone() {
            Some(answer) => answer,
            None => {
                let gate = asked.after(Event::Granted, &Limits::default());
                Ok(Quiesced { gate, hold: Some("tx".into()), ..Quiesced::default() })
            }
        }
    }
    async fn resume(&self, _: &ClusterId, epoch: u64, hold: &str) -> Result<(), CallError> {
        let mut i = self.i.lock().unwrap();
        i.is_ordered("resume", epoch);
        i.resumes.push(hold.to_owned());
        Ok(())
    }
}
impl Notifier for W {
    async fn notify(&self, n: &Notice) -> Result<(), CallError> {
        let mut i = self.i.lock().unwrap();
        if n.subject.contains("you are needed") {
            i.is_intended(&["call_human"]);
        }
        if i.sns_fails {
            return Err(CallError::Unanswered { action: "Publish", cause: "x".into() });
        }
        i.notices.push(n.clone());
        Ok(())
    }
}
impl Log for W {
    fn audit(&self, _: &str, _: serde_json::Value) {}
    // Tries invariant 11 in every test of this file.
    fn error(&self, what: &str, data: serde_json::Value) {
        panic!("{what}: {data}");
    }
    fn measure(&self, _: &ClusterId, _: &[(Metric, u64)]) {}
}
pub(crate) fn block<F: Future>(f: F) -> F::Output {
    let mut f = Box::pin(f);
    match f.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(x) => x,
        Poll::Pending => panic!(),
    }
}
pub(crate) fn reports(outcome: Outcome, since: Timestamp) -> impl Fn(Timestamp) -> Vec<WitnessReport> {
    move |now| {
        AZS.map(|az| {
            let mut r = report(az, outcome, since);
            r.at = now;
            r
        })
        .into()
    }
}
pub(crate) fn world(outcome: Outcome, describe_ms: u64, load_ms: u64) -> W {
    let state = State { mode: Mode::Armed, ..State::default() };
    let i = Inner { now: NOW.as_millis(), state, answer_lost_after_ms: 5_000, ..Inner::default() };
    W {
        i: Mutex::new(i),
        topo: topology(),
        after_move: None,
        describe_ms,
        load_ms,
        reports: Box::new(reports(outcome, NOW.minus(Duration::from_secs(2)))),
    }
}
