//! Connections that can be cut: the client sees a TCP reset in place of an answer.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Cuts one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Switch(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    cut: AtomicBool,
    waker: AtomicWaker,
}

impl Switch {
    pub(crate) fn cut(&self) {
        self.0.cut.store(true, Ordering::Release);
        self.0.waker.wake();
    }
}

/// All open connections.
#[derive(Debug, Default)]
pub(crate) struct Open(Mutex<Vec<Weak<Inner>>>);

impl Open {
    pub(crate) fn cut_all(&self) {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for inner in open.iter().filter_map(Weak::upgrade) {
            Switch(inner).cut();
        }
    }

    fn add(&self, switch: &Switch) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|known| known.strong_count() > 0);
        open.push(Arc::downgrade(&switch.0));
    }
}

/// A listener whose connections can be cut.
pub(crate) struct Cuttable {
    pub(crate) listener: TcpListener,
    pub(crate) open: Arc<Open>,
}

impl Listener for Cuttable {
    type Io = Connection;
    type Addr = Switch;

    async fn accept(&mut self) -> (Connection, Switch) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let switch = Switch::default();
                    self.open.add(&switch);
                    let connection = Connection { stream, switch: switch.clone() };
                    return (connection, switch);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // Out of file descriptors, most likely: let some close.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Switch> {
        Ok(Switch::default())
    }
}

impl Connected<IncomingStream<'_, Cuttable>> for Switch {
    fn connect_info(stream: IncomingStream<'_, Cuttable>) -> Self {
        stream.remote_addr().clone()
    }
}

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
    switch: Switch,
}

impl Connection {
    fn check(&self, context: &Context<'_>) -> io::Result<()> {
        self.switch.0.waker.register(context.waker());
        if !self.switch.0.cut.load(Ordering::Acquire) {
            return Ok(());
        }
        // With no linger time, closing sends a reset.
        self.stream.set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
