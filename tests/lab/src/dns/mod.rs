//! The VPC's DNS: authoritative records of the cluster, and one caching resolver per view.
//!
//! A resolver keeps an answer for its TTL, so a cluster endpoint that has moved is seen late,
//! as on AWS.

mod answer;
mod resolver;
mod zone;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

use resolver::Resolver;
use zone::Records;
pub use zone::{Alias, Zone};

/// Why the DNS could not start or change.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// An address is taken.
    #[error("cannot serve DNS on {address}: {source}; end whatever listens there")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// Not a domain name.
    #[error("{name:?} is not a domain name: {source}")]
    Name {
        /// The text.
        name: String,
        /// The reason.
        source: hickory_proto::ProtoError,
    },
    /// No such node.
    #[error("the zone has nodes 1 to {nodes}, not {node}")]
    NoNode {
        /// The number asked for.
        node: u8,
        /// How many there are.
        nodes: usize,
    },
}

/// All resolvers and the records behind them. Dropping it ends the servers.
#[derive(Debug)]
pub struct Dns {
    records: Arc<Records>,
    resolvers: Vec<Arc<Resolver>>,
    servers: Vec<JoinHandle<()>>,
}

impl Dns {
    /// Serves the zone to `views` views, each on its own address, UDP and TCP. The first node
    /// is the writer, the others are readers.
    ///
    /// # Errors
    /// [`DnsError`] when an address is taken or a name is not one.
    pub async fn start(zone: Zone, views: u8, address: impl Fn(u8) -> SocketAddr) -> Result<Self, DnsError> {
        let records = Arc::new(Records::new(zone)?);
        let mut dns = Self { records, resolvers: Vec::new(), servers: Vec::new() };
        for view in 0..views {
            let address = address(view);
            let failed = |source| DnsError::Bind { address, source };
            let udp = UdpSocket::bind(address).await.map_err(failed)?;
            let tcp = TcpListener::bind(address).await.map_err(failed)?;
            let resolver = Arc::new(Resolver::new(view, Arc::clone(&dns.records)));
            dns.servers.push(tokio::spawn(resolver::serve_udp(Arc::clone(&resolver), udp)));
            dns.servers.push(tokio::spawn(resolver::serve_tcp(Arc::clone(&resolver), tcp)));
            dns.resolvers.push(resolver);
        }
        Ok(dns)
    }

    /// Moves the cluster (writer) endpoint to a node (1, 2, …).
    ///
    /// # Errors
    /// [`DnsError::NoNode`].
    pub fn set_cluster_endpoint(&self, node: u8) -> Result<(), DnsError> {
        self.records.set_writer(node)
    }

    /// Sets the nodes behind the reader endpoint; with none it leads to the writer.
    ///
    /// # Errors
    /// [`DnsError::NoNode`].
    pub fn set_reader_endpoint(&self, nodes: &[u8]) -> Result<(), DnsError> {
        self.records.set_readers(nodes)
    }

    /// Adds a name that every view resolves to the same address, for other local services.
    ///
    /// # Errors
    /// [`DnsError::Name`].
    pub fn add_name(&self, name: &str, address: Ipv4Addr) -> Result<(), DnsError> {
        self.records.add(name, address)
    }

    /// Serves these records of hosted zones beside the cluster's own, in place of those before.
    ///
    /// # Errors
    /// [`DnsError::Name`].
    pub fn host(&self, records: &[Alias]) -> Result<(), DnsError> {
        self.records.host(records)
    }

    /// While stale, the resolver of a view (None: every view) never renews an answer it has.
    pub fn set_stale(&self, view: Option<u8>, stale: bool) {
        for resolver in &self.resolvers {
            if view.is_none_or(|view| view == resolver.view()) {
                resolver.set_stale(stale);
            }
        }
    }

    /// Forgets the cached answers of every view.
    pub fn flush(&self) {
        for resolver in &self.resolvers {
            resolver.flush();
        }
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

#[cfg(test)]
mod tests;
