//! Names to addresses, asked anew for every connection: a cached address is how clients stay on
//! a demoted writer.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use crate::settings::SettingError;

/// How long one DNS server may take for one try.
const TIMEOUT: Duration = Duration::from_millis(500);

/// A resolver without a cache of its own; the network's resolver may still keep an answer for
/// its TTL.
#[derive(Clone)]
pub struct Resolver {
    inner: TokioResolver,
}

impl Resolver {
    /// Asks `server`, or the servers of the system (`/etc/resolv.conf`) when there is none.
    ///
    /// # Errors
    ///
    /// When the system's configuration cannot be read.
    pub fn new(server: Option<SocketAddr>) -> Result<Self, SettingError> {
        let unusable = |error: &dyn std::fmt::Display| SettingError::Unusable(format!("no DNS resolver: {error}"));
        let mut builder = match server {
            None => TokioResolver::builder_tokio().map_err(|error| unusable(&error))?,
            Some(server) => TokioResolver::builder_with_config(only(server), TokioRuntimeProvider::default()),
        };
        let options: &mut ResolverOpts = builder.options_mut();
        options.cache_size = 0;
        options.timeout = TIMEOUT;
        options.attempts = 2;
        options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
        let inner = builder.build().map_err(|error| unusable(&error))?;
        Ok(Self { inner })
    }

    /// All addresses of `host`, or `host` itself when it is an address. Safe to cancel.
    ///
    /// # Errors
    ///
    /// The resolver's words when there is none.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        let absolute = if host.ends_with('.') { host.to_owned() } else { format!("{host}.") };
        let answer = self.inner.lookup_ip(absolute).await.map_err(|error| error.to_string())?;
        Ok(answer.iter().collect())
    }
}

fn only(server: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    ResolverConfig::from_name_servers(vec![NameServerConfig::new(server.ip(), true, connections.into())])
}
