//! Rules about the database: that somebody can take over, and that nothing is lost.

use std::collections::BTreeSet;

use super::plan::Resource;
use super::{Broken, Level, Plan, Rule, each};

const CLUSTER: &str = "aws_rds_cluster";
const MEMBER: &str = "aws_rds_cluster_instance";
const INSTANCE: &str = "aws_db_instance";
/// Instances, zones and witnesses: a majority needs three.
const THREE: usize = 3;
/// Days. A week finds what happened over a weekend.
const BACKUP_DAYS_MIN: f64 = 7.0;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "SF101",
        level: Level::Error,
        title: "A cluster has three instances or more.",
        why: "With two, nobody can take over while one is replaced; with one, a failure takes up to ten minutes.",
        remedy: "Give `instances` three entries or more.",
        find: |plan| {
            let members = plan.of(MEMBER).count();
            if members >= THREE { Vec::new() } else { of_clusters(plan, &format!("{members} instances")) }
        },
    },
    Rule {
        id: "SF102",
        level: Level::Error,
        title: "A cluster's instances stand in three Availability Zones or more.",
        why: "The loss of one zone must leave a target in another.",
        remedy: "Name three zones in `azs`, and no `availability_zone` twice in `instances`.",
        find: |plan| {
            let zones: BTreeSet<_> = plan.of(MEMBER).filter_map(|member| member.text("/availability_zone")).collect();
            let unknown = plan.of(MEMBER).any(|member| member.known("/availability_zone").is_none());
            if unknown || zones.len() >= THREE {
                return Vec::new();
            }
            let listed: Vec<&str> = zones.into_iter().collect();
            of_clusters(plan, &format!("instances in {} zones: {}", listed.len(), listed.join(", ")))
        },
    },
    Rule {
        id: "SF103",
        level: Level::Error,
        title: "Two instances or more are failover targets, of promotion tier 0 or 1.",
        why: "A serverless reader of a higher tier is as small as its own load, not as the writer's.",
        remedy: "Set `promotion_tier` to 0 or 1 for two instances or more.",
        find: |plan| {
            let tier = |member: &&Resource| member.number("/promotion_tier").is_none_or(|tier| tier <= 1.0);
            let targets = plan.of(MEMBER).filter(tier).count();
            if targets >= 2 { Vec::new() } else { of_clusters(plan, &format!("{targets} instances of tier 0 or 1")) }
        },
    },
    Rule {
        id: "SF104",
        level: Level::Error,
        title: "Serverless capacity does not go down to zero.",
        why: "A paused instance takes no connections: it is available to RDS and dead to applications.",
        remedy: "Set `min_capacity` to 0.5 or more.",
        find: |plan| {
            each(plan, CLUSTER, |cluster| {
                let pauses = cluster.number("/serverlessv2_scaling_configuration/0/min_capacity") == Some(0.0);
                pauses.then(|| "min_capacity is 0".to_owned())
            })
        },
    },
    Rule {
        id: "SF105",
        level: Level::Warning,
        title: "All instances of a cluster are of one class.",
        why: "A smaller target is promoted and cannot carry the writer's load. While classes are changed one instance \
              after the other they differ, on purpose.",
        remedy: "Give all `instances` the same `instance_class` in the end.",
        find: |plan| {
            let classes: BTreeSet<_> = plan.of(MEMBER).filter_map(|member| member.text("/instance_class")).collect();
            let says = classes.iter().copied().collect::<Vec<_>>().join(", ");
            if classes.len() <= 1 { Vec::new() } else { of_clusters(plan, &says) }
        },
    },
    Rule {
        id: "SF106",
        level: Level::Error,
        title: "An RDS instance has a standby in another zone.",
        why: "Without one there is nothing to fail over to.",
        remedy: "Set `multi_az` to true.",
        find: |plan| {
            each(plan, INSTANCE, |instance| {
                (is_primary(instance) && instance.is_off("/multi_az")).then(|| "multi_az is off".to_owned())
            })
        },
    },
    Rule {
        id: "SF107",
        level: Level::Error,
        title: "Storage is encrypted.",
        why: "It cannot be turned on later without a new database.",
        remedy: "Leave `storage_encrypted` true.",
        find: |plan| on_databases(plan, "/storage_encrypted", "storage is not encrypted"),
    },
    Rule {
        id: "SF108",
        level: Level::Error,
        title: "Deletion protection is on.",
        why: "One mistaken destroy deletes the database.",
        remedy: "Set `deletion_protection` to true; turn it off in an apply of its own before a destroy that is meant.",
        find: |plan| on_databases(plan, "/deletion_protection", "deletion_protection is off"),
    },
    Rule {
        id: "SF109",
        level: Level::Error,
        title: "Automated backups are kept for seven days or more.",
        why: "Damage that is found after a weekend must still be undone.",
        remedy: "Set `backup_retention_period` to 7 or more.",
        find: |plan| {
            of_databases(plan, |database| {
                let days = database.number("/backup_retention_period").filter(|days| *days < BACKUP_DAYS_MIN)?;
                Some(format!("kept for {days} days"))
            })
        },
    },
    Rule {
        id: "SF110",
        level: Level::Error,
        title: "A destroy makes a last snapshot.",
        why: "Automated backups end with the database.",
        remedy: "Leave `skip_final_snapshot` false.",
        find: |plan| {
            of_databases(plan, |database| {
                database.is_on("/skip_final_snapshot").then(|| "skip_final_snapshot is on".to_owned())
            })
        },
    },
    Rule {
        id: "SF111",
        level: Level::Error,
        title: "RDS keeps and rotates the master password.",
        why: "A password in a plan stands in the state, for everybody who reads it.",
        remedy: "Leave `manage_master_user_password` true, and set no `master_password`.",
        find: |plan| {
            let mut found = each(plan, CLUSTER, own_password);
            found.extend(each(plan, INSTANCE, |instance| own_password(instance).filter(|_| is_primary(instance))));
            found
        },
    },
    Rule {
        id: "SF112",
        level: Level::Error,
        title: "Connections are encrypted, and a commit that is acknowledged is durable.",
        why: "`synchronous_commit` off acknowledges what a failover loses; without `rds.force_ssl` passwords and data \
              travel in the open.",
        remedy: "Remove the parameter, or set `rds.force_ssl` to 1 and `synchronous_commit` to on.",
        find: |plan| {
            let mut found = each(plan, "aws_rds_cluster_parameter_group", weak_parameter);
            found.extend(each(plan, "aws_db_parameter_group", weak_parameter));
            found
        },
    },
    Rule {
        id: "SF113",
        level: Level::Error,
        title: "A minor upgrade happens on purpose.",
        why: "In the maintenance window RDS restarts the writer, and every instance at once.",
        remedy: "Leave `auto_minor_version_upgrade` false, and change `engine_version`.",
        find: |plan| {
            let upgrades = |resource: &Resource| {
                resource.is_on("/auto_minor_version_upgrade").then(|| "auto_minor_version_upgrade is on".to_owned())
            };
            [each(plan, MEMBER, upgrades), each(plan, INSTANCE, upgrades)].concat()
        },
    },
];

/// A replica is made from another instance, and has neither a standby nor a password of its own.
fn is_primary(instance: &Resource) -> bool {
    instance.is_empty("/replicate_source_db")
}

fn of_clusters(plan: &Plan, says: &str) -> Vec<Broken> {
    plan.of(CLUSTER).map(|cluster| cluster.broken(says)).collect()
}

/// Clusters and instances that are no members of one.
fn of_databases(plan: &Plan, wrong: impl Fn(&Resource) -> Option<String>) -> Vec<Broken> {
    let of_instance = |instance: &Resource| if is_primary(instance) { wrong(instance) } else { None };
    [each(plan, CLUSTER, &wrong), each(plan, INSTANCE, of_instance)].concat()
}

fn on_databases(plan: &Plan, pointer: &str, says: &str) -> Vec<Broken> {
    of_databases(plan, |database| database.is_off(pointer).then(|| says.to_owned()))
}

fn own_password(database: &Resource) -> Option<String> {
    let is_set = |pointer: &str| database.text(pointer).is_some_and(|password| !password.is_empty());
    if is_set("/master_password") || is_set("/password") {
        return Some("a password is in the plan".to_owned());
    }
    database.is_off("/manage_master_user_password").then(|| "manage_master_user_password is off".to_owned())
}

fn weak_parameter(group: &Resource) -> Option<String> {
    let weak = |parameter: &&serde_json::Value| match (parameter["name"].as_str(), parameter["value"].as_str()) {
        (Some("rds.force_ssl"), Some(value)) => value != "1",
        (Some("synchronous_commit"), Some(value)) => value == "off" || value == "0",
        (Some("fsync" | "full_page_writes"), Some(value)) => value == "off" || value == "0",
        _ => false,
    };
    let parameter = group.list("/parameter").iter().find(weak)?;
    Some(format!("{} = {}", parameter["name"].as_str()?, parameter["value"].as_str()?))
}
