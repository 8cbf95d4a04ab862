//! Promotion, fencing and what is refused.

use super::*;

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
    println!("{promotion:?}, first commit {commit:?}, together {:?}", start.elapsed());
    assert_eq!(cluster.writer(), "orders-2");
    cluster.set_cluster_endpoint("orders-2").unwrap();
    cluster.set_reader_endpoint(&["orders-3"]).unwrap();
    let acknowledged = load.end().await;
    assert!(acknowledged.len() >= 200);
    assert_present(cluster, "orders-2", &acknowledged).await;
    assert!(timeout(SILENCE, insert(&old, 2)).await.is_err());
    assert!(timeout(SILENCE, connect(cluster, "orders-1")).await.is_err());
    let refused = cluster.rejoin("orders-1").await.unwrap_err();
    assert!(matches!(refused, ClusterError::NotRunning { .. }), "{refused}");
    cluster.repair_host("orders-1").unwrap();
    let lost = timeout(GENEROUS, insert(&old, 2)).await.unwrap();
    assert!(lost.is_err());
    println!("{:?}", cluster.rejoin("orders-1").await.unwrap());
    let reader = connect(cluster, "orders-1").await.unwrap();
    let refused = insert(&reader, 3).await.unwrap_err();
    assert_eq!(refused.code(), Some(&tokio_postgres::error::SqlState::READ_ONLY_SQL_TRANSACTION));
    let promotion = cluster.promote("orders-1").await.unwrap();
    println!("{promotion:?}");
    first_commit(cluster, 4).await;
    assert_present(cluster, "orders-1", &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn target_that_is_behind_catches_up_before_it_is_promoted() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    detach(cluster, 1).await;
    let load = load(cluster, "orders-1").await;
    load.reach(100).await;
    cluster.kill_postgres("orders-1").await.unwrap();
    let promotion = cluster.promote("orders-2").await.unwrap();
    println!("{promotion:?}");
    assert!(promotion.promoted_lsn > promotion.target_lsn);
    assert_eq!(promotion.source, Source::Standby);
    let acknowledged = load.end().await;
    assert!(acknowledged.len() >= 100);
    assert_present(cluster, "orders-2", &acknowledged).await;
    println!("first commit {:?}", first_commit(cluster, 1).await);
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
async fn what_only_the_dead_have_is_taken_from_the_writers_disk() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let unknown = cluster.promote("orders-9").await.unwrap_err();
    assert!(matches!(unknown, ClusterError::UnknownNode { .. }), "{unknown}");
    let writer = cluster.promote("orders-1").await.unwrap_err();
    assert!(matches!(writer, ClusterError::AlreadyWriter { .. }), "{writer}");
    // Only orders-3 acknowledges, and it dies with the writer.
    detach(cluster, 1).await;
    let load = load(cluster, "orders-1").await;
    load.reach(100).await;
    cluster.kill_host("orders-1").await.unwrap();
    cluster.kill_host("orders-3").await.unwrap();
    let promotion = cluster.promote("orders-2").await.unwrap();
    println!("{promotion:?}");
    assert_eq!(promotion.source, Source::Disk);
    let mut acknowledged = load.end().await;
    assert!(acknowledged.len() >= 100);
    assert_present(cluster, "orders-2", &acknowledged).await;
    // Both readers are away: the writer alone has what it acknowledges now, on a new timeline.
    cluster.recover_all().await.unwrap();
    cluster.freeze("orders-1").await.unwrap();
    cluster.freeze("orders-3").await.unwrap();
    let load = load_from(cluster, "orders-2", 2_000_000).await;
    load.reach(100).await;
    cluster.kill_postgres("orders-2").await.unwrap();
    for reader in ["orders-1", "orders-3"] {
        let frozen = cluster.promote(reader).await.unwrap_err();
        assert!(matches!(frozen, ClusterError::NotRunning { .. }), "{frozen}");
        cluster.thaw(reader).await.unwrap();
    }
    let promotion = cluster.promote("orders-3").await.unwrap();
    assert_eq!(promotion.source, Source::Disk);
    acknowledged.extend(load.end().await);
    assert!(acknowledged.len() >= 200);
    assert_present(cluster, "orders-3", &acknowledged).await;
    // The other one stood aside when the roles changed, and came along.
    first_commit(cluster, 1).await;
    let reader = connect(cluster, "orders-1").await.unwrap();
    let there = async { while count(&reader).await <= i64::try_from(acknowledged.len()).unwrap() {} };
    timeout(GENEROUS, there).await.unwrap();
    cluster.recover_all().await.unwrap();
    first_commit(cluster, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_go_on_without_standbys_that_ended_by_themselves() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    for index in [1, 2] {
        // Nobody in the lab orders this.
        let node = cluster.node_at(index);
        node.end_by_itself();
        let ended = async { while node.state() != NodeState::Stopped {} };
        timeout(GENEROUS, ended).await.unwrap();
    }
    let client = connect(cluster, "orders-1").await.unwrap();
    let mut commit = tokio::spawn(async move { insert(&client, 1).await });
    assert!(timeout(SILENCE, &mut commit).await.is_err());
    cluster.settle_quorum().await.unwrap();
    timeout(GENEROUS, commit).await.unwrap().unwrap().unwrap();
    cluster.restart_in_place("orders-2").await.unwrap();
    cluster.restart_in_place("orders-2").await.unwrap();
    cluster.promote("orders-2").await.unwrap();
    let client = connect(cluster, "orders-2").await.unwrap();
    assert_eq!(count(&client).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_does_not_wait_for_a_rejoin_that_hangs() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    cluster.kill_postgres("orders-1").await.unwrap();
    cluster.promote("orders-2").await.unwrap();
    // The writer freezes while it helps orders-1 back.
    let freeze = async {
        while cluster.roles.try_lock().is_ok() {
            tokio::task::yield_now().await;
        }
        cluster.node_at(1).freeze().unwrap();
    };
    let promotion = async {
        freeze.await;
        timeout(GENEROUS, cluster.promote("orders-3")).await.unwrap()
    };
    let (rejoined, promoted) = tokio::join!(cluster.rejoin("orders-1"), promotion);
    promoted.unwrap();
    assert!(rejoined.is_err(), "{rejoined:?}");
    first_commit(cluster, 1).await;
    // Not even the lack of its files keeps a node away.
    std::fs::remove_dir_all(cluster.node_at(0).layout.data()).unwrap();
    assert_eq!(cluster.rejoin("orders-1").await.unwrap().method, RejoinMethod::Copied);
    cluster.promote("orders-1").await.unwrap();
    first_commit(cluster, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_was_frozen_during_a_promotion_follows_the_new_writer() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    cluster.freeze("orders-3").await.unwrap();
    cluster.kill_postgres("orders-1").await.unwrap();
    cluster.promote("orders-2").await.unwrap();
    first_commit(cluster, 1).await;
    cluster.thaw("orders-3").await.unwrap();
    let reader = connect(cluster, "orders-3").await.unwrap();
    let there = async { while count(&reader).await != 1 {} };
    timeout(GENEROUS, there).await.unwrap();
    cluster.promote("orders-3").await.unwrap();
    first_commit(cluster, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_drills_lose_nothing() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let old = cluster.writer().to_owned();
        let step = usize::try_from(round % 2).unwrap() + 1;
        let target = IDS[(cluster.index_of(&old).unwrap() + step) % IDS.len()];
        let load = load_from(cluster, &old, 1_000_000 * (round + 1)).await;
        load.reach(50).await;
        match round % 4 {
            0 => cluster.kill_host(&old).await.unwrap(),
            1 => cluster.freeze(&old).await.unwrap(),
            2 => cluster.kill_postgres(&old).await.unwrap(),
            _ => {}
        }
        let promotion = match round % 4 {
            3 => cluster.switch(target).await,
            _ => cluster.promote(target).await,
        };
        let promotion = promotion.unwrap();
        let commit = first_commit(cluster, round).await;
        println!("{round}: {:?}, first commit {commit:?}", promotion.total);
        acknowledged.extend(load.end().await);
        assert_present(cluster, target, &acknowledged).await;
        cluster.recover_all().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reader_that_comes_back_without_a_writer_can_be_promoted() {
    let lab = lab().await;
    let cluster = &lab.cluster;
    let load = load(cluster, "orders-1").await;
    load.reach(100).await;
    cluster.kill_host("orders-1").await.unwrap();
    cluster.kill_host("orders-2").await.unwrap();
    let acknowledged = load.end().await;
    assert!(acknowledged.len() >= 100);
    let refused = cluster.start_alone("orders-2").await.unwrap_err();
    assert!(matches!(refused, ClusterError::NotRunning { state: NodeState::HostDown, .. }), "{refused}");
    cluster.repair_host("orders-2").unwrap();
    cluster.start_alone("orders-2").await.unwrap();
    let reader = connect(cluster, "orders-2").await.unwrap();
    let refused = insert(&reader, 1).await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    println!("{:?}", cluster.promote("orders-2").await.unwrap());
    assert_present(cluster, "orders-2", &acknowledged).await;
    first_commit(cluster, 2).await;
    let refused = cluster.start_alone("orders-2").await.unwrap_err();
    assert!(matches!(refused, ClusterError::AlreadyWriter { .. }), "{refused}");
}
