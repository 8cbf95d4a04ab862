use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::*;
use crate::network::LoopbackNetwork;

const GENEROUS: Duration = Duration::from_secs(20);
const WRITER: &str = "orders.cluster-c0ffee.eu-central-1.rds.amazonaws.com";
const READER: &str = "orders.cluster-ro-c0ffee.eu-central-1.rds.amazonaws.com";

fn instance(node: u8) -> String {
    format!("orders-{node}.c0ffee.eu-central-1.rds.amazonaws.com")
}

async fn dns(ttl: Duration) -> (LoopbackNetwork, Dns) {
    let network = LoopbackNetwork::claim().unwrap();
    let zone = Zone {
        instances: (1..=3).map(instance).collect(),
        writer: WRITER.to_owned(),
        reader: READER.to_owned(),
        addresses: (0..2).map(|view| (1..=3).map(|node| network.proxy_address(view, node).ip()).collect()).collect(),
        ttl,
    };
    let dns = Dns::start(zone, 2, |view| network.resolver_address(view)).await.unwrap();
    (network, dns)
}

fn question(name: &str, wanted: RecordType) -> Message {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(format!("{name}.")).unwrap(), wanted));
    message.set_edns(Edns::new());
    message
}

async fn ask(server: SocketAddr, name: &str, wanted: RecordType) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let packet = question(name, wanted).to_vec().unwrap();
    socket.send_to(&packet, server).await.unwrap();
    let mut reply = [0; 4096];
    let length = tokio::time::timeout(GENEROUS, socket.recv(&mut reply)).await.unwrap().unwrap();
    Message::from_vec(&reply[..length]).unwrap()
}

fn addresses(reply: &Message) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for record in &reply.answers {
        if let RData::A(address) = &record.data {
            found.push(IpAddr::V4(address.0));
        }
    }
    found
}

async fn resolve(network: &LoopbackNetwork, view: u8, name: &str) -> Vec<IpAddr> {
    addresses(&ask(network.resolver_address(view), name, RecordType::A).await)
}

#[tokio::test]
async fn each_view_has_its_own_addresses() {
    let (network, _dns) = dns(Duration::from_secs(5)).await;
    for view in 0..2 {
        for node in 1..=3 {
            let expected = network.proxy_address(view, node).ip();
            assert_eq!(resolve(&network, view, &instance(node)).await, [expected]);
        }
        let writer = network.proxy_address(view, 1).ip();
        assert_eq!(resolve(&network, view, &WRITER.to_uppercase()).await, [writer]);
    }
}

#[tokio::test]
async fn says_what_it_does_not_have() {
    let (network, dns) = dns(Duration::from_secs(5)).await;
    let server = network.resolver_address(0);
    let reply = ask(server, &instance(1), RecordType::AAAA).await;
    assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
    assert!(reply.answers.is_empty());
    let reply = ask(server, "unknown.example", RecordType::A).await;
    assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
    dns.add_name("unknown.example", Ipv4Addr::new(127, 0, 0, 9)).unwrap();
    assert_eq!(resolve(&network, 0, "unknown.example").await, [IpAddr::from([127, 0, 0, 9])]);
    assert!(dns.set_cluster_endpoint(4).is_err());
    assert!(dns.set_cluster_endpoint(0).is_err());
}

#[tokio::test]
async fn moved_endpoint_is_seen_when_the_answer_expires() {
    let (network, dns) = dns(Duration::from_secs(1)).await;
    let (old, new) = (network.proxy_address(0, 1).ip(), network.proxy_address(0, 2).ip());
    assert_eq!(resolve(&network, 0, WRITER).await, [old]);
    dns.set_cluster_endpoint(2).unwrap();
    // Nobody in view 1 has asked before.
    let fresh = network.proxy_address(1, 2).ip();
    assert_eq!(resolve(&network, 1, WRITER).await, [fresh]);
    let moved = async { while resolve(&network, 0, WRITER).await != [new] {} };
    tokio::time::timeout(GENEROUS, moved).await.unwrap();
}

#[tokio::test]
async fn stale_resolver_keeps_its_answer() {
    let (network, dns) = dns(Duration::ZERO).await;
    let (old, new) = (network.proxy_address(0, 1).ip(), network.proxy_address(0, 3).ip());
    assert_eq!(resolve(&network, 0, WRITER).await, [old]);
    dns.set_stale(Some(0), true);
    dns.set_cluster_endpoint(3).unwrap();
    assert_eq!(resolve(&network, 0, WRITER).await, [old]);
    assert_eq!(resolve(&network, 1, WRITER).await, [network.proxy_address(1, 3).ip()]);
    dns.set_stale(None, false);
    assert_eq!(resolve(&network, 0, WRITER).await, [new]);
}

#[tokio::test]
async fn reader_endpoint_takes_turns_and_falls_back_to_the_writer() {
    let (network, dns) = dns(Duration::ZERO).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.extend(resolve(&network, 0, READER).await);
    }
    seen.sort();
    let address = |node| network.proxy_address(0, node).ip();
    assert_eq!(seen, [address(2), address(2), address(3), address(3)]);
    dns.set_reader_endpoint(&[]).unwrap();
    assert_eq!(resolve(&network, 0, READER).await, [address(1)]);
}

#[tokio::test]
async fn remaining_lifetime_counts_down() {
    let (network, _dns) = dns(Duration::from_secs(2)).await;
    let server = network.resolver_address(0);
    let first = ask(server, WRITER, RecordType::A).await.answers[0].ttl;
    assert_eq!(first, 2);
    let counted = async { while ask(server, WRITER, RecordType::A).await.answers[0].ttl != 1 {} };
    tokio::time::timeout(GENEROUS, counted).await.unwrap();
}

#[tokio::test]
async fn answers_over_tcp_and_survives_garbage() {
    let (network, _dns) = dns(Duration::from_secs(5)).await;
    let server = network.resolver_address(0);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for garbage in [&[][..], &[0xFF; 3], &[0xFF; 600], &[0; 12]] {
        socket.send_to(garbage, server).await.unwrap();
    }
    let mut stream = TcpStream::connect(server).await.unwrap();
    let packet = question(WRITER, RecordType::A).to_vec().unwrap();
    stream.write_u16(packet.len().try_into().unwrap()).await.unwrap();
    stream.write_all(&packet).await.unwrap();
    let length = stream.read_u16().await.unwrap();
    let mut reply = vec![0; length.into()];
    stream.read_exact(&mut reply).await.unwrap();
    let reply = Message::from_vec(&reply).unwrap();
    assert_eq!(addresses(&reply), [network.proxy_address(0, 1).ip()]);
}

#[tokio::test]
async fn a_name_of_a_hosted_zone_leads_on_and_is_kept_for_its_own_ttl() {
    let (network, dns) = dns(Duration::ZERO).await;
    let server = network.resolver_address(1);
    let hosted = |target: &str, ttl: u64| {
        let (name, target) = ("writer.orders.internal".to_owned(), target.to_owned());
        [Alias { name, target, ttl: Duration::from_secs(ttl) }]
    };
    assert_eq!(
        ask(server, "writer.orders.internal", RecordType::A).await.metadata.response_code,
        ResponseCode::NXDomain
    );
    dns.host(&hosted(&instance(2), 0)).unwrap();
    assert_eq!(resolve(&network, 1, "Writer.orders.internal").await, [network.proxy_address(1, 2).ip()]);
    dns.host(&hosted(&format!("{WRITER}."), 300)).unwrap();
    let reply = ask(server, "writer.orders.internal", RecordType::A).await;
    assert_eq!(reply.answers.iter().map(|record| record.ttl).collect::<Vec<_>>(), [300, 0, 0]);
    assert_eq!(addresses(&reply), [network.proxy_address(1, 1).ip()]);
    // The first link is kept; the second one is not.
    dns.host(&hosted(&instance(3), 300)).unwrap();
    dns.set_cluster_endpoint(2).unwrap();
    assert_eq!(resolve(&network, 1, "writer.orders.internal").await, [network.proxy_address(1, 2).ip()]);
    dns.host(&[]).unwrap();
    dns.flush();
    assert_eq!(resolve(&network, 1, "writer.orders.internal").await, Vec::<IpAddr>::new());
}
