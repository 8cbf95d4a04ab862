use serde_json::{Value, json};
use steadfast_aws::grant::Condition;
use steadfast_core::metric::{self, Metric};

use super::DATABASE;

/// The dashboard without its first widget, the alarms, which the module makes.
///
/// Source: CloudWatch "Dashboard Body Structure and Syntax": 24 columns, and a Region for each widget.
pub(super) fn all() -> Value {
    let widgets = [of_database(), of_zones(), of_episodes(), logs()].concat();
    json!({ "start": "-PT3H", "periodOverride": "inherit", "widgets": widgets })
}

const ROLE: [&str; 2] = ["DBClusterIdentifier", DATABASE];

/// A metric of the cluster's writer or of its readers.
fn of_role(metric: &str, role: &str, label: &str) -> Value {
    json!(["AWS/RDS", metric, ROLE[0], ROLE[1], "Role", role, { "label": label }])
}

/// A metric of the whole cluster.
fn of_cluster(metric: &str, label: &str) -> Value {
    json!(["AWS/RDS", metric, ROLE[0], ROLE[1], { "label": label }])
}

fn of_instance(metric: &str) -> Value {
    json!(["AWS/RDS", metric, "DBInstanceIdentifier", DATABASE])
}

/// One of ours that has no zone.
fn ours(metric: Metric) -> Value {
    json!([metric::NAMESPACE, metric.name, metric::CLUSTER, DATABASE])
}

/// One of ours in every zone, whatever the zones are.
fn by_zone(metric: Metric, statistic: &str) -> Value {
    let (namespace, dimensions) = (metric::NAMESPACE, metric.dimensions.join(","));
    let (name, cluster) = (metric.name, metric::CLUSTER);
    json!([{
        "expression": format!(
            "SEARCH('{{{namespace},{dimensions}}} MetricName=\"{name}\" {cluster}=\"{DATABASE}\"', '{statistic}', 60)"
        ),
        "label": "",
        "id": "e1",
    }])
}

fn drawn(when: Option<Condition>, title: &str, statistic: &str, metrics: &[Value]) -> Value {
    json!({
        "when": when,
        "type": "metric",
        "width": 8,
        "height": 6,
        "properties": {
            "region": "${region}",
            "title": title,
            "view": "timeSeries",
            "stacked": false,
            "stat": statistic,
            "period": 60,
            "metrics": metrics,
            "yAxis": { "left": { "min": 0 } },
        },
    })
}

/// The worst of each week, over half a year.
fn weekly(when: Condition, title: &str, metrics: &[Value]) -> Value {
    let mut widget = drawn(Some(when), title, "Maximum", metrics);
    widget["properties"]["start"] = json!("-P26W");
    widget["properties"]["view"] = json!("bar");
    widget["properties"]["period"] = json!(604_800);
    widget
}

fn of_database() -> Vec<Value> {
    let (cluster, instance) = (Some(Condition::Cluster), Some(Condition::Instance));
    let roles = |metric: &str, readers: &str| [of_role(metric, "WRITER", "writer"), of_role(metric, "READER", readers)];
    vec![
        drawn(
            cluster,
            "Commits per second on the writer (commits, not requests; reads in autocommit count)",
            "Average",
            &[of_role("CommitThroughput", "WRITER", "commits/s")],
        ),
        drawn(
            instance,
            "Write operations per second (disk, not requests: RDS instances publish no commits)",
            "Average",
            &[of_instance("WriteIOPS")],
        ),
        drawn(cluster, "Connections (idle ones too)", "Maximum", &roles("DatabaseConnections", "readers, each")),
        drawn(instance, "Connections (idle ones too)", "Maximum", &[of_instance("DatabaseConnections")]),
        drawn(
            cluster,
            "Replica lag, ms",
            "Maximum",
            &[
                of_cluster("AuroraReplicaLagMaximum", "slowest reader"),
                of_cluster("AuroraReplicaLagMinimum", "fastest reader"),
            ],
        ),
        drawn(instance, "Lag of replication slots, bytes", "Maximum", &[of_instance("OldestReplicationSlotLag")]),
        drawn(cluster, "Commit latency, ms", "Average", &[of_role("CommitLatency", "WRITER", "writer")]),
        drawn(cluster, "CPU, %", "Average", &roles("CPUUtilization", "readers, mean")),
        drawn(instance, "CPU, %", "Average", &[of_instance("CPUUtilization")]),
        drawn(
            Some(Condition::Serverless),
            "Capacity, ACU",
            "Average",
            &roles("ServerlessDatabaseCapacity", "readers, mean"),
        ),
        drawn(instance, "Free storage, bytes", "Minimum", &[of_instance("FreeStorageSpace")]),
    ]
}

fn of_zones() -> Vec<Value> {
    let zones = |title: &str, metric, statistic: &str| drawn(None, title, "Average", &[by_zone(metric, statistic)]);
    vec![
        zones("Probe rounds by zone", metric::PROBES, "Sum"),
        zones("Slowest canary commit by zone, ms (0: none was acknowledged)", metric::CANARY_COMMIT, "Maximum"),
        zones("Instances that look wrong, by zone", metric::UNHEALTHY_INSTANCES, "Maximum"),
        zones("Acknowledged canary commits lost, by zone (must stay 0)", metric::CANARY_LOST, "Sum"),
    ]
}

fn of_episodes() -> Vec<Value> {
    let counted = [
        metric::EPISODES_OPENED,
        metric::PROMOTION_CALLS,
        metric::SWITCHOVERS,
        metric::HUMAN_CALLS,
        metric::PIN_FAILURES,
    ];
    let rotations = [metric::ROTATIONS, metric::ROTATION_FAILURES];
    let hints = [metric::HINTS, metric::HINTS_DROPPED, metric::SESSIONS_EVICTED];
    vec![
        drawn(None, "Episodes", "Sum", &counted.map(ours)),
        drawn(None, "Detection and recovery, ms", "Maximum", &[metric::DETECTION, metric::RECOVERY].map(ours)),
        drawn(None, "Hints, and sessions evicted", "Sum", &hints.map(ours)),
        drawn(Some(Condition::Rotation), "Rotations of passwords", "Sum", &rotations.map(ours)),
        drawn(
            Some(Condition::Verification),
            "Restored backups: writes lacked, and time to the first answer, ms",
            "Maximum",
            &[metric::BACKUP_AGE, metric::RESTORE].map(ours),
        ),
        drawn(
            Some(Condition::Verification),
            "Restored backups found good (1) or not (0)",
            "Minimum",
            &[ours(metric::BACKUP_VERIFIED)],
        ),
        drawn(
            Some(Condition::ApplicationProbe),
            "Application probe: transfers, and those that failed",
            "Sum",
            &[metric::APPLICATION_TRANSFERS, metric::APPLICATION_ERRORS].map(ours),
        ),
        drawn(
            Some(Condition::ApplicationProbe),
            "Application probe: longest wait of a transfer, ms",
            "Maximum",
            &[ours(metric::APPLICATION_WAIT)],
        ),
        drawn(
            Some(Condition::ApplicationProbe),
            "Application probe: what is wrong in its books (must stay 0)",
            "Maximum",
            &[ours(metric::APPLICATION_WRONG)],
        ),
        weekly(
            Condition::Verification,
            "Restored backups: achieved RPO and RTO, ms, week by week",
            &[metric::BACKUP_AGE, metric::RESTORE].map(ours),
        ),
        weekly(
            Condition::ApplicationProbe,
            "Application probe: longest wait of a transfer, ms, week by week",
            &[ours(metric::APPLICATION_WAIT)],
        ),
        weekly(
            Condition::GameDays,
            "Game days: detection and longest time without a commit, ms, week by week",
            &[metric::GAME_DAY_DETECTION, metric::GAME_DAY_OUTAGE].map(ours),
        ),
        weekly(
            Condition::GameDays,
            "Game days: weeks, those without a success, and acknowledged commits lost (must stay 0)",
            &[metric::GAME_DAYS, metric::GAME_DAYS_FAILED, metric::GAME_DAY_LOST].map(ours),
        ),
    ]
}

fn logs() -> Vec<Value> {
    let table = |when: Option<Condition>, title: &str, query: &str| {
        let properties = json!({ "region": "${region}", "title": title, "view": "table", "query": query });
        json!({ "when": when, "type": "log", "width": 24, "height": 6, "properties": properties })
    };
    vec![
        table(
            None,
            "What the coordinator decided and did",
            "SOURCE '${coordinator_log_group}' | fields @timestamp, @message | \
             filter @message not like /_aws|^START|^END|^REPORT/ | sort @timestamp desc | limit 50",
        ),
        table(
            Some(Condition::Drills),
            "Last drills (fault injection experiments)",
            "SOURCE '${drill_log_group}' | fields @timestamp, @message | sort @timestamp desc | limit 20",
        ),
    ]
}
