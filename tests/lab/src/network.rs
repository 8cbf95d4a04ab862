//! The lab's addresses: one free 127.X.0.0/16 per lab, so that labs never collide.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};

/// The port of PostgreSQL and of every proxy in front of it.
pub const POSTGRES_PORT: u16 = 5432;
/// View 0 is the applications' view, views 1 to 3 are what AZ 1 to 3 sees.
pub const VIEWS: u8 = 4;
/// Nodes are numbered from 1.
pub const NODES: u8 = 3;

const FIRST_OCTET: u8 = 64;
const LAST_OCTET: u8 = 126;
const DNS_PORT: u16 = 53;
const UNPRIVILEGED_DNS_PORT: u16 = 5353;

/// Why no address block could be claimed.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Every block is taken.
    #[error(
        "no free loopback block: port {POSTGRES_PORT} is taken on every 127.{FIRST_OCTET}-{LAST_OCTET}.x.x \
         (last error: {last}); stop other labs, or a PostgreSQL that listens on 0.0.0.0:{POSTGRES_PORT}"
    )]
    NoFreeBlock {
        /// The last bind error.
        last: io::Error,
    },
    /// A resolver address cannot be bound.
    #[error("no DNS port on {address}: neither {DNS_PORT} nor {UNPRIVILEGED_DNS_PORT} can be bound: {source}")]
    NoDnsPort {
        /// The address.
        address: Ipv4Addr,
        /// The bind error of the unprivileged port.
        source: io::Error,
    },
}

/// A claimed 127.X.0.0/16. The claim lasts as long as the value.
#[derive(Debug)]
pub struct LoopbackNetwork {
    octet: u8,
    dns_port: u16,
    _claim: TcpListener,
}

impl LoopbackNetwork {
    /// Claims a free block; the claim is a listener, so the kernel frees it even after a SIGKILL.
    ///
    /// # Errors
    /// [`NetworkError`] when no block is free or no DNS port can be bound.
    pub fn claim() -> Result<Self, NetworkError> {
        let span = u32::from(LAST_OCTET - FIRST_OCTET) + 1;
        let start = std::process::id() % span;
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for step in 0..span {
            let octet = FIRST_OCTET + u8::try_from((start + step) % span).unwrap_or(0);
            match claim_octet(octet) {
                Ok(claim) => {
                    return Ok(Self { octet, dns_port: dns_port(Ipv4Addr::new(127, octet, 0, 53))?, _claim: claim });
                }
                Err(error) => last = error,
            }
        }
        Err(NetworkError::NoFreeBlock { last })
    }

    /// The second octet of the block.
    #[must_use]
    pub fn octet(&self) -> u8 {
        self.octet
    }

    /// Where PostgreSQL of a node (1..=3) itself listens.
    #[must_use]
    pub fn node_address(&self, node: u8) -> SocketAddr {
        self.address(100, node, POSTGRES_PORT)
    }

    /// Where a view (0..=3) finds a node (1..=3).
    #[must_use]
    pub fn proxy_address(&self, view: u8, node: u8) -> SocketAddr {
        self.address(view, node, POSTGRES_PORT)
    }

    /// An address of a server beside the nodes.
    #[must_use]
    pub fn address_of(&self, third: u8, fourth: u8) -> SocketAddr {
        self.address(third, fourth, POSTGRES_PORT)
    }

    /// Where the resolver of a view (0..=3) listens, UDP and TCP.
    #[must_use]
    pub fn resolver_address(&self, view: u8) -> SocketAddr {
        self.address(view, 53, self.dns_port)
    }

    fn address(&self, third: u8, fourth: u8, port: u16) -> SocketAddr {
        SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(127, self.octet, third, fourth), port))
    }
}

fn claim_octet(octet: u8) -> io::Result<TcpListener> {
    let claim = TcpListener::bind((Ipv4Addr::new(127, octet, 255, 1), POSTGRES_PORT))?;
    for view in [0, 1, 2, 3, 100] {
        drop(TcpListener::bind((Ipv4Addr::new(127, octet, view, 1), POSTGRES_PORT))?);
    }
    Ok(claim)
}

fn dns_port(address: Ipv4Addr) -> Result<u16, NetworkError> {
    for port in [DNS_PORT, UNPRIVILEGED_DNS_PORT] {
        match UdpSocket::bind((address, port)) {
            Ok(_) => return Ok(port),
            Err(_) if port == DNS_PORT => {}
            Err(source) => return Err(NetworkError::NoDnsPort { address, source }),
        }
    }
    Ok(UNPRIVILEGED_DNS_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_claims_never_share_a_block() {
        let first = LoopbackNetwork::claim().unwrap();
        let second = LoopbackNetwork::claim().unwrap();
        assert_ne!(first.octet(), second.octet());
        assert_ne!(first.proxy_address(1, 2), second.proxy_address(1, 2));
    }

    #[test]
    fn a_claim_ends_with_its_value() {
        let claim = LoopbackNetwork::claim().unwrap();
        let octet = claim.octet();
        assert!(claim_octet(octet).is_err());
        drop(claim);
        drop(claim_octet(octet).unwrap());
    }
}
