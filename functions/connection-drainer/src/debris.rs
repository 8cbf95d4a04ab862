//! Looks at the new writer for what the failover has left behind. Reads only.

use std::time::Duration;

use serde_json::json;
use steadfast_aws::log;
use steadfast_aws::postgres::{ConnectLimits, Session, Target};
use steadfast_aws::secret::Credentials;
use steadfast_core::debris::{Debris, Holder, Prepared, Slot};
use steadfast_core::notice::Notice;
use steadfast_core::topology::{InstanceId, Topology};
use tokio_postgres::{Error, Row};

use crate::FUNCTION;
use crate::setup::Setup;

const LIMITS: ConnectLimits = ConnectLimits { tcp: Duration::from_secs(1), total: Duration::from_secs(3) };
/// All statements together.
const LOOK: Duration = Duration::from_secs(3);
/// A reader that lags by less needs nobody. Aurora readers lag tens of milliseconds.
const LAG: Duration = Duration::from_secs(1);

const PREPARED: &str = "SELECT gid, owner::text, extract(epoch FROM clock_timestamp() - prepared)::bigint \
    FROM pg_catalog.pg_prepared_xacts ORDER BY prepared LIMIT 100";
/// Whoever has done nothing for five seconds is not at work.
const IDLE: &str = "SELECT pid, usename::text, application_name, host(client_addr), \
      extract(epoch FROM clock_timestamp() - state_change)::bigint \
    FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend' AND state LIKE 'idle in transaction%' \
      AND state_change < clock_timestamp() - interval '5 s' ORDER BY state_change LIMIT 100";
const ADVISORY: &str = "SELECT DISTINCT a.pid, a.usename::text, a.application_name, host(a.client_addr), \
      extract(epoch FROM clock_timestamp() - a.state_change)::bigint \
    FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid) \
    WHERE l.locktype = 'advisory' AND l.granted AND a.pid <> pg_backend_pid() \
      AND a.state_change < clock_timestamp() - interval '5 s' LIMIT 100";
const SLOTS: &str = "SELECT slot_name::text, \
      pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), confirmed_flush_lsn)::bigint \
    FROM pg_catalog.pg_replication_slots WHERE slot_type = 'logical' AND NOT active LIMIT 100";

/// What is left behind, once another instance than `demoted` writes; None while that cannot be seen.
pub(crate) async fn look(
    setup: &Setup,
    demoted: &InstanceId,
    credentials: &Credentials,
) -> Option<(InstanceId, Debris)> {
    let topology = setup.rds.describe(&setup.cluster).await.ok()?;
    let writer = topology.writer().filter(|writer| writer.id != *demoted)?;
    let target = Target {
        host: writer.endpoint.clone(),
        port: topology.port,
        database: setup.database.clone(),
        application: "steadfast-drainer",
    };
    let session = setup.connector.connect(&target, credentials, LIMITS).await.ok()?;
    let mut debris = match tokio::time::timeout(LOOK, read(&session)).await {
        Ok(Ok(debris)) => debris,
        Ok(Err(error)) => return missed(&error.to_string()),
        Err(_) => return missed("the new writer does not answer"),
    };
    debris.class = class(&topology, demoted, &writer.id);
    debris.lagging = lagging(setup, &writer.id).await;
    Some((writer.id.clone(), debris))
}

fn missed<T>(error: &str) -> Option<T> {
    log::audit(FUNCTION, "debris_unknown", &json!({ "error": error }));
    None
}

/// Tells people, and leaves it in the log.
pub(crate) async fn tell(setup: &Setup, notice: Option<Notice>) {
    let (Some(notice), Some(topic)) = (notice, &setup.topic) else {
        return;
    };
    if let Err(error) = topic.notify(&notice).await {
        log::audit(FUNCTION, "notice_failed", &json!({ "subject": notice.subject, "error": error.to_string() }));
    }
}

async fn read(session: &Session) -> Result<Debris, Error> {
    let (prepared, idle) = (session.client.query(PREPARED, &[]), session.client.query(IDLE, &[]));
    let (advisory, slots) = (session.client.query(ADVISORY, &[]), session.client.query(SLOTS, &[]));
    let (prepared, idle, advisory, slots) = tokio::try_join!(prepared, idle, advisory, slots)?;
    Ok(Debris {
        prepared: prepared.iter().map(prepared_of).collect::<Result<_, _>>()?,
        idle: idle.iter().map(holder).collect::<Result<_, _>>()?,
        advisory: advisory.iter().map(holder).collect::<Result<_, _>>()?,
        slots: slots.iter().map(slot).collect::<Result<_, _>>()?,
        ..Debris::default()
    })
}

fn prepared_of(row: &Row) -> Result<Prepared, Error> {
    Ok(Prepared { gid: row.try_get(0)?, owner: row.try_get(1)?, seconds: row.try_get(2)? })
}

fn holder(row: &Row) -> Result<Holder, Error> {
    Ok(Holder {
        pid: row.try_get(0)?,
        role: row.try_get::<_, Option<String>>(1)?.unwrap_or_default(),
        application: row.try_get::<_, Option<String>>(2)?.unwrap_or_default(),
        address: row.try_get(3)?,
        seconds: row.try_get::<_, Option<i64>>(4)?.unwrap_or_default(),
    })
}

fn slot(row: &Row) -> Result<Slot, Error> {
    Ok(Slot { name: row.try_get(0)?, behind: row.try_get(1)? })
}

/// The two classes, where they differ.
fn class(topology: &Topology, old: &InstanceId, new: &InstanceId) -> Option<(String, String)> {
    let class = |id: &InstanceId| topology.member(id).map(|member| member.class.clone());
    let (was, is) = (class(old)?, class(new)?);
    (was != is).then_some((was, is))
}

/// What the witnesses say of the readers' lag, the smallest for each.
async fn lagging(setup: &Setup, writer: &InstanceId) -> Vec<(InstanceId, u64)> {
    let reports = setup.table.load(&setup.cluster).await.map(|state| state.reports).unwrap_or_default();
    let mut lags: Vec<(InstanceId, u64)> = Vec::new();
    for sighting in reports.iter().flat_map(|report| &report.sightings).filter(|seen| seen.instance != *writer) {
        let Some(lag) = sighting.lag_ms else {
            continue;
        };
        match lags.iter_mut().find(|(id, _)| *id == sighting.instance) {
            Some((_, known)) => *known = lag.min(*known),
            None => lags.push((sighting.instance.clone(), lag)),
        }
    }
    lags.retain(|(_, lag)| u128::from(*lag) > LAG.as_millis());
    lags
}
