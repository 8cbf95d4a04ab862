//! What a destroy takes away for good: databases, vaults, and the keys without which a snapshot is noise.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::check::Plan;

/// What holds data, and what opens it, of a plan that destroys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Clusters, instances and replicas.
    pub databases: Vec<Database>,
    /// Keys, of databases and others.
    pub keys: Vec<Key>,
    /// Why AWS would refuse in the midst of the destroy, each with what to do.
    pub refusals: Vec<String>,
}

/// A database that is destroyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Terraform's address.
    pub address: String,
    /// Name of its last snapshot, if one is taken.
    pub snapshot: Option<String>,
}

/// A key that is destroyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Terraform's address.
    pub address: String,
    /// Its id in KMS, by which Terraform imports it.
    pub id: String,
    /// Days after which it cannot be brought back.
    pub days: u64,
    /// Its aliases.
    pub aliases: Vec<Alias>,
    /// Whether storage, snapshots and backups of a database open with it alone.
    pub of_database: bool,
}

/// A name of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Terraform's address.
    pub address: String,
    /// Its name in KMS, by which Terraform imports it.
    pub name: String,
}

impl Loss {
    /// Reads a plan.
    pub fn of(plan: &Plan) -> Self {
        let gone: Vec<(&str, &str, &Value)> = plan.destroyed().collect();
        let databases = gone.iter().filter(|(_, kind, _)| is_database(kind));
        Self {
            databases: databases.map(|(address, _, values)| database(address, values)).collect(),
            keys: keys(&gone),
            refusals: gone.iter().filter_map(|(address, kind, values)| refusal(address, kind, values)).collect(),
        }
    }

    /// Addresses of the databases' keys and of their aliases.
    pub fn keys_of_databases(&self) -> Vec<String> {
        self.kept().map(|(address, _)| address.to_owned()).collect()
    }

    /// What brings them back into a state that does not hold them, a line each.
    pub fn imports(&self) -> String {
        self.kept().map(|(address, id)| format!("terraform import '{address}' '{id}'\n")).collect()
    }

    /// Address and id of each.
    fn kept(&self) -> impl Iterator<Item = (&str, &str)> {
        let of_databases = self.keys.iter().filter(|key| key.of_database);
        of_databases.flat_map(|key| {
            let aliases = key.aliases.iter().map(|alias| (alias.address.as_str(), alias.name.as_str()));
            std::iter::once((key.address.as_str(), key.id.as_str())).chain(aliases)
        })
    }

    /// Lines for people. `with_keys`: whether the databases' keys go too.
    pub fn print(&self, with_keys: bool) -> String {
        let databases = self.databases.iter().map(|database| match &database.snapshot {
            Some(snapshot) => format!("{}: destroyed, last snapshot {snapshot}\n", database.address),
            None => format!("{}: destroyed without a last snapshot\n", database.address),
        });
        let keys = self.keys.iter().map(|key| key.print(with_keys));
        let lines: String = databases.chain(keys).collect();
        let imports = self.imports();
        if with_keys || imports.is_empty() {
            return lines;
        }
        format!("{lines}what is kept comes back, before any apply, with:\n{imports}")
    }
}

impl Key {
    fn print(&self, with_keys: bool) -> String {
        let Self { address, id, days, of_database, .. } = self;
        match (of_database, with_keys) {
            (true, false) => format!("{address}: key {id} is kept and taken out of the state, with its alias\n"),
            (true, true) => format!("{address}: key {id} is deleted in {days} days, and every snapshot with it\n"),
            (false, _) => format!("{address}: key {id} is deleted in {days} days\n"),
        }
    }
}

fn is_database(kind: &str) -> bool {
    matches!(kind, "aws_rds_cluster" | "aws_db_instance")
}

fn text<'v>(values: &'v Value, name: &str) -> &'v str {
    values[name].as_str().unwrap_or_default()
}

fn database(address: &str, values: &Value) -> Database {
    let skips = values["skip_final_snapshot"] == Value::Bool(true);
    let snapshot = (!skips).then(|| text(values, "final_snapshot_identifier").to_owned());
    Database { address: address.to_owned(), snapshot }
}

fn keys(gone: &[(&str, &str, &Value)]) -> Vec<Key> {
    let databases = gone.iter().filter(|(_, kind, _)| is_database(kind));
    let opened: BTreeSet<&str> = databases.map(|(_, _, values)| text(values, "kms_key_id")).collect();
    let key = |address: &str, values: &Value| {
        let id = text(values, "key_id");
        let is_alias = |kind: &str, alias: &Value| kind == "aws_kms_alias" && text(alias, "target_key_id") == id;
        let aliases = gone.iter().filter(|(_, kind, alias)| is_alias(kind, alias));
        Key {
            address: address.to_owned(),
            id: id.to_owned(),
            days: values["deletion_window_in_days"].as_u64().unwrap_or(30),
            aliases: aliases
                .map(|(alias, _, values)| Alias { address: (*alias).to_owned(), name: text(values, "name").to_owned() })
                .collect(),
            // The module's own by its name: the database may have gone in an earlier run.
            of_database: opened.contains(text(values, "arn")) || address.contains("aws_kms_key.database["),
        }
    };
    let all = gone.iter().filter(|(_, kind, _)| *kind == "aws_kms_key");
    all.map(|(address, _, values)| key(address, values)).collect()
}

/// Why AWS would refuse to delete it, and what to do; by then half of the rest would be gone.
fn refusal(address: &str, kind: &str, values: &Value) -> Option<String> {
    let is_on = |name: &str| values[name] == Value::Bool(true);
    match kind {
        "aws_rds_cluster" | "aws_db_instance" | "aws_dynamodb_table"
            if is_on("deletion_protection") || is_on("deletion_protection_enabled") =>
        {
            Some(format!("{address} is protected from deletion: apply with `deletion_protection = false` first"))
        }
        "aws_db_instance" if !text(values, "replicate_source_db").is_empty() && !is_on("skip_final_snapshot") => {
            Some(format!(
                "{address} is a read replica, and RDS takes no last snapshot of one: \
                 apply with `skip_final_snapshot = true` first"
            ))
        }
        "aws_backup_vault" if !is_on("force_destroy") => {
            let points = values["recovery_points"].as_u64().filter(|points| *points > 0)?;
            Some(format!(
                "{address} holds {points} recovery points, and AWS deletes no vault that holds any: delete them, or \
                 leave the vault behind with `terraform state rm '{address}'`"
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn gone(address: &str, kind: &str, before: Value) -> Value {
        json!({ "address": address, "type": kind, "change": { "actions": ["delete"], "before": before } })
    }

    fn loss(changes: Vec<Value>) -> Loss {
        let plan = json!({ "format_version": "1.2", "planned_values": {}, "resource_changes": changes });
        Loss::of(&Plan::read(&plan).expect("a plan"))
    }

    fn installation() -> Loss {
        loss(vec![
            gone(
                "m.aws_rds_cluster.this[0]",
                "aws_rds_cluster",
                json!({ "kms_key_id": "arn:k1", "final_snapshot_identifier": "orders-final" }),
            ),
            gone("m.aws_kms_key.one[0]", "aws_kms_key", json!({ "arn": "arn:k1", "key_id": "k1" })),
            gone("m.aws_kms_alias.one[0]", "aws_kms_alias", json!({ "target_key_id": "k1", "name": "alias/orders" })),
            gone("m.aws_kms_key.two[0]", "aws_kms_key", json!({ "arn": "arn:k2", "key_id": "k2" })),
            gone("m.aws_kms_alias.two[0]", "aws_kms_alias", json!({ "target_key_id": "k2" })),
        ])
    }

    #[test]
    fn the_key_of_a_snapshot_is_kept_with_its_alias() {
        let loss = installation();
        assert_eq!(loss.keys_of_databases(), ["m.aws_kms_key.one[0]", "m.aws_kms_alias.one[0]"]);
        let text = loss.print(false);
        for part in [
            "last snapshot orders-final",
            "key k1 is kept",
            "terraform import 'm.aws_kms_key.one[0]' 'k1'",
            "terraform import 'm.aws_kms_alias.one[0]' 'alias/orders'",
            "k2 is deleted",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(loss.print(true).contains("key k1 is deleted in 30 days, and every snapshot with it"));
    }

    #[test]
    fn the_key_of_a_database_that_went_before_is_kept_too() {
        let key = json!({ "arn": "arn:k1", "key_id": "k1" });
        let loss = loss(vec![gone("m.aws_kms_key.database[0]", "aws_kms_key", key)]);
        assert_eq!(loss.keys_of_databases(), ["m.aws_kms_key.database[0]"]);
    }

    #[test]
    fn what_aws_would_refuse_in_the_midst_is_said_beforehand() {
        let replica = json!({ "replicate_source_db": "arn:a", "skip_final_snapshot": false });
        let full = json!({ "recovery_points": 12, "force_destroy": false });
        let loss = loss(vec![
            gone("m.aws_db_instance.this", "aws_db_instance", replica),
            gone("m.aws_backup_vault.this[0]", "aws_backup_vault", full),
            gone("m.aws_backup_vault.empty", "aws_backup_vault", json!({ "recovery_points": 0 })),
            gone("m.aws_rds_cluster.this[0]", "aws_rds_cluster", json!({ "deletion_protection": true })),
        ]);
        assert_eq!(loss.refusals.len(), 3, "{:#?}", loss.refusals);
        assert!(loss.refusals[1].contains("12 recovery points"));
        assert!(installation().refusals.is_empty());
    }
}
