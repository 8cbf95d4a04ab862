//! What an installation has in its account, made in the emulator.

use std::net::SocketAddr;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials as AwsCredentials;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
};
use aws_sdk_rdsdata::config::retry::RetryConfig;
use aws_sdk_scheduler::types::{FlexibleTimeWindow, FlexibleTimeWindowMode, Target};
use serde_json::json;
use steadfast_aws::postgres::Connector;
use steadfast_aws::resolver::Resolver;
use steadfast_aws::secret::Credentials;
use steadfast_aws::state::{PARTITION_KEY, SORT_KEY, TTL};
use steadfast_core::topology::Deployment;
use steadfast_infra::bootstrap::{self, Connection, DataApi, Login};

use super::error::{AssemblyError, call};
use super::{LabConfig, events, functions, names};
use crate::postgres::Cluster;

/// ARNs and URLs of what was made.
#[derive(Clone, Debug)]
pub struct Resources {
    /// Where notices go.
    pub topic_arn: String,
    /// A queue that is subscribed to the topic, for reading what people would read.
    pub notices_url: String,
    /// Where schedules send their ticks.
    pub ticks_url: String,
    /// Where asynchronous invocations end that failed for good.
    pub failures_url: String,
    /// The id of the private hosted zone, where there is one.
    pub zone: Option<String>,
    /// Secret of the master user.
    pub master_secret_arn: String,
    /// Secret of the prober.
    pub prober_secret_arn: String,
    /// Secret of the drainer.
    pub drainer_secret_arn: String,
    /// Secret of the application probe.
    pub application_probe_secret_arn: String,
    /// Secret of the application.
    pub application_secret_arn: String,
}

/// SDK configuration for the emulator.
pub async fn emulator_config(endpoint: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(names::REGION))
        .credentials_provider(AwsCredentials::new(names::ACCOUNT, "lab", None, None, "lab"))
        .endpoint_url(endpoint)
        .load()
        .await
}

impl Resources {
    /// Makes everything, for a fresh emulator.
    pub(super) async fn create(aws: &SdkConfig, config: &LabConfig) -> Result<Self, AssemblyError> {
        create_table(&aws_sdk_dynamodb::Client::new(aws)).await?;
        events::create_rule(aws).await?;
        let sqs = aws_sdk_sqs::Client::new(aws);
        let (notices_url, notices_arn) = create_queue(&sqs, "steadfast-notices").await?;
        let (ticks_url, ticks_arn) = create_queue(&sqs, "steadfast-ticks").await?;
        let (failures_url, _) = create_queue(&sqs, "steadfast-failures").await?;
        create_schedules(&aws_sdk_scheduler::Client::new(aws), &ticks_arn, config).await?;
        let topic_arn = create_topic(&aws_sdk_sns::Client::new(aws), &notices_arn).await?;
        let secrets = aws_sdk_secretsmanager::Client::new(aws);
        Ok(Self {
            topic_arn,
            notices_url,
            ticks_url,
            failures_url,
            zone: None,
            master_secret_arn: create_secret(&secrets, "lab/master", names::MASTER).await?,
            prober_secret_arn: create_secret(&secrets, "lab/prober", names::PROBER_ROLE).await?,
            drainer_secret_arn: create_secret(&secrets, "lab/drainer", names::DRAINER_ROLE).await?,
            application_probe_secret_arn: create_secret(
                &secrets,
                "lab/application-probe",
                names::APPLICATION_PROBE_ROLE,
            )
            .await?,
            application_secret_arn: create_secret(&secrets, "lab/application", names::APPLICATION).await?,
        })
    }
}

/// Creates the master user and the database, as RDS does when it creates a cluster.
pub(super) async fn create_master(
    cluster: &Cluster,
    aws: &SdkConfig,
    resources: &Resources,
) -> Result<(), AssemblyError> {
    let master = credentials(aws, &resources.master_secret_arn).await?;
    let verifier = scram(&master);
    let admin = cluster.admin(cluster.writer()).await?;
    admin
        .batch_execute(&format!("CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD '{verifier}'", names::MASTER))
        .await?;
    // No transaction around it: CREATE DATABASE refuses one.
    admin.batch_execute(&format!("CREATE DATABASE {} OWNER {}", names::DATABASE, names::MASTER)).await?;
    // The master user of RDS may install it; here it is no superuser, so it is given.
    let given = cluster.admin_to(cluster.writer(), names::DATABASE).await?;
    given.batch_execute(&format!("CREATE EXTENSION amcheck; {}", amcheck_for(names::MASTER))).await?;
    Ok(())
}

fn amcheck_for(role: &str) -> String {
    format!("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {role}")
}

/// Runs the installation's own bootstrap: through the Data API, or over a connection where there is none.
pub(super) async fn bootstrap(
    cluster: &Cluster,
    deployment: Deployment,
    aws: &SdkConfig,
    resources: &Resources,
    data_api: SocketAddr,
    cluster_arn: &str,
) -> Result<(), AssemblyError> {
    let config = aws_sdk_rdsdata::config::Builder::from(aws)
        .endpoint_url(format!("http://{data_api}"))
        .retry_config(RetryConfig::disabled())
        .build();
    let prober = Login { credentials: credentials(aws, &resources.prober_secret_arn).await?, group: "steadfast_probe" };
    let probe = credentials(aws, &resources.application_probe_secret_arn).await?;
    let probe = Login { credentials: probe, group: "steadfast_transfer" };
    match deployment {
        Deployment::Cluster => {
            let drainer = credentials(aws, &resources.drainer_secret_arn).await?;
            let drainer = Login { credentials: drainer, group: "steadfast_drain" };
            let database = DataApi {
                client: aws_sdk_rdsdata::Client::from_conf(config),
                cluster_arn: cluster_arn.to_owned(),
                admin_secret_arn: resources.master_secret_arn.clone(),
                name: names::DATABASE.to_owned(),
            };
            Ok(bootstrap::bootstrap(&database, &[prober, drainer, probe]).await?)
        }
        Deployment::Instance => {
            let connector = Connector::new(cluster.ca_file(), Resolver::new(Some(cluster.resolver_address(0)))?)?;
            let (host, port) = (names::writer_endpoint(deployment), names::PORT);
            let master = credentials(aws, &resources.master_secret_arn).await?;
            let database = Connection::open(&connector, host, port, names::DATABASE, &master).await?;
            Ok(bootstrap::bootstrap(&database, &[prober, probe]).await?)
        }
    }
}

/// Reads a secret of the lab.
pub(crate) async fn credentials(aws: &SdkConfig, arn: &str) -> Result<Credentials, AssemblyError> {
    let client = aws_sdk_secretsmanager::Client::new(aws);
    steadfast_aws::secret::credentials(&client, arn)
        .await
        .map_err(|error| AssemblyError::Call { action: "GetSecretValue", cause: error.to_string() })
}

/// Gives the role of a secret a new password in the database, and returns it.
pub(super) async fn renew(cluster: &Cluster, aws: &SdkConfig, arn: &str) -> Result<Credentials, AssemblyError> {
    let password = uuid::Uuid::new_v4().simple().to_string();
    let renewed = Credentials { password, ..credentials(aws, arn).await? };
    let admin = cluster.admin(cluster.writer()).await?;
    admin.batch_execute(&format!("ALTER ROLE {} PASSWORD '{}'", renewed.username, scram(&renewed))).await?;
    Ok(renewed)
}

/// Writes credentials into their secret.
pub(super) async fn store(aws: &SdkConfig, arn: &str, credentials: &Credentials) -> Result<(), AssemblyError> {
    let text = secret_text(&credentials.username, &credentials.password);
    let put = aws_sdk_secretsmanager::Client::new(aws).put_secret_value().secret_id(arn).secret_string(text);
    put.send().await.map_err(call("PutSecretValue"))?;
    Ok(())
}

/// A user with a password that nobody has had.
pub(super) fn new_login(username: &str) -> Credentials {
    Credentials { username: username.to_owned(), password: uuid::Uuid::new_v4().simple().to_string() }
}

/// What PostgreSQL stores of a password.
pub(crate) fn scram(credentials: &Credentials) -> String {
    postgres_protocol::password::scram_sha_256(credentials.password.as_bytes())
}

/// The state table as it is deployed: keys and TTL.
///
/// # Errors
///
/// When the emulator refuses.
pub async fn create_table(client: &aws_sdk_dynamodb::Client) -> Result<(), AssemblyError> {
    let built = |error: aws_sdk_dynamodb::error::BuildError| AssemblyError::Call {
        action: "CreateTable",
        cause: error.to_string(),
    };
    let mut request = client.create_table().table_name(names::TABLE).billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [(PARTITION_KEY, KeyType::Hash), (SORT_KEY, KeyType::Range)] {
        let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder().attribute_name(name).key_type(kind);
        request =
            request.attribute_definitions(attribute.build().map_err(built)?).key_schema(key.build().map_err(built)?);
    }
    request.send().await.map_err(call("CreateTable"))?;
    let ttl = TimeToLiveSpecification::builder().attribute_name(TTL).enabled(true).build().map_err(built)?;
    let update = client.update_time_to_live().table_name(names::TABLE).time_to_live_specification(ttl);
    update.send().await.map_err(call("UpdateTimeToLive"))?;
    Ok(())
}

async fn create_queue(client: &aws_sdk_sqs::Client, name: &str) -> Result<(String, String), AssemblyError> {
    let created = client.create_queue().queue_name(name).send().await.map_err(call("CreateQueue"))?;
    let url = created.queue_url().unwrap_or_default().to_owned();
    Ok((url, format!("arn:aws:sqs:{}:{}:{name}", names::REGION, names::ACCOUNT)))
}

async fn create_topic(client: &aws_sdk_sns::Client, queue_arn: &str) -> Result<String, AssemblyError> {
    let created = client.create_topic().name("steadfast-notices").send().await.map_err(call("CreateTopic"))?;
    let arn = created.topic_arn().unwrap_or_default().to_owned();
    let subscribe = client.subscribe().topic_arn(&arn).protocol("sqs").endpoint(queue_arn);
    subscribe.send().await.map_err(call("Subscribe"))?;
    Ok(arn)
}

async fn create_secret(
    client: &aws_sdk_secretsmanager::Client,
    name: &str,
    username: &str,
) -> Result<String, AssemblyError> {
    let password = uuid::Uuid::new_v4().simple().to_string();
    let text = secret_text(username, &password);
    let created = client.create_secret().name(name).secret_string(text).send().await.map_err(call("CreateSecret"))?;
    Ok(created.arn().unwrap_or_default().to_owned())
}

/// A database secret as Secrets Manager's own rotation writes it.
fn secret_text(username: &str, password: &str) -> String {
    json!({ "engine": "postgres", "username": username, "password": password, "dbname": names::DATABASE,
        "host": names::cluster_endpoint(), "port": names::PORT })
    .to_string()
}

/// One schedule per scheduled function. The emulator's scheduler reaches no function of ours, so
/// each tick goes through a queue and is handed on.
async fn create_schedules(
    client: &aws_sdk_scheduler::Client,
    queue_arn: &str,
    config: &LabConfig,
) -> Result<(), AssemblyError> {
    let built = |error: aws_sdk_scheduler::error::BuildError| AssemblyError::Call {
        action: "CreateSchedule",
        cause: error.to_string(),
    };
    for tick in functions::scheduled(config.deployment, config.application_probe)? {
        let function = tick.function;
        let payload: serde_json::Value = serde_json::from_str(&tick.payload).unwrap_or_default();
        let input = json!({ "function": function, "payload": payload }).to_string();
        let target = Target::builder()
            .arn(queue_arn)
            .role_arn(format!("arn:aws:iam::{}:role/steadfast-scheduler", names::ACCOUNT))
            .input(input);
        let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off);
        client
            .create_schedule()
            .name(format!("{function}-every-minute"))
            .schedule_expression(tick.expression)
            .flexible_time_window(window.build().map_err(built)?)
            .target(target.build().map_err(built)?)
            .send()
            .await
            .map_err(call("CreateSchedule"))?;
    }
    Ok(())
}
