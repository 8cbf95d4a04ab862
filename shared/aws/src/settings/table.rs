//! Every setting of every function. The functions read them from here, and `infra generate` prints them.

use super::Setting;

/// DB cluster identifier.
pub const CLUSTER: Setting = Setting {
    name: "STEADFAST_CLUSTER",
    wanted: "the DB cluster identifier, or STEADFAST_INSTANCE to that of an RDS Multi-AZ DB instance",
};
/// Identifier of an RDS Multi-AZ DB instance, instead of a cluster's.
pub const INSTANCE: Setting =
    Setting { name: "STEADFAST_INSTANCE", wanted: "the identifier of an RDS Multi-AZ DB instance" };
/// The state table.
pub const TABLE: Setting = Setting { name: "STEADFAST_TABLE", wanted: "the name of the state table" };
/// Where notices go.
pub const TOPIC_ARN: Setting = Setting { name: "STEADFAST_TOPIC_ARN", wanted: "the ARN of the notification topic" };
/// The coordinator.
pub const COORDINATOR: Setting =
    Setting { name: "STEADFAST_COORDINATOR", wanted: "the name or ARN of the promotion-coordinator function" };
/// The drainer of a cluster.
pub const DRAINER: Setting =
    Setting { name: "STEADFAST_DRAINER", wanted: "the name or ARN of the connection-drainer function" };
/// How long the platform's own failover is awaited.
pub const PLATFORM_GRACE: Setting = duration("STEADFAST_PLATFORM_GRACE");
/// How long a failover of the platform's own may take.
pub const PLATFORM_DEADLINE: Setting = duration("STEADFAST_PLATFORM_DEADLINE");
/// How long a promotion of ours may take.
pub const PROMOTION_DEADLINE: Setting = duration("STEADFAST_PROMOTION_DEADLINE");
/// How long an episode may stay open before people are told.
pub const EPISODE_DEADLINE: Setting = duration("STEADFAST_EPISODE_DEADLINE");
/// How long a mute writer is given.
pub const SILENT_AFTER: Setting = duration("STEADFAST_SILENT_AFTER");
/// How long commits may stand still.
pub const STALLED_AFTER: Setting = duration("STEADFAST_STALLED_AFTER");
/// The lag beyond which a reader is not promoted.
pub const LAG_MAX: Setting = duration("STEADFAST_LAG_MAX");
/// The stable name.
pub const PIN_NAME: Setting = Setting {
    name: "STEADFAST_PIN_NAME",
    wanted: "a name in the hosted zone STEADFAST_PIN_ZONE such as writer.orders.internal, or unset both",
};
/// Its hosted zone.
pub const PIN_ZONE: Setting = Setting {
    name: "STEADFAST_PIN_ZONE",
    wanted: "the id of the hosted zone of STEADFAST_PIN_NAME such as Z0123456789ABC, or unset both",
};
/// The witness's zone.
pub const AZ: Setting = Setting { name: "STEADFAST_AZ", wanted: "the Availability Zone of this prober's subnet" };
/// Which addresses are in which zone.
pub const SUBNETS: Setting = Setting {
    name: "STEADFAST_SUBNETS",
    wanted: "the database's subnets by zone, such as eu-central-1a=10.0.1.0/24,eu-central-1b=10.0.2.0/24, none of \
        them in two zones",
};
/// The function's login.
pub const SECRET_ARN: Setting =
    Setting { name: "STEADFAST_SECRET_ARN", wanted: "the ARN of this function's database secret" };
/// The database.
pub const DATABASE: Setting = Setting { name: "STEADFAST_DATABASE", wanted: "the name of the database" };
/// Certificate authorities of RDS.
pub const CA_FILE: Setting =
    Setting { name: "STEADFAST_CA_FILE", wanted: "a file with the RDS certificate authorities in PEM" };
/// The DNS server to ask.
pub const DNS_SERVER: Setting =
    Setting { name: "STEADFAST_DNS_SERVER", wanted: "an address with a port, such as 169.254.169.253:53" };
/// Where applications connect to.
pub const ENDPOINT: Setting = Setting {
    name: "STEADFAST_ENDPOINT",
    wanted: "the endpoint of the writer with its port, such as orders.cluster-c7.eu-central-1.rds.amazonaws.com:5432",
};
/// The application probe that is asked for what it felt.
pub const APPLICATION_PROBE: Setting = Setting {
    name: "STEADFAST_APPLICATION_PROBE",
    wanted: "the name of the application-probe function, or unset where there is none",
};
/// A query of the user's own.
pub const CHECK_SQL: Setting = Setting { name: "STEADFAST_CHECK_SQL", wanted: "a query that finds a row" };
/// How long one invocation probes.
pub const RUN_FOR: Setting = duration("STEADFAST_RUN_FOR");
/// Whose sessions have no business on a reader.
pub const READ_WRITE_ROLES: Setting =
    Setting { name: "STEADFAST_READ_WRITE_ROLES", wanted: "the applications' read-write roles, with commas" };
/// How long a demoted instance is watched.
pub const EVICT_FOR: Setting = duration("STEADFAST_EVICT_FOR");
/// Who may change passwords.
pub const ADMIN_SECRET_ARN: Setting =
    Setting { name: "STEADFAST_ADMIN_SECRET_ARN", wanted: "the ARN of the secret of a role that may change passwords" };
/// How long sessions of the user whose turn is over are left alone.
pub const DRAIN_AFTER: Setting = duration("STEADFAST_DRAIN_AFTER");
/// When a rotation that does not end is rolled back.
pub const ABANDON_AFTER: Setting = duration("STEADFAST_ABANDON_AFTER");
/// Subnets of restored databases.
pub const VERIFY_SUBNET_GROUP: Setting =
    Setting { name: "STEADFAST_VERIFY_SUBNET_GROUP", wanted: "the DB subnet group for restored databases" };
/// Who reaches restored databases.
pub const VERIFY_SECURITY_GROUPS: Setting = Setting {
    name: "STEADFAST_VERIFY_SECURITY_GROUPS",
    wanted: "the security groups of restored databases, with commas, none of them production's",
};
/// The class of restored instances.
pub const VERIFY_CLASS: Setting =
    Setting { name: "STEADFAST_VERIFY_CLASS", wanted: "the class of restored instances, such as db.serverless" };
/// Experiments by name.
pub const TEMPLATES: Setting = Setting {
    name: "STEADFAST_TEMPLATES",
    wanted: "FIS experiment templates by the names of experiments such as failover=EXT1a2b3c,guard=EXT4d5e6f",
};
/// Which experiments are allowed.
pub const EXPERIMENTS: Setting =
    Setting { name: "STEADFAST_EXPERIMENTS", wanted: "names of experiments, with commas; unset, all are allowed" };
/// Hours in which something may be broken.
pub const WINDOW: Setting = Setting { name: "STEADFAST_WINDOW", wanted: "hours of the day in UTC, such as 9-16" };
/// Days on which something may be broken.
pub const DAYS: Setting =
    Setting { name: "STEADFAST_DAYS", wanted: "days of the week, 1 for Monday to 7 for Sunday, with commas" };
/// When nothing may be broken.
pub const FREEZES: Setting = Setting {
    name: "STEADFAST_FREEZES",
    wanted: "stretches of time such as 2026-12-15T00:00:00Z/2027-01-05T00:00:00Z, with commas",
};
/// The lag beyond which nothing is broken.
pub const STEADY_LAG: Setting = duration("STEADFAST_STEADY_LAG");
/// How old the last verified backup may be.
pub const BACKUP_AGE: Setting = duration("STEADFAST_BACKUP_AGE");
/// How long an experiment is watched.
pub const WATCH_FOR: Setting = duration("STEADFAST_WATCH_FOR");
/// The cluster of the Data API.
pub const CLUSTER_ARN: Setting =
    Setting { name: "STEADFAST_CLUSTER_ARN", wanted: "the ARN of the DB cluster, for its Data API" };
/// How long those inside the gate are waited for.
pub const GATE_CLOSING: Setting = duration("STEADFAST_GATE_CLOSING");
/// How long the gate stays closed at most.
pub const GATE_CLOSED: Setting = duration("STEADFAST_GATE_CLOSED");
/// When those inside are named.
pub const WARN_AFTER: Setting = duration("STEADFAST_WARN_AFTER");
/// When their statements are cancelled.
pub const CANCEL_AFTER: Setting = duration("STEADFAST_CANCEL_AFTER");
/// When their sessions are ended.
pub const TERMINATE_AFTER: Setting = duration("STEADFAST_TERMINATE_AFTER");

const fn duration(name: &'static str) -> Setting {
    Setting { name, wanted: "a duration such as 20s or 500ms" }
}
