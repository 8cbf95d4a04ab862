//! The functions as they are deployed: settings, time limits, retries.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use steadfast_core::topology::Deployment;

use super::{LabConfig, Resources, names};
use crate::lambda::{FailureDestination, FunctionSpec, Settings};
use crate::postgres::Cluster;

/// Where the functions find AWS, in the variables of the AWS SDK.
pub(super) struct Endpoints {
    pub(super) emulator: String,
    pub(super) rds: SocketAddr,
    pub(super) data: SocketAddr,
    pub(super) cluster_arn: String,
    pub(super) state_table: String,
    pub(super) notifier: String,
    pub(super) invocations: String,
    pub(super) names: String,
}

/// Account and Region; all waiting times as AWS documents them.
pub(super) fn settings() -> Settings {
    Settings { account: names::ACCOUNT.to_owned(), region: names::REGION.to_owned(), ..Settings::default() }
}

/// What a schedule sends.
pub(super) fn tick() -> Value {
    json!({ "hint": "tick", "cluster": names::CLUSTER })
}

/// Functions with a one-minute schedule: every prober, and the coordinator's sweep.
pub(super) fn scheduled() -> Vec<String> {
    names::AZS.iter().map(|az| names::prober(az)).chain([names::COORDINATOR.to_owned()]).collect()
}

/// All functions of the installation.
pub(super) fn specs(
    config: &LabConfig,
    cluster: &Cluster,
    resources: &Resources,
    endpoints: &Endpoints,
    failures: &FailureDestination,
) -> Vec<FunctionSpec> {
    let base = environment(config.deployment, endpoints);
    let on_failure = Some(failures.clone());
    let function = |name: &str, package: &str, timeout: u64, variables: &[(&str, String)]| {
        let mut environment = base.clone();
        environment.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        FunctionSpec {
            environment,
            timeout: Duration::from_secs(timeout),
            on_failure: on_failure.clone(),
            ..FunctionSpec::new(name, config.functions.join(package).join("bootstrap"))
        }
    };
    let mut coordinator = vec![("STEADFAST_TOPIC_ARN", resources.topic_arn.clone())];
    if config.deployment == Deployment::Cluster {
        coordinator.push(("STEADFAST_DRAINER", names::DRAINER.to_owned()));
    }
    if let Some(zone) = &resources.zone {
        coordinator.push(("STEADFAST_PIN_NAME", names::PIN.to_owned()));
        coordinator.push(("STEADFAST_PIN_ZONE", zone.clone()));
    }
    if config.native.is_none() {
        // Nobody else would act.
        coordinator.push(("STEADFAST_PLATFORM_GRACE", "0s".to_owned()));
    }
    coordinator.extend(config.coordinator.iter().map(|(name, value)| (*name, value.clone())));
    let router = [
        ("STEADFAST_TOPIC_ARN", resources.topic_arn.clone()),
        ("STEADFAST_COORDINATOR", names::COORDINATOR.to_owned()),
    ];
    let mut specs = vec![
        function(names::COORDINATOR, names::COORDINATOR, 300, &coordinator),
        function(names::ROUTER, names::ROUTER, 30, &router),
    ];
    if config.deployment == Deployment::Cluster {
        let mut drainer = database(cluster, 0, &resources.drainer_secret_arn);
        drainer.push(("STEADFAST_READ_WRITE_ROLES", names::APPLICATION.to_owned()));
        drainer.push(("STEADFAST_TOPIC_ARN", resources.topic_arn.clone()));
        drainer.push(("STEADFAST_CLUSTER_ARN", endpoints.cluster_arn.clone()));
        drainer.push(("AWS_ENDPOINT_URL_RDS_DATA", format!("http://{}", endpoints.data)));
        specs.push(function(names::DRAINER, names::DRAINER, 120, &drainer));
    }
    let mut rotator = network(cluster, 0);
    rotator.push(("STEADFAST_ADMIN_SECRET_ARN", resources.master_secret_arn.clone()));
    rotator.push(("STEADFAST_TOPIC_ARN", resources.topic_arn.clone()));
    rotator.extend(config.rotator.iter().map(|(name, value)| (*name, value.clone())));
    specs.push(function(names::ROTATOR, names::ROTATOR, 60, &rotator));
    let mut verifier = network(cluster, 0);
    verifier.push(("STEADFAST_TOPIC_ARN", resources.topic_arn.clone()));
    verifier.push(("STEADFAST_VERIFY_SUBNET_GROUP", "verification".to_owned()));
    verifier.push(("STEADFAST_VERIFY_SECURITY_GROUPS", names::ISOLATED_GROUP.to_owned()));
    specs.push(function(names::VERIFIER, names::VERIFIER, 300, &verifier));
    for (view, az) in (1..).zip(names::AZS) {
        let mut prober = database(cluster, view, &resources.prober_secret_arn);
        prober.push(("STEADFAST_AZ", az.to_owned()));
        prober.push(("STEADFAST_COORDINATOR", names::COORDINATOR.to_owned()));
        if config.deployment == Deployment::Instance {
            prober.push(("STEADFAST_SUBNETS", subnets(cluster, view)));
        }
        // A prober is called again within the minute: a retry minutes later would only disturb.
        let spec = function(&names::prober(az), names::PROBER, 150, &prober);
        specs.push(FunctionSpec { retries: 0, max_event_age: Duration::from_secs(60), ..spec });
    }
    specs
}

/// The zones of the hosts by the addresses that a view has for them.
fn subnets(cluster: &Cluster, view: u8) -> String {
    let hosts = names::HOSTS.iter().zip(names::AZS);
    let subnets =
        hosts.filter_map(|(host, az)| Some(format!("{az}={}/32", cluster.proxy_address(view, host).ok()?.ip())));
    subnets.collect::<Vec<_>>().join(",")
}

fn environment(deployment: Deployment, endpoints: &Endpoints) -> BTreeMap<String, String> {
    let watched = match deployment {
        Deployment::Cluster => "STEADFAST_CLUSTER",
        Deployment::Instance => "STEADFAST_INSTANCE",
    };
    [
        ("AWS_ENDPOINT_URL", endpoints.emulator.clone()),
        ("AWS_ENDPOINT_URL_RDS", format!("http://{}", endpoints.rds)),
        ("AWS_ENDPOINT_URL_DYNAMODB", endpoints.state_table.clone()),
        ("AWS_ENDPOINT_URL_SNS", endpoints.notifier.clone()),
        ("AWS_ENDPOINT_URL_LAMBDA", endpoints.invocations.clone()),
        ("AWS_ENDPOINT_URL_ROUTE_53", endpoints.names.clone()),
        (watched, names::CLUSTER.to_owned()),
        ("STEADFAST_TABLE", names::TABLE.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Settings of a function in the VPC with a login of its own.
fn database(cluster: &Cluster, view: u8, secret: &str) -> Vec<(&'static str, String)> {
    let mut settings = network(cluster, view);
    settings.push(("STEADFAST_SECRET_ARN", secret.to_owned()));
    settings
}

/// Settings of a function in the VPC: it sees the network of its view.
fn network(cluster: &Cluster, view: u8) -> Vec<(&'static str, String)> {
    vec![
        ("STEADFAST_DATABASE", names::DATABASE.to_owned()),
        ("STEADFAST_CA_FILE", cluster.ca_file().display().to_string()),
        ("STEADFAST_DNS_SERVER", cluster.resolver_address(view).to_string()),
    ]
}
