//! The functions as they are deployed, with the lab's values in their settings.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use steadfast_core::topology::Deployment;

use super::deployed::{self, Deployed};
use super::error::AssemblyError;
use super::{LabConfig, Resources, experiments, names};
use crate::lambda::{FailureDestination, FunctionSpec, Settings};
use crate::postgres::Cluster;

/// The condition under which the application probe is at work.
const APPLICATION_PROBE: &str = "application_probe";

/// Where the functions find AWS, in the variables of the AWS SDK.
pub(super) struct Endpoints {
    pub(super) emulator: String,
    pub(super) rds: SocketAddr,
    pub(super) data: SocketAddr,
    pub(super) fis: SocketAddr,
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

/// One tick of a schedule: whom it wakes, and with what.
pub(super) struct Tick {
    pub(super) function: String,
    pub(super) expression: String,
    pub(super) payload: String,
}

/// Everything that is scheduled: every prober, the coordinator's sweep, and the application probe where it is at work.
/// Those of rotations and verifications are ticked by their own drills, step by step.
pub(super) fn scheduled(deployment: Deployment, application_probe: bool) -> Result<Vec<Tick>, AssemblyError> {
    let mut ticks = Vec::new();
    let wanted = |when: Option<&str>| when.is_none() || (when == Some(APPLICATION_PROBE) && application_probe);
    let functions = deployed::functions(deployment)?.into_iter();
    for (kind, function) in functions.filter(|(_, function)| wanted(function.when.as_deref())) {
        if let (Some(expression), Some(input)) = (&function.schedule_expression, &function.schedule_input) {
            let payload = deployed::filled(input, names::CLUSTER);
            let tick = |(function, _, _)| Tick { function, expression: expression.clone(), payload: payload.clone() };
            ticks.extend(instances(&kind, &function).into_iter().map(tick));
        }
    }
    Ok(ticks)
}

/// All functions of the installation.
pub(super) fn specs(
    config: &LabConfig,
    cluster: &Cluster,
    resources: &Resources,
    endpoints: &Endpoints,
    failures: &FailureDestination,
) -> Result<Vec<FunctionSpec>, AssemblyError> {
    let mut specs = Vec::new();
    for (kind, function) in deployed::functions(config.deployment)? {
        for (name, view, az) in instances(&kind, &function) {
            let mut known = shared_values(config, resources, endpoints);
            known.extend(values_of_view(cluster, view, az));
            if kind == names::COORDINATOR {
                known.extend(config.coordinator.iter().map(|(name, value)| (*name, value.clone())));
            }
            if kind == names::ROTATOR {
                known.extend(config.rotator.iter().map(|(name, value)| (*name, value.clone())));
            }
            if let Some(login) = &function.login {
                known.insert("STEADFAST_SECRET_ARN", secret_of(resources, login));
            }
            let mut environment = endpoints.environment();
            environment.extend(settings_of(&kind, &function, config, resources, &known)?);
            specs.push(FunctionSpec {
                environment,
                timeout: Duration::from_secs(function.timeout),
                memory_mb: function.memory_size,
                reserved_concurrency: Some(function.reserved_concurrency),
                retries: function.maximum_retry_attempts,
                max_event_age: Duration::from_secs(function.maximum_event_age_in_seconds),
                on_failure: Some(failures.clone()),
                ..FunctionSpec::new(name, config.functions.join(&kind).join("bootstrap"))
            });
        }
    }
    Ok(specs)
}

/// Name, view of the network, and zone of each function of a kind: one, or one for each zone.
fn instances(kind: &str, function: &Deployed) -> Vec<(String, u8, Option<&'static str>)> {
    if function.per_zone {
        (1..).zip(names::AZS).map(|(view, az)| (format!("{kind}-{az}"), view, Some(az))).collect()
    } else {
        vec![(kind.to_owned(), 0, None)]
    }
}

/// The settings that the function declares, as far as they hold here and the lab has a value.
fn settings_of(
    kind: &str,
    function: &Deployed,
    config: &LabConfig,
    resources: &Resources,
    known: &BTreeMap<&'static str, String>,
) -> Result<BTreeMap<String, String>, AssemblyError> {
    let mut settings = BTreeMap::new();
    for declared in function.settings.iter().filter(|declared| holds(declared.when.as_deref(), config, resources)) {
        match known.get(declared.name.as_str()) {
            Some(value) => drop(settings.insert(declared.name.clone(), value.clone())),
            None if declared.required => {
                return Err(AssemblyError::Unfilled { function: kind.to_owned(), setting: declared.name.clone() });
            }
            None => {}
        }
    }
    Ok(settings)
}

/// Whether a condition of the files holds in this lab. The Data API serves every cluster here.
fn holds(condition: Option<&str>, config: &LabConfig, resources: &Resources) -> bool {
    match condition {
        None => true,
        Some("cluster" | "data_api" | "serverless") => config.deployment == Deployment::Cluster,
        Some("instance") => config.deployment == Deployment::Instance,
        Some("pin") => resources.zone.is_some(),
        Some(APPLICATION_PROBE) => config.application_probe,
        Some(_) => false,
    }
}

/// Values that are the same for every function.
fn shared_values(config: &LabConfig, resources: &Resources, endpoints: &Endpoints) -> BTreeMap<&'static str, String> {
    let mut known = BTreeMap::from([
        ("STEADFAST_CLUSTER", names::CLUSTER.to_owned()),
        ("STEADFAST_INSTANCE", names::CLUSTER.to_owned()),
        ("STEADFAST_CLUSTER_ARN", endpoints.cluster_arn.clone()),
        ("STEADFAST_TABLE", names::TABLE.to_owned()),
        ("STEADFAST_TOPIC_ARN", resources.topic_arn.clone()),
        ("STEADFAST_COORDINATOR", names::COORDINATOR.to_owned()),
        ("STEADFAST_DRAINER", names::DRAINER.to_owned()),
        ("STEADFAST_DATABASE", names::DATABASE.to_owned()),
        ("STEADFAST_ENDPOINT", format!("{}:{}", names::writer_endpoint(config.deployment), names::PORT)),
        ("STEADFAST_APPLICATION_PROBE", names::APPLICATION_PROBE.to_owned()),
        ("STEADFAST_READ_WRITE_ROLES", format!("{},{}", names::APPLICATION, names::APPLICATION_PROBE_ROLE)),
        ("STEADFAST_ADMIN_SECRET_ARN", resources.master_secret_arn.clone()),
        ("STEADFAST_TEMPLATES", experiments::named(config.deployment)),
        ("STEADFAST_WATCH_FOR", format!("{}s", experiments::WATCH.as_secs())),
        ("STEADFAST_VERIFY_SUBNET_GROUP", "verification".to_owned()),
        ("STEADFAST_VERIFY_SECURITY_GROUPS", names::ISOLATED_GROUP.to_owned()),
    ]);
    if let Some(zone) = &resources.zone {
        known.insert("STEADFAST_PIN_NAME", names::PIN.to_owned());
        known.insert("STEADFAST_PIN_ZONE", zone.clone());
    }
    if config.native.is_none() {
        // Nobody else would act.
        known.insert("STEADFAST_PLATFORM_GRACE", "0s".to_owned());
    }
    known
}

/// Values of a function in the VPC: it sees the network of its view.
fn values_of_view(cluster: &Cluster, view: u8, az: Option<&str>) -> BTreeMap<&'static str, String> {
    let mut known = BTreeMap::from([
        ("STEADFAST_CA_FILE", cluster.ca_file().display().to_string()),
        ("STEADFAST_DNS_SERVER", cluster.resolver_address(view).to_string()),
        ("STEADFAST_SUBNETS", subnets(cluster, view)),
    ]);
    if let Some(az) = az {
        known.insert("STEADFAST_AZ", az.to_owned());
    }
    known
}

fn secret_of(resources: &Resources, login: &str) -> String {
    match login {
        "drainer" => resources.drainer_secret_arn.clone(),
        "application_probe" => resources.application_probe_secret_arn.clone(),
        _ => resources.prober_secret_arn.clone(),
    }
}

/// The zones of the hosts by the addresses that a view has for them.
fn subnets(cluster: &Cluster, view: u8) -> String {
    let hosts = names::HOSTS.iter().zip(names::AZS);
    let subnets =
        hosts.filter_map(|(host, az)| Some(format!("{az}={}/32", cluster.proxy_address(view, host).ok()?.ip())));
    subnets.collect::<Vec<_>>().join(",")
}

impl Endpoints {
    /// They as the AWS SDK reads them.
    fn environment(&self) -> BTreeMap<String, String> {
        [
            ("AWS_ENDPOINT_URL", self.emulator.clone()),
            ("AWS_ENDPOINT_URL_RDS", format!("http://{}", self.rds)),
            ("AWS_ENDPOINT_URL_RDS_DATA", format!("http://{}", self.data)),
            ("AWS_ENDPOINT_URL_FIS", format!("http://{}", self.fis)),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.state_table.clone()),
            ("AWS_ENDPOINT_URL_SNS", self.notifier.clone()),
            ("AWS_ENDPOINT_URL_LAMBDA", self.invocations.clone()),
            ("AWS_ENDPOINT_URL_ROUTE_53", self.names.clone()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}
