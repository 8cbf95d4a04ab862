//! A TCP proxy that can fail the way a host or a network path fails.

mod connection;
mod socket;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use connection::{Connection, Flow};

/// What the path between a view and a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Link {
    /// Transparent.
    #[default]
    Open,
    /// Packets vanish: connects hang, existing connections go silent; healing resumes them.
    Cut,
    /// New connects are refused, existing connections are reset.
    Refuse,
    /// Every chunk arrives this much later, in each direction.
    Delay(Duration),
    /// Connects succeed, but no byte moves until the link opens again.
    Freeze,
}

/// What the host behind the proxy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Host {
    /// PostgreSQL listens.
    #[default]
    Up,
    /// The host lives, PostgreSQL does not: connects are refused.
    Refusing,
    /// The host is gone without a goodbye.
    Down,
}

/// One listener in front of one upstream address.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    acceptor: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    upstream: SocketAddr,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    host: Host,
    link: Link,
    listener: Option<Arc<TcpListener>>,
    connections: HashMap<u64, Arc<Connection>>,
    next_id: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Accepting(Flow),
    Silent,
    Closed,
}

impl Proxy {
    /// Starts to listen; must be called on a tokio runtime.
    ///
    /// # Errors
    /// The bind error when `address` is taken.
    pub fn start(address: SocketAddr, upstream: SocketAddr) -> io::Result<Self> {
        let state = State { listener: Some(Arc::new(socket::listen(address, false)?)), ..State::default() };
        let shared = Arc::new(Shared { address, upstream, state: Mutex::new(state), changed: watch::Sender::new(0) });
        let acceptor = tokio::spawn(accept_loop(Arc::clone(&shared)));
        Ok(Self { shared, acceptor })
    }

    /// The listening address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Sets the fault of the path; in force when this returns.
    ///
    /// # Errors
    /// The socket error when the listener cannot be opened again.
    pub fn set_link(&self, link: Link) -> io::Result<()> {
        let mut state = self.shared.lock();
        state.link = link;
        if link == Link::Refuse {
            state.end_connections();
        }
        self.shared.apply(&mut state)
    }

    /// Sets the state of the host; in force when this returns. A host that comes back from
    /// `Down` resets the connections it no longer knows.
    ///
    /// # Errors
    /// The socket error when the listener cannot be opened again.
    pub fn set_host(&self, host: Host) -> io::Result<()> {
        let mut state = self.shared.lock();
        if state.host == Host::Down && host != Host::Down {
            state.end_connections();
            if let Some(listener) = state.listener.take() {
                socket::close(&listener);
            }
        }
        state.host = host;
        self.shared.apply(&mut state)
    }

    /// The present fault of the path.
    #[must_use]
    pub fn link(&self) -> Link {
        self.shared.lock().link
    }

    /// How many connections are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().connections.len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
        let mut state = self.shared.lock();
        state.end_connections();
        if let Some(listener) = state.listener.take() {
            socket::close(&listener);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, state: &mut State) -> io::Result<()> {
        let mode = state.mode();
        match (&state.listener, mode) {
            (Some(listener), Mode::Closed) => {
                socket::close(listener);
                state.listener = None;
            }
            (Some(listener), Mode::Silent) => socket::drop_packets(&**listener)?,
            (Some(listener), Mode::Accepting(_)) => socket::pass_packets(&**listener)?,
            (None, Mode::Closed) => {}
            (None, Mode::Silent | Mode::Accepting(_)) => {
                let silent = mode == Mode::Silent;
                state.listener = Some(Arc::new(socket::listen(self.address, silent)?));
            }
        }
        for connection in state.connections.values() {
            connection.set(mode.flow())?;
        }
        self.changed.send_modify(|version| *version += 1);
        Ok(())
    }

    /// Registers under the lock, so that no fault can slip between accept and first byte.
    fn register(&self, client: TcpStream) -> io::Result<(u64, Arc<Connection>)> {
        let mut state = self.lock();
        let connection = Arc::new(Connection::new(client, state.mode().flow())?);
        let id = state.next_id;
        state.next_id += 1;
        state.connections.insert(id, Arc::clone(&connection));
        Ok((id, connection))
    }
}

impl State {
    fn mode(&self) -> Mode {
        match (self.host, self.link) {
            (Host::Down, _) | (_, Link::Cut) => Mode::Silent,
            (Host::Refusing, _) | (Host::Up, Link::Refuse) => Mode::Closed,
            (Host::Up, Link::Open) => Mode::Accepting(Flow::Delayed(Duration::ZERO)),
            (Host::Up, Link::Delay(delay)) => Mode::Accepting(Flow::Delayed(delay)),
            (Host::Up, Link::Freeze) => Mode::Accepting(Flow::Frozen),
        }
    }

    fn end_connections(&mut self) {
        for (_, connection) in self.connections.drain() {
            connection.reset();
        }
    }
}

impl Mode {
    /// PostgreSQL's own end of a connection travels on while new connects are refused.
    fn flow(self) -> Flow {
        match self {
            Self::Accepting(flow) => flow,
            Self::Silent => Flow::Silent,
            Self::Closed => Flow::Delayed(Duration::ZERO),
        }
    }
}

async fn accept_loop(shared: Arc<Shared>) {
    let mut changed = shared.changed.subscribe();
    loop {
        changed.mark_unchanged();
        let listener = {
            let state = shared.lock();
            match state.mode() {
                Mode::Accepting(_) => state.listener.clone(),
                Mode::Silent | Mode::Closed => None,
            }
        };
        let accepted = match listener {
            Some(listener) => tokio::select! {
                accepted = listener.accept() => accepted,
                _ = changed.changed() => continue,
            },
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        match accepted {
            Ok((client, _)) => drop(tokio::spawn(serve(Arc::clone(&shared), client))),
            Err(error) => {
                tracing::debug!(address = %shared.address, %error, "not accepting");
                if changed.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn serve(shared: Arc<Shared>, client: TcpStream) {
    let (id, connection) = match shared.register(client) {
        Ok(registered) => registered,
        Err(error) => {
            tracing::debug!(address = %shared.address, %error, "connection lost at accept");
            return;
        }
    };
    connection.relay(shared.upstream).await;
    shared.lock().connections.remove(&id);
}

#[cfg(test)]
mod tests;
