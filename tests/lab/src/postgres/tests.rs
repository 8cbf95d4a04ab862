use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::*;

mod failover;
mod faults;
mod lasting;
mod lifecycle;
use crate::network::VIEWS;
use crate::proxy::Link;

const GENEROUS: Duration = Duration::from_secs(60);
/// Long enough to tell a hang from an answer on loopback.
const SILENCE: Duration = Duration::from_millis(500);
/// Between two looks at what is awaited.
const POLL: Duration = Duration::from_millis(20);
const ROUNDS: i64 = 4;
const IDS: [&str; 3] = ["orders-1", "orders-2", "orders-3"];

struct Lab {
    cluster: Cluster,
    logs: PathBuf,
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(std::fs::remove_dir_all(&self.logs));
        }
    }
}

fn endpoint(id: &str) -> String {
    format!("{id}.c0ffee.eu-central-1.rds.amazonaws.com")
}

async fn lab() -> Lab {
    let logs = std::env::temp_dir().join(format!("lab-logs-{}", uuid::Uuid::new_v4().simple()));
    let config = ClusterConfig {
        is_aurora: true,
        instance_ids: IDS.map(str::to_owned).to_vec(),
        names: ClusterNames {
            instances: IDS.map(endpoint).to_vec(),
            writer: "orders.cluster-c0ffee.eu-central-1.rds.amazonaws.com".to_owned(),
            reader: "orders.cluster-ro-c0ffee.eu-central-1.rds.amazonaws.com".to_owned(),
        },
        log_directory: logs.clone(),
        dns_ttl: Duration::from_secs(5),
    };
    let start = Instant::now();
    let cluster = Cluster::start(config).await.unwrap();
    println!("started in {:?}", start.elapsed());
    let admin = cluster.admin("orders-1").await.unwrap();
    let schema = "CREATE ROLE app LOGIN PASSWORD 'secret';
        CREATE TABLE entry (id bigint PRIMARY KEY);
        GRANT ALL ON entry TO app";
    admin.batch_execute(schema).await.unwrap();
    // One reader has it, as the acknowledgement says; the tests log in to any.
    let lsn: String = admin.query_one("SELECT pg_current_wal_lsn()::text", &[]).await.unwrap().get(0);
    let replayed = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= $1::text::pg_lsn";
    let everywhere = async {
        while admin.query_one(replayed, &[&lsn]).await.unwrap().get::<_, i64>(0) < 2 {
            tokio::time::sleep(POLL).await;
        }
    };
    timeout(GENEROUS, everywhere).await.unwrap();
    Lab { cluster, logs }
}

async fn connect(cluster: &Cluster, id: &str) -> Result<Client, tokio_postgres::Error> {
    let mut roots = rustls::RootCertStore::empty();
    let mut pem = cluster.ca_pem().as_bytes();
    for certificate in rustls_pki_types_pem(&mut pem) {
        roots.add(certificate).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (client, connection) = Config::new()
        .host(endpoint(id))
        .hostaddr(cluster.proxy_address(0, id).unwrap().ip())
        .user("app")
        .password("secret")
        .dbname("postgres")
        .ssl_mode(tokio_postgres::config::SslMode::Require)
        .connect(MakeRustlsConnect::new(tls))
        .await?;
    tokio::spawn(connection);
    Ok(client)
}

fn rustls_pki_types_pem(pem: &mut &[u8]) -> Vec<rustls::pki_types::CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject;
    rustls::pki_types::CertificateDer::pem_reader_iter(pem).map(Result::unwrap).collect()
}

async fn insert(client: &Client, id: i64) -> Result<u64, tokio_postgres::Error> {
    let text = format!("INSERT INTO entry VALUES ({id})");
    client.batch_execute(&text).await.map(|()| 1)
}

async fn count(client: &Client) -> i64 {
    client.query_one("SELECT count(*) FROM entry", &[]).await.unwrap().get(0)
}

/// Sessions that insert increasing ids until told to stop, also while an answer is outstanding; each keeps what was
/// acknowledged.
struct Load {
    stop: tokio::sync::watch::Sender<bool>,
    acknowledged: Arc<AtomicI64>,
    sessions: Vec<tokio::task::JoinHandle<Vec<i64>>>,
}

async fn load(cluster: &Cluster, writer: &str) -> Load {
    load_from(cluster, writer, 1_000_000).await
}

async fn load_from(cluster: &Cluster, writer: &str, first: i64) -> Load {
    let stop = tokio::sync::watch::Sender::new(false);
    let acknowledged = Arc::new(AtomicI64::new(0));
    let next = Arc::new(AtomicI64::new(first));
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let client = connect(cluster, writer).await.unwrap();
        let (mut stopped, next, total) = (stop.subscribe(), Arc::clone(&next), Arc::clone(&acknowledged));
        sessions.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let id = next.fetch_add(1, Ordering::SeqCst);
                tokio::select! {
                    biased;
                    answer = insert(&client, id) => match answer {
                        Ok(_) => mine.push(id),
                        Err(_) => return mine,
                    },
                    _ = stopped.wait_for(|stopped| *stopped) => return mine,
                }
                total.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    Load { stop, acknowledged, sessions }
}

impl Load {
    async fn reach(&self, count: i64) {
        let reached = async {
            while self.acknowledged.load(Ordering::SeqCst) < count {
                tokio::task::yield_now().await;
            }
        };
        timeout(GENEROUS, reached).await.unwrap();
    }

    async fn end(self) -> Vec<i64> {
        self.stop.send_replace(true);
        let mut all = Vec::new();
        for session in self.sessions {
            all.extend(session.await.unwrap());
        }
        all
    }
}

/// Leads a standby away from the writer: it is told to follow an address where nobody listens.
async fn detach(cluster: &Cluster, index: usize) {
    let (node, writer) = (cluster.node_at(index), cluster.node_at(cluster.writer_index()));
    let nobody = std::net::SocketAddr::from(([127, cluster.network.octet(), 200, 1], 5432));
    let text = settings::upstream(nobody, &node.layout.password(), &cluster.authority_file, &node.id, &writer.id);
    cluster.write_file(&node.layout.upstream(), &text).unwrap();
    node.reload();
    let detached = async { while node.progress().await.unwrap().upstream.is_some() {} };
    timeout(GENEROUS, detached).await.unwrap();
}

async fn assert_present(cluster: &Cluster, node: &str, ids: &[i64]) {
    let admin = cluster.admin(node).await.unwrap();
    let row = admin.query_one("SELECT count(*) FROM entry WHERE id = ANY ($1)", &[&ids]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), i64::try_from(ids.len()).unwrap());
}

/// Commits on a fresh connection as an application would; returns how long that took.
async fn first_commit(cluster: &Cluster, id: i64) -> Duration {
    let start = Instant::now();
    let commit = async {
        let client = connect(cluster, cluster.writer()).await.unwrap();
        insert(&client, id).await.unwrap();
    };
    timeout(GENEROUS, commit).await.unwrap();
    start.elapsed()
}
