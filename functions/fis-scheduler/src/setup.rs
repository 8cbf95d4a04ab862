//! Settings and clients, made once at the cold start.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_aws::clients;
use steadfast_aws::control_plane::Rds;
use steadfast_aws::data_api::DataApi;
use steadfast_aws::game_day::World;
use steadfast_aws::notifier::Topic;
use steadfast_aws::settings::{SettingError, Settings};
use steadfast_aws::state::Table;
use steadfast_aws::watched::Watched;
use steadfast_core::game_day::conduct::Programme;
use steadfast_core::game_day::preflight::{Calendar, Demands, Freeze};
use steadfast_core::policy::Policy;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::Deployment;

/// Left of the invocation's time when following stops: the next sweep goes on.
pub(crate) const MARGIN: Duration = Duration::from_secs(10);
/// The daily verification of a backup may fail once.
const BACKUP_AGE_MAX: Duration = Duration::from_secs(48 * 3_600);
const WINDOW: &str = "hours of the day in UTC, such as 9-16";
const FREEZES: &str = "stretches of time such as 2026-12-15T00:00:00Z/2027-01-05T00:00:00Z, with commas";
const DAYS: &str = "days of the week, 1 for Monday to 7 for Sunday, with commas";

/// What an environment keeps between invocations.
pub(crate) struct Setup {
    pub(crate) world: World,
    pub(crate) programme: Programme,
}

impl Setup {
    /// Reads the settings and makes the clients.
    pub(crate) async fn from_environment() -> Result<Self, SettingError> {
        let settings = Settings::from_environment();
        let Watched { deployment, id: cluster } = Watched::from_settings(&settings)?;
        let table = settings.text("STEADFAST_TABLE", "the name of the state table")?;
        let topic = settings.text("STEADFAST_TOPIC_ARN", "the ARN of the notification topic")?;
        let templates = templates(&settings)?;
        let demands = demands(&settings, deployment)?;
        let allowed = optional_list(&settings, "STEADFAST_EXPERIMENTS", "names of experiments, with commas")?;
        let watch = watch(&settings)?;
        let database = database(&settings)?;
        let config = clients::shared().await;
        let world = World {
            cluster: cluster.clone(),
            table: Table::new(clients::dynamodb(&config), table),
            rds: Rds::new(clients::rds(&config), deployment),
            rds_api: clients::rds(&config),
            fis: clients::fis(&config),
            database: database.map(|[arn, secret, name]| DataApi::new(clients::rds_data(&config), arn, secret, name)),
            topic: Topic::new(clients::sns(&config), topic),
            templates,
        };
        Ok(Self { world, programme: Programme { cluster, deployment, demands, allowed, watch } })
    }
}

/// The cluster's ARN, the secret of a role that may inject faults, the database; None when no ARN is set.
fn database(settings: &Settings<'_>) -> Result<Option<[String; 3]>, SettingError> {
    let Some(arn) = settings.optional("STEADFAST_CLUSTER_ARN") else { return Ok(None) };
    let secret = settings.text("STEADFAST_SECRET_ARN", "the ARN of the secret of a role that may inject faults")?;
    Ok(Some([arn, secret, settings.text("STEADFAST_DATABASE", "the name of the database")?]))
}

/// How long an experiment is watched; None: as long as each one wants.
fn watch(settings: &Settings<'_>) -> Result<Option<Duration>, SettingError> {
    let name = "STEADFAST_WATCH_FOR";
    let default = Duration::ZERO;
    Ok(Some(settings.duration(name, default)?).filter(|watch| *watch > default))
}

fn templates(settings: &Settings<'_>) -> Result<BTreeMap<String, String>, SettingError> {
    let (name, wanted) = ("STEADFAST_TEMPLATES", "experiment templates such as failover=EXT1a2b3c, with commas");
    let pair = |item: String| match item.split_once('=') {
        Some((experiment, id)) => Ok((experiment.trim().to_owned(), id.trim().to_owned())),
        None => Err(SettingError::Malformed { name, value: item, wanted }),
    };
    optional_list(settings, name, wanted)?.into_iter().map(pair).collect()
}

fn optional_list(
    settings: &Settings<'_>,
    name: &'static str,
    wanted: &'static str,
) -> Result<Vec<String>, SettingError> {
    if settings.optional(name).is_none() { Ok(Vec::new()) } else { settings.list(name, wanted) }
}

fn demands(settings: &Settings<'_>, deployment: Deployment) -> Result<Demands, SettingError> {
    let policy = Policy::of(deployment);
    Ok(Demands {
        witnesses: policy.quorum,
        instances: match deployment {
            Deployment::Cluster => 3,
            Deployment::Instance => 2,
        },
        lag_max: settings.duration("STEADFAST_LAG_MAX", Duration::from_secs(1))?,
        backup_age_max: settings.duration("STEADFAST_BACKUP_AGE_MAX", BACKUP_AGE_MAX)?,
        calendar: calendar(settings)?,
    })
}

fn calendar(settings: &Settings<'_>) -> Result<Calendar, SettingError> {
    let mut calendar = Calendar::always();
    if let Some(value) = settings.optional("STEADFAST_WINDOW") {
        let malformed = || SettingError::Malformed { name: "STEADFAST_WINDOW", value: value.clone(), wanted: WINDOW };
        let (from, until) = value.split_once('-').ok_or_else(malformed)?;
        let hour = |text: &str| text.trim().parse::<u8>().ok().filter(|hour| *hour <= 24).ok_or_else(malformed);
        (calendar.from_hour, calendar.until_hour) = (hour(from)?, hour(until)?);
    }
    for day in optional_list(settings, "STEADFAST_DAYS", DAYS)? {
        let number = day.parse::<u8>().ok().filter(|number| (1..=7).contains(number));
        let malformed = || SettingError::Malformed { name: "STEADFAST_DAYS", value: day.clone(), wanted: DAYS };
        calendar.days.push(number.ok_or_else(malformed)?);
    }
    for stretch in optional_list(settings, "STEADFAST_FREEZES", FREEZES)? {
        let malformed =
            || SettingError::Malformed { name: "STEADFAST_FREEZES", value: stretch.clone(), wanted: FREEZES };
        let (from, until) = stretch.split_once('/').ok_or_else(malformed)?;
        let time = |text: &str| Timestamp::parse(text.trim()).ok_or_else(malformed);
        let freeze = Freeze { from: time(from)?, until: time(until)?, reason: stretch.clone() };
        calendar.freezes.push(freeze);
    }
    Ok(calendar)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Calendar, String> {
        let source = |asked: &str| set.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned());
        calendar(&Settings::from_source(&source)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_calendar_is_read_and_what_is_malformed_is_named() {
        assert_eq!(read(&[]), Ok(Calendar::always()));
        let set = [
            ("STEADFAST_WINDOW", "9-16"),
            ("STEADFAST_DAYS", "2,3"),
            ("STEADFAST_FREEZES", "2026-12-15T00:00:00Z/2027-01-05T00:00:00Z"),
        ];
        let calendar = read(&set).expect("it is well formed");
        assert_eq!((calendar.from_hour, calendar.until_hour, calendar.days.as_slice()), (9, 16, &[2, 3][..]));
        assert_eq!(calendar.freezes.len(), 1);
        for (name, value) in [("STEADFAST_WINDOW", "9"), ("STEADFAST_DAYS", "8"), ("STEADFAST_FREEZES", "today")] {
            let said = read(&[(name, value)]).expect_err("malformed");
            assert!(said.contains(name) && said.contains(value), "{said}");
        }
    }
}
