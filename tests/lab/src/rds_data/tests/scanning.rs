use super::super::scan::scan;

fn check(sql: &str, text: &str, names: &[&str]) {
    let scanned = scan(sql);
    assert_eq!(scanned.text, text);
    assert_eq!(scanned.names, names);
}

#[test]
fn names_become_positions() {
    check("SELECT :a, :b_2, :a WHERE x=:a::int4", "SELECT $1, $2, $1 WHERE x=$1::int4", &["a", "b_2"]);
    check("VALUES (:a,:B)", "VALUES ($1,$2)", &["a", "B"]);
}

#[test]
fn quotes_comments_and_casts_hold_no_names() {
    for sql in [
        "SELECT ':a', ':a'':b', \":a\"\":b\"",
        "SELECT '12:30'::time, a::text, arr[1:2]",
        "SELECT 1 -- :a\n + 1",
        "SELECT 1 /* :a /* :b */ :c */ + 1",
        "SELECT $$ :a $$, $t$ :a $$ :b $t$",
        "SELECT E'\\':a', e'\\\\' || ':b'",
        "SELECT f(x := 1)",
        "SELECT a$t$ || b$t$",
        "SELECT 'öffnet :a' AS ü",
        "SELECT ':a",
        "SELECT $t$ :a",
        "SELECT /* :a",
        "SELECT E'\\",
    ] {
        check(sql, sql, &[]);
    }
    check("SELECT 'a\\', :a", "SELECT 'a\\', $1", &["a"]);
    check("SELECT E'\\\\', :a", "SELECT E'\\\\', $1", &["a"]);
    check("SELECT type'\\', :a", "SELECT type'\\', $1", &["a"]);
    check("SELECT $1$ :a", "SELECT $1$ $1", &["a"]);
    check("SELECT 1--\r:a", "SELECT 1--\r$1", &["a"]);
}

/// All texts of up to four pieces: no panic, and nothing but the names changes.
#[test]
fn any_text_is_scanned() {
    let pieces = ["'", "\"", "$", "$t$", ":", ":a", "\\", "E", "--", "/*", "*/", "\n", "ü", "1"];
    let mut texts = vec![String::new()];
    let mut longest = texts.clone();
    for _ in 0..4 {
        longest = longest.iter().flat_map(|text| pieces.iter().map(move |piece| format!("{text}{piece}"))).collect();
        texts.extend(longest.iter().cloned());
    }
    for text in texts {
        let scanned = scan(&text);
        if scanned.names.is_empty() {
            assert_eq!(scanned.text, text);
        }
    }
}
