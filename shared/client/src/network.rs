//! One connection: name, TCP, TLS, and the task that moves its bytes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Connection};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{Config, Endpoint};
use crate::error::ConnectError;

/// An open connection. Dropping it closes the connection; nothing is sent that would cancel what the server does.
pub(crate) struct Link {
    pub(crate) client: Client,
    closed: watch::Receiver<bool>,
    warnings: Arc<AtomicU64>,
    /// The epoch that it was opened for; none yet while it is [`OPEN`].
    epoch: watch::Sender<i64>,
    ended: AtomicBool,
    driver: JoinHandle<()>,
}

/// Below every epoch that could cut it.
const OPEN: i64 = i64::MAX;

impl Link {
    /// Opens a connection; safe to cancel. It ends by itself when `fence` rises above its epoch.
    pub(crate) async fn open(
        config: &Config,
        endpoint: &Endpoint,
        fence: watch::Receiver<i64>,
    ) -> Result<Self, ConnectError> {
        let limit = config.limits.connect;
        match tokio::time::timeout(limit, start(config, endpoint, fence)).await {
            Ok(opened) => opened,
            Err(_) => Err(ConnectError::Silent { endpoint: endpoint.clone(), limit }),
        }
    }

    /// From now on a higher epoch cuts it; at once, if one was seen already.
    pub(crate) fn belongs_to(&self, epoch: i64) {
        self.epoch.send_replace(epoch);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.ended.load(Ordering::Acquire) || self.client.is_closed() || *self.closed.borrow()
    }

    /// Closes the connection, whatever is under way on it.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.driver.abort();
    }

    /// Returns when the connection has ended. Safe to cancel.
    pub(crate) async fn closed(&self) {
        let mut closed = self.closed.clone();
        // An error means that the driver is gone, which is the same.
        let _gone = closed.wait_for(|closed| *closed).await;
    }

    /// How many warnings the server has sent. One that came with the answer to a COMMIT may say that the commit is
    /// not replicated: the answer is no proof then.
    pub(crate) fn warnings(&self) -> u64 {
        self.warnings.load(Ordering::Acquire)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn start(config: &Config, endpoint: &Endpoint, fence: watch::Receiver<i64>) -> Result<Link, ConnectError> {
    let unreachable = |cause: io::Error| ConnectError::Unreachable { endpoint: endpoint.clone(), cause };
    let addresses = (config.resolve)(endpoint.clone()).await.map_err(unreachable)?;
    let mut failure = unreachable(io::Error::new(io::ErrorKind::NotFound, "no address"));
    for address in addresses {
        match connect(address, config.limits.tcp_user).await {
            Ok(stream) => return log_in(config, endpoint, stream, fence).await,
            Err(error) => failure = unreachable(error),
        }
    }
    Err(failure)
}

/// A dead peer must show within seconds also when no query is waiting (Aurora's fast failover guide: keepalive after
/// 1 s, every 1 s, 5 times).
async fn connect(address: SocketAddr, user_timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    let second = Duration::from_secs(1);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(second).with_interval(second).with_retries(5))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(user_timeout))?;
    #[cfg(not(target_os = "linux"))]
    let _unsupported = user_timeout;
    Ok(stream)
}

async fn log_in(
    config: &Config,
    endpoint: &Endpoint,
    stream: TcpStream,
    fence: watch::Receiver<i64>,
) -> Result<Link, ConnectError> {
    let credentials = config.current_credentials();
    let mut settings = tokio_postgres::Config::new();
    settings
        .user(&credentials.user)
        .password(&credentials.password)
        .dbname(&config.database)
        .application_name(&config.application)
        .ssl_mode(SslMode::Require);
    let mut make_tls = MakeRustlsConnect::new(config.tls.clone());
    let tls = <MakeRustlsConnect as MakeTlsConnect<TcpStream>>::make_tls_connect(&mut make_tls, &endpoint.host)
        .map_err(|cause| ConnectError::Name { endpoint: endpoint.clone(), cause: cause.to_string() })?;
    let (client, connection) = settings
        .connect_raw(stream, tls)
        .await
        .map_err(|cause| ConnectError::Refused { endpoint: endpoint.clone(), cause })?;
    let (closing, closed) = watch::channel(false);
    let (warnings, (epoch, own)) = (Arc::new(AtomicU64::new(0)), watch::channel(OPEN));
    let counter = Arc::clone(&warnings);
    let driver = tokio::spawn(async move {
        tokio::select! {
            () = drive(connection, &counter) => {}
            () = outranked(fence, own) => tracing::debug!("a session of an old epoch is cut"),
        }
        closing.send_replace(true);
    });
    Ok(Link { client, closed, warnings, epoch, ended: AtomicBool::new(false), driver })
}

/// Moves bytes until the connection ends, and counts warnings before the answers that follow them are seen.
async fn drive<S, T>(mut connection: Connection<S, T>, warnings: &AtomicU64)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        match std::future::poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                // By the severity's field that no language changes, as far as it is sent (PostgreSQL 9.6 and newer).
                let harmless = ["NOTICE", "DEBUG", "INFO", "LOG"].contains(&notice.severity());
                if !harmless {
                    warnings.fetch_add(1, Ordering::Release);
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::debug!(%error, "a database connection ended");
                return;
            }
            None => return,
        }
    }
}

/// Returns when a higher epoch than its own was seen. Both can change: a connection learns its epoch after it was opened.
async fn outranked(mut fence: watch::Receiver<i64>, mut own: watch::Receiver<i64>) {
    loop {
        let (highest, epoch) = (*fence.borrow_and_update(), *own.borrow_and_update());
        if highest > epoch {
            return;
        }
        let changed = tokio::select! {
            changed = fence.changed() => changed,
            changed = own.changed() => changed,
        };
        if changed.is_err() {
            // The client is gone; its sessions end when they are dropped.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_epoch_that_is_learned_late_is_outranked_at_once() {
        let (fence, (own, epoch)) = (watch::Sender::new(1), watch::channel(OPEN));
        let cut = tokio::spawn(outranked(fence.subscribe(), epoch));
        fence.send_replace(2);
        tokio::task::yield_now().await;
        assert!(!cut.is_finished());
        own.send_replace(1);
        cut.await.unwrap();
    }

    #[tokio::test]
    async fn a_higher_epoch_cuts_and_its_own_does_not() {
        let (fence, (own, epoch)) = (watch::Sender::new(1), watch::channel(OPEN));
        let cut = tokio::spawn(outranked(fence.subscribe(), epoch));
        own.send_replace(2);
        fence.send_replace(2);
        tokio::task::yield_now().await;
        assert!(!cut.is_finished());
        fence.send_replace(3);
        cut.await.unwrap();
    }
}
