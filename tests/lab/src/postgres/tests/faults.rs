//! Faults short of a promotion, and what SQL shows of them.

use super::*;

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
    assert!(matches!(refused, ClusterError::AlreadyWriter { .. }), "{refused}");
    println!("restart in place: {:?}", cluster.restart_in_place("orders-1").await.unwrap());
    println!("first commit {:?}", first_commit(cluster, 3).await);
    let client = connect(cluster, "orders-1").await.unwrap();
    assert_eq!(count(&client).await, 2);
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
    assert!(matches!(unsafe_target, ClusterError::NotRunning { .. }), "{unsafe_target}");
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
async fn plays_aurora_to_ordinary_roles() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let topology = "SELECT server_id, session_id = 'MASTER_SESSION_ID', replica_lag_in_msec
        FROM pg_catalog.aurora_replica_status() ORDER BY server_id";
    let writer = connect(cluster, "orders-1").await.unwrap();
    let rows = writer.query(topology, &[]).await.unwrap();
    let seen: Vec<(String, bool, bool)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get::<_, Option<i64>>(2).is_some())).collect();
    let expected = [("orders-1", true, false), ("orders-2", false, true), ("orders-3", false, true)];
    assert_eq!(seen, expected.map(|(id, writer, lag)| (id.to_owned(), writer, lag)));
    let reader = connect(cluster, "orders-2").await.unwrap();
    let rows = reader.query(topology, &[]).await.unwrap();
    let seen: Vec<(String, bool)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(seen, [("orders-1".to_owned(), true), ("orders-2".to_owned(), false)]);
    let identity = "SELECT pg_catalog.aurora_db_instance_identifier(), pg_is_in_recovery()";
    let row = reader.query_one(identity, &[]).await.unwrap();
    assert_eq!((row.get(0), row.get(1)), ("orders-2", true));
    // A reader that stands still while the writer goes on falls behind.
    cluster.freeze("orders-3").await.unwrap();
    insert(&writer, 1).await.unwrap();
    let lag = "SELECT replica_lag_in_msec FROM aurora_replica_status() WHERE server_id = 'orders-3'";
    let behind = async { while writer.query_one(lag, &[]).await.unwrap().get::<_, i64>(0) < 300 {} };
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
    assert!(timeout(SILENCE, tokio::net::TcpStream::connect(cut)).await.is_err());
    for (view, id) in [(0, "orders-1"), (1, "orders-1"), (3, "orders-1"), (2, "orders-2")] {
        let open = cluster.proxy_address(view, id).unwrap();
        timeout(GENEROUS, tokio::net::TcpStream::connect(open)).await.unwrap().unwrap();
    }
    cluster.set_link(2, "orders-1", Link::Open).unwrap();
    timeout(GENEROUS, tokio::net::TcpStream::connect(cut)).await.unwrap().unwrap();
}
