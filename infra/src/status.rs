//! What an installation says of itself: the state table, and what RDS says.

use steadfast_core::mode::Mode;
use steadfast_core::policy::Policy;
use steadfast_core::ports::State;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{ClusterId, Topology};

/// Writes it for people, at `now`. The control plane may not answer: then its words stand instead of the roles.
pub fn print(id: &ClusterId, state: &State, topology: &Result<Topology, String>, now: Timestamp) -> String {
    let mut lines = vec![format!("{id}: {}", mode(state))];
    lines.push(episode(state, now));
    lines.push(match &state.lease {
        Some(lease) if lease.expires_at > now => format!("lease: held by {}, epoch {}", lease.owner, lease.epoch),
        Some(lease) => format!("lease: free, last epoch {}", lease.epoch),
        None => "lease: never taken".to_owned(),
    });
    lines.extend(witnesses(state, now));
    lines.extend(roles(topology));
    lines.join("\n") + "\n"
}

fn mode(state: &State) -> String {
    let does = match state.mode {
        Mode::Shadow => "decides and records, acts on nothing",
        Mode::Armed => "acts",
        Mode::Paused => "decides nothing and acts on nothing",
    };
    format!("{}: {does}", state.mode.as_str())
}

fn episode(state: &State, now: Timestamp) -> String {
    match &state.episode {
        None => "episode: none so far".to_owned(),
        Some(episode) if episode.is_open() => {
            format!("episode: {} is OPEN, {} s old", episode.epoch, now.since(episode.opened_at).as_secs())
        }
        Some(episode) => format!("episode: {} is closed, none is open", episode.epoch),
    }
}

fn witnesses(state: &State, now: Timestamp) -> Vec<String> {
    if state.reports.is_empty() {
        return vec!["witnesses: none has ever reported; are the schedules on?".to_owned()];
    }
    let policy = Policy::default();
    let fresh = policy.report_age_max.saturating_add(policy.clock_skew_max);
    let line = |report: &steadfast_core::witness::WitnessReport| {
        let age = now.since(report.at);
        let sees = report.sightings.iter().filter(|sighting| sighting.outcome.healthy()).count();
        let silent = if age > fresh { " (SILENT)" } else { "" };
        let all = report.sightings.len();
        format!("witness {}: {sees} of {all} instances healthy, {} s ago{silent}", report.az, age.as_secs())
    };
    state.reports.iter().map(line).collect()
}

fn roles(topology: &Result<Topology, String>) -> Vec<String> {
    match topology {
        Err(error) => vec![format!("instances: RDS does not say: {error}")],
        Ok(topology) => {
            let line = |member: &steadfast_core::topology::Member| {
                let role = if member.is_writer { "writer" } else { "reader" };
                let zone = member.az.as_ref().map_or_else(|| "no zone".to_owned(), ToString::to_string);
                format!(
                    "instance {}: {role}, {}, {zone}, tier {}, {}",
                    member.id, member.status, member.tier, member.class
                )
            };
            topology.members.iter().map(line).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use steadfast_core::lease::Lease;
    use steadfast_core::topology::{Az, ClusterStatus, Deployment, InstanceId, Member, Owner};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_fresh_installation_says_that_it_acts_on_nothing_and_that_nobody_watches() {
        let text = print(&ClusterId::new("orders"), &State::default(), &Err("no answer".to_owned()), NOW);
        assert!(text.starts_with("orders: shadow: decides and records, acts on nothing\n"), "{text}");
        assert!(text.contains("none has ever reported") && text.contains("RDS does not say: no answer"), "{text}");
    }

    #[test]
    fn roles_and_a_held_lease_are_named() {
        let lease = Lease { owner: Owner::new("me"), epoch: 7, expires_at: NOW.plus(Duration::from_secs(5)) };
        let state = State { lease: Some(lease), mode: Mode::Armed, ..State::default() };
        let member = Member {
            id: InstanceId::new("orders-1"),
            az: Some(Az::new("a")),
            tier: 1,
            status: "available".to_owned(),
            is_writer: true,
            class: "db.serverless".to_owned(),
            endpoint: "orders-1.example".to_owned(),
        };
        let topology = Topology {
            cluster: ClusterId::new("orders"),
            deployment: Deployment::Cluster,
            status: ClusterStatus::Available,
            members: vec![member],
            port: 5432,
            endpoint: "orders.example".to_owned(),
        };
        let text = print(&ClusterId::new("orders"), &state, &Ok(topology), NOW);
        assert!(text.contains("lease: held by me, epoch 7"), "{text}");
        assert!(text.contains("instance orders-1: writer, available, a, tier 1, db.serverless"), "{text}");
    }
}
