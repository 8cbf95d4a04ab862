//! One relayed connection.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::socket;

const CHUNK_BYTES: usize = 16 * 1024;
const QUEUED_CHUNKS: usize = 16;

/// What happens to the bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// Each chunk arrives this much later.
    Delayed(Duration),
    /// The connection stays open, nothing moves.
    Frozen,
    /// As frozen, and the client's packets are not even acknowledged.
    Silent,
    /// Ended with a reset.
    Reset,
}

/// A client's connection. `flow` is read-locked for each write to the client, so a new flow is
/// in force when [`Connection::set`] returns.
#[derive(Debug)]
pub(super) struct Connection {
    client: TcpStream,
    flow: watch::Sender<Flow>,
}

struct Chunk {
    due: Instant,
    /// Empty means end of stream.
    bytes: Vec<u8>,
}

impl Connection {
    pub(super) fn new(client: TcpStream, flow: Flow) -> io::Result<Self> {
        client.set_nodelay(true)?;
        let connection = Self { client, flow: watch::Sender::new(flow) };
        connection.set(flow)?;
        Ok(connection)
    }

    /// Changes the flow.
    pub(super) fn set(&self, flow: Flow) -> io::Result<()> {
        if flow == Flow::Silent {
            socket::drop_packets(&self.client)?;
            self.flow.send_replace(flow);
            return Ok(());
        }
        socket::pass_packets(&self.client)?;
        self.flow.send_replace(flow);
        Ok(())
    }

    /// Ends the connection with a reset.
    pub(super) fn reset(&self) {
        if let Err(error) = self.set(Flow::Reset) {
            tracing::debug!(%error, "connection already gone");
        }
    }

    /// Carries bytes until both sides have ended, or one of them failed.
    pub(super) async fn relay(&self, upstream: SocketAddr) {
        let outcome = tokio::select! {
            outcome = self.carry(upstream) => outcome,
            () = self.until(|flow| flow == Flow::Reset) => Err(io::ErrorKind::ConnectionReset.into()),
        };
        if let Err(error) = outcome {
            tracing::debug!(%upstream, %error, "connection reset");
            // The client of a vanished host must not notice that the other side has ended.
            self.until(|flow| !matches!(flow, Flow::Silent | Flow::Frozen)).await;
            if let Err(error) = self.client.set_zero_linger() {
                tracing::debug!(%error, "client already gone");
            }
        }
    }

    async fn carry(&self, upstream: SocketAddr) -> io::Result<()> {
        let server = TcpStream::connect(upstream).await?;
        server.set_nodelay(true)?;
        let outcome = tokio::try_join!(self.direction(&self.client, &server), self.direction(&server, &self.client),);
        if outcome.is_err() {
            server.set_zero_linger()?;
        }
        outcome.map(|_| ())
    }

    async fn direction(&self, from: &TcpStream, to: &TcpStream) -> io::Result<()> {
        let (sender, receiver) = mpsc::channel(QUEUED_CHUNKS);
        tokio::try_join!(self.read(from, sender), self.write(to, receiver)).map(|_| ())
    }

    async fn read(&self, from: &TcpStream, queue: mpsc::Sender<Chunk>) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let delay = self.flowing().await;
            tokio::select! {
                ready = from.readable() => ready?,
                () = self.until(|flow| flow != Flow::Delayed(delay)) => continue,
            }
            let count = match from.try_read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            let chunk = Chunk { due: Instant::now() + delay, bytes: buffer.get(..count).unwrap_or_default().to_vec() };
            if queue.send(chunk).await.is_err() || count == 0 {
                return Ok(());
            }
        }
    }

    async fn write(&self, to: &TcpStream, mut queue: mpsc::Receiver<Chunk>) -> io::Result<()> {
        while let Some(chunk) = queue.recv().await {
            if chunk.due > Instant::now() {
                tokio::time::sleep_until(chunk.due).await;
            }
            if chunk.bytes.is_empty() {
                return self.end(to).await;
            }
            let mut rest = chunk.bytes.as_slice();
            while !rest.is_empty() {
                self.flowing().await;
                to.writable().await?;
                let flow = self.flow.borrow();
                if !matches!(*flow, Flow::Delayed(_)) {
                    continue;
                }
                match to.try_write(rest) {
                    Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn end(&self, to: &TcpStream) -> io::Result<()> {
        loop {
            self.flowing().await;
            let flow = self.flow.borrow();
            if matches!(*flow, Flow::Delayed(_)) {
                return match SockRef::from(to).shutdown(Shutdown::Write) {
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                    result => result,
                };
            }
        }
    }

    /// Waits until bytes move; returns their delay.
    async fn flowing(&self) -> Duration {
        loop {
            if let Flow::Delayed(delay) = *self.flow.borrow() {
                return delay;
            }
            self.until(|flow| matches!(flow, Flow::Delayed(_))).await;
        }
    }

    async fn until(&self, wanted: impl Fn(Flow) -> bool) {
        let mut flow = self.flow.subscribe();
        // The sender lives in self, so the channel cannot close while we wait.
        if flow.wait_for(|flow| wanted(*flow)).await.is_err() {
            tracing::debug!("connection dropped while waiting");
        }
    }
}
