//! Findings for people, for programs, and for code scanning.

use serde_json::{Value, json};

use super::{Finding, Level, Rule, rules};

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    Human,
    /// One JSON object.
    Json,
    /// SARIF 2.1.0, which code scanning services read.
    Sarif,
}

/// Writes findings about `resources` resources; `source` is the file that was read.
pub fn print(format: Format, findings: &[Finding], resources: usize, source: &str) -> String {
    match format {
        Format::Human => human(findings, resources),
        Format::Json => format!("{:#}\n", json!({ "resources": resources, "findings": findings })),
        Format::Sarif => format!("{:#}\n", sarif(findings, source)),
    }
}

fn human(findings: &[Finding], resources: usize) -> String {
    let rules = rules();
    let mut text = String::new();
    for rule in &rules {
        let of_rule: Vec<&Finding> = findings.iter().filter(|finding| finding.rule == rule.id).collect();
        if of_rule.is_empty() {
            continue;
        }
        let level = level_word(rule.level);
        text.push_str(&format!(
            "{} {level}: {}\n  why:    {}\n  remedy: {}\n",
            rule.id, rule.title, rule.why, rule.remedy
        ));
        for finding in of_rule {
            text.push_str(&format!("  - {}: {}\n", finding.address, finding.says));
        }
    }
    let errors = findings.iter().filter(|finding| finding.level == Level::Error).count();
    let warnings = findings.len().saturating_sub(errors);
    text.push_str(&format!("{resources} resources, {} rules: {errors} errors, {warnings} warnings\n", rules.len()));
    text
}

fn level_word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
    }
}

fn sarif(findings: &[Finding], source: &str) -> Value {
    let result = |finding: &Finding| {
        json!({
            "ruleId": finding.rule,
            "level": level_word(finding.level),
            "message": { "text": format!("{}: {}", finding.address, finding.says) },
            "locations": [{
                "physicalLocation": { "artifactLocation": { "uri": source } },
                "logicalLocations": [{ "fullyQualifiedName": finding.address, "kind": "resource" }],
            }],
        })
    };
    let rule = |rule: &Rule| {
        json!({
            "id": rule.id,
            "shortDescription": { "text": rule.title },
            "fullDescription": { "text": rule.why },
            "help": { "text": rule.remedy },
            "defaultConfiguration": { "level": level_word(rule.level) },
        })
    };
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "infra check",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules().iter().map(rule).collect::<Vec<_>>(),
            } },
            "results": findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_names_rule_place_and_remedy() {
        let finding = Finding {
            rule: "SF108",
            level: Level::Error,
            address: "module.steadfast.aws_rds_cluster.this[0]".to_owned(),
            says: "deletion_protection is off".to_owned(),
            remedy: "Set it.",
        };
        for format in [Format::Human, Format::Json, Format::Sarif] {
            let text = print(format, std::slice::from_ref(&finding), 7, "plan.json");
            for part in ["SF108", "aws_rds_cluster.this[0]", "deletion_protection is off", "error"] {
                assert!(text.contains(part), "{format:?} lacks {part}: {text}");
            }
        }
    }
}
