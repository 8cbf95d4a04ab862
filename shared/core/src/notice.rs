//! What people are told, by severity.

use serde::{Deserialize, Serialize};

use crate::candidate;
use crate::decision::Decision;
use crate::diagnosis::WriterState;
use crate::episode::{Episode, RecoveredBy};
use crate::lease::Lease;
use crate::mode::Mode;
use crate::pin::{self, Aim};
use crate::ports::CallError;
use crate::remedy;
use crate::switchover::Plan;
use crate::time::Timestamp;
use crate::topology::{ClusterId, Deployment, InstanceId};

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
            "Since {} the writer {} of cluster {} is {:?}, by a quorum of Availability Zones (episode {}). {}",
            episode.failed_since.rfc3339(),
            episode.old_writer,
            episode.cluster,
            decision.diagnosis.writer,
            episode.epoch,
            what_follows(episode, decision)
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
            "Episode {} of cluster {}, begun {}, is a planned switchover from {} to {target}: {reason}. Protected \
             transactions wait at the gate for some seconds at most. Nothing to do; the next message says how it ended. \
             To stop it before the call, pause Steadfast (payloads/pause.json).",
            episode.epoch,
            episode.cluster,
            episode.opened_at.rfc3339(),
            episode.old_writer
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
        (true, _) => "as ordered. Nothing is left to do".to_owned(),
        (false, why) => format!(
            "not as ordered: {}. Mend that and order it again; Steadfast does not do so by itself",
            why.unwrap_or_else(|| "it was not carried out in time".to_owned())
        ),
    };
    Notice {
        severity,
        subject,
        body: format!(
            "Episode {} of cluster {}, begun {}, is closed. A commit on {writer} proved that writes flow, {how}. The \
             switchover was ordered with the reason: {}. FailoverDBCluster was called {} times; the gate is open{}. {}",
            episode.epoch,
            episode.cluster,
            episode.opened_at.rfc3339(),
            plan.reason,
            episode.promotion.as_ref().map_or(0, |promotion| promotion.number),
            // A drainer that did not answer may have left it closed on the old writer: 60 s is the longest limit.
            if done { "" } else { ", or the server opens it by itself within a minute" },
            evidence(episode)
        ),
    }
}

fn what_follows(episode: &Episode, decision: &Decision) -> String {
    let cluster = episode.cluster.as_str();
    let (deployment, platform) = (decision.deployment, decision.deployment.platform());
    match decision.facts.mode {
        Mode::Armed => format!(
            "Nothing to do yet: Steadfast lets {platform} go first where {platform} can help, then promotes once where \
             another writer can, and the next message says how it ended or that you are needed. If none has come within \
             {} minutes, look yourself: {}",
            if deployment == Deployment::Cluster { "three" } else { "five" },
            remedy::status(deployment, cluster)
        ),
        Mode::Shadow | Mode::Paused => format!(
            "Steadfast is not armed: it records what it would do and acts on nothing. Watch the cluster yourself: {}; \
             if {platform} does not fail over: {}",
            remedy::status(deployment, cluster),
            fail_over(cluster, decision)
        ),
    }
}

/// The command that moves the role by hand, to the target of the decision if it has one.
fn fail_over(cluster: &str, decision: &Decision) -> String {
    let target = decision.target.as_ref().map_or("READER", InstanceId::as_str);
    remedy::fail_over(decision.deployment, cluster, target)
}

/// Where the record of the episode stands.
fn evidence(episode: &Episode) -> String {
    let Episode { cluster, epoch, evidence, .. } = episode;
    format!(
        "Evidence: partition evidence#{cluster}#{epoch} of the state table, {} entries, last hash {}.",
        evidence.length, evidence.hash
    )
}

/// No rule can make it better.
pub fn human_needed(episode: &Episode, decision: &Decision) -> Notice {
    Notice {
        severity: Severity::Critical,
        subject: format!("{}: you are needed, rule {}", episode.cluster, decision.rule),
        body: format!(
            "Rule {}: {}. This is episode {} of cluster {}, about its writer {} since {}; now that is {:?}. What to do: \
             {}\nRefused as writers: {}. Steadfast goes on watching and does nothing to the cluster while this lasts; \
             the episode closes by itself once a commit proves that writes flow.",
            decision.rule,
            decision.says,
            episode.epoch,
            episode.cluster,
            episode.old_writer,
            episode.failed_since.rfc3339(),
            decision.diagnosis.writer,
            remedy::of(decision.rule, episode, decision)
                .unwrap_or_else(|| remedy::status(decision.deployment, episode.cluster.as_str())),
            candidate::reasons(&decision.refused).unwrap_or_else(|| "none".to_owned())
        ),
    }
}

/// An episode ended.
pub fn closed(episode: &Episode, writer: &InstanceId, deployment: Deployment, now: Timestamp) -> Notice {
    if let Some(plan) = episode.plan.as_ref().filter(|_| episode.cause == WriterState::Committing) {
        return switched(episode, plan, writer);
    }
    let how = match episode.recovered_by(writer) {
        RecoveredBy::Steadfast => "Steadfast promoted it",
        RecoveredBy::Platform => "the platform or an operator promoted it",
        RecoveredBy::Itself => "it is the old writer, which came back",
    };
    let proved = episode.proved_at.unwrap_or(now);
    let call = deployment.failover_action();
    // RDS has no name for a host of an instance.
    let known_to_rds = match deployment {
        Deployment::Cluster => episode.old_writer.as_str(),
        Deployment::Instance => episode.cluster.as_str(),
    };
    Notice {
        severity: Severity::Warning,
        subject: format!("{}: writes flow again on {writer}", episode.cluster),
        body: format!(
            "Episode {} of cluster {} is closed. A commit on {writer} proved it at {}, {} ms after the failure was \
             first seen; {how}. {call} was called {} times. {}Nothing is urgent: find out why {} was {:?}, \
             while RDS still knows (aws rds describe-events --source-type db-instance --source-identifier {} --duration \
             1440), and look for applications that do not write again. {}",
            episode.epoch,
            episode.cluster,
            proved.rfc3339(),
            proved.since(episode.failed_since).as_millis(),
            episode.promotion.as_ref().map_or(0, |promotion| promotion.number),
            in_shadow(episode, call, proved),
            episode.old_writer,
            episode.cause,
            known_to_rds,
            evidence(episode)
        ),
    }
}

/// What Steadfast would have done if it were armed; empty when nothing.
fn in_shadow(episode: &Episode, call: &str, proved: Timestamp) -> String {
    let Some(shadowed) = &episode.shadowed else {
        return String::new();
    };
    format!(
        "In shadow mode nothing was called: armed, Steadfast would have called {call} with target {} {} ms \
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
            "Since {} the writer of cluster {cluster} is {:?}. The lease of epoch {} belongs to {} until {} and has not \
             been renewed lately, so its owner may be gone; this coordinator does nothing to the cluster. If no other \
             message follows within a minute, hand the lease on: in the state table set expires_at of the item lease of \
             cluster#{cluster} to 0, and Steadfast takes over. Do not delete it. Or: {}",
            decision.diagnosis.since.map_or_else(|| "lately".to_owned(), Timestamp::rfc3339),
            decision.diagnosis.writer,
            lease.epoch,
            lease.owner,
            lease.expires_at.rfc3339(),
            fail_over(cluster.as_str(), decision)
        ),
    }
}

/// The stable name could not be set.
pub fn unpinned(cluster: &ClusterId, aim: &Aim, error: &CallError) -> Notice {
    let Aim { name, writer, endpoint, epoch } = aim;
    let (zone, name) = (&name.zone, &name.name);
    Notice {
        severity: Severity::Warning,
        subject: format!("{cluster}: the name {name} may not lead to the writer {writer}"),
        body: format!(
            "Writes flow on {writer} (cluster {cluster}, episode {epoch}), but the name {name} in hosted zone {zone} \
             could not be set to it: {error}. Who connects by that name may reach another instance. Steadfast tries \
             again every minute while the writer commits, and says when it is done. By hand: aws route53 \
             change-resource-record-sets --hosted-zone-id {zone} --change-batch '{{\"Changes\":[{{\"Action\":\"UPSERT\",\
             \"ResourceRecordSet\":{{\"Name\":\"{name}\",\"Type\":\"CNAME\",\"TTL\":{},\"ResourceRecords\":[{{\"Value\":\
             \"{endpoint}\"}}]}}}}]}}'. If it was refused: the coordinator's role needs \
             route53:ChangeResourceRecordSets on that zone, and nothing but a CNAME may stand under the name.",
            pin::TTL.as_secs()
        ),
    }
}

/// The stable name leads to the writer again, after people were told that it may not.
pub fn pinned(cluster: &ClusterId, aim: &Aim) -> Notice {
    let Aim { name, writer, endpoint, epoch } = aim;
    Notice {
        severity: Severity::Info,
        subject: format!("{cluster}: the name {} leads to the writer {writer} again", name.name),
        body: format!(
            "The name {} in hosted zone {} is set to {endpoint} (cluster {cluster}, episode {epoch}). Nothing is left to \
             do.",
            name.name, name.zone
        ),
    }
}

/// The state table cannot be read or written: nothing is done.
pub fn state_lost(cluster: &ClusterId, deployment: Deployment, error: &str) -> Notice {
    Notice {
        severity: Severity::Critical,
        subject: format!("{cluster}: the state table does not answer; Steadfast acts on nothing"),
        body: format!(
            "The state of cluster {cluster} could not be read or written: {error}. Without it Steadfast cannot know \
             who may act, so it does nothing to the cluster until this is mended, and says so again. Look at the table \
             (aws dynamodb describe-table --table-name the one named above), its KMS key, and the coordinator's \
             permissions on it. Watch the writer yourself meanwhile: {}; if it has failed: {}",
            remedy::status(deployment, cluster.as_str()),
            remedy::fail_over(deployment, cluster.as_str(), "READER")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_fits_what_sns_takes() {
        let notice = state_lost(&ClusterId::new("ä".repeat(300)), Deployment::Cluster, "x");
        let subject = notice.sns_subject();
        assert_eq!(subject.chars().count(), 99);
        assert!(subject.is_ascii());
    }
}
