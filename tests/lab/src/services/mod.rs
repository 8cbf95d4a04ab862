//! The AWS services that functions call, behind proxies that can fail: the state table, the
//! notification topic, the invocation of functions by functions, and the name service.
//!
//! A proxy stands between the functions and the service alone. What the lab itself asks of a
//! service does not pass it.

mod proxy;
mod refusal;
mod trouble;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;

use proxy::Proxy;
pub use trouble::{Service, Trouble};

/// Why the proxies did not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on a loopback port for the proxy of {service:?}: {source}")]
pub struct ServicesError {
    /// The service behind it.
    pub service: Service,
    /// What the system said.
    pub source: io::Error,
}

/// The proxies in front of all services. Dropping it ends them.
pub struct Services {
    state_table: Proxy,
    notifier: Proxy,
    invocations: Proxy,
    names: Proxy,
}

impl Services {
    /// Starts one proxy per service, on free ports of the loopback address.
    ///
    /// # Errors
    /// [`ServicesError`] when no port is free.
    pub async fn start(emulator: SocketAddr, lambda: SocketAddr) -> Result<Self, ServicesError> {
        Ok(Self {
            state_table: Proxy::start(Service::StateTable, emulator).await?,
            notifier: Proxy::start(Service::Notifier, emulator).await?,
            invocations: Proxy::start(Service::Invocations, lambda).await?,
            names: Proxy::start(Service::Names, emulator).await?,
        })
    }

    /// Where functions find a service, for `AWS_ENDPOINT_URL_*`.
    #[must_use]
    pub fn endpoint(&self, service: Service) -> String {
        format!("http://{}", self.proxy(service).address())
    }

    /// A service fails from now on, for one of its actions (`PutItem`, `Publish`, `Invoke`) or for
    /// all. Delays add up; of several other troubles the one that was set first counts.
    pub fn set(&self, service: Service, trouble: Trouble, action: Option<&str>) {
        self.proxy(service).troubles().set(trouble, action);
    }

    /// Ends a trouble, by the words it was set with. Requests that it silenced stay unanswered.
    pub fn clear(&self, service: Service, trouble: Trouble, action: Option<&str>) {
        self.proxy(service).troubles().clear(trouble, action);
    }

    /// Ends every trouble of every service.
    pub fn clear_all(&self) {
        for service in [Service::StateTable, Service::Notifier, Service::Invocations, Service::Names] {
            self.proxy(service).troubles().clear_all();
        }
    }

    /// Ends the proxies; requests on their way are abandoned.
    pub async fn shutdown(&self) {
        for proxy in [&self.state_table, &self.notifier, &self.invocations, &self.names] {
            proxy.shutdown().await;
        }
    }

    fn proxy(&self, service: Service) -> &Proxy {
        match service {
            Service::StateTable => &self.state_table,
            Service::Notifier => &self.notifier,
            Service::Invocations => &self.invocations,
            Service::Names => &self.names,
        }
    }
}
