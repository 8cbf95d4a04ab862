//! Whose a finding is: behind the one endpoint of a Multi-AZ DB instance, the address that was reached tells.

use std::net::IpAddr;

use serde_json::json;
use steadfast_aws::log;
use steadfast_aws::subnets::Subnets;
use steadfast_core::board::Finding;
use steadfast_core::topology::{ClusterId, InstanceId};
use steadfast_core::witness::Outcome;

use crate::FUNCTION;

/// The hosts of a Multi-AZ DB instance, by the subnets that they live in.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    pub(crate) instance: ClusterId,
    pub(crate) subnets: Subnets,
}

impl Hosts {
    /// The host at this address.
    ///
    /// # Errors
    ///
    /// A sentence with the address and the setting, when no subnet holds it.
    pub(crate) fn at(&self, address: IpAddr) -> Result<InstanceId, String> {
        match self.subnets.zone(address) {
            Some(az) => Ok(InstanceId::of_host(&self.instance, az)),
            None => Err(format!(
                "{address} lies in no subnet of STEADFAST_SUBNETS, so nobody knows which host it is: complete the \
                 setting"
            )),
        }
    }
}

/// What the findings of one watch are about.
#[derive(Clone, Debug)]
pub(crate) enum Whose {
    /// An instance with an endpoint of its own.
    Instance(InstanceId),
    /// The host that the endpoint led to last.
    Host {
        /// All of them.
        hosts: Hosts,
        /// That one.
        last: InstanceId,
    },
}

impl Whose {
    /// Names the instance or host that a finding is about, given the address that the probe has tried.
    ///
    /// Without an address the endpoint leads nowhere, which says most about the host that it led to last. What a host
    /// shows that nobody can name counts for none.
    pub(crate) fn name(&mut self, address: Option<IpAddr>, finding: Finding) -> (InstanceId, Finding) {
        let Self::Host { hosts, last } = self else {
            return (self.last().clone(), finding);
        };
        match address.map(|address| hosts.at(address)) {
            None => {}
            Some(Ok(host)) => *last = host,
            Some(Err(because)) => {
                log::audit(FUNCTION, "unknown_host", &json!({ "error": because }));
                let unknown = Finding { outcome: Outcome::Unknown, committed: None, detail: Some(because), ..finding };
                return (last.clone(), unknown);
            }
        }
        (last.clone(), finding)
    }

    /// What the latest finding was about.
    fn last(&self) -> &InstanceId {
        match self {
            Self::Instance(id) | Self::Host { last: id, .. } => id,
        }
    }

    /// Whether there is nothing else to be seen: then what was seen of another host is over.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(self, Self::Host { .. })
    }
}

#[cfg(test)]
mod tests {
    use steadfast_core::time::Timestamp;

    use super::*;

    fn finding(outcome: Outcome) -> Finding {
        let committed = (outcome == Outcome::Committing).then_some(7);
        Finding { sent_at: Timestamp::from_millis(1), outcome, latency_ms: Some(2), committed, detail: None }
    }

    #[test]
    fn a_finding_is_of_the_host_whose_address_was_tried() {
        let subnets = "az-a=10.0.1.0/24,az-b=10.0.2.0/24".parse().expect("subnets");
        let hosts = Hosts { instance: ClusterId::new("orders"), subnets };
        let mut whose = Whose::Host { hosts, last: InstanceId::new("orders@az-a") };
        let mut name = |address: Option<&str>, outcome| {
            let address = address.map(|address| address.parse().expect("an address"));
            let (id, finding) = whose.name(address, finding(outcome));
            (id.to_string(), finding.outcome, finding.committed, finding.detail)
        };
        let (a, b) = ("orders@az-a".to_owned(), "orders@az-b".to_owned());
        assert_eq!(name(None, Outcome::Unresolved), (a, Outcome::Unresolved, None, None));
        assert_eq!(name(Some("10.0.2.9"), Outcome::Committing), (b.clone(), Outcome::Committing, Some(7), None));
        assert_eq!(name(None, Outcome::Unresolved), (b.clone(), Outcome::Unresolved, None, None));
        let (id, outcome, committed, detail) = name(Some("10.0.3.9"), Outcome::Committing);
        assert_eq!((id, outcome, committed), (b, Outcome::Unknown, None), "nobody knows who committed");
        let detail = detail.expect("a reason");
        assert!(detail.contains("10.0.3.9") && detail.contains("STEADFAST_SUBNETS"), "{detail}");
    }

    #[test]
    fn an_endpoint_of_its_own_names_its_instance_whatever_its_address() {
        let mut whose = Whose::Instance(InstanceId::new("orders-1"));
        let (id, named) = whose.name("10.0.3.9".parse().ok(), finding(Outcome::Committing));
        assert_eq!((id, named), (InstanceId::new("orders-1"), finding(Outcome::Committing)));
    }
}
