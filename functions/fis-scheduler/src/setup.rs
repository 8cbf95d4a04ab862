//! Settings and clients, made once at the cold start.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_aws::clients;
use steadfast_aws::control_plane::Rds;
use steadfast_aws::data_api::DataApi;
use steadfast_aws::functions::FIS_SCHEDULER;
use steadfast_aws::game_day::{Changes, Experiments, FUNCTION, Scheduler};
use steadfast_aws::notifier::Topic;
use steadfast_aws::settings::{Setting, SettingError, Settings, table as setting};
use steadfast_aws::state::Table;
use steadfast_aws::watched::Watched;
use steadfast_core::game_day::catalogue;
use steadfast_core::game_day::conduct::Programme;
use steadfast_core::game_day::hypothesis::Sources;
use steadfast_core::game_day::preflight::{Calendar, Demands, Freeze};
use steadfast_core::policy::Policy;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::{Deployment, Owner};

/// Left of the invocation's time when following stops: the next sweep goes on.
pub(crate) const MARGIN: Duration = Duration::from_secs(10);
/// The daily verification of a backup may fail once.
const BACKUP_AGE_MAX: Duration = Duration::from_secs(48 * 3_600);
/// A reader that lags by more is not where an experiment begins.
const STEADY_LAG: Duration = Duration::from_secs(1);

/// What an environment keeps between invocations.
pub(crate) struct Setup {
    pub(crate) world: Scheduler,
    pub(crate) programme: Programme,
}

impl Setup {
    /// Reads the settings and makes the clients.
    pub(crate) async fn from_environment() -> Result<Self, SettingError> {
        let settings = Settings::of(&FIS_SCHEDULER);
        let Watched { deployment, id: cluster } = Watched::from_settings(&settings)?;
        let table = settings.text(setting::TABLE)?;
        let topic = settings.text(setting::TOPIC_ARN)?;
        let templates = templates(&settings)?;
        let application = settings.optional(setting::APPLICATION_PROBE)?.is_some();
        let demands = demands(&settings, deployment, application)?;
        let allowed = experiments(&settings)?;
        let watch = Some(settings.duration(setting::WATCH_FOR, Duration::ZERO)?).filter(|watch| !watch.is_zero());
        let database = database(&settings)?;
        let config = clients::shared().await;
        let sources = Sources { ledger: database.is_some(), application };
        let me = Owner::new(FUNCTION);
        let world = Scheduler {
            cluster: cluster.clone(),
            table: Table::new(clients::dynamodb(&config), table),
            rds: Rds::new(clients::rds(&config), deployment),
            changes: Changes::new(clients::rds(&config)),
            experiments: Experiments::new(clients::fis(&config), templates),
            database: database.map(|[arn, secret, name]| DataApi::new(clients::rds_data(&config), arn, secret, name)),
            application,
            topic: Topic::new(clients::sns(&config), topic),
        };
        Ok(Self { world, programme: Programme { cluster, me, deployment, demands, allowed, watch, sources } })
    }
}

/// The cluster's ARN, the secret of a role that may inject faults, the database; None when no ARN is set.
fn database(settings: &Settings<'_>) -> Result<Option<[String; 3]>, SettingError> {
    let Some(arn) = settings.optional(setting::CLUSTER_ARN)? else { return Ok(None) };
    Ok(Some([arn, settings.text(setting::ADMIN_SECRET_ARN)?, settings.text(setting::DATABASE)?]))
}

fn templates(settings: &Settings<'_>) -> Result<BTreeMap<String, String>, SettingError> {
    let pair = |item: String| match item.split_once('=') {
        Some((experiment, id)) => Ok((experiment.trim().to_owned(), id.trim().to_owned())),
        None => Err(setting::TEMPLATES.malformed(item)),
    };
    settings.list(setting::TEMPLATES)?.into_iter().map(pair).collect()
}

/// Every name is one of the catalogue.
fn experiments(settings: &Settings<'_>) -> Result<Vec<String>, SettingError> {
    let allowed = optional_list(settings, setting::EXPERIMENTS)?;
    match allowed.iter().find(|name| catalogue::named(name).is_none()) {
        Some(unknown) => Err(setting::EXPERIMENTS.malformed(unknown.clone())),
        None => Ok(allowed),
    }
}

fn optional_list(settings: &Settings<'_>, wanted: Setting) -> Result<Vec<String>, SettingError> {
    if settings.optional(wanted)?.is_none() { Ok(Vec::new()) } else { settings.list(wanted) }
}

fn demands(settings: &Settings<'_>, deployment: Deployment, application: bool) -> Result<Demands, SettingError> {
    let policy = Policy::of(deployment);
    Ok(Demands {
        witnesses: policy.quorum,
        instances: match deployment {
            Deployment::Cluster => 3,
            Deployment::Instance => 2,
        },
        lag_max: settings.duration(setting::STEADY_LAG, STEADY_LAG)?,
        application,
        backup_age_max: settings.duration(setting::BACKUP_AGE, BACKUP_AGE_MAX)?,
        calendar: calendar(settings)?,
    })
}

fn calendar(settings: &Settings<'_>) -> Result<Calendar, SettingError> {
    let mut calendar = Calendar::always();
    if let Some(value) = settings.optional(setting::WINDOW)? {
        let malformed = || setting::WINDOW.malformed(value.clone());
        let (from, until) = value.split_once('-').ok_or_else(malformed)?;
        let hour = |text: &str| text.trim().parse::<u8>().ok().filter(|hour| *hour <= 24).ok_or_else(malformed);
        (calendar.from_hour, calendar.until_hour) = (hour(from)?, hour(until)?);
    }
    for day in optional_list(settings, setting::DAYS)? {
        let number = day.parse::<u8>().ok().filter(|number| (1..=7).contains(number));
        calendar.days.push(number.ok_or_else(|| setting::DAYS.malformed(day))?);
    }
    for stretch in optional_list(settings, setting::FREEZES)? {
        let malformed = || setting::FREEZES.malformed(stretch.clone());
        let (from, until) = stretch.split_once('/').ok_or_else(malformed)?;
        let time = |text: &str| Timestamp::parse(text.trim()).ok_or_else(malformed);
        let freeze = Freeze { from: time(from)?, until: time(until)?, reason: stretch.clone() };
        if freeze.until <= freeze.from {
            return Err(malformed());
        }
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
        let backwards = "2027-01-05T00:00:00Z/2026-12-15T00:00:00Z";
        for (name, value) in [
            ("STEADFAST_WINDOW", "9"),
            ("STEADFAST_DAYS", "8"),
            ("STEADFAST_FREEZES", "today"),
            ("STEADFAST_FREEZES", backwards),
        ] {
            let said = read(&[(name, value)]).expect_err("malformed");
            assert!(said.contains(name) && said.contains(value), "{said}");
        }
    }
}
