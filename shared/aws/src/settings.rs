//! Settings from the environment: each missing or malformed one is named with its remedy.

use std::path::PathBuf;
use std::time::Duration;

/// A setting that is missing or malformed. One line, fit to be the last one of a failed start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// It is not set, or empty.
    #[error("setting {name} is missing: set it to {wanted}")]
    Missing {
        /// The environment variable.
        name: &'static str,
        /// What it should hold.
        wanted: &'static str,
    },
    /// It cannot be read as what it should be.
    #[error("setting {name} is malformed: {value:?} is not {wanted}")]
    Malformed {
        /// The environment variable.
        name: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        wanted: &'static str,
    },
    /// Two are set of which only one may be.
    #[error("settings {one} and {other} exclude each other: unset one of them")]
    Conflicting {
        /// An environment variable.
        one: &'static str,
        /// The other one.
        other: &'static str,
    },
    /// The clients could not be made.
    #[error("{0}")]
    Unusable(String),
}

/// Reads settings from one source: the process environment, or a map in a test.
pub struct Settings<'a> {
    source: &'a dyn Fn(&str) -> Option<String>,
}

impl Settings<'static> {
    /// The process environment.
    pub fn from_environment() -> Self {
        Self { source: &|name| std::env::var(name).ok() }
    }
}

impl<'a> Settings<'a> {
    /// Any other source.
    pub fn from_source(source: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { source }
    }

    /// A setting that has to be there.
    ///
    /// # Errors
    ///
    /// When it is missing or empty.
    pub fn text(&self, name: &'static str, wanted: &'static str) -> Result<String, SettingError> {
        self.optional(name).ok_or(SettingError::Missing { name, wanted })
    }

    /// A setting that may be left out. An empty one counts as left out.
    pub fn optional(&self, name: &str) -> Option<String> {
        (self.source)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// A readable file.
    ///
    /// # Errors
    ///
    /// When it is missing, or no file is there.
    pub fn file(&self, name: &'static str, wanted: &'static str) -> Result<PathBuf, SettingError> {
        let value = self.text(name, wanted)?;
        let path = PathBuf::from(&value);
        if path.is_file() { Ok(path) } else { Err(SettingError::Malformed { name, value, wanted }) }
    }

    /// A duration such as `20s` or `500ms`; `default` when left out.
    ///
    /// # Errors
    ///
    /// When it is no duration.
    pub fn duration(&self, name: &'static str, default: Duration) -> Result<Duration, SettingError> {
        match self.optional(name) {
            None => Ok(default),
            Some(value) => humantime::parse_duration(&value).map_err(|_| SettingError::Malformed {
                name,
                value,
                wanted: "a duration such as 20s or 500ms",
            }),
        }
    }

    /// Anything else that can be parsed; None when left out.
    ///
    /// # Errors
    ///
    /// When it cannot be parsed.
    pub fn parsed<T: std::str::FromStr>(
        &self,
        name: &'static str,
        wanted: &'static str,
    ) -> Result<Option<T>, SettingError> {
        match self.optional(name) {
            None => Ok(None),
            Some(value) => match value.parse() {
                Ok(parsed) => Ok(Some(parsed)),
                Err(_) => Err(SettingError::Malformed { name, value, wanted }),
            },
        }
    }

    /// A list with commas between its items, none of them empty.
    ///
    /// # Errors
    ///
    /// When it is missing or has an empty item.
    pub fn list(&self, name: &'static str, wanted: &'static str) -> Result<Vec<String>, SettingError> {
        let value = self.text(name, wanted)?;
        let items: Vec<String> = value.split(',').map(|item| item.trim().to_owned()).collect();
        if items.iter().any(String::is_empty) {
            return Err(SettingError::Malformed { name, value, wanted });
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> impl Fn(&str) -> Option<String> {
        move |asked| (asked == name).then(|| value.to_owned())
    }

    #[test]
    fn a_missing_setting_is_named_with_its_remedy() {
        let error = Settings::from_source(&|_| None).text("STEADFAST_TABLE", "the name of the state table");
        assert_eq!(
            error.expect_err("missing").to_string(),
            "setting STEADFAST_TABLE is missing: set it to the name of the state table"
        );
    }

    #[test]
    fn a_malformed_setting_is_named_with_its_value() {
        let source = with("STEADFAST_PLATFORM_GRACE", "soon");
        let error = Settings::from_source(&source).duration("STEADFAST_PLATFORM_GRACE", Duration::ZERO);
        assert_eq!(
            error.expect_err("malformed").to_string(),
            "setting STEADFAST_PLATFORM_GRACE is malformed: \"soon\" is not a duration such as 20s or 500ms"
        );
    }

    #[test]
    fn a_list_has_no_empty_item() {
        let source = with("ROLES", "a, b");
        assert_eq!(Settings::from_source(&source).list("ROLES", "x").expect("list"), ["a", "b"]);
        let source = with("ROLES", "a,,b");
        assert!(Settings::from_source(&source).list("ROLES", "x").is_err());
    }
}
