//! What may not stand in a protected transaction, and what may not be replayed.

use std::fmt;

/// Why a statement is refused, or a transaction not replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// `PREPARE TRANSACTION` and its like: the outcome would be decided elsewhere.
    TwoPhaseCommit,
    /// `BEGIN`, `COMMIT`, `SAVEPOINT` and their like: the client begins and ends transactions.
    TransactionControl,
    /// `DECLARE`, `FETCH`: a cursor left open ends with its session.
    Cursor,
    /// `COPY`: a stream cannot be compared or sent again.
    Copy,
    /// `SET` without `LOCAL`, `set_config` for more than the transaction, `LISTEN`, temporary tables, session locks: lost
    /// with the session, or met by its next use.
    SessionState,
    /// It names `synchronous_commit`: an acknowledged commit could be lost.
    Durability,
    /// A value of a sequence was shown: another one would be shown the next time.
    SequenceShown,
    /// The application marked an effect outside the database.
    SideEffect,
    /// The application asked for no replay.
    NotAllowed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TwoPhaseCommit => "two-phase commit is decided elsewhere",
            Self::TransactionControl => "the client begins and ends the transaction",
            Self::Cursor => "a cursor ends with its session",
            Self::Copy => "COPY cannot be replayed",
            Self::SessionState => {
                "what it sets is lost with the session; SET LOCAL and set_config(…, …, true) are allowed"
            }
            Self::Durability => "synchronous_commit must stay on",
            Self::SequenceShown => "a value of a sequence was shown",
            Self::SideEffect => "an effect outside the database was marked",
            Self::NotAllowed => "the application asked for no replay",
        })
    }
}

/// Whether a statement may stand in a protected transaction, or be run without protection on a session that is used
/// again.
///
/// It looks at words, not at what functions do inside: whoever hides a session lock or a call to another system in
/// a function must mark it with [`crate::Tx::side_effect`].
pub(crate) fn refused(sql: &str) -> Option<Refusal> {
    let mut words = words(sql);
    let first = words.next().unwrap_or_default();
    let second = words.next().unwrap_or_default();
    let is = |word: &str, list: &[&str]| list.iter().any(|one| word.eq_ignore_ascii_case(one));
    if (is(first, &["prepare"]) && is(second, &["transaction"]))
        || (is(first, &["commit", "rollback"]) && is(second, &["prepared"]))
    {
        return Some(Refusal::TwoPhaseCommit);
    }
    if is(first, &["begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"]) {
        return Some(Refusal::TransactionControl);
    }
    if is(first, &["declare", "fetch", "move", "close"]) {
        return Some(Refusal::Cursor);
    }
    if is(first, &["copy"]) {
        return Some(Refusal::Copy);
    }
    if contains(sql, "synchronous_commit") {
        return Some(Refusal::Durability);
    }
    let sets = is(first, &["set"]) && !is(second, &["local", "constraints", "transaction"]);
    let temporary = is(first, &["create"]) && is(second, &["temp", "temporary", "local", "global"]);
    let session = is(first, &["reset", "discard", "listen", "unlisten", "prepare", "deallocate", "execute", "load"]);
    let locks = ["pg_advisory_lock", "pg_try_advisory_lock", "pg_advisory_unlock"];
    if sets || temporary || session || sets_by_function(sql) || locks.iter().any(|name| contains(sql, name)) {
        return Some(Refusal::SessionState);
    }
    None
}

/// Whether a call of `set_config` may reach beyond its transaction: unless its third argument is `true` as it stands.
fn sets_by_function(sql: &str) -> bool {
    const NAME: &str = "set_config";
    if !contains(sql, NAME) {
        return false;
    }
    let lower = sql.to_ascii_lowercase();
    lower.match_indices(NAME).any(|(at, _)| {
        let (before, behind) = (&lower[..at], &lower[at + NAME.len()..]);
        let longer = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let call = behind.trim_start_matches(|c: char| c.is_whitespace() || c == '"').strip_prefix('(');
        !longer && call.is_some_and(|arguments| last_argument(arguments) != Some("true"))
    })
}

/// The last argument of a call whose parenthesis is open; None if it is not closed.
fn last_argument(arguments: &str) -> Option<&str> {
    let (mut depth, mut quoted, mut begin) = (0_u32, false, 0);
    for (at, letter) in arguments.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' if depth == 0 => return Some(arguments[begin..at].trim()),
            ')' => depth -= 1,
            ',' if depth == 0 => begin = at + 1,
            _ => {}
        }
    }
    None
}

/// Whether the rows of a statement may show a value of a sequence.
pub(crate) fn shows_sequence(sql: &str) -> bool {
    ["nextval", "currval", "lastval", "setval"].iter().any(|name| contains(sql, name))
}

/// The words at the beginning, without comments.
fn words(sql: &str) -> impl Iterator<Item = &str> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '(' || c == ';');
            if let Some(comment) = rest.strip_prefix("--") {
                rest = comment.split_once('\n').map_or("", |(_, after)| after);
            } else if rest.starts_with("/*") {
                rest = after_comment(rest);
            } else {
                break;
            }
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}

/// What follows a block comment; PostgreSQL's may be nested.
fn after_comment(sql: &str) -> &str {
    let (mut depth, mut rest) = (0_u32, sql);
    loop {
        if let Some(after) = rest.strip_prefix("/*") {
            (depth, rest) = (depth.saturating_add(1), after);
        } else if let Some(after) = rest.strip_prefix("*/") {
            (depth, rest) = (depth.saturating_sub(1), after);
            if depth == 0 {
                return rest;
            }
        } else {
            let mut letters = rest.chars();
            if letters.next().is_none() {
                return "";
            }
            rest = letters.as_str();
        }
    }
}

fn contains(sql: &str, name: &str) -> bool {
    sql.as_bytes().windows(name.len()).any(|window| window.eq_ignore_ascii_case(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_or_outlives_the_transaction_is_refused() {
        for (sql, reason) in [
            ("PREPARE TRANSACTION 'x'", Refusal::TwoPhaseCommit),
            ("commit /* now */ prepared 'x'", Refusal::TwoPhaseCommit),
            (" -- a comment\n COMMIT", Refusal::TransactionControl),
            ("/* a /* nested */ comment */ rollback", Refusal::TransactionControl),
            (";end", Refusal::TransactionControl),
            ("SAVEPOINT s", Refusal::TransactionControl),
            ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", Refusal::Cursor),
            ("copy t from stdin", Refusal::Copy),
            ("SET search_path = x", Refusal::SessionState),
            ("SET SESSION x = 1", Refusal::SessionState),
            ("CREATE TEMP TABLE t ()", Refusal::SessionState),
            ("LISTEN x", Refusal::SessionState),
            ("SELECT PG_ADVISORY_LOCK(1)", Refusal::SessionState),
            ("SELECT set_config('search_path', 'x', false)", Refusal::SessionState),
            ("SELECT pg_catalog.Set_Config ('a.b', concat('x', ',', $1), $2)", Refusal::SessionState),
            ("SELECT \"set_config\"('a.b', ')', false), 'true)'", Refusal::SessionState),
            ("SELECT set_config('a', 'b', true), set_config('a', 'b', false)", Refusal::SessionState),
            ("SELECT set_config('a', 'b'", Refusal::SessionState),
            ("SET LOCAL synchronous_commit = off", Refusal::Durability),
            ("SELECT set_config('Synchronous_Commit', 'off', true)", Refusal::Durability),
        ] {
            assert_eq!(refused(sql), Some(reason), "{sql}");
        }
    }

    #[test]
    fn ordinary_statements_are_not() {
        for sql in [
            "SELECT 1",
            "(SELECT 1)",
            "WITH x AS (SELECT 1) SELECT * FROM x",
            "INSERT INTO commits VALUES (1)",
            "SET LOCAL lock_timeout = '1s'",
            "SET CONSTRAINTS ALL DEFERRED",
            "SELECT pg_advisory_xact_lock(1)",
            "SELECT set_config('app.tenant', $1, true)",
            "select pg_catalog.set_config ( 'a.b', concat(')', $1), TRUE )",
            "SELECT set_config_at, reset_config(1) FROM account",
            "UPDATE begin SET a = 1",
            "",
            "/*",
            "--",
        ] {
            assert_eq!(refused(sql), None, "{sql}");
        }
        assert!(shows_sequence("SELECT nextval('s')"));
        assert!(!shows_sequence("SELECT next"));
    }
}
