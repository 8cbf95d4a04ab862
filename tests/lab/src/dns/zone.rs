//! The authoritative records.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::rr::{LowerName, Name};

use super::DnsError;

/// What the zone of a cluster contains.
#[derive(Debug, Clone)]
pub struct Zone {
    /// Instance endpoints of node 1, 2, ….
    pub instances: Vec<String>,
    /// The cluster (writer) endpoint.
    pub writer: String,
    /// The reader endpoint.
    pub reader: String,
    /// By view, then by node: where the view finds the node.
    pub addresses: Vec<Vec<IpAddr>>,
    /// How long a resolver may keep an answer.
    pub ttl: Duration,
}

/// A CNAME record of a hosted zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// Where it leads.
    pub target: String,
    /// How long a resolver may keep the answer.
    pub ttl: Duration,
}

/// Where a name leads at this moment, before a view's addresses are applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// An instance endpoint: the index of its node.
    Instance(usize),
    /// An alias of an instance endpoint.
    Alias(usize, Name),
    /// The same address for everybody.
    Fixed(Ipv4Addr),
    /// An alias of any name, from a hosted zone.
    Hosted(Name),
}

#[derive(Debug)]
pub(super) struct Records {
    instances: Vec<Name>,
    writer: LowerName,
    reader: LowerName,
    addresses: Vec<Vec<IpAddr>>,
    ttl: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    writer: usize,
    readers: Vec<usize>,
    /// The reader endpoint gives one reader per lookup, in turn.
    turn: usize,
    fixed: HashMap<LowerName, Ipv4Addr>,
    hosted: HashMap<LowerName, (Name, Duration)>,
}

impl Records {
    pub(super) fn new(zone: Zone) -> Result<Self, DnsError> {
        let instances = zone.instances.iter().map(|name| absolute(name)).collect::<Result<Vec<Name>, DnsError>>()?;
        let state = State { readers: (1..instances.len()).collect(), ..State::default() };
        Ok(Self {
            instances,
            writer: absolute(&zone.writer)?.into(),
            reader: absolute(&zone.reader)?.into(),
            addresses: zone.addresses,
            ttl: zone.ttl,
            state: Mutex::new(state),
        })
    }

    /// Where a name leads, and for how long an answer may be kept. None: no such name.
    pub(super) fn look_up(&self, name: &LowerName) -> Option<(Target, Duration)> {
        if let Some((target, ttl)) = self.state().hosted.get(name) {
            return Some((Target::Hosted(target.clone()), *ttl));
        }
        self.own(name).map(|target| (target, self.ttl))
    }

    fn own(&self, name: &LowerName) -> Option<Target> {
        let mut state = self.state();
        if *name == self.writer {
            return self.alias(state.writer);
        }
        if *name == self.reader {
            state.turn = state.turn.wrapping_add(1);
            let count = state.readers.len().max(1);
            let reader = state.readers.get(state.turn % count).copied();
            return self.alias(reader.unwrap_or(state.writer));
        }
        if let Some(address) = state.fixed.get(name) {
            return Some(Target::Fixed(*address));
        }
        self.instances.iter().position(|instance| LowerName::new(instance) == *name).map(Target::Instance)
    }

    /// The address a view has for a node.
    pub(super) fn address(&self, view: u8, node: usize) -> Option<Ipv4Addr> {
        match self.addresses.get(usize::from(view))?.get(node)? {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        }
    }

    pub(super) fn set_writer(&self, node: u8) -> Result<(), DnsError> {
        self.state().writer = self.index(node)?;
        Ok(())
    }

    pub(super) fn set_readers(&self, nodes: &[u8]) -> Result<(), DnsError> {
        let readers = nodes.iter().map(|node| self.index(*node)).collect::<Result<Vec<usize>, DnsError>>()?;
        self.state().readers = readers;
        Ok(())
    }

    pub(super) fn add(&self, name: &str, address: Ipv4Addr) -> Result<(), DnsError> {
        let name = absolute(name)?.into();
        self.state().fixed.insert(name, address);
        Ok(())
    }

    pub(super) fn host(&self, records: &[Alias]) -> Result<(), DnsError> {
        let mut hosted = HashMap::new();
        for Alias { name, target, ttl } in records {
            hosted.insert(absolute(name)?.into(), (absolute(target)?, *ttl));
        }
        self.state().hosted = hosted;
        Ok(())
    }

    fn alias(&self, node: usize) -> Option<Target> {
        let name = self.instances.get(node)?;
        Some(Target::Alias(node, name.clone()))
    }

    fn index(&self, node: u8) -> Result<usize, DnsError> {
        let nodes = self.instances.len();
        match usize::from(node).checked_sub(1) {
            Some(index) if index < nodes => Ok(index),
            Some(_) | None => Err(DnsError::NoNode { node, nodes }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn absolute(name: &str) -> Result<Name, DnsError> {
    let mut parsed = Name::from_ascii(name).map_err(|source| DnsError::Name { name: name.to_owned(), source })?;
    parsed.set_fqdn(true);
    Ok(parsed)
}
