//! The canonical form: what [`crate::parse`] reads back as the same scenario.

use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

use crate::parse::blank;
use crate::scenario::{
    Bound, Delivery, Disturbance, End, Event, Expectation, Fault, Moment, OperatorDeed, Place, PlatformDeed, Scenario,
    Trouble, View, Who, Zone,
};
use crate::vocabulary::Vocabulary;

/// A time in the language's own units.
pub(crate) struct Time(pub(crate) Duration);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let millis = self.0.as_millis();
        if millis.is_multiple_of(1_000) { write!(f, "{}s", millis / 1_000) } else { write!(f, "{millis}ms") }
    }
}

impl Display for Scenario {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for line in self.why.lines() {
            writeln!(f, "{}", format!("# {line}").trim_end())?;
        }
        self.write_setup(f)?;
        if !self.timeline.is_empty() {
            writeln!(f)?;
        }
        for event in &self.timeline {
            writeln!(f, "{event}")?;
        }
        if !self.expectations.is_empty() {
            writeln!(f)?;
        }
        for expectation in &self.expectations {
            writeln!(f, "expect {expectation}")?;
        }
        Ok(())
    }
}

impl Scenario {
    /// The set-up lines that say something else than the default.
    fn write_setup(&self, f: &mut Formatter<'_>) -> Result {
        let default = blank(&self.name);
        let mut lines = Vec::new();
        if self.deployment != default.deployment {
            lines.push(format!("deployment {}", self.deployment.word()));
        }
        if self.readers != default.readers {
            lines.push(format!("readers {}", self.readers));
        }
        if self.gated {
            lines.push("clients use the gate".to_owned());
        }
        if self.mode != default.mode {
            lines.push(format!("mode {}", self.mode.word()));
        }
        if let Some(after) = self.platform {
            lines.push(format!("platform fails over after {}", Time(after)));
        }
        for (threshold, value) in &self.policy {
            lines.push(format!("policy {} {}", threshold.word(), Time(*value)));
        }
        if self.exactly {
            lines.push(format!("lasts exactly {}", Time(self.lasts)));
        } else if self.lasts != default.lasts {
            lines.push(format!("lasts {}", Time(self.lasts)));
        }
        if let Some(only) = &self.only {
            lines.push(format!("only {}: {}", only.place.word(), only.because));
        }
        if !lines.is_empty() {
            writeln!(f)?;
        }
        lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} {}{}", self.at, self.fault, self.end)
    }
}

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::At(time) => write!(f, "at {}", Time(*time)),
            Self::After(milestone, Duration::ZERO) => write!(f, "after {}", milestone.word()),
            Self::After(milestone, time) => write!(f, "after {} {}", milestone.word(), Time(*time)),
        }
    }
}

impl Display for End {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Never => Ok(()),
            Self::For(time) => write!(f, " for {}", Time(*time)),
            Self::Until(milestone, Duration::ZERO) => write!(f, " until {}", milestone.word()),
            Self::Until(milestone, time) => write!(f, " until {} {}", milestone.word(), Time(*time)),
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::KillHost(place) => write!(f, "kill-host {place}"),
            Self::KillPostgres(place) => write!(f, "kill-postgres {place}"),
            Self::Freeze(place) => write!(f, "freeze {place}"),
            Self::Restart(place) => write!(f, "restart {place}"),
            Self::StallCommits(place) => write!(f, "stall-commits {place}"),
            Self::FillDisk(place) => write!(f, "fill-disk {place}"),
            Self::FailCommits(place) => write!(f, "fail-commits {place}"),
            Self::RefuseWrites(place) => write!(f, "refuse-writes {place}"),
            Self::TakeConnections(place) => write!(f, "take-connections {place}"),
            Self::Linger(place) => write!(f, "linger {place}"),
            Self::Lag(place, by) => write!(f, "lag {place} {}", Time(*by)),
            Self::Cut(place, view) => write!(f, "cut {place} from {view}"),
            Self::Blind(zone) => write!(f, "blind {zone}"),
            Self::Delay(zone, by) => write!(f, "delay {zone} {}", Time(*by)),
            Self::Isolate(zone) => write!(f, "isolate {zone}"),
            Self::RefusePassword(role) => write!(f, "refuse-password {}", role.word()),
            Self::RotatePassword(role) => write!(f, "rotate-password {}", role.word()),
            Self::Fail(service, trouble, None) => write!(f, "fail {} {trouble}", service.word()),
            Self::Fail(service, trouble, Some(action)) => write!(f, "fail {} {trouble} {action}", service.word()),
            Self::Events(delivery) => write!(f, "events {delivery}"),
            Self::Coordinator(disturbance) => write!(f, "coordinator {disturbance}"),
            Self::KillProber(zone) => write!(f, "kill-prober {zone}"),
            Self::Platform(deed) => write!(f, "platform {deed}"),
            Self::Operator(deed) => write!(f, "operator {deed}"),
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Writer => f.write_str("writer"),
            Self::OldWriter => f.write_str("old-writer"),
            Self::Target => f.write_str("target"),
            Self::Reader(number) => write!(f, "reader-{number}"),
        }
    }
}

impl Display for Zone {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "az-{}", char::from(b'a'.saturating_add(self.0)))
    }
}

impl Display for View {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Zone(zone) => write!(f, "{zone}"),
            Self::Everyone => f.write_str("everyone"),
            Self::Clients => f.write_str("clients"),
        }
    }
}

impl Display for Trouble {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Throttle => f.write_str("throttle"),
            Self::Error => f.write_str("error"),
            Self::Denied => f.write_str("denied"),
            Self::Silence => f.write_str("silence"),
            Self::LostAnswer => f.write_str("lost-answer"),
            Self::ErrorAfterEffect => f.write_str("error-after-effect"),
            Self::Slow(by) => write!(f, "slow {}", Time(*by)),
            Self::Stale => f.write_str("stale"),
        }
    }
}

impl Display for Delivery {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Late(by) => write!(f, "late {}", Time(*by)),
            Self::Dropped => f.write_str("dropped"),
            Self::Doubled => f.write_str("doubled"),
            Self::Reordered => f.write_str("reordered"),
        }
    }
}

impl Display for Disturbance {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Killed => f.write_str("killed"),
            Self::Delayed(by) => write!(f, "delayed {}", Time(*by)),
            Self::Doubled => f.write_str("doubled"),
            Self::Ahead(by) => write!(f, "ahead {}", Time(*by)),
            Self::Behind(by) => write!(f, "behind {}", Time(*by)),
        }
    }
}

impl Display for PlatformDeed {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(self.word())
    }
}

impl Display for OperatorDeed {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Sets(mode) => write!(f, "sets {}", mode.word()),
            Self::FailsOver => f.write_str("fails-over"),
            Self::SwitchesOver => f.write_str("switches-over"),
            Self::DeletesLease => f.write_str("deletes-lease"),
        }
    }
}

impl Display for Expectation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Rule(id) => write!(f, "rule {id}"),
            Self::NoRule(id) => write!(f, "no rule {id}"),
            Self::Calls(bound) => write!(f, "calls {bound}"),
            Self::Episodes(bound) => write!(f, "episodes {bound}"),
            Self::Writer(who) => write!(f, "writer {who}"),
            Self::OutageAtMost(time) => write!(f, "outage at most {}", Time(*time)),
            Self::DetectedWithin(time) => write!(f, "detected within {}", Time(*time)),
            Self::Lost(bound) => write!(f, "lost {bound}"),
            Self::Errors(bound) => write!(f, "errors {bound}"),
            Self::RecoveredBy(by) => write!(f, "recovered by {}", by.word()),
            Self::SessionsEvicted => f.write_str("sessions evicted"),
            Self::PersonCalled(rule) => write!(f, "person called by rule {rule}"),
            Self::NobodyCalled => f.write_str("nobody called"),
            Self::Open(true) => f.write_str("episode open"),
            Self::Open(false) => f.write_str("episode closed"),
        }
    }
}

impl Display for Bound {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Exactly(number) => write!(f, "{number}"),
            Self::AtMost(number) => write!(f, "at most {number}"),
        }
    }
}

impl Display for Who {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Same => f.write_str("same"),
            Self::Other => f.write_str("other"),
            Self::Reader(number) => write!(f, "reader-{number}"),
        }
    }
}
