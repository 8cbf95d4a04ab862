//! Rotations on real PostgreSQL, with the four calls of Secrets Manager made as it makes them.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use steadfast_aws::postgres::{ConnectError, ConnectLimits, Connector, Session, Target};
use steadfast_aws::resolver::Resolver;
use steadfast_aws::secret::Credentials;
use steadfast_core::evidence::{self, Kind};
use steadfast_core::lease::Lease;
use steadfast_core::rotation::{Document, Effect, Phase, Rotation, Step};
use steadfast_core::topology::{ClusterId, Owner};
use steadfast_lab::assembly::{AssemblyError, Lab, LabConfig, names};
use steadfast_lab::drill::{Progress, RotationPlan, drill_rotation};
use steadfast_lab::secrets::SecretsManager;
use steadfast_lab::workload;
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(60);
const LIMITS: ConnectLimits = ConnectLimits { tcp: Duration::from_secs(5), total: Duration::from_secs(10) };

struct Quiet;

impl Progress for Quiet {
    fn say(&self, line: &str) {
        tracing::info!(line);
    }
}

/// A session on the writer with what a secret holds.
async fn log_in(lab: &Lab, document: &Document) -> Result<Session, ConnectError> {
    let resolver = Resolver::new(Some(lab.cluster.resolver_address(0))).expect("a resolver");
    let connector = Connector::new(lab.cluster.ca_file(), resolver).expect("an authority");
    let host = names::instance_endpoint(lab.cluster.writer());
    let target = Target { host, port: names::PORT, database: names::DATABASE.to_owned(), application: "a test" };
    let credentials =
        Credentials { username: document.username().to_owned(), password: document.password().to_owned() };
    connector.connect(&target, &credentials, LIMITS).await
}

async fn text(session: &Session, sql: &str) -> String {
    session.client.query_one(sql, &[]).await.expect(sql).get(0)
}

/// What a function said, as it said it: its answer is JSON.
fn said(error: &AssemblyError) -> String {
    error.to_string().replace("\\\"", "\"")
}

async fn started(name: &str) -> Lab {
    let rotator =
        BTreeMap::from([("STEADFAST_ABANDON_AFTER", "1s".to_owned()), ("STEADFAST_DRAIN_AFTER", "0s".to_owned())]);
    let lab = Lab::start(&LabConfig { rotator, ..support::config(name) }).await.expect("the lab starts");
    workload::create(&lab).await.expect("the bank is made");
    lab
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_rotate_under_load_and_through_a_failover_and_nobody_is_refused() {
    let _alone = support::alone().await;
    let config = support::config("rotation-drill");
    let plan = RotationPlan { rotations: 9, output: config.logs.join("drill") };
    let result = drill_rotation(&config, &plan, &Quiet).await.expect("the drill is carried out");
    assert_eq!(result.failures, Vec::<String>::new(), "{result:#?}");
    assert!(result.failovers_during >= 2 && result.functions_killed >= 2, "{result:#?}");
    assert_eq!(result.rotations_of.keys().collect::<Vec<_>>(), ["application", "drainer", "prober"]);
    assert!(result.secrets_looked_for > 9 && result.bytes_searched > 100_000, "{result:#?}");
    assert!(result.audit.acknowledged > 100, "the load was real: {:?}", result.audit);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_user_stands_in_for_the_first_and_what_nobody_ends_is_rolled_back() {
    let _alone = support::alone().await;
    let lab = started("rotation-second-user").await;
    let secret = lab.resources.application_secret_arn.clone();
    let manager = SecretsManager::new(&lab);
    manager.enable(&secret).await.expect("enables");
    let admin = lab.cluster.admin_to(lab.cluster.writer(), names::DATABASE).await.expect("answers");
    let settings = "ALTER ROLE bank_app SET statement_timeout = '77s'; ALTER ROLE bank_app CONNECTION LIMIT 40;
        ALTER ROLE bank_app IN DATABASE bank SET search_path = bank, \"a, b\"";
    admin.batch_execute(settings).await.expect("settings");

    let ordered = manager.order(&secret).await.expect("orders");
    manager.attempt(&ordered).await.expect("rotates");
    let versions = manager.versions(&secret).await.expect("described");
    assert_eq!(versions.current.as_deref(), Some(ordered.token.as_str()));
    let current = manager.held(&secret, &ordered.token).await.expect("read").expect("held");
    assert_eq!(current.username(), "bank_app_clone");
    let session = log_in(&lab, &current).await.expect("the second user logs in");
    assert_eq!(text(&session, "SELECT current_user::text || ' ' || session_user").await, "bank_app bank_app_clone");
    assert_eq!(text(&session, "SHOW statement_timeout").await, "77s");
    assert_eq!(text(&session, "SHOW search_path").await, "bank, \"a, b\"");
    session.client.batch_execute("CREATE TABLE bank.made_by_second (id int)").await.expect("creates");
    let owner = "SELECT tableowner::text FROM pg_tables WHERE tablename = 'made_by_second'";
    assert_eq!(text(&session, owner).await, "bank_app");

    // The next one is set and never finished.
    let abandoned = manager.order(&secret).await.expect("orders");
    for step in [Step::Create, Step::Set] {
        manager.step(&abandoned, step).await.expect("goes on");
    }
    let pending = manager.held(&secret, &abandoned.token).await.expect("read").expect("held");
    drop(log_in(&lab, &pending).await.expect("the pending password is taken"));
    let began = Instant::now();
    loop {
        lab.invoke(names::ROTATOR, &json!({ "hint": "tick" })).await.expect("sweeps");
        let rows = lab.state().await.expect("state").rotations;
        if rows.iter().any(|row| row.phase == Phase::RolledBack) {
            break;
        }
        assert!(began.elapsed() < LIMIT, "it is not rolled back: {rows:?}");
        sleep(Duration::from_millis(200)).await;
    }
    assert!(log_in(&lab, &pending).await.is_err(), "the pending password is refused");
    assert_eq!(manager.versions(&secret).await.expect("described").stuck(), None);
    drop(log_in(&lab, &current).await.expect("the current secret works"));
    let late = manager.step(&abandoned, Step::Set).await.expect_err("given up").to_string();
    assert!(late.contains("is not AWSPENDING; no version is"), "{late}");

    // The previous secret has its password back, and the next rotation goes as ever.
    let next = manager.order(&secret).await.expect("orders");
    manager.attempt(&next).await.expect("rotates");
    let current = manager.held(&secret, &next.token).await.expect("read").expect("held");
    assert_eq!(current.username(), "bank_app");
    drop(log_in(&lab, &current).await.expect("the first user logs in"));

    // Whatever was done stands in the evidence, which nobody has changed.
    let row = lab.state().await.expect("state").rotations.into_iter().find(|row| row.secret == secret).expect("a row");
    let of = Rotation::evidence_of(&ClusterId::new(names::CLUSTER));
    let chain = lab.table.evidence(&of, row.began_at.as_millis()).await.expect("read");
    assert_eq!(evidence::verify(&chain).as_ref(), Ok(&row.evidence));
    let intended: Vec<_> = chain.iter().filter(|entry| entry.kind == Kind::Intended).collect();
    for effect in [Effect::SetPassword, Effect::MoveCurrent] {
        assert!(intended.iter().any(|entry| entry.data["action"] == json!(effect)), "{effect:?}: {intended:?}");
    }
    lab.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_is_named_with_its_remedy_and_no_secret() {
    let _alone = support::alone().await;
    let lab = started("rotation-refused").await;
    let secret = lab.resources.application_secret_arn.clone();
    let manager = SecretsManager::new(&lab);
    manager.enable(&secret).await.expect("enables");
    let host = names::cluster_endpoint();
    let good = json!({ "engine": "postgres", "host": host, "username": "bank_app", "password": "hunter2" });
    let with = |field: &str, value: serde_json::Value| {
        let mut changed = good.clone();
        changed[field] = value;
        changed.to_string()
    };
    for (text, says) in [
        ("hunter2".to_owned(), "it is no JSON object"),
        (json!({ "username": "bank_app" }).to_string(), "it has no field \"password\""),
        (with("host", json!("other.example")), "it names the host \"other.example\", and this function rotates"),
        (with("username", json!("nobody_here")), "role \"nobody_here\" does not exist in the database"),
        (with("username", json!("lab")), "role \"lab\" has SUPERUSER"),
        (with("engine", json!("mysql")), "its field \"engine\" is neither"),
    ] {
        manager.store(&secret, &text).await.expect("stores");
        let ordered = manager.order(&secret).await.expect("orders");
        let (_, error) = manager.attempt(&ordered).await.expect_err(says);
        let error = said(&error);
        assert!(error.contains(says) && error.contains(&secret), "{says}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
        manager.unlabel(&secret, &ordered.token).await.expect("gives up");
    }
    manager.store(&secret, &good.to_string()).await.expect("stores");

    // Nobody changes a password while the writer role may move.
    let now = steadfast_aws::clock::now();
    let seen = lab.state().await.expect("state").lease;
    let epoch = seen.as_ref().map_or(1, |lease| lease.epoch + 1);
    let lease = Lease { owner: Owner::new("somebody"), epoch, expires_at: now.plus(LIMIT) };
    lab.table.write_lease(&lab.cluster_id(), seen.as_ref(), &lease).await.expect("takes the lease");
    let ordered = manager.order(&secret).await.expect("orders");
    let (step, error) = manager.attempt(&ordered).await.expect_err("leased");
    assert_eq!(step, Step::Set);
    assert!(error.to_string().contains("a coordinator holds the lease of the cluster"), "{error}");
    lab.table.write_lease(&lab.cluster_id(), Some(&lease), &lease.released()).await.expect("gives it back");

    // Who may not change passwords says so, with the server's words.
    let admin = lab.cluster.admin(lab.cluster.writer()).await.expect("answers");
    admin.batch_execute("ALTER ROLE bank_master NOCREATEROLE").await.expect("changes");
    let (_, error) = manager.attempt(&ordered).await.expect_err("no privilege");
    let error = said(&error);
    assert!(error.contains("the administrator may not change role \"bank_app_clone\" on orders-1"), "{error}");
    admin.batch_execute("ALTER ROLE bank_master CREATEROLE").await.expect("changes");
    manager.attempt(&ordered).await.expect("rotates");

    let own = manager.order(&lab.resources.master_secret_arn).await.expect("orders");
    let error = manager.step(&own, Step::Create).await.expect_err("its own").to_string();
    assert!(error.contains("is the administrator's"), "{error}");
    lab.shutdown().await;
}
