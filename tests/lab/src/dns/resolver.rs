//! A view's resolver: its cache, and its UDP and TCP servers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::rr::LowerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::Instant;

use super::answer;
use super::zone::{Records, Target};

/// A client that opens a connection and sends nothing is let go.
const TCP_IDLE_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Resolver {
    view: u8,
    records: Arc<Records>,
    stale: AtomicBool,
    cache: Mutex<HashMap<LowerName, Cached>>,
}

#[derive(Debug, Clone)]
struct Cached {
    target: Target,
    expires: Instant,
    ttl: Duration,
}

impl Resolver {
    pub(super) fn new(view: u8, records: Arc<Records>) -> Self {
        Self { view, records, stale: AtomicBool::new(false), cache: Mutex::default() }
    }

    pub(super) fn view(&self) -> u8 {
        self.view
    }

    pub(super) fn set_stale(&self, stale: bool) {
        self.stale.store(stale, Ordering::SeqCst);
    }

    pub(super) fn flush(&self) {
        self.cache().clear();
    }

    /// The target of a name and how long the answer may be kept, in whole seconds rounded up.
    pub(super) fn look_up(&self, name: &LowerName) -> Option<(Target, u32)> {
        let now = Instant::now();
        let stale = self.stale.load(Ordering::SeqCst);
        let mut cache = self.cache();
        if let Some(cached) = cache.get(name) {
            if cached.expires > now {
                return Some((cached.target.clone(), seconds(cached.expires - now)));
            }
            if stale {
                return Some((cached.target.clone(), seconds(cached.ttl)));
            }
        }
        cache.remove(name);
        let (target, ttl) = self.records.look_up(name)?;
        let cached = Cached { target: target.clone(), expires: now + ttl, ttl };
        cache.insert(name.clone(), cached);
        Some((target, seconds(ttl)))
    }

    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<LowerName, Cached>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn serve_udp(resolver: Arc<Resolver>, socket: UdpSocket) {
    let mut packet = vec![0; usize::from(u16::MAX)];
    loop {
        let (length, client) = match socket.recv_from(&mut packet).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "DNS packet lost");
                continue;
            }
        };
        let question = packet.get(..length).unwrap_or_default();
        if let Some(reply) = answer::answer(&resolver, question)
            && let Err(error) = socket.send_to(&reply, client).await
        {
            tracing::debug!(%client, %error, "DNS answer lost");
        }
    }
}

pub(super) async fn serve_tcp(resolver: Arc<Resolver>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let serving = serve_stream(Arc::clone(&resolver), stream);
                drop(tokio::spawn(tokio::time::timeout(TCP_IDLE_LIMIT, serving)));
            }
            Err(error) => tracing::debug!(%error, "DNS connection lost"),
        }
    }
}

async fn serve_stream(resolver: Arc<Resolver>, mut stream: TcpStream) {
    while let Ok(length) = stream.read_u16().await {
        let mut question = vec![0; usize::from(length)];
        if stream.read_exact(&mut question).await.is_err() {
            return;
        }
        let Some(reply) = answer::answer(&resolver, &question) else {
            return;
        };
        let Ok(length) = u16::try_from(reply.len()) else {
            return;
        };
        let framed = [length.to_be_bytes().as_slice(), &reply].concat();
        if stream.write_all(&framed).await.is_err() {
            return;
        }
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}
