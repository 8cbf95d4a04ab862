//! The stable name: by DNS to the proved writer, and never in anybody's way.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

mod support;

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;
use steadfast_aws::resolver::Resolver;
use steadfast_aws::secret::Credentials;
use steadfast_core::mode::Mode;
use steadfast_lab::assembly::{Lab, names};
use steadfast_lab::services::{Service, Trouble};
use steadfast_lab::workload;
use tokio::time::{Instant, sleep};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Two sweeps, and all that a loaded machine adds.
const LIMIT: Duration = Duration::from_secs(240);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Where an application looks from.
const VIEW: u8 = 0;

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < LIMIT, "never: {what}");
        sleep(LOOK_EVERY).await;
    }
}

/// Where the name leads, by the DNS of the application.
async fn resolved(lab: &Lab) -> Option<IpAddr> {
    let resolver = Resolver::new(Some(lab.cluster.resolver_address(VIEW))).expect("a resolver");
    resolver.addresses(names::PIN).await.ok().and_then(|found| found.first().copied())
}

async fn leads_to(lab: &Lab, instance: &str) {
    let address = lab.cluster.proxy_address(VIEW, instance).expect("known").ip();
    until(&format!("{} leads to {instance}", names::PIN), async || resolved(lab).await == Some(address)).await;
}

/// Writes as an application whose connection string holds the name. The server's certificate holds the name of the
/// instance endpoint, as on RDS, and that is what is verified.
async fn writes_by_name(lab: &Lab, credentials: &Credentials, instance: &str) {
    let tls = steadfast_aws::postgres::tls_config(lab.cluster.ca_file()).expect("the certificate authority");
    let mut config = tokio_postgres::Config::new();
    config
        .host(names::instance_endpoint(instance))
        .hostaddr(resolved(lab).await.expect("an address"))
        .port(names::PORT)
        .user(&credentials.username)
        .password(&credentials.password)
        .dbname(names::DATABASE)
        .ssl_mode(SslMode::Require);
    let (client, connection) = config.connect(MakeRustlsConnect::new(tls)).await.expect("connected");
    let connection = tokio::spawn(connection);
    let insert = "INSERT INTO bank.transfers (key, source, target, amount) VALUES ('by name', 1, 2, 3)";
    assert_eq!(client.execute(insert, &[]).await.expect("written"), 1);
    drop(client);
    connection.await.expect("ended").expect("politely");
}

/// The writer's PostgreSQL dies, and another instance is proved to write.
async fn fail_over(lab: &Lab) -> String {
    let old = lab.cluster.writer().to_owned();
    let epoch = lab.state().await.expect("state").episode.map_or(0, |episode| episode.epoch);
    lab.cluster.kill_postgres(&old).await.expect("killed");
    let mut proved = None;
    until("another instance is proved to write", async || {
        let episode = lab.state().await.expect("state").episode.filter(|episode| episode.epoch > epoch);
        proved = episode.and_then(|episode| episode.closed).map(|closed| closed.writer.to_string());
        proved.is_some()
    })
    .await;
    let proved = proved.expect("closed");
    assert_ne!(proved, old);
    proved
}

/// Waits for a notice with this subject, and returns its text.
async fn notice(lab: &Lab, subject: &str) -> String {
    let sqs = aws_sdk_sqs::Client::new(&lab.aws);
    let mut text = None;
    until(subject, async || {
        let poll = sqs.receive_message().queue_url(&lab.resources.notices_url).wait_time_seconds(1);
        let answer = poll.max_number_of_messages(10).send().await.expect("the queue answers");
        let notices = answer.messages().iter().map(|message| message.body().unwrap_or_default());
        let mut notices = notices.map(|body| serde_json::from_str::<Value>(body).unwrap_or_default());
        let found = notices.find(|notice| notice["Subject"].as_str().is_some_and(|said| said.contains(subject)));
        text = found.and_then(|notice| notice["Message"].as_str().map(str::to_owned));
        text.is_some()
    })
    .await;
    text.expect("found")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pinned_name_follows_the_writer_and_a_route_53_that_fails_holds_nothing_up() {
    let _alone = support::alone().await;
    let mut config = support::config("pin");
    config.pin = true;
    // A machine whose disk stands still for seconds would move the role while the name is looked at.
    config.coordinator.insert("STEADFAST_STALLED_AFTER", "60s".to_owned());
    let lab = Lab::start(&config).await.expect("the lab starts");
    workload::create(&lab).await.expect("the bank");
    let secrets = aws_sdk_secretsmanager::Client::new(&lab.aws);
    let application = steadfast_aws::secret::credentials(&secrets, &lab.resources.application_secret_arn).await;
    let application = application.expect("a secret");

    leads_to(&lab, names::INSTANCES[0]).await;
    writes_by_name(&lab, &application, names::INSTANCES[0]).await;

    let second = fail_over(&lab).await;
    leads_to(&lab, &second).await;
    writes_by_name(&lab, &application, &second).await;
    let settled = lab.state().await.expect("state").pin.expect("written down");
    assert_eq!(settled.aim.endpoint, names::instance_endpoint(&second));

    lab.until_healthy().await.expect("the old writer is back");
    lab.services.set(Service::Names, Trouble::Silence, Some("ChangeResourceRecordSets"));
    let third = fail_over(&lab).await;
    let told = notice(&lab, &format!("the name {} may not lead to the writer {third}", names::PIN)).await;
    assert!(told.contains("no answer") && told.contains(&names::instance_endpoint(&third)), "{told}");
    let second_address = lab.cluster.proxy_address(VIEW, &second).expect("known").ip();
    assert_eq!(resolved(&lab).await, Some(second_address), "nothing was set");

    lab.services.clear_all();
    leads_to(&lab, &third).await;
    writes_by_name(&lab, &application, &third).await;
    notice(&lab, &format!("the name {} leads to the writer {third} again", names::PIN)).await;
    lab.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_shadow_mode_no_name_is_set() {
    let _alone = support::alone().await;
    let mut config = support::config("pin-shadow");
    (config.pin, config.mode) = (true, Mode::Shadow);
    let lab = Lab::start(&config).await.expect("the lab starts");
    let tick = serde_json::json!({ "hint": "tick", "cluster": names::CLUSTER });
    let looked = lab.invoke(names::COORDINATOR, &tick).await.expect("answered");
    assert_eq!(looked["rule"], 310, "{looked}");
    assert_eq!(lab.state().await.expect("state").pin, None);
    assert_eq!(resolved(&lab).await, None);
    lab.set_mode(Mode::Armed, "test").await.expect("armed");
    lab.invoke(names::COORDINATOR, &tick).await.expect("answered");
    leads_to(&lab, names::INSTANCES[0]).await;
    lab.shutdown().await;
}
