//! Rules about who reaches the database.

use super::plan::Resource;
use super::{Broken, Level, Plan, Rule, each};

/// Prefix lengths of the widest networks that have one owner: 10.0.0.0/8, and what a provider of IPv6 is given.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 32;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "SF301",
        level: Level::Error,
        title: "No database has a public address.",
        why: "Whoever guesses a password is in.",
        remedy: "Leave `publicly_accessible` false.",
        find: |plan| {
            let public = |resource: &Resource| {
                resource.is_on("/publicly_accessible").then(|| "publicly_accessible is on".to_owned())
            };
            [each(plan, "aws_rds_cluster_instance", public), each(plan, "aws_db_instance", public)].concat()
        },
    },
    Rule {
        id: "SF302",
        level: Level::Error,
        title: "Nothing is reached from everywhere.",
        why: "A rule for the whole Internet, or for half of it, protects from nobody.",
        remedy: "Name the applications' networks or security groups in `security_group_ingress_rules`.",
        find: from_everywhere,
    },
    Rule {
        id: "SF303",
        level: Level::Error,
        title: "A subnet group has a subnet in three zones or more, for an instance in two.",
        why: "RDS places an instance only where there is a subnet.",
        remedy: "Name one subnet for each of `azs` in `subnet_ids`.",
        find: |plan| {
            let wanted = if plan.of("aws_rds_cluster").next().is_some() { 3 } else { 2 };
            each(plan, "aws_db_subnet_group", |group| {
                let subnets = group.known("/subnet_ids")?.as_array().map_or(0, Vec::len);
                (subnets < wanted).then(|| format!("{subnets} subnets"))
            })
        },
    },
    Rule {
        id: "SF304",
        level: Level::Error,
        title: "No subnet of ours gives public addresses.",
        why: "Functions and database need none, and what has none is not found.",
        remedy: "Leave `map_public_ip_on_launch` false.",
        find: |plan| {
            each(plan, "aws_subnet", |subnet| {
                subnet.is_on("/map_public_ip_on_launch").then(|| "map_public_ip_on_launch is on".to_owned())
            })
        },
    },
];

fn from_everywhere(plan: &Plan) -> Vec<Broken> {
    let single = |rule: &Resource| {
        let source =
            ["/cidr_ipv4", "/cidr_ipv6"].into_iter().find_map(|at| rule.text(at).filter(|at| is_everywhere(at)))?;
        Some(format!("from {source}"))
    };
    let inline = |group: &Resource| {
        let open = group.list("/ingress").iter().any(|rule| {
            let sources = [&rule["cidr_blocks"], &rule["ipv6_cidr_blocks"]];
            sources.iter().filter_map(|list| list.as_array()).flatten().any(|at| at.as_str().is_some_and(is_everywhere))
        });
        open.then(|| "an inline rule is from everywhere".to_owned())
    };
    let old = |rule: &Resource| {
        let listed = [rule.list("/cidr_blocks"), rule.list("/ipv6_cidr_blocks")].concat();
        let open =
            rule.text("/type") == Some("ingress") && listed.iter().any(|at| at.as_str().is_some_and(is_everywhere));
        open.then(|| "from everywhere".to_owned())
    };
    [
        each(plan, "aws_vpc_security_group_ingress_rule", single),
        each(plan, "aws_security_group", inline),
        each(plan, "aws_security_group_rule", old),
    ]
    .concat()
}

/// Whether a range is wider than any network of one owner.
fn is_everywhere(range: &str) -> bool {
    let widest = if range.contains(':') { WIDEST_V6 } else { WIDEST_V4 };
    let prefix = range.rsplit_once('/').and_then(|(_, prefix)| prefix.parse::<u8>().ok());
    prefix.is_some_and(|prefix| prefix < widest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_the_internet_are_everywhere_too() {
        for wide in ["0.0.0.0/0", "128.0.0.0/1", "::/0", "2000::/3"] {
            assert!(is_everywhere(wide), "{wide}");
        }
        for narrow in ["10.0.0.0/8", "10.10.0.0/16", "2001:db8::/32", "2001:db8::/56"] {
            assert!(!is_everywhere(narrow), "{narrow}");
        }
    }
}
