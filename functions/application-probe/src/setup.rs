//! Settings and clients, made once at the cold start.

use std::net::SocketAddr;
use std::time::Duration;

use steadfast_aws::functions::APPLICATION_PROBE;
use steadfast_aws::resolver::Resolver;
use steadfast_aws::settings::{SettingError, Settings, table as setting};
use steadfast_aws::state::Table;
use steadfast_aws::watched::Watched;
use steadfast_aws::{clients, secret};
use steadfast_client::{Client, Config, Credentials, Endpoint, Limits};
use steadfast_core::topology::{ClusterId, Deployment};

/// A run begins transfers for this long: two overlap, whenever the schedule comes within its minute.
const RUN_FOR: Duration = Duration::from_secs(130);
/// How long one call is held while there is no writer: longer than any experiment of the catalogue allows, so that what
/// fails is no impatience of ours. The timeout of the function leaves as much after the last transfer has begun.
const PATIENCE: Duration = Duration::from_secs(310);
/// Left of the invocation's time when all work ends.
pub(crate) const MARGIN: Duration = Duration::from_secs(5);

/// What an environment keeps between invocations.
pub(crate) struct Setup {
    pub(crate) cluster: ClusterId,
    pub(crate) table: Table,
    pub(crate) run_for: Duration,
    secrets: aws_sdk_secretsmanager::Client,
    secret: String,
    /// All but the credentials, which are read anew for each run: a password may have been rotated.
    config: Box<dyn Fn(Credentials) -> Config + Send + Sync>,
}

/// Why a run cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error(transparent)]
    Secret(#[from] secret::SecretError),
    #[error("the client cannot be made: {0}")]
    Client(String),
}

impl Setup {
    /// Reads the settings and makes the clients.
    pub(crate) async fn from_environment() -> Result<Self, SettingError> {
        let settings = Settings::of(&APPLICATION_PROBE);
        let Watched { deployment, id: cluster } = Watched::from_settings(&settings)?;
        let table = settings.text(setting::TABLE)?;
        let secret = settings.text(setting::SECRET_ARN)?;
        let endpoint = endpoint(&settings)?;
        let database = settings.text(setting::DATABASE)?;
        let ca_file = settings.file(setting::CA_FILE)?;
        let resolver = Resolver::new(settings.parsed(setting::DNS_SERVER)?)?;
        let run_for = settings.duration(setting::RUN_FOR, RUN_FOR)?;
        let tls = steadfast_client::tls(&ca_file).map_err(|error| SettingError::Unusable(error.to_string()))?;
        let config = move |credentials| {
            let (endpoint, database, tls) = (endpoint.clone(), database.clone(), tls.clone());
            let found = match deployment {
                Deployment::Cluster => Config::cluster(endpoint, database, credentials, tls),
                Deployment::Instance => Config::instances([endpoint], database, credentials, tls),
            };
            let resolver = resolver.clone();
            found
                .application(crate::FUNCTION)
                .limits(Limits { call: PATIENCE, sessions: 2, ..Limits::default() })
                .resolve(move |endpoint| {
                    let resolver = resolver.clone();
                    Box::pin(async move { addresses(&resolver, &endpoint).await })
                })
        };
        let shared = clients::shared().await;
        Ok(Self {
            cluster,
            table: Table::new(clients::dynamodb(&shared), table),
            run_for,
            secrets: clients::secretsmanager(&shared),
            secret,
            config: Box::new(config),
        })
    }

    /// A client with the credentials of now.
    pub(crate) async fn client(&self) -> Result<Client, BeginError> {
        let secret::Credentials { username: user, password } = secret::credentials(&self.secrets, &self.secret).await?;
        let config = (self.config)(Credentials { user, password });
        Client::start(config).map_err(|error| BeginError::Client(error.to_string()))
    }
}

async fn addresses(resolver: &Resolver, endpoint: &Endpoint) -> std::io::Result<Vec<SocketAddr>> {
    let found = resolver.addresses(&endpoint.host).await.map_err(std::io::Error::other)?;
    Ok(found.into_iter().map(|address| SocketAddr::new(address, endpoint.port)).collect())
}

fn endpoint(settings: &Settings<'_>) -> Result<Endpoint, SettingError> {
    let value = settings.text(setting::ENDPOINT)?;
    let parsed = value.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match parsed.filter(|(host, port)| !host.is_empty() && *port > 0) {
        Some((host, port)) => Ok(Endpoint::new(host, port)),
        None => Err(setting::ENDPOINT.malformed(value)),
    }
}

#[cfg(test)]
mod tests {
    use steadfast_core::game_day::catalogue::CATALOGUE;

    use super::*;

    #[test]
    fn nobody_is_less_patient_than_what_is_promised() {
        let allowed = CATALOGUE.iter().map(|experiment| experiment.hypothesis.outage_at_most);
        assert!(allowed.max().is_some_and(|allowed| allowed < PATIENCE));
        assert!(RUN_FOR + PATIENCE + 2 * MARGIN < APPLICATION_PROBE.limit(), "the last transfer would be cut off");
    }

    #[test]
    fn an_endpoint_has_a_host_and_a_port() {
        let read = |value: &'static str| {
            let source = move |asked: &str| (asked == "STEADFAST_ENDPOINT").then(|| value.to_owned());
            endpoint(&Settings::from_source(&source)).map_err(|error| error.to_string())
        };
        assert_eq!(read("writer.example:5432"), Ok(Endpoint::new("writer.example", 5432)));
        for value in ["writer.example", ":5432", "writer.example:", "writer.example:0", "writer.example:70000"] {
            let said = read(value).expect_err("malformed");
            assert!(said.contains("STEADFAST_ENDPOINT") && said.contains(value), "{said}");
        }
    }
}
