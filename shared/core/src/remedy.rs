//! What a person can do where no rule can: one remedy for each rule that calls one.
//!
//! A remedy is read at night by somebody who has never seen this code: first what to look at, then what to do, each
//! a command or a place in the console.

use crate::decision::Decision;
use crate::episode::Episode;
use crate::topology::Deployment;

/// Words in braces stand for what the episode is about; `{fail over}` for the command that promotes.
static REMEDIES: &[(u16, &str)] = &[
    (
        205,
        "Too few Availability Zones report, or they disagree. Ask an application whether it writes. If it does, mend the probers: \
         read the logs of the functions health-prober-*, then look at their schedules, subnets and database secret. If \
         it does not: {fail over}",
    ),
    (
        425,
        "See what became of the promotion: {events}. If the cluster is available and names the new writer, read that \
         instance's log and reboot it: aws rds reboot-db-instance --db-instance-identifier {called}. If it still names \
         {writer}: {fail over}",
    ),
    (
        427,
        "RDS refused the call: {refusal}. If that is about permissions, give the coordinator's role \
         rds:FailoverDBCluster on the cluster and its instances. Call it yourself meanwhile: {fail over}",
    ),
    (
        428,
        "Ask for the state yourself: {status}. If RDS does not answer, look at the AWS Health Dashboard and open a \
         support case. If somebody changes the cluster, ask him; nobody can fail over before it is available again. \
         Then, if writes still fail: {fail over}",
    ),
    (
        445,
        "Aurora's own failover hangs: {events}. Open a support case (production system down). Once {status} says \
         available and writes still fail: {fail over}",
    ),
    (
        455,
        "Ask for the state: {status}. stopped: aws rds start-db-cluster --db-cluster-identifier {cluster}. \
         inaccessible-encryption-credentials: enable the cluster's KMS key and give its grants back, then start the \
         cluster. Deleted: restore the latest snapshot or point in time.",
    ),
    (
        510,
        "The passwords in the secret and in the database differ; a rotation may have stopped half way: aws \
         secretsmanager describe-secret --secret-id ARN, with the ARN of the probers' setting STEADFAST_SECRET_ARN. Finish the rotation, or set the \
         prober role's password to what the secret holds with ALTER ROLE. Do not fail over.",
    ),
    (
        520,
        "See who took the connections, as the master user, for whom some are reserved: SELECT usename, \
         application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3 ORDER BY 4 DESC. Stop that \
         application or shrink its pool, and end its idle sessions with pg_terminate_backend(pid). A failover would \
         only move the crowd.",
    ),
    (
        530,
        "Find what fills it, in CloudWatch: FreeLocalStorage of {writer} (temporary files: end the statement that \
         writes them, or take a larger class) and VolumeBytesUsed of {cluster} (drop what is not needed; drop logical \
         slots that nobody reads). Do not fail over.",
    ),
    (
        540,
        "Read the error: in the reports of the probers (items witness#* of cluster#{cluster} in the state table) and in \
         the log of {writer} (RDS console, Logs & events). If it is your own STEADFAST_CHECK_SQL, mend what it checks. \
         If only another instance would help: {fail over}",
    ),
    (
        560,
        "{writer} reads only and no instance commits: {events}. {status} names the writer. If Aurora does nothing about \
         it: {fail over}",
    ),
    (
        570,
        "No prober reaches any instance. Try from an application's host: psql -h the cluster endpoint. If that works, \
         the fault lies between probers and database: security groups, routes, DNS. If not: {status}, and the AWS Health \
         Dashboard. Fail over only once an instance can be reached.",
    ),
    (
        610,
        "Every other instance was refused; the reasons stand below. Bring the writer back: aws rds reboot-db-instance \
         --db-instance-identifier {writer}. Or wait until a reader is fit, or take one that is not, if its reason is no \
         obstacle to you: {fail over}",
    ),
    (
        620,
        "Promotions within the hour have not helped for long. Find why writers fail: {events}, and the log and \
         Performance Insights of {writer}. If one more is right all the same: {fail over}",
    ),
    (
        625,
        "Steadfast is in shadow mode and leaves this to you: {fail over}. Or arm it, and it does that itself: aws lambda \
         invoke --function-name promotion-coordinator --cli-binary-format raw-in-base64-out --payload \
         '{\"cluster\":\"{cluster}\",\"hint\":\"operator\",\"order\":\"set_mode\",\"mode\":\"armed\",\"reason\":\"rule 625\"}' \
         /dev/stdout",
    ),
    (
        999,
        "This is a defect of Steadfast: keep the evidence and report it. Decide by what applications see: {status}, \
         and if they cannot write: {fail over}",
    ),
];

/// The same for a Multi-AZ DB instance, where it differs.
static OF_AN_INSTANCE: &[(u16, &str)] = &[
    (
        425,
        "See what became of the reboot with failover: {events}. RDS-EVENT-0034 says that it was abandoned. A second one \
         would move the role back, so first ask {status} and an application whether the other host writes. Only if it \
         does not, and the instance is available: {fail over}",
    ),
    (
        427,
        "RDS refused the call: {refusal}. If that is about permissions, give the coordinator's role \
         rds:RebootDBInstance on the instance. Call it yourself meanwhile: {fail over}",
    ),
    (
        445,
        "RDS's own failover hangs: {events}. Open a support case (production system down). Once {status} says \
         available and writes still fail: {fail over}",
    ),
    (
        455,
        "Ask for the state: {status}. stopped: aws rds start-db-instance --db-instance-identifier {cluster}. \
         inaccessible-encryption-credentials: enable the instance's KMS key and give its grants back, then start it. \
         failed, or deleted: restore the latest snapshot or point in time.",
    ),
    (
        530,
        "Its storage is full, see FreeStorageSpace of {cluster} in CloudWatch. Give it more: aws rds modify-db-instance \
         --db-instance-identifier {cluster} --allocated-storage GIB --apply-immediately. Then drop what is not needed, \
         such as logical slots that nobody reads. Do not fail over.",
    ),
    (560, "{cluster} reads only: {events}. {status} says what it does. If RDS does nothing about it: {fail over}"),
    (
        570,
        "No prober has an address for the endpoint. Ask from an application's host: dig the endpoint's name. If that \
         works, the fault lies between probers and DNS: the VPC's resolver and its DNS settings. If not: {status}, and \
         the AWS Health Dashboard.",
    ),
    (
        610,
        "The standby cannot take over; the reason stands below. Bring the writer back: aws rds reboot-db-instance \
         --db-instance-identifier {cluster}. If Multi-AZ is off, turn it on once writes flow again: aws rds \
         modify-db-instance --db-instance-identifier {cluster} --multi-az --apply-immediately",
    ),
];

/// The remedy of a rule, in words about this episode; None for a rule that calls nobody.
pub fn of(rule: u16, episode: &Episode, decision: &Decision) -> Option<String> {
    let deployment = decision.deployment;
    let own = match deployment {
        Deployment::Cluster => &[],
        Deployment::Instance => OF_AN_INSTANCE,
    };
    let (_, text) = own.iter().chain(REMEDIES).find(|(id, _)| *id == rule)?;
    let cluster = episode.cluster.as_str();
    let called = episode.promotion.as_ref();
    let target = called.map(|called| &called.target).or(decision.target.as_ref());
    let target = target.map_or_else(|| "READER".to_owned(), ToString::to_string);
    let refusal = called.and_then(|called| called.refused.clone()).unwrap_or_else(|| "no reason known".to_owned());
    // Its hosts have no names that RDS knows.
    let (kind, writer) = match deployment {
        Deployment::Cluster => ("db-cluster", episode.old_writer.as_str()),
        Deployment::Instance => ("db-instance", cluster),
    };
    let words = [
        ("{fail over}", fail_over(deployment, cluster, &target)),
        (
            "{events}",
            format!("aws rds describe-events --source-type {kind} --source-identifier {cluster} --duration 60"),
        ),
        ("{status}", status(deployment, cluster)),
        ("{cluster}", cluster.to_owned()),
        ("{writer}", writer.to_owned()),
        ("{called}", target),
        ("{refusal}", refusal),
    ];
    Some(words.iter().fold((*text).to_owned(), |text, (word, means)| text.replace(word, means)))
}

/// The command that moves the role by hand: to `target`, or to the standby.
pub fn fail_over(deployment: Deployment, cluster: &str, target: &str) -> String {
    match deployment {
        Deployment::Cluster => format!(
            "aws rds failover-db-cluster --db-cluster-identifier {cluster} --target-db-instance-identifier {target}"
        ),
        Deployment::Instance => {
            format!("aws rds reboot-db-instance --db-instance-identifier {cluster} --force-failover")
        }
    }
}

/// The command that shows the state of what is watched, and who writes.
pub fn status(deployment: Deployment, cluster: &str) -> String {
    match deployment {
        Deployment::Cluster => format!(
            "aws rds describe-db-clusters --db-cluster-identifier {cluster} --query \
             'DBClusters[0].[Status,DBClusterMembers]'"
        ),
        Deployment::Instance => format!(
            "aws rds describe-db-instances --db-instance-identifier {cluster} --query \
             'DBInstances[0].[DBInstanceStatus,MultiAZ,AvailabilityZone,SecondaryAvailabilityZone]'"
        ),
    }
}

/// Every rule that has a remedy.
pub fn rules() -> impl Iterator<Item = u16> {
    REMEDIES.iter().map(|(rule, _)| *rule)
}
