//! What becomes of protected transactions when the writer, its network or the application fails.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where its ground is missing")]

mod support;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use steadfast_campaign::cluster::limits;
use steadfast_client::{
    Cause, Client, Error, Event, Fate, HoldError, Key, Limits, Options, Outcome, Refusal, Replay, StatementError, Step,
    WriterSessions,
};
use steadfast_core::gate;
use steadfast_lab::proxy::Link;
use support::{Lab, entries};
use tokio::time::timeout;

/// The longest that a test waits for anything.
const GENEROUS: Duration = Duration::from_secs(60);

type Result<T, E = StatementError> = std::result::Result<Outcome<T>, Error<E>>;

async fn insert(client: &Client, key: Key, id: i64) -> Result<()> {
    client
        .transaction(key, |tx| async move { tx.execute("INSERT INTO entry VALUES ($1)", &[&id]).await.map(drop) })
        .await
}

/// A client that remembers what it told.
fn watched(lab: &Lab, limits: Limits) -> (Client, Arc<Mutex<Vec<Event>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&events);
    let config = lab.payments.config().limits(limits).on_event(move |event| told.lock().unwrap().push(event.clone()));
    (Client::start(config).unwrap(), events)
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(GENEROUS, wait).await.unwrap_or_else(|_| panic!("{what}"));
}

/// Waits until a COMMIT of the application stands still on the writer.
async fn commit_stalls(lab: &Lab) {
    let admin = lab.payments.cluster.admin(lab.payments.cluster.writer()).await.unwrap();
    until("a commit waits for replication", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'payments' AND query = 'COMMIT' \
            AND wait_event = 'SyncRep'";
        admin.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_before_its_commit_is_made_again() {
    let lab = Lab::start().await;
    let (client, events) = watched(&lab, limits());
    let runs = AtomicU32::new(0);
    let outcome: Result<i64> = client
        .transaction(Key::fresh(), |tx| {
            let (run, cluster) = (runs.fetch_add(1, Ordering::SeqCst), Arc::clone(&lab.payments.cluster));
            async move {
                tx.execute("INSERT INTO entry VALUES (1)", &[]).await?;
                if run == 0 {
                    cluster.kill_host("orders-1").await.unwrap();
                    cluster.promote("orders-2").await.unwrap();
                }
                Ok(tx.query_one("SELECT count(*) FROM entry", &[]).await?.get(0))
            }
        })
        .await;
    assert_eq!(outcome.unwrap(), Outcome::Applied { value: 1, attempts: 2 });
    assert_eq!((entries(&lab).await, client.epoch()), (1, 2));
    let events = events.lock().unwrap();
    assert!(events.iter().any(|event| matches!(event, Event::Replayed { .. })), "{events:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::InDoubt { .. })), "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_took_effect_is_found_on_the_new_writer() {
    let lab = Lab::start().await;
    let (client, events) = watched(&lab, limits());
    client.ready().await.unwrap();
    let cluster = &lab.payments.cluster;
    cluster.stall_commits("orders-1").await.unwrap();
    let key = Key::fresh();
    let call = tokio::spawn({
        let client = client.clone();
        async move { insert(&client, key, 1).await }
    });
    commit_stalls(&lab).await;
    cluster.kill_postgres("orders-1").await.unwrap();
    cluster.promote("orders-2").await.unwrap();
    let outcome = timeout(GENEROUS, call).await.unwrap().unwrap().unwrap();
    assert!(matches!(outcome, Outcome::Applied { attempts: 2, .. }), "{outcome:?}");
    assert_eq!(entries(&lab).await, 1);
    assert!(events.lock().unwrap().contains(&Event::Decided { key, applied: true }));
}

/// Its COMMIT stays in the network, so it never takes effect.
async fn lost_on_the_way(lab: &Lab, client: &Client, key: Key, options: &Options) -> Result<()> {
    let (runs, frozen) = (AtomicU32::new(0), &tokio::sync::Notify::new());
    let cluster = &lab.payments.cluster;
    let call = client.transaction_with(key, options, |tx| {
        let run = runs.fetch_add(1, Ordering::SeqCst);
        async move {
            tx.execute("INSERT INTO entry VALUES (1)", &[]).await?;
            if run == 0 {
                cluster.set_link(0, "orders-1", Link::Freeze).unwrap();
                frozen.notify_one();
            }
            Ok(())
        }
    });
    let failover = async {
        frozen.notified().await;
        cluster.kill_postgres("orders-1").await.unwrap();
        cluster.promote("orders-2").await.unwrap();
    };
    timeout(GENEROUS, async { tokio::join!(call, failover).0 }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_lost_is_made_again() {
    let lab = Lab::start().await;
    let (client, events) = watched(&lab, limits());
    let key = Key::fresh();
    let outcome = lost_on_the_way(&lab, &client, key, &Options::default()).await.unwrap();
    assert_eq!(outcome, Outcome::Applied { value: (), attempts: 2 });
    assert_eq!(entries(&lab).await, 1);
    assert!(events.lock().unwrap().contains(&Event::Decided { key, applied: false }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_replay_a_lost_commit_is_given_up_for_good() {
    let lab = Lab::start().await;
    let key = Key::fresh();
    let options = Options { replay: Replay::Never, ..Options::default() };
    let error = lost_on_the_way(&lab, &lab.client, key, &options).await.unwrap_err();
    let given_up = matches!(
        &error,
        Error::NotApplied { cause: Cause::NotReplayed { reason: Refusal::NotAllowed, .. }, spent: true }
    );
    assert!(given_up, "{error:?}");
    assert_eq!((entries(&lab).await, lab.client.outcome(key).await.unwrap()), (0, Fate::Abandoned));
    assert!(matches!(insert(&lab.client, key, 2).await, Err(Error::Abandoned(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_must_see_what_was_seen() {
    let lab = Lab::start().await;
    let key = Key::fresh();
    let runs = AtomicU32::new(0);
    let admin = lab.payments.cluster.admin("orders-1").await.unwrap();
    let count_and_lose = |options: Options, mark: bool| {
        let (client, runs, admin) = (&lab.client, &runs, &admin);
        runs.store(0, Ordering::SeqCst);
        async move {
            client
                .transaction_with(key, &options, |tx| {
                    let run = runs.fetch_add(1, Ordering::SeqCst);
                    async move {
                        let count: i64 = tx.query_one("SELECT count(*) FROM entry", &[]).await?.get(0);
                        if run == 0 {
                            admin
                                .batch_execute("INSERT INTO payments.entry SELECT max(id) + 1 FROM payments.entry")
                                .await
                                .unwrap();
                            if mark {
                                tx.side_effect("told somebody").await;
                            }
                            tx.query("SELECT pg_terminate_backend(pg_backend_pid())", &[]).await?;
                        }
                        Ok::<_, StatementError>(count)
                    }
                })
                .await
        }
    };
    insert(&lab.client, Key::fresh(), 1).await.unwrap();
    let diverged = count_and_lose(Options::default(), false).await;
    let first = matches!(
        &diverged,
        Err(Error::NotApplied { cause: Cause::Diverged { at: 0, original }, spent: false })
            if matches!(&**original, Cause::Database(error) if error.code().unwrap().code() == "57P01")
    );
    assert!(first, "{diverged:?}");
    let marked = count_and_lose(Options { replay: Replay::Afresh, ..Options::default() }, true).await;
    let kept = matches!(
        marked,
        Err(Error::NotApplied { cause: Cause::NotReplayed { reason: Refusal::SideEffect, .. }, spent: false })
    );
    assert!(kept, "{marked:?}");
    let afresh = count_and_lose(Options { replay: Replay::Afresh, ..Options::default() }, false).await;
    assert_eq!(afresh.unwrap(), Outcome::Applied { value: 4, attempts: 2 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_dropped_in_its_commit_has_an_outcome() {
    let lab = Lab::start().await;
    lab.client.ready().await.unwrap();
    let cluster = &lab.payments.cluster;
    cluster.stall_commits("orders-1").await.unwrap();
    let key = Key::fresh();
    let call = tokio::spawn({
        let client = lab.client.clone();
        async move { insert(&client, key, 1).await }
    });
    commit_stalls(&lab).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    cluster.resume_commits("orders-1").await.unwrap();
    // Giving it up waits for it: the COMMIT went on without its caller.
    assert_eq!(lab.client.abandon(key).await.unwrap(), Fate::Applied);
    assert_eq!(insert(&lab.client, key, 2).await.unwrap(), Outcome::AlreadyApplied { value: () });
    assert_eq!(entries(&lab).await, 1);

    // Dropped before its COMMIT, nothing is left of it.
    let key = Key::fresh();
    let dropped = lab.client.transaction(key, |tx| async move {
        tx.execute("INSERT INTO entry VALUES (7)", &[]).await?;
        std::future::pending::<std::result::Result<(), StatementError>>().await
    });
    drop(timeout(Duration::from_millis(300), dropped).await);
    assert_eq!(lab.client.abandon(key).await.unwrap(), Fate::Abandoned);
    assert_eq!(entries(&lab).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_acknowledged_with_a_warning_is_in_doubt() {
    let lab = Lab::start().await;
    let (client, events) = watched(&lab, limits());
    client.ready().await.unwrap();
    let cluster = &lab.payments.cluster;
    cluster.stall_commits("orders-1").await.unwrap();
    let key = Key::fresh();
    let call = tokio::spawn({
        let client = client.clone();
        async move { insert(&client, key, 1).await }
    });
    commit_stalls(&lab).await;
    // PostgreSQL answers COMMIT then, although no standby has it.
    let admin = cluster.admin("orders-1").await.unwrap();
    admin.batch_execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = 'COMMIT'").await.unwrap();
    until("it is in doubt", async || events.lock().unwrap().iter().any(|event| matches!(event, Event::InDoubt { .. })))
        .await;
    assert!(!call.is_finished());
    cluster.resume_commits("orders-1").await.unwrap();
    let outcome = timeout(GENEROUS, call).await.unwrap().unwrap().unwrap();
    assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
    assert!(events.lock().unwrap().contains(&Event::Decided { key, applied: true }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_writer_that_wakes_up_is_refused_for_reads_too() {
    let lab = Lab::start().await;
    let (client, events) = watched(&lab, limits());
    let cluster = &lab.payments.cluster;
    insert(&client, Key::fresh(), 1).await.unwrap();
    let held = client.session().await.unwrap();
    let plain = lab.payments.plain("orders-1").await.unwrap();
    cluster.freeze("orders-1").await.unwrap();
    cluster.promote_beside("orders-2").await.unwrap();
    timeout(GENEROUS, insert(&client, Key::fresh(), 2)).await.unwrap().unwrap();
    assert_eq!(client.epoch(), 2);
    cluster.wake("orders-1").unwrap();
    // Without the client: a stale answer, and no error.
    let count = "SELECT count(*) FROM entry";
    let stale: i64 = timeout(GENEROUS, plain.query_one(count, &[])).await.unwrap().unwrap().get(0);
    assert_eq!(stale, 1);
    // With it: neither over the session that it held, nor over a new one, nor by a process that has just begun.
    assert!(timeout(GENEROUS, held.plain().query_one(count, &[])).await.unwrap().is_err());
    let fresh = Client::start(lab.payments.config()).unwrap();
    for reader in [&client, &fresh] {
        let session = timeout(GENEROUS, reader.session()).await.unwrap().unwrap();
        assert_eq!((session.node(), session.epoch()), ("orders-2", 2));
        assert_eq!(session.plain().query_one(count, &[]).await.unwrap().get::<_, i64>(0), 2);
    }
    // Also when it is the only one that claims to be the writer.
    cluster.kill_host("orders-2").await.unwrap();
    let call = tokio::spawn({
        let client = client.clone();
        async move { insert(&client, Key::fresh(), 3).await }
    });
    let fenced = |event: &Event| matches!(event, Event::Fenced { node, epoch: 1, seen: 2 } if node == "orders-1");
    until("it is fenced", async || events.lock().unwrap().iter().any(fenced)).await;
    assert!(!call.is_finished());
    cluster.promote("orders-3").await.unwrap();
    timeout(GENEROUS, call).await.unwrap().unwrap().unwrap();
    assert_eq!((entries(&lab).await, client.epoch()), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_held_within_bounds() {
    let lab = Lab::start().await;
    let limits = Limits { held: 2, call: Duration::from_secs(10), ..limits() };
    let (client, events) = watched(&lab, limits);
    client.ready().await.unwrap();
    lab.payments.cluster.kill_postgres("orders-1").await.unwrap();
    until("the loss is noticed", async || {
        events.lock().unwrap().iter().any(|event| matches!(event, Event::WriterLost { .. }))
    })
    .await;
    let began = Instant::now();
    let held: Vec<_> = (1..=2)
        .map(|id| {
            let client = client.clone();
            tokio::spawn(async move { insert(&client, Key::fresh(), id).await })
        })
        .collect();
    until("two are held", async || client.held() == 2).await;
    let third = insert(&client, Key::fresh(), 3).await;
    let full =
        matches!(third, Err(Error::NotApplied { cause: Cause::Hold(HoldError::Full { calls: 2 }), spent: false }));
    assert!(full, "{third:?}");
    for call in held {
        let expired = call.await.unwrap();
        let told = matches!(expired, Err(Error::NotApplied { cause: Cause::Hold(HoldError::Expired { .. }), .. }));
        assert!(told, "{expired:?}");
    }
    assert!(began.elapsed() >= Duration::from_secs(10));
    assert_eq!(client.held(), 0);
    lab.payments.cluster.promote("orders-2").await.unwrap();
    let key = Key::fresh();
    until("the next call is applied", async || insert(&client, key, 4).await.is_ok()).await;
    assert_eq!(entries(&lab).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_switchover_behind_the_gate_shows_no_error() {
    let lab = Lab::start().await;
    let (client, events) = watched(&lab, limits());
    client.ready().await.unwrap();
    let cluster = &lab.payments.cluster;
    let drainer = cluster.admin("orders-1").await.unwrap();
    drainer.batch_execute("BEGIN").await.unwrap();
    drainer.batch_execute(gate::CLOSE).await.unwrap();
    let calls: Vec<_> = (1..=8)
        .map(|id| {
            let client = client.clone();
            tokio::spawn(async move { insert(&client, Key::fresh(), id).await })
        })
        .collect();
    let admin = cluster.admin("orders-1").await.unwrap();
    until("all wait at the gate", async || {
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        admin.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 8
    })
    .await;
    // Nobody who waits has written; the client's proof passes no gate.
    let wrote = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'payments' AND backend_xid IS NOT NULL
        AND query NOT LIKE '%steadfast.prove%'";
    assert_eq!(admin.query_one(wrote, &[]).await.unwrap().get::<_, i64>(0), 0);
    cluster.switch("orders-2").await.unwrap();
    for call in calls {
        timeout(GENEROUS, call).await.unwrap().unwrap().unwrap();
    }
    assert_eq!(entries(&lab).await, 8);
    assert!(!events.lock().unwrap().iter().any(|event| matches!(event, Event::InDoubt { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_with_one_key_are_one() {
    let lab = Lab::start().await;
    let key = Key::fresh();
    let other = Client::start(lab.payments.config()).unwrap();
    let calls = (0..12_i64).map(|number| {
        let client = if number % 2 == 0 { &lab.client } else { &other };
        async move {
            if number % 3 == 0 {
                return client
                    .send(key, vec![Step::new("INSERT INTO entry VALUES ($1)", vec![Box::new(number)])])
                    .await
                    .is_ok();
            }
            insert(client, key, number).await.is_ok()
        }
    });
    assert!(futures_util::future::join_all(calls).await.into_iter().all(|known| known));
    assert_eq!(entries(&lab).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cluster_endpoint_is_enough() {
    let lab = Lab::start().await;
    let client = Client::start(lab.payments.cluster_config()).unwrap();
    insert(&client, Key::fresh(), 1).await.unwrap();
    // The record goes on leading to the dead writer; the instances were learned.
    lab.payments.cluster.kill_host("orders-1").await.unwrap();
    lab.payments.cluster.promote("orders-3").await.unwrap();
    timeout(GENEROUS, insert(&client, Key::fresh(), 2)).await.unwrap().unwrap();
    let session = client.session().await.unwrap();
    assert_eq!(session.node(), "orders-3");
    // A pool of the application's own holds sessions with the writer only.
    let pool: deadpool::managed::Pool<WriterSessions> =
        deadpool::managed::Pool::builder(client.sessions()).max_size(2).build().unwrap();
    let one = pool.get().await.unwrap();
    drop(pool.get().await.unwrap());
    lab.payments.cluster.promote("orders-2").await.unwrap();
    timeout(GENEROUS, insert(&client, Key::fresh(), 3)).await.unwrap().unwrap();
    assert!(one.plain().query_one("SELECT 1", &[]).await.is_err());
    drop(one);
    assert_eq!(pool.get().await.unwrap().node(), "orders-2");
}
