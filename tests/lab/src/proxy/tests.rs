use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use socket2::SockRef;

use super::*;

const GENEROUS: Duration = Duration::from_secs(20);
/// Long enough to tell a hang from a loopback answer, which takes microseconds.
const SILENCE: Duration = Duration::from_millis(300);

async fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                drop(tokio::io::copy(&mut reader, &mut writer).await);
                drop(writer.shutdown().await);
            });
        }
    });
    address
}

async fn free_address() -> SocketAddr {
    let probe = TcpListener::bind("127.0.0.1:0").await.unwrap();
    probe.local_addr().unwrap()
}

async fn proxy() -> Proxy {
    Proxy::start(free_address().await, echo_server().await).unwrap()
}

async fn echo(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).await.unwrap();
    let mut answer = vec![0; text.len()];
    timeout(GENEROUS, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, text);
}

#[tokio::test]
async fn healthy_proxy_carries_bytes_and_half_close() {
    let proxy = proxy().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let large = vec![7; 1_000_000];
    let (mut reader, mut writer) = stream.split();
    let send = async {
        writer.write_all(&large).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut answer = Vec::new();
    let (_, received) = tokio::join!(send, timeout(GENEROUS, reader.read_to_end(&mut answer)));
    assert_eq!(received.unwrap().unwrap(), large.len());
    assert_eq!(answer, large);
}

#[tokio::test]
async fn cut_link_is_silent_and_resumes() {
    let proxy = proxy().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    echo(&mut stream, b"before").await;
    proxy.set_link(Link::Cut).unwrap();
    let mut byte = [0];
    stream.write_all(b"x").await.unwrap();
    assert!(timeout(SILENCE, stream.read(&mut byte)).await.is_err());
    let connect = timeout(SILENCE, TcpStream::connect(proxy.address())).await;
    assert!(connect.is_err(), "a connect over a cut link must hang");
    proxy.set_link(Link::Open).unwrap();
    let count = timeout(GENEROUS, stream.read(&mut byte)).await.unwrap();
    assert_eq!((count.unwrap(), byte), (1, *b"x"));
}

#[tokio::test]
async fn cut_link_does_not_acknowledge() {
    let proxy = proxy().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    echo(&mut stream, b"before").await;
    SockRef::from(&stream).set_tcp_user_timeout(Some(Duration::from_millis(500))).unwrap();
    proxy.set_link(Link::Cut).unwrap();
    stream.write_all(b"x").await.unwrap();
    let read = timeout(GENEROUS, stream.read(&mut [0])).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn refused_link_resets_old_and_refuses_new_connections() {
    let proxy = proxy().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    echo(&mut stream, b"before").await;
    proxy.set_link(Link::Refuse).unwrap();
    let connect = TcpStream::connect(proxy.address()).await;
    assert_eq!(connect.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    let read = timeout(GENEROUS, stream.read(&mut [0])).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    proxy.set_link(Link::Open).unwrap();
    echo(&mut TcpStream::connect(proxy.address()).await.unwrap(), b"again").await;
}

#[tokio::test]
async fn host_that_comes_back_resets_what_it_forgot() {
    let proxy = proxy().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    echo(&mut stream, b"before").await;
    proxy.set_host(Host::Down).unwrap();
    assert!(timeout(SILENCE, stream.read(&mut [0])).await.is_err());
    proxy.set_host(Host::Refusing).unwrap();
    let read = timeout(GENEROUS, stream.read(&mut [0])).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let connect = TcpStream::connect(proxy.address()).await;
    assert_eq!(connect.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    proxy.set_host(Host::Up).unwrap();
    echo(&mut TcpStream::connect(proxy.address()).await.unwrap(), b"again").await;
}

#[tokio::test]
async fn frozen_link_accepts_but_stays_mute() {
    let proxy = proxy().await;
    proxy.set_link(Link::Freeze).unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    assert!(timeout(SILENCE, stream.read(&mut [0])).await.is_err());
    proxy.set_link(Link::Open).unwrap();
    let count = timeout(GENEROUS, stream.read(&mut [0])).await.unwrap();
    assert_eq!(count.unwrap(), 1);
}

#[tokio::test]
async fn delayed_link_delays_both_directions() {
    let proxy = proxy().await;
    let delay = Duration::from_millis(100);
    proxy.set_link(Link::Delay(delay)).unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let start = tokio::time::Instant::now();
    echo(&mut stream, b"slow").await;
    assert!(start.elapsed() >= delay * 2);
}

#[tokio::test]
async fn dead_upstream_resets_the_client() {
    let proxy = Proxy::start(free_address().await, free_address().await).unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let read = timeout(GENEROUS, stream.read(&mut [0])).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}
