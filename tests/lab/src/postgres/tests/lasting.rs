//! Faults that last until they are ended, each on its own.

use super::*;

/// The SQLSTATE of a refusal.
fn code<T>(result: Result<T, tokio_postgres::Error>) -> Option<SqlState> {
    result.err().and_then(|error| error.code().cloned())
}

async fn stalls(cluster: &Cluster, id: i64) -> tokio::task::JoinHandle<Result<u64, tokio_postgres::Error>> {
    let client = connect(cluster, cluster.writer()).await.unwrap();
    let mut commit = tokio::spawn(async move { insert(&client, id).await });
    assert!(timeout(SILENCE, &mut commit).await.is_err(), "commit {id} does not wait");
    commit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_commits_wait_and_then_go_through() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    cluster.stall_commits("orders-1").await.unwrap();
    let waiting = stalls(cluster, 1).await;
    let reader = connect(cluster, "orders-1").await.unwrap();
    assert_eq!(count(&reader).await, 0);
    // A reader that leaves and comes back changes the quorum, and not the stall.
    cluster.kill_postgres("orders-3").await.unwrap();
    cluster.rejoin("orders-3").await.unwrap();
    assert!(!waiting.is_finished());
    cluster.resume_commits("orders-1").await.unwrap();
    timeout(GENEROUS, waiting).await.unwrap().unwrap().unwrap();
    // It lasts over a restart and a change of roles, and spares the other nodes.
    cluster.stall_commits("orders-1").await.unwrap();
    cluster.restart_in_place("orders-1").await.unwrap();
    stalls(cluster, 2).await.abort();
    cluster.promote("orders-2").await.unwrap();
    first_commit(cluster, 3).await;
    cluster.rejoin("orders-1").await.unwrap();
    cluster.promote("orders-1").await.unwrap();
    let waiting = stalls(cluster, 4).await;
    cluster.recover_all().await.unwrap();
    timeout(GENEROUS, waiting).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_commits_on_its_node() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let client = connect(cluster, "orders-1").await.unwrap();
    insert(&client, 1).await.unwrap();
    cluster.fill_disk("orders-1").await.unwrap();
    client.batch_execute("BEGIN; INSERT INTO entry VALUES (2)").await.unwrap();
    let refused = client.batch_execute("COMMIT").await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::DISK_FULL), "{refused}");
    assert!(refused.as_db_error().unwrap().message().ends_with("No space left on device"), "{refused}");
    assert_eq!(count(&client).await, 1);
    cluster.promote("orders-2").await.unwrap();
    first_commit(cluster, 3).await;
    cluster.rejoin("orders-1").await.unwrap();
    cluster.promote("orders-1").await.unwrap();
    let client = connect(cluster, "orders-1").await.unwrap();
    assert_eq!(code(insert(&client, 4).await), Some(SqlState::DISK_FULL));
    cluster.free_disk("orders-1").await.unwrap();
    insert(&client, 4).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_can_fail_with_an_error_of_the_storage() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let client = connect(cluster, "orders-1").await.unwrap();
    cluster.fail_commits("orders-1").await.unwrap();
    client.batch_execute("BEGIN; INSERT INTO entry VALUES (1)").await.unwrap();
    let refused = client.batch_execute("COMMIT").await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::IO_ERROR), "{refused}");
    assert_eq!(count(&client).await, 0);
    cluster.mend_commits("orders-1").await.unwrap();
    insert(&client, 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_can_refuse_writes_and_be_no_reader() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let before = connect(cluster, "orders-1").await.unwrap();
    cluster.refuse_writes("orders-1").await.unwrap();
    let after = connect(cluster, "orders-1").await.unwrap();
    for client in [&before, &after] {
        assert_eq!(code(insert(client, 1).await), Some(SqlState::READ_ONLY_SQL_TRANSACTION));
        let row = client.query_one("SELECT pg_is_in_recovery()", &[]).await.unwrap();
        assert!(!row.get::<_, bool>(0));
    }
    cluster.accept_writes("orders-1").await.unwrap();
    insert(&before, 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_connections_refuse_everybody_but_the_lab() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let pushed_out = connect(cluster, "orders-1").await.unwrap();
    cluster.take_connections("orders-1").await.unwrap();
    assert!(insert(&pushed_out, 1).await.is_err());
    for _ in 0..5 {
        assert_eq!(code(connect(cluster, "orders-1").await), Some(SqlState::TOO_MANY_CONNECTIONS));
    }
    connect(cluster, "orders-2").await.unwrap();
    let admin = cluster.admin("orders-1").await.unwrap();
    admin.batch_execute("INSERT INTO entry VALUES (1)").await.unwrap();
    cluster.release_connections("orders-1").await.unwrap();
    first_commit(cluster, 2).await;
    cluster.take_connections("orders-1").await.unwrap();
    cluster.kill_postgres("orders-1").await.unwrap();
    cluster.restart_in_place("orders-1").await.unwrap();
    first_commit(cluster, 3).await;
    cluster.release_connections("orders-1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_reader_shows_its_lag_and_can_be_promoted() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let (writer, reader) = (connect(cluster, "orders-1").await.unwrap(), connect(cluster, "orders-2").await.unwrap());
    cluster.delay_replay("orders-2", Duration::from_secs(3_600)).await.unwrap();
    insert(&writer, 1).await.unwrap();
    let lag = "SELECT replica_lag_in_msec FROM aurora_replica_status() WHERE server_id = 'orders-2'";
    let lagging = async { while writer.query_one(lag, &[]).await.unwrap().get::<_, i64>(0) < 1_500 {} };
    timeout(GENEROUS, lagging).await.unwrap();
    assert_eq!(count(&reader).await, 0);
    cluster.delay_replay("orders-2", Duration::ZERO).await.unwrap();
    let level = async { while writer.query_one(lag, &[]).await.unwrap().get::<_, i64>(0) != 0 {} };
    timeout(GENEROUS, level).await.unwrap();
    assert_eq!(count(&reader).await, 1);
    cluster.delay_replay("orders-2", Duration::from_secs(3_600)).await.unwrap();
    insert(&writer, 2).await.unwrap();
    cluster.promote("orders-2").await.unwrap();
    first_commit(cluster, 3).await;
    let promoted = connect(cluster, "orders-2").await.unwrap();
    assert_eq!(count(&promoted).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_password_is_taken_again_later() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let open = connect(cluster, "orders-1").await.unwrap();
    cluster.refuse_password("app").await.unwrap();
    cluster.refuse_password("app").await.unwrap();
    assert_eq!(code(connect(cluster, "orders-1").await), Some(SqlState::INVALID_PASSWORD));
    let refused = async { while code(connect(cluster, "orders-3").await) != Some(SqlState::INVALID_PASSWORD) {} };
    timeout(GENEROUS, refused).await.unwrap();
    insert(&open, 1).await.unwrap();
    // The new writer has the same word for it.
    cluster.promote("orders-2").await.unwrap();
    assert_eq!(code(connect(cluster, "orders-2").await), Some(SqlState::INVALID_PASSWORD));
    cluster.accept_password("app").await.unwrap();
    first_commit(cluster, 2).await;
    let unknown = cluster.refuse_password("nobody").await.unwrap_err();
    assert!(matches!(unknown, ClusterError::UnknownRole { .. }), "{unknown}");
    // A rotation in between wins.
    cluster.refuse_password("app").await.unwrap();
    let admin = cluster.admin("orders-2").await.unwrap();
    admin.batch_execute("ALTER ROLE app PASSWORD 'rotated'").await.unwrap();
    cluster.accept_password("app").await.unwrap();
    assert_eq!(code(connect(cluster, "orders-2").await), Some(SqlState::INVALID_PASSWORD));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_cut_off_from_everybody_still_replicates() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let silent = async |view: u8| {
        let address = cluster.proxy_address(view, "orders-1").unwrap();
        timeout(SILENCE, tokio::net::TcpStream::connect(address)).await.is_err()
    };
    let client = connect(cluster, "orders-1").await.unwrap();
    cluster.cut_off("orders-1", 0..VIEWS).unwrap();
    cluster.cut_off("orders-1", [2]).unwrap();
    assert!(silent(0).await && silent(2).await);
    assert!(timeout(SILENCE, insert(&client, 1)).await.is_err());
    let admin = cluster.admin("orders-1").await.unwrap();
    admin.batch_execute("INSERT INTO entry VALUES (2)").await.unwrap();
    cluster.reconnect("orders-1", 0..VIEWS).unwrap();
    assert!(!silent(0).await && silent(2).await);
    timeout(GENEROUS, insert(&client, 3)).await.unwrap().unwrap();
    cluster.reconnect("orders-1", [2]).unwrap();
    assert!(!silent(2).await);
}
