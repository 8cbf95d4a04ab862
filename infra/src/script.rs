//! SQL scripts, cut into the single statements that the RDS Data API takes.

/// The statements of a script, without comments and final semicolons.
///
/// Knows line comments, quotes and plain dollar quotes: what our own schema files use.
pub fn statements(script: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut statement = String::new();
    let mut rest = script;
    while let Some(next) = rest.chars().next() {
        let taken = match next {
            '-' if rest.starts_with("--") => {
                let line = rest.find('\n').unwrap_or(rest.len());
                rest = rest.get(line..).unwrap_or_default();
                continue;
            }
            '\'' | '"' => quoted(rest, &next.to_string()),
            '$' if rest.starts_with("$$") => quoted(rest, "$$"),
            ';' => {
                push(&mut found, &mut statement);
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            other => other.len_utf8(),
        };
        let (piece, after) = rest.split_at(taken);
        statement.push_str(piece);
        rest = after;
    }
    push(&mut found, &mut statement);
    found
}

/// Length of a quoted piece with both its quotes; an open one reaches to the end.
fn quoted(text: &str, quote: &str) -> usize {
    let inner = text.get(quote.len()..).unwrap_or_default();
    inner.find(quote).map_or(text.len(), |end| end.saturating_add(2 * quote.len()))
}

fn push(found: &mut Vec<String>, statement: &mut String) {
    let text = std::mem::take(statement);
    if !text.trim().is_empty() {
        found.push(text.trim().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_in_quotes_and_comments_do_not_cut() {
        let script = "-- a; b\nSELECT ';', \"x;\";\n\nDO $$ BEGIN NULL; END $$;\n-- end\n";
        assert_eq!(statements(script), ["SELECT ';', \"x;\"", "DO $$ BEGIN NULL; END $$"]);
    }

    #[test]
    fn an_open_quote_is_no_panic() {
        for script in ["'", "$$", "\"ä", "--", ";;", "ü'é", "$"] {
            assert!(statements(script).len() <= 1, "{script}");
        }
    }
}
