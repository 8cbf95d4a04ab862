use serde_json::{Map, Value, json};
use steadfast_aws::grant::Condition;
use steadfast_core::metric::{self, Metric};
use steadfast_core::notice::Severity;

use super::{DATABASE, NAME};

const GIB: u64 = 1 << 30;
const RDS: &str = "AWS/RDS";
const OF_CLUSTER: &[(&str, &str)] = &[("DBClusterIdentifier", DATABASE)];
const OF_WRITER: &[(&str, &str)] = &[("DBClusterIdentifier", DATABASE), ("Role", "WRITER")];
const OF_INSTANCE: &[(&str, &str)] = &[("DBInstanceIdentifier", DATABASE)];

/// When an alarm goes off.
#[derive(Clone, Copy)]
enum Crossed {
    Below(u64),
    From(u64),
    Above(u64),
}

/// One alarm; the module makes one for each zone or function where `per` says so.
#[derive(Clone)]
struct Alarm {
    key: &'static str,
    description: &'static str,
    severity: Severity,
    namespace: String,
    metric: &'static str,
    dimensions: Vec<(&'static str, &'static str)>,
    statistic: &'static str,
    /// Seconds.
    period: u16,
    /// So many of so many periods.
    of: (u8, u8),
    crossed: Crossed,
    missing: &'static str,
    per: Option<&'static str>,
    when: Option<Condition>,
    /// Whether its threshold depends on the load. All others protect, and are as they are.
    adjustable: bool,
}

impl Alarm {
    /// On any metric: once in a minute, and silence is no trouble.
    fn on(namespace: &str, metric: &'static str, statistic: &'static str, crossed: Crossed) -> Self {
        Self {
            key: "",
            description: "",
            severity: Severity::Warning,
            namespace: namespace.to_owned(),
            metric,
            dimensions: Vec::new(),
            statistic,
            period: 60,
            of: (1, 1),
            crossed,
            missing: "notBreaching",
            per: None,
            when: None,
            adjustable: false,
        }
    }

    /// On one of ours. What a zone sees for itself has an alarm for each zone.
    fn ours(metric: Metric, statistic: &'static str, crossed: Crossed) -> Self {
        let per = metric.dimensions.contains(&metric::AZ).then_some("zone");
        let dimensions = vec![(metric::CLUSTER, DATABASE)];
        Self { per, dimensions, ..Self::on(metric::NAMESPACE, metric.name, statistic, crossed) }
    }

    /// On one of RDS.
    fn rds(
        metric: &'static str,
        of: &[(&'static str, &'static str)],
        statistic: &'static str,
        crossed: Crossed,
    ) -> Self {
        Self { dimensions: of.to_vec(), ..Self::on(RDS, metric, statistic, crossed) }.adjustable()
    }

    fn named(self, key: &'static str, severity: Severity, description: &'static str) -> Self {
        Self { key, description, severity, ..self }
    }

    fn for_periods(self, wanted: u8, of: u8) -> Self {
        Self { of: (wanted, of), ..self }
    }

    fn when(self, condition: Condition) -> Self {
        Self { when: Some(condition), ..self }
    }

    fn adjustable(self) -> Self {
        Self { adjustable: true, ..self }
    }

    fn print(&self) -> Value {
        let (comparison, threshold) = match self.crossed {
            Crossed::Below(threshold) => ("LessThanThreshold", threshold),
            Crossed::From(threshold) => ("GreaterThanOrEqualToThreshold", threshold),
            Crossed::Above(threshold) => ("GreaterThanThreshold", threshold),
        };
        let dimensions: Map<String, Value> =
            self.dimensions.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        json!({
            "description": self.description,
            "severity": self.severity.as_str(),
            "namespace": self.namespace,
            "metric_name": self.metric,
            "dimensions": dimensions,
            "statistic": self.statistic,
            "period": self.period,
            "datapoints_to_alarm": self.of.0,
            "evaluation_periods": self.of.1,
            "threshold": threshold,
            "comparison_operator": comparison,
            "treat_missing_data": self.missing,
            "per": self.per,
            "when": self.when,
            "adjustable": self.adjustable,
        })
    }
}

/// Every alarm by its key.
pub(super) fn all() -> Value {
    let alarms = [of_steadfast(), of_practice(), of_its_parts(), of_clusters(), of_instances()].concat();
    Value::Object(alarms.iter().map(|alarm| (alarm.key.to_owned(), alarm.print())).collect::<Map<_, _>>())
}

fn of_steadfast() -> Vec<Alarm> {
    use Severity::{Critical, Info, Warning};
    vec![
        // The dead man: silence is the trouble.
        Alarm { missing: "breaching", ..Alarm::ours(metric::PROBES, "Sum", Crossed::Below(1)) }
            .named(
                "prober-silent",
                Warning,
                "The prober of this Availability Zone finishes no probe rounds: one witness is missing.",
            )
            .for_periods(3, 3),
        Alarm { missing: "missing", ..Alarm::ours(metric::CANARY_COMMIT, "Maximum", Crossed::Below(1)) }.named(
            "no-commit",
            Info,
            "No canary commit was acknowledged for a minute, as seen from this Availability Zone.",
        ),
        // What the name's health checks read. A failover within the Region takes two minutes and must not set it off;
        // a check takes consecutive periods alone.
        Alarm { missing: "missing", ..Alarm::ours(metric::CANARY_COMMIT, "Maximum", Crossed::Below(1)) }
            .named(
                "name-fails-over",
                Warning,
                "No canary commit was acknowledged for ten minutes, as seen from this Availability Zone. \
                 When most zones say so, the writer's name leads to the secondary.",
            )
            .for_periods(10, 10)
            .when(Condition::Secondary),
        Alarm::ours(metric::CANARY_LOST, "Sum", Crossed::From(1)).named(
            "canary-lost",
            Critical,
            "A new writer does not hold acknowledged canary commits: data was lost.",
        ),
        Alarm::ours(metric::HUMAN_CALLS, "Sum", Crossed::From(1)).named(
            "person-called",
            Critical,
            "Steadfast could not or may not go on by itself and called a person.",
        ),
        Alarm::ours(metric::PROMOTION_CALLS, "Sum", Crossed::From(1)).named(
            "promotion-called",
            Warning,
            "Steadfast called for a failover.",
        ),
        Alarm::ours(metric::PIN_FAILURES, "Sum", Crossed::From(1))
            .named("name-not-set", Warning, "The stable name could not be set for three minutes.")
            .for_periods(3, 3)
            .when(Condition::Pin),
        Alarm::ours(metric::RECOVERY, "Maximum", Crossed::Above(120_000))
            .named("slow-recovery", Warning, "A recovery took longer than two minutes.")
            .adjustable()
            .when(Condition::Cluster),
        Alarm::ours(metric::RECOVERY, "Maximum", Crossed::Above(300_000))
            .named("slow-recovery-of-instance", Warning, "A recovery took longer than five minutes.")
            .adjustable()
            .when(Condition::Instance),
    ]
}

/// What is done while nothing is wrong.
fn of_practice() -> Vec<Alarm> {
    use Severity::{Critical, Warning};
    vec![
        Alarm::ours(metric::ROTATION_FAILURES, "Sum", Crossed::From(1))
            .named("rotation-failed", Warning, "A step of a rotation failed: a password stays as it is.")
            .when(Condition::Rotation),
        // Half a day each: what is ordered daily is found missing after a day and a half.
        Alarm {
            missing: "breaching",
            period: 43_200,
            ..Alarm::ours(metric::BACKUP_VERIFIED, "Maximum", Crossed::Below(1))
        }
        .named("backup-not-verified", Critical, "No backup was restored and found good for a day and a half.")
        .for_periods(3, 3)
        .when(Condition::Verification),
        // A skipped week is told as a notice; the next one that is skipped calls a person by another.
        Alarm::ours(metric::GAME_DAYS_FAILED, "Sum", Crossed::From(1))
            .named("game-day-failed", Warning, "A game day failed, or nothing was broken in a week.")
            .when(Condition::GameDays),
        Alarm { missing: "breaching", ..Alarm::ours(metric::APPLICATION_TRANSFERS, "Sum", Crossed::Below(1)) }
            .named(
                "application-silent",
                Warning,
                "The application probe had no transfer acknowledged for three minutes: it is not at work, or waits.",
            )
            .for_periods(3, 3)
            .when(Condition::ApplicationProbe),
        Alarm::ours(metric::APPLICATION_WRONG, "Sum", Crossed::From(1))
            .named(
                "application-wrong",
                Critical,
                "The books of the application probe are not as it was told: transfers are lost, there twice, or there \
                 though denied.",
            )
            .when(Condition::ApplicationProbe),
    ]
}

fn of_its_parts() -> Vec<Alarm> {
    use Severity::{Critical, Warning};
    let of_function = |metric| Alarm {
        per: Some("function"),
        ..Alarm::on("AWS/Lambda", metric, "Sum", Crossed::From(1)).for_periods(2, 3)
    };
    vec![
        of_function("Errors").named("function-errors", Warning, "Invocations of this function fail."),
        of_function("Throttles").named(
            "function-throttled",
            Warning,
            "Invocations of this function are throttled: it may be late when it is needed.",
        ),
        // Counted by a filter of the logs, in a namespace of the installation's own.
        Alarm::on(&format!("{}/{NAME}", metric::NAMESPACE), "Defects", "Sum", Crossed::From(1)).named(
            "defect",
            Critical,
            "A function wrote an ERROR line: something happened that the code rules out.",
        ),
        Alarm {
            dimensions: vec![("QueueName", "${failures_queue}")],
            ..Alarm::on("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", Crossed::From(1))
        }
        .named(
            "event-lost",
            Warning,
            "An event, tick or asynchronous invocation failed for good and lies in the dead-letter queue.",
        ),
    ]
}

fn of_clusters() -> Vec<Alarm> {
    use Severity::Warning;
    let slow = |alarm: Alarm| Alarm { period: 300, ..alarm };
    vec![
        Alarm::rds("AuroraReplicaLagMaximum", OF_CLUSTER, "Maximum", Crossed::Above(10_000))
            .named("replica-lag", Warning, "A reader lags by more than ten seconds: it is a poor target.")
            .for_periods(3, 5)
            .when(Condition::Cluster),
        Alarm::rds("CPUUtilization", OF_WRITER, "Average", Crossed::Above(90))
            .named("writer-cpu", Warning, "The writer's CPU is above 90 % for ten minutes.")
            .for_periods(10, 10)
            .when(Condition::Cluster),
        Alarm::rds("ACUUtilization", OF_WRITER, "Average", Crossed::Above(95))
            .named("capacity", Warning, "The writer runs at its highest capacity for ten minutes: raise max_capacity.")
            .for_periods(10, 10)
            .when(Condition::Serverless),
        Alarm::rds("FreeLocalStorage", OF_CLUSTER, "Minimum", Crossed::Below(5 * GIB))
            .named("local-storage", Warning, "An instance has less than 5 GiB of local storage left.")
            .for_periods(3, 3)
            .when(Condition::Provisioned),
        slow(Alarm::rds("MaximumUsedTransactionIDs", OF_CLUSTER, "Maximum", Crossed::Above(1_000_000_000)))
            .named("transaction-ids", Warning, "More than a billion transaction ids are in use: vacuum falls behind.")
            .when(Condition::Cluster),
    ]
}

fn of_instances() -> Vec<Alarm> {
    use Severity::{Critical, Warning};
    let slow = |alarm: Alarm| Alarm { period: 300, ..alarm };
    vec![
        Alarm::rds("CPUUtilization", OF_INSTANCE, "Average", Crossed::Above(90))
            .named("instance-cpu", Warning, "The instance's CPU is above 90 % for ten minutes.")
            .for_periods(10, 10)
            .when(Condition::Instance),
        Alarm::rds("FreeStorageSpace", OF_INSTANCE, "Minimum", Crossed::Below(10 * GIB))
            .named("free-storage", Critical, "Less than 10 GiB of storage are left.")
            .for_periods(3, 3)
            .when(Condition::Instance),
        slow(Alarm::rds("OldestReplicationSlotLag", OF_INSTANCE, "Maximum", Crossed::Above(10 * GIB)))
            .named("slot-lag", Warning, "A replication slot holds back more than 10 GiB of WAL.")
            .when(Condition::Instance),
    ]
}
