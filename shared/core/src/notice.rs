//! What people are told, by severity.

use serde::{Deserialize, Serialize};

use crate::candidate;
use crate::decision::Decision;
use crate::diagnosis::WriterState;
use crate::episode::{Episode, RecoveredBy};
use crate::lease::Lease;
use crate::mode::Mode;
use crate::switchover::Plan;
use crate::time::Timestamp;
use crate::topology::{ClusterId, InstanceId};

/// How soon somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For the record.
    Info,
    /// During working hours.
    Warning,
    /// Now.
    Critical,
}

impl Severity {
    /// The word for subjects and message attributes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A message a person can act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// How soon somebody should look.
    pub severity: Severity,
    /// One line.
    pub subject: String,
    /// What happened, what was done, what is left to do.
    pub body: String,
}

impl Notice {
    /// An SNS subject: printable ASCII, fewer than 100 characters (SNS `Publish`).
    pub fn sns_subject(&self) -> String {
        let text = format!("[{}] {}", self.severity.as_str(), self.subject);
        text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(99).collect()
    }
}

/// An episode was opened.
pub fn opened(episode: &Episode, decision: &Decision) -> Notice {
    Notice {
        severity: Severity::Warning,
        subject: format!("{}: the writer {} has failed", episode.cluster, episode.old_writer),
        body: format!(
            "Episode {} of cluster {} is open. State of the writer {}: {:?}, seen by a quorum of Availability Zones. \
             {}",
            episode.epoch,
            episode.cluster,
            episode.old_writer,
            decision.diagnosis.writer,
            what_follows(decision)
        ),
    }
}

/// An operator's switchover begins.
pub fn ordered(episode: &Episode) -> Notice {
    let (target, reason) = match &episode.plan {
        Some(plan) => (plan.target.to_string(), plan.reason.clone()),
        None => ("another instance".to_owned(), "no reason given".to_owned()),
    };
    Notice {
        severity: Severity::Info,
        subject: format!("{}: switchover from {} to {target} begins", episode.cluster, episode.old_writer),
        body: format!(
            "Episode {} of cluster {} is a planned switchover from {} to {target}: {reason}. Protected transactions \
             wait at the gate for some seconds at most. The next message says how it ended.",
            episode.epoch, episode.cluster, episode.old_writer
        ),
    }
}

/// How a planned switchover ended.
fn switched(episode: &Episode, plan: &Plan, writer: &InstanceId) -> Notice {
    let done = *writer == plan.target;
    let refused = episode.promotion.as_ref().and_then(|promotion| promotion.refused.clone());
    let why = plan.called_off.clone().or(refused);
    let (severity, subject) = if done {
        (Severity::Info, format!("{}: switched over to {writer}", episode.cluster))
    } else {
        (Severity::Warning, format!("{}: the switchover did not happen; {writer} writes", episode.cluster))
    };
    let how = match (done, why) {
        (true, _) => "as ordered".to_owned(),
        (false, Some(why)) => format!("not as ordered: {why}"),
        (false, None) => "not as ordered: it was not carried out in time".to_owned(),
    };
    Notice {
        severity,
        subject,
        body: format!(
            "Episode {} of cluster {} is closed. A commit on {writer} proved that writes flow, {how}. The switchover \
             was ordered with the reason: {}. FailoverDBCluster was called {} times; the gate is open. Evidence: {} \
             entries, last hash {}.",
            episode.epoch,
            episode.cluster,
            plan.reason,
            episode.promotion.as_ref().map_or(0, |promotion| promotion.number),
            episode.evidence.length,
            episode.evidence.hash
        ),
    }
}

fn what_follows(decision: &Decision) -> &'static str {
    match decision.facts.mode {
        Mode::Armed => "Nothing to do yet; the next message says how it ended or that you are needed.",
        Mode::Shadow | Mode::Paused => {
            "Steadfast is not armed: it records what it would do and acts on nothing. Watch the cluster yourself."
        }
    }
}

/// No rule can make it better.
pub fn human_needed(episode: &Episode, decision: &Decision) -> Notice {
    Notice {
        severity: Severity::Critical,
        subject: format!("{}: you are needed, rule {}", episode.cluster, decision.rule),
        body: format!(
            "Rule {}: {}. Episode {}, writer {} is {:?}. Candidates refused: {}. Steadfast goes on watching and \
             will not promote. Look at the cluster, then fail over by hand or mend the cause; the episode closes \
             by itself once a commit proves that writes flow.",
            decision.rule,
            decision.says,
            episode.epoch,
            episode.old_writer,
            decision.diagnosis.writer,
            candidate::reasons(&decision.refused).unwrap_or_else(|| "none".to_owned())
        ),
    }
}

/// An episode ended.
pub fn closed(episode: &Episode, writer: &InstanceId, now: Timestamp) -> Notice {
    if let Some(plan) = episode.plan.as_ref().filter(|_| episode.cause == WriterState::Committing) {
        return switched(episode, plan, writer);
    }
    let how = match episode.recovered_by(writer) {
        RecoveredBy::Steadfast => "Steadfast promoted it",
        RecoveredBy::Platform => "the platform or an operator promoted it",
        RecoveredBy::Itself => "it is the old writer, which came back",
    };
    let proved = episode.proved_at.unwrap_or(now);
    Notice {
        severity: Severity::Warning,
        subject: format!("{}: writes flow again on {writer}", episode.cluster),
        body: format!(
            "Episode {} of cluster {} is closed. A commit on {writer} proved it {} ms after the failure was first \
             seen; {how}. FailoverDBCluster was called {} times. {}Evidence: {} entries, last hash {}.",
            episode.epoch,
            episode.cluster,
            proved.since(episode.failed_since).as_millis(),
            episode.promotion.as_ref().map_or(0, |promotion| promotion.number),
            in_shadow(episode, proved),
            episode.evidence.length,
            episode.evidence.hash
        ),
    }
}

/// What Steadfast would have done if it were armed; empty when nothing.
fn in_shadow(episode: &Episode, proved: Timestamp) -> String {
    let Some(shadowed) = &episode.shadowed else {
        return String::new();
    };
    format!(
        "In shadow mode nothing was called: armed, Steadfast would have called FailoverDBCluster with target {} {} ms \
         after the failure was first seen, which was {} ms before that commit. Arm it once you trust what it would \
         have done. ",
        shadowed.target,
        shadowed.at.since(episode.failed_since).as_millis(),
        proved.since(shadowed.at).as_millis()
    )
}

/// The writer has failed, and somebody else holds the lease.
pub fn standing_by(cluster: &ClusterId, lease: &Lease, decision: &Decision) -> Notice {
    Notice {
        severity: Severity::Warning,
        subject: format!("{cluster}: the writer has failed; another coordinator holds the lease"),
        body: format!(
            "The writer of cluster {cluster} is {:?}. The lease of epoch {} belongs to {} until {} (milliseconds since \
             the Unix epoch) and has not been renewed lately, so its owner may be gone; this coordinator does nothing \
             to the cluster. If no other message follows, fail over by hand, or set `expires_at` of the item `lease` \
             of this cluster in the state table to 0 and Steadfast takes over.",
            decision.diagnosis.writer,
            lease.epoch,
            lease.owner,
            lease.expires_at.as_millis()
        ),
    }
}

/// The state table cannot be read or written: nothing is done.
pub fn state_lost(cluster: &ClusterId, error: &str) -> Notice {
    Notice {
        severity: Severity::Critical,
        subject: format!("{cluster}: the state table does not answer; Steadfast acts on nothing"),
        body: format!(
            "The state of cluster {cluster} could not be read or written: {error}. Without it Steadfast cannot know \
             who may act, so it does nothing to the cluster. Check DynamoDB and the function's permissions; watch the \
             writer yourself until this is mended."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_fits_what_sns_takes() {
        let notice = state_lost(&ClusterId::new("ä".repeat(300)), "x");
        let subject = notice.sns_subject();
        assert_eq!(subject.chars().count(), 99);
        assert!(subject.is_ascii());
    }
}
