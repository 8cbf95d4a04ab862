//! Named parameters: finds each `:name` outside quotes and comments and writes `$n` in its place.

/// SQL text with positional parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scanned {
    /// The text for PostgreSQL.
    pub(super) text: String,
    /// `names[0]` is `$1`. A name that occurs twice is listed once.
    pub(super) names: Vec<String>,
}

/// Scans by PostgreSQL's lexical rules with `standard_conforming_strings` on. Never fails: text
/// that is not closed runs to the end and is left for PostgreSQL to refuse.
pub(super) fn scan(sql: &str) -> Scanned {
    let bytes = sql.as_bytes();
    let mut scanned = Scanned { text: String::with_capacity(sql.len()), names: Vec::new() };
    let mut at = 0;
    let mut copied = 0;
    while let Some(&byte) = bytes.get(at) {
        let end = match byte {
            b'\'' => after_quoted(bytes, at + 1, b'\'', false),
            b'"' => after_quoted(bytes, at + 1, b'"', false),
            b'-' if bytes.get(at + 1) == Some(&b'-') => after_line(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => after_comment(bytes, at),
            b'$' => after_dollar(bytes, at),
            b':' => match bytes.get(at + 1) {
                Some(b':' | b'=') => at + 2,
                Some(next) if starts_name(*next) => {
                    let end = run_end(bytes, at + 1, continues_name);
                    scanned.push_text(sql, copied, at);
                    scanned.push_name(sql, at + 1, end);
                    copied = end;
                    end
                }
                Some(_) | None => at + 1,
            },
            _ if starts_identifier(byte) => after_word(bytes, at),
            _ if byte.is_ascii_digit() => run_end(bytes, at, continues_name),
            _ => at + 1,
        };
        at = end;
    }
    scanned.push_text(sql, copied, sql.len());
    scanned
}

impl Scanned {
    fn push_text(&mut self, sql: &str, from: usize, to: usize) {
        self.text.push_str(sql.get(from..to).unwrap_or_default());
    }

    fn push_name(&mut self, sql: &str, from: usize, to: usize) {
        let name = sql.get(from..to).unwrap_or_default();
        let index = match self.names.iter().position(|known| known == name) {
            Some(index) => index,
            None => {
                self.names.push(name.to_owned());
                self.names.len() - 1
            }
        };
        self.text.push('$');
        self.text.push_str(&(index + 1).to_string());
    }
}

fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn continues_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn starts_identifier(byte: u8) -> bool {
    starts_name(byte) || byte >= 0x80
}

fn continues_identifier(byte: u8) -> bool {
    continues_name(byte) || byte >= 0x80 || byte == b'$'
}

fn continues_tag(byte: u8) -> bool {
    continues_name(byte) || byte >= 0x80
}

fn run_end(bytes: &[u8], from: usize, part: fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| part(**byte)).count()
}

/// After the closing quote; a doubled quote stays inside.
fn after_quoted(bytes: &[u8], from: usize, quote: u8, backslash: bool) -> usize {
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'\\' && backslash {
            at += 2;
        } else if byte != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    bytes.len()
}

fn after_line(bytes: &[u8], from: usize) -> usize {
    run_end(bytes, from, |byte| byte != b'\n' && byte != b'\r')
}

/// After a `/* */` comment; they nest.
fn after_comment(bytes: &[u8], from: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = from;
    while at < bytes.len() {
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'/'), Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            (Some(b'*'), Some(b'/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// After `$tag$ ... $tag$`; a dollar that opens no quote is one character.
fn after_dollar(bytes: &[u8], from: usize) -> usize {
    let tag = from + 1;
    let tag_end = match bytes.get(tag) {
        Some(byte) if starts_identifier(*byte) => run_end(bytes, tag, continues_tag),
        Some(_) | None => tag,
    };
    if bytes.get(tag_end) != Some(&b'$') {
        return tag;
    }
    let body = tag_end + 1;
    let delimiter = bytes.get(from..body).unwrap_or_default();
    let rest = bytes.get(body..).unwrap_or_default();
    match rest.windows(delimiter.len()).position(|window| window == delimiter) {
        Some(offset) => body + offset + delimiter.len(),
        None => bytes.len(),
    }
}

/// After an identifier or keyword, with the string that `E` introduces.
fn after_word(bytes: &[u8], from: usize) -> usize {
    let end = run_end(bytes, from, continues_identifier);
    let word = bytes.get(from..end).unwrap_or_default();
    if word.eq_ignore_ascii_case(b"e") && bytes.get(end) == Some(&b'\'') {
        return after_quoted(bytes, end + 1, b'\'', true);
    }
    end
}
