//! The JSON of a database secret. It is never printed.

use std::fmt;

use serde_json::{Map, Value};

/// A secret as Secrets Manager's rotation templates describe it: `username` and `password`, perhaps `host`, `engine`
/// and others, which a rotation keeps as they are.
#[derive(Clone, PartialEq)]
pub struct Document {
    username: String,
    password: String,
    fields: Map<String, Value>,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Why a secret cannot be rotated as it is. Names fields, never what they hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It holds something else.
    #[error("it is no JSON object; store one with the texts \"username\" and \"password\"")]
    NotJson,
    /// A field is not there.
    #[error("it has no field \"{0}\"; add it, and keep the others")]
    Lacks(&'static str),
    /// A field holds no text, or an empty one.
    #[error("its field \"{0}\" is no text, or empty; write it in quotation marks")]
    NotText(&'static str),
    /// It is of another kind of database.
    #[error("its field \"engine\" is neither \"postgres\" nor \"aurora-postgresql\"; mend it, or rotate it elsewhere")]
    Engine,
}

impl Document {
    /// Reads a secret.
    ///
    /// # Errors
    ///
    /// The first field that does not fit.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        // The parser's own error would quote the secret.
        let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
            return Err(DocumentError::NotJson);
        };
        let username = required(&fields, "username")?.to_owned();
        let password = required(&fields, "password")?.to_owned();
        optional(&fields, "host")?;
        optional(&fields, "dbname")?;
        match optional(&fields, "engine")? {
            None | Some("postgres" | "aurora-postgresql") => Ok(Self { username, password, fields }),
            Some(_) => Err(DocumentError::Engine),
        }
    }

    /// The role to log in as.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// Its password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The host it is for, if it says so.
    pub fn host(&self) -> Option<&str> {
        self.fields.get("host").and_then(Value::as_str)
    }

    /// The database to log in to, if it says so.
    pub fn dbname(&self) -> Option<&str> {
        self.fields.get("dbname").and_then(Value::as_str)
    }

    /// The same secret for another user.
    #[must_use]
    pub fn with_user(&self, username: &str, password: &str) -> Self {
        let mut next = Self { username: username.to_owned(), password: password.to_owned(), ..self.clone() };
        for (field, value) in [("username", username), ("password", password)] {
            next.fields.insert(field.to_owned(), Value::from(value));
        }
        next
    }

    /// What is stored.
    pub fn to_text(&self) -> String {
        Value::Object(self.fields.clone()).to_string()
    }
}

fn required<'f>(fields: &'f Map<String, Value>, name: &'static str) -> Result<&'f str, DocumentError> {
    optional(fields, name)?.ok_or(DocumentError::Lacks(name))
}

fn optional<'f>(fields: &'f Map<String, Value>, name: &'static str) -> Result<Option<&'f str>, DocumentError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(DocumentError::NotText(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_named_and_never_quoted() {
        for (text, expected) in [
            ("hunter2", DocumentError::NotJson),
            ("[\"hunter2\"]", DocumentError::NotJson),
            ("", DocumentError::NotJson),
            (r#"{"password":"hunter2"}"#, DocumentError::Lacks("username")),
            (r#"{"username":"hunter2"}"#, DocumentError::Lacks("password")),
            (r#"{"username":"app","password":{"is":"hunter2"}}"#, DocumentError::NotText("password")),
            (r#"{"username":"","password":"hunter2"}"#, DocumentError::NotText("username")),
            (r#"{"username":"a","password":"hunter2","host":7}"#, DocumentError::NotText("host")),
            (r#"{"username":"a","password":"hunter2","dbname":7}"#, DocumentError::NotText("dbname")),
            (r#"{"username":"a","password":"hunter2","engine":"hunter2"}"#, DocumentError::Engine),
        ] {
            let error = Document::parse(text).expect_err(text);
            assert_eq!(error, expected, "{text}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_next_secret_keeps_every_other_field_and_shows_nothing() {
        let text = r#"{"engine":"postgres","username":"app","password":"hunter2","host":"h","port":5432,"x":[1]}"#;
        let next = Document::parse(text).expect("parses").with_user("app_clone", "hunter3");
        assert_eq!(Document::parse(&next.to_text()).as_ref(), Ok(&next));
        let stored: Value = serde_json::from_str(&next.to_text()).expect("JSON");
        assert_eq!((stored["port"].as_u64(), &stored["x"][0]), (Some(5432), &Value::from(1)));
        assert_eq!((next.username(), next.password(), next.host()), ("app_clone", "hunter3", Some("h")));
        assert!(!format!("{next:?}").contains("hunter"));
    }
}
