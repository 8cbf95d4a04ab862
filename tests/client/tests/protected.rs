//! Protected transactions on a healthy cluster: recorded results, refusals, what may not be swallowed.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use steadfast_campaign::cluster::limits;
use steadfast_client::{
    Cause, Client, Error, Fate, Isolation, Key, Limits, Options, Outcome, Refusal, StatementError, Step,
};
use support::{Lab, entries};

async fn insert(client: &Client, key: Key, id: i64) -> Result<Outcome<i64>, Error<StatementError>> {
    client
        .transaction(key, |tx| async move {
            tx.execute("INSERT INTO entry VALUES ($1)", &[&id]).await?;
            Ok(id)
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_applied_once_and_keeps_its_result() {
    let lab = Lab::start().await;
    let client = &lab.client;
    let key = Key::fresh();
    assert_eq!(client.outcome(key).await.unwrap(), Fate::Open);
    assert_eq!(insert(client, key, 1).await.unwrap(), Outcome::Applied { value: 1, attempts: 1 });
    // Another process comes with the same key, and would write something else.
    let other = Client::start(lab.payments.config()).unwrap();
    assert_eq!(insert(&other, key, 2).await.unwrap(), Outcome::AlreadyApplied { value: 1 });
    assert_eq!(client.outcome(key).await.unwrap(), Fate::Applied);
    assert_eq!(client.abandon(key).await.unwrap(), Fate::Applied);
    assert_eq!(entries(&lab).await, 1);

    let spent = Key::fresh();
    assert_eq!(client.abandon(spent).await.unwrap(), Fate::Abandoned);
    assert!(matches!(insert(client, spent, 3).await, Err(Error::Abandoned(key)) if key == spent));
    assert_eq!(client.outcome(spent).await.unwrap(), Fate::Abandoned);
    assert_eq!(entries(&lab).await, 1);

    let text: Result<Outcome<Vec<u8>>, Error<StatementError>> =
        client.transaction(key, |tx| async move { tx.query("SELECT 1", &[]).await.map(|_| vec![]) }).await;
    assert!(matches!(text, Err(Error::Unreadable { .. })), "{text:?}");
    assert_eq!(client.coverage().protected, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closure_that_fails_applies_nothing_and_leaves_the_key_free() {
    let lab = Lab::start().await;
    let client = &lab.client;
    let key = Key::fresh();
    let refused: Result<Outcome<()>, Error<String>> = client
        .transaction(key, |tx| async move {
            tx.execute("INSERT INTO entry VALUES (1)", &[]).await.map_err(|error| error.to_string())?;
            Err("not enough money".to_owned())
        })
        .await;
    assert!(matches!(&refused, Err(Error::Application(text)) if text == "not enough money"), "{refused:?}");
    assert_eq!((entries(&lab).await, client.outcome(key).await.unwrap()), (0, Fate::Open));
    insert(client, key, 1).await.unwrap();
    // The session that rolled back is of use again, and so is the one whose statement failed.
    let double = insert(client, Key::fresh(), 1).await;
    assert!(matches!(&double, Err(Error::Application(error)) if error.code().unwrap().code() == "23505"), "{double:?}");
    insert(client, Key::fresh(), 2).await.unwrap();
    assert_eq!(entries(&lab).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_swallowed_or_left_is_not_committed() {
    let lab = Lab::start().await;
    let client = &lab.client;
    let swallowed: Result<Outcome<()>, Error<StatementError>> = client
        .transaction(Key::fresh(), |tx| async move {
            tx.execute("INSERT INTO entry VALUES (1)", &[]).await?;
            drop(tx.execute("SELECT 1/0", &[]).await);
            Ok(())
        })
        .await;
    assert!(
        matches!(swallowed, Err(Error::NotApplied { cause: Cause::Unfinished { .. }, spent: false })),
        "{swallowed:?}"
    );
    let left: Result<Outcome<()>, Error<StatementError>> = client
        .transaction(Key::fresh(), |tx| async move {
            tx.execute("INSERT INTO entry VALUES (2)", &[]).await?;
            drop(tokio::time::timeout(Duration::from_millis(5), tx.query("SELECT pg_sleep(3600)", &[])).await);
            Ok(())
        })
        .await;
    assert!(matches!(left, Err(Error::NotApplied { cause: Cause::Unfinished { at: 1 }, .. })), "{left:?}");
    let deferred: Result<Outcome<()>, Error<StatementError>> = client
        .transaction(Key::fresh(), |tx| async move {
            tx.execute("INSERT INTO deferred VALUES (1), (1)", &[]).await?;
            Ok(())
        })
        .await;
    assert!(matches!(deferred, Err(Error::NotApplied { cause: Cause::Database(_), spent: false })), "{deferred:?}");
    assert_eq!(entries(&lab).await, 0);
    // A handle that outlives its closure is of no use.
    let kept = Arc::new(std::sync::Mutex::new(None));
    let outcome: Result<Outcome<()>, Error<StatementError>> = client
        .transaction(Key::fresh(), |tx| {
            *kept.lock().unwrap() = Some(tx);
            async { Ok(()) }
        })
        .await;
    assert!(outcome.is_ok());
    let tx = kept.lock().unwrap().take().unwrap();
    assert!(matches!(tx.query("SELECT 1", &[]).await, Err(StatementError::Over)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_replayed_is_refused_and_reported() {
    let lab = Lab::start().await;
    let client = &lab.client;
    for (sql, reason) in [
        ("PREPARE TRANSACTION 'x'", Refusal::TwoPhaseCommit),
        ("COMMIT", Refusal::TransactionControl),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", Refusal::Cursor),
        ("COPY entry FROM STDIN", Refusal::Copy),
        ("SET search_path = x", Refusal::SessionState),
        ("SET LOCAL synchronous_commit = off", Refusal::Durability),
    ] {
        let outcome: Result<Outcome<()>, Error<StatementError>> = client
            .transaction(Key::fresh(), |tx| async move {
                tx.execute("INSERT INTO entry VALUES (1)", &[]).await?;
                tx.execute(sql, &[]).await?;
                Ok(())
            })
            .await;
        let refused =
            matches!(outcome, Err(Error::NotApplied { cause: Cause::Refused(refusal), .. }) if refusal == reason);
        assert!(refused, "{sql}: {outcome:?}");
        let sent = client.send(Key::fresh(), vec![Step::new(sql, vec![])]).await;
        assert!(matches!(sent, Err(Error::NotApplied { cause: Cause::Refused(refusal), .. }) if refusal == reason));
    }
    assert_eq!(entries(&lab).await, 0);
    let shown: Result<Outcome<i64>, Error<StatementError>> = client
        .transaction(Key::fresh(), |tx| async move {
            tx.side_effect("sent an e-mail").await;
            Ok(tx.query_one("SELECT nextval('number')", &[]).await?.get(0))
        })
        .await;
    assert_eq!(shown.unwrap(), Outcome::Applied { value: 1, attempts: 1 });
    client.unprotected("INSERT INTO entry VALUES ($1)", &[&9_i64]).await.unwrap();
    let report = client.coverage();
    assert_eq!((report.protected, report.unprotected, report.share()), (1, 1, Some(0.5)));
    assert_eq!(report.statements.iter().filter(|statement| statement.refused).map(|one| one.times).sum::<u64>(), 12);
    let reasons: Vec<Refusal> = report.statements.iter().filter(|one| !one.refused).map(|one| one.reason).collect();
    assert!(reasons.contains(&Refusal::SideEffect) && reasons.contains(&Refusal::SequenceShown), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_transaction_in_one_flight_is_applied_once() {
    let lab = Lab::start().await;
    let client = &lab.client;
    let key = Key::fresh();
    let steps = |id: i64| {
        vec![
            Step::new("INSERT INTO entry VALUES ($1)", vec![Box::new(id)]),
            Step::new("UPDATE entry SET id = id WHERE id <= $1", vec![Box::new(id)]),
        ]
    };
    assert_eq!(client.send(key, steps(1)).await.unwrap(), Outcome::Applied { value: vec![1, 1], attempts: 1 });
    assert_eq!(client.send(key, steps(2)).await.unwrap(), Outcome::AlreadyApplied { value: vec![] });
    let double = client.send(Key::fresh(), steps(1)).await;
    assert!(matches!(double, Err(Error::NotApplied { cause: Cause::Database(_), spent: false })), "{double:?}");
    // A step that cannot be sent must not be missing from what is committed.
    for steps in [
        vec![Step::new("INSERT INTO entry VALUES (7)", vec![]), Step::new("SELECT $1::int8", vec![Box::new("text")])],
        vec![Step::new("INSERT INTO entry VALUES (7)", vec![]), Step::new("SELECT $1::int8", vec![])],
    ] {
        let key = Key::fresh();
        let unfit = client.send(key, steps).await;
        assert!(matches!(unfit, Err(Error::NotApplied { cause: Cause::Parameters(_), .. })), "{unfit:?}");
        assert_eq!(client.outcome(key).await.unwrap(), Fate::Open);
    }
    assert_eq!(entries(&lab).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicts_are_replayed() {
    let lab = Lab::start().await;
    let client = &lab.client;
    client.unprotected("INSERT INTO entry VALUES (0)", &[]).await.unwrap();
    let options =
        Options { isolation: Isolation::Serializable, replay: steadfast_client::Replay::Afresh, ..Options::default() };
    let attempts = AtomicU32::new(0);
    let count = || {
        client.transaction_with(Key::fresh(), &options, |tx| {
            attempts.fetch_add(1, Ordering::SeqCst);
            async move {
                let row = tx.query_one("SELECT max(id) FROM entry", &[]).await?;
                let next = row.get::<_, i64>(0) + 1;
                tx.execute("INSERT INTO entry VALUES ($1)", &[&next]).await?;
                Ok::<_, StatementError>(next)
            }
        })
    };
    let counted = futures_util::future::join_all((0..8).map(|_| count())).await;
    let mut values: Vec<i64> = counted.into_iter().map(|outcome| outcome.unwrap().into_value()).collect();
    values.sort_unstable();
    assert_eq!(values, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(u64::from(attempts.load(Ordering::SeqCst)) - 8, client.coverage().replays);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_key_is_never_run_and_only_old_rows_are_pruned() {
    let lab = Lab::start().await;
    let client = &lab.client;
    let long_ago = SystemTime::now() - Duration::from_secs(3 * 24 * 3_600);
    let old = Key::of_request(long_ago, "transfer", "1");
    let outcome = insert(client, old, 1).await;
    assert!(matches!(outcome, Err(Error::Forgotten { .. })), "{outcome:?}");
    assert!(matches!(client.outcome(old).await, Err(Cause::Expired { .. })));
    assert_eq!(entries(&lab).await, 0);

    insert(client, Key::fresh(), 2).await.unwrap();
    let admin = lab.payments.cluster.admin("orders-1").await.unwrap();
    let made = |name: &str| Key::of_request(long_ago, "transfer", name).as_uuid().to_string();
    // Old by key and by row, or only by one of them, or asked for since.
    for (key, at, asked) in [
        (made("pruned"), "now() - interval '3 days'", "NULL"),
        (made("row is young"), "now()", "NULL"),
        (made("was asked for"), "now() - interval '3 days'", "now()"),
        (Key::fresh().to_string(), "now() - interval '3 days'", "NULL"),
    ] {
        let row = format!("INSERT INTO steadfast.ledger (key, at, asked) VALUES ('{key}', {at}, {asked})");
        admin.batch_execute(&row).await.unwrap();
    }
    // What the ledger still has of an old key is told.
    let remembered = Key::of_request(long_ago, "transfer", "was asked for");
    assert!(matches!(insert(client, remembered, 1).await, Err(Error::Unreadable { .. })));
    let told = client.transaction(remembered, |_tx| async { Ok::<_, StatementError>(()) }).await;
    assert_eq!(told.unwrap(), Outcome::AlreadyApplied { value: () });
    assert_eq!(client.outcome(remembered).await.unwrap(), Fate::Applied);
    assert_eq!(client.abandon(remembered).await.unwrap(), Fate::Applied);
    let prune = async || admin.query_one("SELECT steadfast.prune('1 second')", &[]).await.unwrap().get::<_, i64>(0);
    // A process that is gone may still ask for what was under way four days ago.
    let mark = "INSERT INTO steadfast.client VALUES (gen_random_uuid(), 'gone', now() - interval '4 days', now())";
    admin.batch_execute(mark).await.unwrap();
    assert_eq!(prune().await, 0);
    admin.batch_execute("DELETE FROM steadfast.client WHERE application = 'gone'").await.unwrap();
    assert_eq!(prune().await, 1);
    let left = admin.query_one("SELECT count(*) FROM steadfast.ledger", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 4);
    // The application may neither prune nor change what was decided.
    let plain = lab.payments.plain("orders-1").await.unwrap();
    for sql in [
        "SELECT steadfast.prune()",
        "DELETE FROM steadfast.ledger",
        "UPDATE steadfast.ledger SET applied = false",
        "UPDATE steadfast.epoch SET epoch = 0",
    ] {
        let refused = plain.batch_execute(sql).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "42501", "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_set_on_a_session_reaches_its_next_use() {
    let lab = Lab::start().await;
    let client = Client::start(lab.payments.config().limits(Limits { sessions: 1, ..limits() })).unwrap();
    for (sql, reason) in [
        ("SET statement_timeout = 1", Refusal::SessionState),
        ("SELECT set_config('statement_timeout', '1', false)", Refusal::SessionState),
        ("SET synchronous_commit = off", Refusal::Durability),
        ("BEGIN", Refusal::TransactionControl),
    ] {
        let refused = client.unprotected(sql, &[]).await;
        assert!(matches!(refused, Err(Cause::Refused(refusal)) if refusal == reason), "{sql}: {refused:?}");
    }
    let lent = client.session().await.unwrap();
    for spoil in [
        "SET synchronous_commit = off; SET work_mem = '1MB'; CREATE TEMP TABLE entry (id text); SELECT pg_advisory_lock(77)",
        "BEGIN; INSERT INTO payments.entry VALUES (1)",
    ] {
        lent.plain().batch_execute(spoil).await.unwrap();
    }
    drop(lent);
    // There is one session only, so it is the same, or a new one.
    insert(&client, Key::fresh(), 2).await.unwrap();
    let next = client.session().await.unwrap();
    let state = "SELECT current_setting('synchronous_commit'), current_setting('work_mem') = '1MB', count(*), max(id), \
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77) FROM entry";
    let row = next.plain().query_typed_one(state, &[]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, bool>(1)), ("on", false));
    assert_eq!((row.get::<_, i64>(2), row.get::<_, i64>(3), row.get::<_, i64>(4)), (1, 2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_in_vain_is_told_why() {
    let lab = Lab::start().await;
    let admin = lab.payments.cluster.admin("orders-1").await.unwrap();
    admin.batch_execute("REVOKE steadfast_application FROM payments").await.unwrap();
    let limits = Limits { call: Duration::from_secs(10), ..limits() };
    let client = Client::start(lab.payments.config().limits(limits)).unwrap();
    let told = client.ready().await.unwrap_err().to_string();
    assert!(told.contains("the last refusal: orders-") && told.contains("grant steadfast_application"), "{told}");
}
