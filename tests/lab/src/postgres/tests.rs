use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::*;
use crate::proxy::Link;

const GENEROUS: Duration = Duration::from_secs(60);
/// Long enough to tell a hang from an answer on loopback.
const SILENCE: Duration = Duration::from_millis(500);
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
    rustls::pki_types::CertificateDer::pem_reader_iter(pem)
        .map(Result::unwrap)
        .collect()
}

async fn insert(client: &Client, id: i64) -> Result<u64, tokio_postgres::Error> {
    let text = format!("INSERT INTO entry VALUES ({id})");
    client.batch_execute(&text).await.map(|()| 1)
}

async fn count(client: &Client) -> i64 {
    client
        .query_one("SELECT count(*) FROM entry", &[])
        .await
        .unwrap()
        .get(0)
}

/// Sessions that insert increasing ids until told to stop; each keeps what was acknowledged.
struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicI64>,
    sessions: Vec<tokio::task::JoinHandle<Vec<i64>>>,
}

async fn load(cluster: &Cluster, writer: &str) -> Load {
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicI64::new(0));
    let next = Arc::new(AtomicI64::new(1_000_000));
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let client = connect(cluster, writer).await.unwrap();
        let (stop, next, total) = (
            Arc::clone(&stop),
            Arc::clone(&next),
            Arc::clone(&acknowledged),
        );
        sessions.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                let id = next.fetch_add(1, Ordering::SeqCst);
                match timeout(SILENCE, insert(&client, id)).await {
                    Ok(Ok(_)) => mine.push(id),
                    Ok(Err(_)) | Err(_) => break,
                }
                total.fetch_add(1, Ordering::SeqCst);
            }
            mine
        }));
    }
    Load {
        stop,
        acknowledged,
        sessions,
    }
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
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Vec::new();
        for session in self.sessions {
            all.extend(session.await.unwrap());
        }
        all
    }
}

async fn assert_present(cluster: &Cluster, node: &str, ids: &[i64]) {
    let admin = cluster.admin(node).await.unwrap();
    let row = admin
        .query_one("SELECT count(*) FROM entry WHERE id = ANY ($1)", &[&ids])
        .await
        .unwrap();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_host_is_silent_and_loses_no_acknowledged_commit() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let old = connect(cluster, "orders-1").await.unwrap();
    let load = load(cluster, "orders-1").await;
    load.reach(200).await;
    cluster.kill_host("orders-1").await.unwrap();
    assert_eq!(cluster.state("orders-1").unwrap(), NodeState::HostDown);
    let start = Instant::now();
    let promotion = cluster.promote("orders-2").await.unwrap();
    let commit = first_commit(cluster, 1).await;
    println!(
        "{promotion:?}, first commit {commit:?}, together {:?}",
        start.elapsed()
    );
    assert_eq!(cluster.writer(), "orders-2");
    cluster.set_cluster_endpoint("orders-2").unwrap();
    cluster.set_reader_endpoint(&["orders-3"]).unwrap();
    let acknowledged = load.end().await;
    assert!(acknowledged.len() >= 200);
    assert_present(cluster, "orders-2", &acknowledged).await;
    assert!(timeout(SILENCE, insert(&old, 2)).await.is_err());
    assert!(
        timeout(SILENCE, connect(cluster, "orders-1"))
            .await
            .is_err()
    );
    let refused = cluster.rejoin("orders-1").await.unwrap_err();
    assert!(
        matches!(refused, ClusterError::NotRunning { .. }),
        "{refused}"
    );
    cluster.repair_host("orders-1").unwrap();
    let lost = timeout(GENEROUS, insert(&old, 2)).await.unwrap();
    assert!(lost.is_err());
    println!("{:?}", cluster.rejoin("orders-1").await.unwrap());
    let reader = connect(cluster, "orders-1").await.unwrap();
    let refused = insert(&reader, 3).await.unwrap_err();
    assert_eq!(
        refused.code(),
        Some(&tokio_postgres::error::SqlState::READ_ONLY_SQL_TRANSACTION)
    );
    let promotion = cluster.promote("orders-1").await.unwrap();
    println!("{promotion:?}");
    first_commit(cluster, 4).await;
    assert_present(cluster, "orders-1", &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn target_that_is_behind_catches_up_before_it_is_promoted() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let (target, writer) = (cluster.node_at(1), cluster.node_at(0));
    // Away from the writer: it is told to follow an address where nobody listens.
    let nobody = std::net::SocketAddr::from(([127, cluster.network.octet(), 200, 1], 5432));
    let text = settings::upstream(
        nobody,
        &target.layout.password(),
        &cluster.authority_file,
        "orders-2",
        &writer.id,
    );
    cluster
        .write_file(&target.layout.upstream(), &text)
        .unwrap();
    target.reload();
    let detached = async { while target.progress().await.unwrap().upstream.is_some() {} };
    timeout(GENEROUS, detached).await.unwrap();
    let load = load(cluster, "orders-1").await;
    load.reach(100).await;
    cluster.kill_postgres("orders-1").await.unwrap();
    let promotion = cluster.promote("orders-2").await.unwrap();
    println!("{promotion:?}");
    assert!(promotion.promoted_lsn > promotion.target_lsn);
    let acknowledged = load.end().await;
    assert!(acknowledged.len() >= 100);
    assert_present(cluster, "orders-2", &acknowledged).await;
    println!("first commit {:?}", first_commit(cluster, 1).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_postgres_refuses_and_restarts_in_place() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let old = connect(cluster, "orders-1").await.unwrap();
    insert(&old, 1).await.unwrap();
    cluster.kill_postgres("orders-1").await.unwrap();
    assert!(timeout(GENEROUS, insert(&old, 2)).await.unwrap().is_err());
    let address = cluster.proxy_address(2, "orders-1").unwrap();
    let refused = tokio::net::TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let refused = cluster.rejoin("orders-1").await.unwrap_err();
    assert!(
        matches!(refused, ClusterError::AlreadyWriter { .. }),
        "{refused}"
    );
    println!(
        "restart in place: {:?}",
        cluster.restart_in_place("orders-1").await.unwrap()
    );
    println!("first commit {:?}", first_commit(cluster, 3).await);
    let client = connect(cluster, "orders-1").await.unwrap();
    assert_eq!(count(&client).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_writer_is_fenced_and_rejoins() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let old = connect(cluster, "orders-1").await.unwrap();
    insert(&old, 1).await.unwrap();
    cluster.freeze("orders-1").await.unwrap();
    assert_eq!(cluster.state("orders-1").unwrap(), NodeState::Frozen);
    assert!(timeout(SILENCE, insert(&old, 2)).await.is_err());
    let address = cluster.proxy_address(0, "orders-1").unwrap();
    tokio::net::TcpStream::connect(address).await.unwrap();
    let promotion = cluster.promote("orders-3").await.unwrap();
    println!("{promotion:?}");
    assert_eq!(cluster.state("orders-1").unwrap(), NodeState::Stopped);
    println!("first commit {:?}", first_commit(cluster, 3).await);
    cluster.recover_all().await.unwrap();
    for id in IDS {
        assert_eq!(cluster.state(id).unwrap(), NodeState::Running);
    }
    let switched = cluster.switch("orders-1").await.unwrap();
    println!("orderly {switched:?}");
    println!("first commit {:?}", first_commit(cluster, 4).await);
    println!("{:?}", cluster.rejoin("orders-3").await.unwrap());
    cluster.freeze("orders-1").await.unwrap();
    cluster.thaw("orders-1").await.unwrap();
    first_commit(cluster, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_go_on_while_readers_leave_and_return() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    cluster.kill_host("orders-3").await.unwrap();
    first_commit(cluster, 1).await;
    cluster.freeze("orders-2").await.unwrap();
    first_commit(cluster, 2).await;
    let unsafe_target = cluster.promote("orders-2").await.unwrap_err();
    assert!(
        matches!(unsafe_target, ClusterError::NotRunning { .. }),
        "{unsafe_target}"
    );
    cluster.thaw("orders-2").await.unwrap();
    // Nobody asks orders-3: it had left the quorum.
    cluster.promote("orders-2").await.unwrap();
    first_commit(cluster, 3).await;
    cluster.recover_all().await.unwrap();
    let client = connect(cluster, "orders-3").await.unwrap();
    assert_eq!(cluster.writer(), "orders-2");
    let seen = async { while count(&client).await != 3 {} };
    timeout(GENEROUS, seen).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_what_could_lose_commits() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let unknown = cluster.promote("orders-9").await.unwrap_err();
    assert!(
        matches!(unknown, ClusterError::UnknownNode { .. }),
        "{unknown}"
    );
    let writer = cluster.promote("orders-1").await.unwrap_err();
    assert!(
        matches!(writer, ClusterError::AlreadyWriter { .. }),
        "{writer}"
    );
    // Both at once: what only orders-3 had received cannot be known.
    cluster.kill_host("orders-1").await.unwrap();
    cluster.kill_host("orders-3").await.unwrap();
    let refused = cluster.promote("orders-2").await.unwrap_err();
    assert!(
        matches!(&refused, ClusterError::StandbyUnreachable { standby, .. } if standby == "orders-3"),
        "{refused}"
    );
    cluster.recover_all().await.unwrap();
    assert_eq!(cluster.writer(), "orders-1");
    first_commit(cluster, 1).await;
    // Both readers leave: the writer alone has what it acknowledges now.
    cluster.kill_postgres("orders-2").await.unwrap();
    cluster.kill_postgres("orders-3").await.unwrap();
    first_commit(cluster, 2).await;
    cluster.kill_postgres("orders-1").await.unwrap();
    let stopped = cluster.promote("orders-2").await.unwrap_err();
    assert!(
        matches!(stopped, ClusterError::NotRunning { .. }),
        "{stopped}"
    );
    cluster.restart_in_place("orders-1").await.unwrap();
    cluster.recover_all().await.unwrap();
    cluster.promote("orders-3").await.unwrap();
    first_commit(cluster, 3).await;
    let client = connect(cluster, "orders-3").await.unwrap();
    assert_eq!(count(&client).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plays_aurora_to_ordinary_roles() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let topology = "SELECT server_id, session_id = 'MASTER_SESSION_ID', replica_lag_in_msec
        FROM pg_catalog.aurora_replica_status() ORDER BY server_id";
    let writer = connect(cluster, "orders-1").await.unwrap();
    let rows = writer.query(topology, &[]).await.unwrap();
    let seen: Vec<(String, bool, bool)> = rows
        .iter()
        .map(|row| {
            (
                row.get(0),
                row.get(1),
                row.get::<_, Option<i64>>(2).is_some(),
            )
        })
        .collect();
    let expected = [
        ("orders-1", true, false),
        ("orders-2", false, true),
        ("orders-3", false, true),
    ];
    assert_eq!(
        seen,
        expected.map(|(id, writer, lag)| (id.to_owned(), writer, lag))
    );
    let reader = connect(cluster, "orders-2").await.unwrap();
    let rows = reader.query(topology, &[]).await.unwrap();
    let seen: Vec<(String, bool)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(
        seen,
        [
            ("orders-1".to_owned(), true),
            ("orders-2".to_owned(), false)
        ]
    );
    let identity = "SELECT pg_catalog.aurora_db_instance_identifier(), pg_is_in_recovery()";
    let row = reader.query_one(identity, &[]).await.unwrap();
    assert_eq!((row.get(0), row.get(1)), ("orders-2", true));
    // A reader that stands still while the writer goes on falls behind.
    cluster.freeze("orders-3").await.unwrap();
    insert(&writer, 1).await.unwrap();
    let lag =
        "SELECT replica_lag_in_msec FROM aurora_replica_status() WHERE server_id = 'orders-3'";
    let behind =
        async { while writer.query_one(lag, &[]).await.unwrap().get::<_, i64>(0) < 300 {} };
    timeout(GENEROUS, behind).await.unwrap();
    cluster.thaw("orders-3").await.unwrap();
    let level = async { while writer.query_one(lag, &[]).await.unwrap().get::<_, i64>(0) != 0 {} };
    timeout(GENEROUS, level).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_view_is_cut_off_and_the_others_are_not() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    cluster.set_link(2, "orders-1", Link::Cut).unwrap();
    let cut = cluster.proxy_address(2, "orders-1").unwrap();
    assert!(
        timeout(SILENCE, tokio::net::TcpStream::connect(cut))
            .await
            .is_err()
    );
    for (view, id) in [
        (0, "orders-1"),
        (1, "orders-1"),
        (3, "orders-1"),
        (2, "orders-2"),
    ] {
        let open = cluster.proxy_address(view, id).unwrap();
        timeout(GENEROUS, tokio::net::TcpStream::connect(open))
            .await
            .unwrap()
            .unwrap();
    }
    cluster.set_link(2, "orders-1", Link::Open).unwrap();
    timeout(GENEROUS, tokio::net::TcpStream::connect(cut))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_after_a_lab() {
    let lab = lab().await;
    lab.cluster.freeze("orders-2").await.unwrap();
    lab.cluster.kill_host("orders-3").await.unwrap();
    let directory = lab.cluster.ca_file().parent().unwrap().to_owned();
    let processes = processes_in(&directory);
    assert!(!processes.is_empty());
    drop(lab);
    // Zombies would still be listed.
    for process in processes {
        assert!(
            !Path::new("/proc").join(&process).exists(),
            "{process} is left"
        );
    }
    assert!(!directory.exists());
}

const HELD_LAB: &str = "STEADFAST_TEST_HELD_LAB";

/// The body of a process that [`a_killed_lab_leaves_no_process`] kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_a_lab() {
    let Some(file) = std::env::var_os(HELD_LAB) else {
        return;
    };
    let lab = lab().await;
    lab.cluster.freeze("orders-2").await.unwrap();
    let directory = lab.cluster.ca_file().parent().unwrap().to_str().unwrap();
    let text = format!("{directory}\n{}", lab.logs.display());
    std::fs::write(&file, text).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_lab_leaves_no_process() {
    let file = std::env::temp_dir().join(format!("held-{}", uuid::Uuid::new_v4().simple()));
    let mut holder = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "postgres::tests::hold_a_lab"])
        .env(HELD_LAB, &file)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let told = async {
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some((lab, logs)) = text.split_once('\n') {
                return (PathBuf::from(lab), PathBuf::from(logs));
            }
            tokio::task::yield_now().await;
        }
    };
    let (directory, logs) = timeout(GENEROUS, told).await.unwrap();
    assert!(!processes_in(&directory).is_empty());
    holder.kill().await.unwrap();
    let gone = async {
        while !processes_in(&directory).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(GENEROUS, gone).await.unwrap();
    for left in [&directory, &logs] {
        std::fs::remove_dir_all(left).unwrap();
    }
    std::fs::remove_file(&file).unwrap();
}

/// The pids that work in a directory or were started with a file in it.
fn processes_in(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let path = entry.path();
        let place = std::fs::read_link(path.join("cwd")).unwrap_or_default();
        let command = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        if place.starts_with(directory) || command.contains(directory.to_str().unwrap()) {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found
}
