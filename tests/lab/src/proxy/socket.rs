//! Listening sockets, and the packet filter that makes a socket deaf.
//!
//! A deaf socket drops every incoming packet in the kernel before TCP sees it: a SYN gets no
//! answer, data is not acknowledged, keepalives stay unanswered. To its peer the host is gone.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use tokio::net::TcpListener;

const BACKLOG: i32 = 128;
/// Classic BPF `ret #0` (BPF_RET | BPF_K): keep no byte of the packet.
const DROP_ALL: SockFilter = SockFilter::new(0x06, 0, 0, 0);

/// Listens on an address, deaf from the first packet on when `silent`.
pub(super) fn listen(address: SocketAddr, silent: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if silent {
        drop_packets(&socket)?;
    }
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Stops listening at once, also while another task still holds the socket.
pub(super) fn close(listener: &TcpListener) {
    if let Err(error) = SockRef::from(listener).shutdown(Shutdown::Both) {
        tracing::debug!(%error, "listener already closed");
    }
}

/// Makes a socket deaf.
pub(super) fn drop_packets<S: AsFd>(socket: &S) -> io::Result<()> {
    SockRef::from(socket).attach_filter(&[DROP_ALL])
}

/// Ends the deafness; a socket that can hear already stays as it is.
pub(super) fn pass_packets<S: AsFd>(socket: &S) -> io::Result<()> {
    match SockRef::from(socket).detach_filter() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
