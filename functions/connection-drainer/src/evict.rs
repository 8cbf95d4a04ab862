//! Eviction: watch the demoted instance for a while, and end what stayed there whenever it is back.

use std::time::Duration;

use lambda_runtime::Error;
use serde::Serialize;
use serde_json::json;
use steadfast_aws::postgres::{ConnectLimits, Session, Target};
use steadfast_aws::{clock, log, secret};
use steadfast_core::debris::Holder;
use steadfast_core::drain;
use steadfast_core::metric;
use steadfast_core::time::Timestamp;
use steadfast_core::topology::InstanceId;

use crate::setup::Setup;
use crate::{FUNCTION, debris};

/// Between two looks at the demoted instance.
const PAUSE: Duration = Duration::from_secs(1);
const LIMITS: ConnectLimits = ConnectLimits { tcp: Duration::from_secs(1), total: Duration::from_secs(3) };
/// One statement on the demoted instance.
const STATEMENT: Duration = Duration::from_secs(3);

/// Asks for the role in the statement that ends sessions: it may have moved since the last one. Keeps invariant 12.
///
/// Ends the sessions of `$1` that are not in the middle of a commit that waits for replication:
/// ending such a wait would show a commit as done that is not replicated. Keeps invariant 6.
const EVICT: &str = "\
    SELECT pid, usename::text, application_name, host(client_addr), state, pg_terminate_backend(pid), \
      extract(epoch FROM clock_timestamp() - state_change)::bigint \
    FROM pg_stat_activity \
    WHERE pg_is_in_recovery() AND backend_type = 'client backend' AND usename = ANY ($1::text[]) AND pid <> pg_backend_pid() \
      AND wait_event IS DISTINCT FROM 'SyncRep'";

/// One session that was ended.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Evicted {
    pid: i32,
    role: String,
    application: String,
    address: Option<String>,
    state: Option<String>,
    /// How long it had been in that state.
    idle_seconds: i64,
}

impl Evicted {
    fn holder(&self) -> Holder {
        Holder {
            pid: self.pid,
            role: self.role.clone(),
            application: self.application.clone(),
            address: self.address.clone(),
            seconds: self.idle_seconds,
        }
    }
}

/// How an eviction ended.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    /// The instance.
    demoted: String,
    /// Whether it was reached at all.
    reached: bool,
    /// Why nothing was done, or no more.
    because: String,
    /// Who was still there, in the order of their end.
    evicted: Vec<Evicted>,
}

/// Watches the demoted instance until `until`, at most for the watch time of the settings.
pub(crate) async fn evict(setup: &Setup, epoch: u64, demoted: &InstanceId, until: Timestamp) -> Result<Report, Error> {
    let mut report = Report { demoted: demoted.to_string(), ..Report::default() };
    let until = until.min(clock::now().plus(setup.watch));
    let credentials = secret::credentials(&setup.secrets, &setup.secret).await?;
    let mut known: Option<Target> = None;
    let mut told = false;
    while clock::now() < until {
        if let Some(because) = outdated(setup, epoch, demoted).await? {
            report.because = because;
            return Ok(report);
        }
        // An endpoint keeps its name; only its description may have to be waited for.
        if known.is_none() {
            match target(setup, demoted).await {
                Ok(target) => known = Some(target),
                Err(error) => report.because = error,
            }
        }
        if let Some(target) = &known {
            match setup.connector.connect(target, &credentials, LIMITS).await {
                Ok(session) => sweep(setup, &session, &mut report).await?,
                Err(error) => report.because = error.to_string(),
            }
        }
        if !told && let Some((writer, left)) = debris::look(setup, demoted, &credentials).await {
            told = true;
            log::audit(FUNCTION, "debris", &json!({ "writer": writer, "left": left }));
            debris::tell(setup, left.notice(&setup.cluster, epoch, &writer)).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    if report.reached {
        report.because = "watched to the end".to_owned();
    }
    let ended: Vec<Holder> = report.evicted.iter().map(Evicted::holder).collect();
    debris::tell(setup, steadfast_core::debris::stayed(&setup.cluster, epoch, demoted, &ended)).await;
    Ok(report)
}

/// Why nobody is to be evicted any more.
async fn outdated(setup: &Setup, epoch: u64, demoted: &InstanceId) -> Result<Option<String>, Error> {
    let state = setup.table.load(&setup.cluster).await?;
    let void = drain::may_evict(state.mode, state.episode.as_ref(), epoch, demoted).err();
    Ok(void.map(|because| because.to_string()))
}

async fn target(setup: &Setup, demoted: &InstanceId) -> Result<Target, String> {
    let topology = setup.rds.describe(&setup.cluster).await.map_err(|error| error.to_string())?;
    let member = topology.member(demoted).ok_or_else(|| format!("{demoted} is no member of {}", setup.cluster))?;
    Ok(Target {
        host: member.endpoint.clone(),
        port: topology.port,
        database: setup.database.clone(),
        application: "steadfast-drainer",
    })
}

/// One look: ends what is to be ended, if the instance is a reader. An instance that stops
/// answering is looked at again.
async fn sweep(setup: &Setup, session: &Session, report: &mut Report) -> Result<(), Error> {
    let work = async {
        let row = session.client.query_one("SELECT pg_is_in_recovery()", &[]).await?;
        if !row.try_get::<_, bool>(0)? {
            return Ok(None);
        }
        session.client.query(EVICT, &[&setup.roles]).await.map(Some)
    };
    let rows = match tokio::time::timeout(STATEMENT, work).await {
        Ok(Ok(Some(rows))) => rows,
        Ok(Ok(None)) => {
            report.because = "it says that it is the writer; its sessions are left alone".to_owned();
            return Ok(());
        }
        Ok(Err(error)) => {
            report.because = error.to_string();
            return Ok(());
        }
        Err(_) => {
            report.because = "it does not answer".to_owned();
            return Ok(());
        }
    };
    report.reached = true;
    let mut ended = 0_u64;
    for row in rows {
        if !row.try_get::<_, bool>(5)? {
            continue;
        }
        let evicted = Evicted {
            pid: row.try_get(0)?,
            role: row.try_get(1)?,
            application: row.try_get(2)?,
            address: row.try_get(3)?,
            state: row.try_get(4)?,
            idle_seconds: row.try_get::<_, Option<i64>>(6)?.unwrap_or_default(),
        };
        log::audit(FUNCTION, "session_ended", &json!(evicted));
        report.evicted.push(evicted);
        ended = ended.saturating_add(1);
    }
    if ended > 0 {
        log::measure(&[(metric::CLUSTER, setup.cluster.as_str())], &[(metric::SESSIONS_EVICTED, ended)]);
    }
    Ok(())
}
