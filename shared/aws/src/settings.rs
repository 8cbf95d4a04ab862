//! Settings from the environment: each missing or malformed one is named with its remedy.

pub mod table;

use std::path::PathBuf;
use std::time::Duration;

use crate::functions::Function;

/// An environment variable that a function reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What it should hold.
    pub wanted: &'static str,
}

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
    /// The function asked for a setting that its entry in [`crate::functions`] does not have, so that no installation
    /// would have it either.
    #[error(
        "setting {name} is read by {function} and not declared there: add it to its entry in shared/aws/src/functions"
    )]
    Undeclared {
        /// The environment variable.
        name: &'static str,
        /// The function.
        function: &'static str,
    },
    /// The clients could not be made.
    #[error("{0}")]
    Unusable(String),
}

/// Reads settings from one source: the process environment, or a map in a test.
pub struct Settings<'a> {
    source: &'a dyn Fn(&str) -> Option<String>,
    reader: Option<&'static Function>,
}

impl Settings<'static> {
    /// The process environment of a function. It may read what its entry declares.
    pub fn of(function: &'static Function) -> Self {
        Self { source: &|name| std::env::var(name).ok(), reader: Some(function) }
    }
}

impl<'a> Settings<'a> {
    /// Any other source.
    pub fn from_source(source: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { source, reader: None }
    }

    /// A setting that has to be there.
    ///
    /// # Errors
    ///
    /// When it is missing or empty.
    pub fn text(&self, setting: Setting) -> Result<String, SettingError> {
        let Setting { name, wanted } = setting;
        self.optional(setting)?.ok_or(SettingError::Missing { name, wanted })
    }

    /// A setting that may be left out. An empty one counts as left out.
    ///
    /// # Errors
    ///
    /// When the function does not declare it.
    pub fn optional(&self, setting: Setting) -> Result<Option<String>, SettingError> {
        if let Some(function) = self.reader
            && !function.settings.iter().any(|declared| declared.setting.name == setting.name)
        {
            return Err(SettingError::Undeclared { name: setting.name, function: function.name });
        }
        Ok((self.source)(setting.name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()))
    }

    /// A readable file.
    ///
    /// # Errors
    ///
    /// When it is missing, or no file is there.
    pub fn file(&self, setting: Setting) -> Result<PathBuf, SettingError> {
        let value = self.text(setting)?;
        let path = PathBuf::from(&value);
        if path.is_file() { Ok(path) } else { Err(setting.malformed(value)) }
    }

    /// A duration such as `20s` or `500ms`; `default` when left out.
    ///
    /// # Errors
    ///
    /// When it is no duration.
    pub fn duration(&self, setting: Setting, default: Duration) -> Result<Duration, SettingError> {
        match self.optional(setting)? {
            None => Ok(default),
            Some(value) => humantime::parse_duration(&value).map_err(|_| setting.malformed(value)),
        }
    }

    /// Anything else that can be parsed; None when left out.
    ///
    /// # Errors
    ///
    /// When it cannot be parsed.
    pub fn parsed<T: std::str::FromStr>(&self, setting: Setting) -> Result<Option<T>, SettingError> {
        match self.optional(setting)? {
            None => Ok(None),
            Some(value) => match value.parse() {
                Ok(parsed) => Ok(Some(parsed)),
                Err(_) => Err(setting.malformed(value)),
            },
        }
    }

    /// A list with commas between its items, none of them empty.
    ///
    /// # Errors
    ///
    /// When it is missing or has an empty item.
    pub fn list(&self, setting: Setting) -> Result<Vec<String>, SettingError> {
        let value = self.text(setting)?;
        let items: Vec<String> = value.split(',').map(|item| item.trim().to_owned()).collect();
        if items.iter().any(String::is_empty) {
            return Err(setting.malformed(value));
        }
        Ok(items)
    }
}

impl Setting {
    /// Says that it holds what it should not.
    pub fn malformed(self, value: String) -> SettingError {
        SettingError::Malformed { name: self.name, value, wanted: self.wanted }
    }

    /// Says that it is not there.
    pub fn missing(self) -> SettingError {
        SettingError::Missing { name: self.name, wanted: self.wanted }
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
        let error = Settings::from_source(&|_| None).text(table::TABLE);
        assert_eq!(
            error.expect_err("missing").to_string(),
            "setting STEADFAST_TABLE is missing: set it to the name of the state table"
        );
    }

    #[test]
    fn a_malformed_setting_is_named_with_its_value() {
        let source = with("STEADFAST_PLATFORM_GRACE", "soon");
        let error = Settings::from_source(&source).duration(table::PLATFORM_GRACE, Duration::ZERO);
        assert_eq!(
            error.expect_err("malformed").to_string(),
            "setting STEADFAST_PLATFORM_GRACE is malformed: \"soon\" is not a duration such as 20s or 500ms"
        );
    }

    #[test]
    fn a_list_has_no_empty_item() {
        const ROLES: Setting = Setting { name: "ROLES", wanted: "x" };
        let source = with("ROLES", "a, b");
        assert_eq!(Settings::from_source(&source).list(ROLES).expect("list"), ["a", "b"]);
        let source = with("ROLES", "a,,b");
        assert!(Settings::from_source(&source).list(ROLES).is_err());
    }

    #[test]
    fn a_function_reads_nothing_that_it_does_not_declare() {
        let settings = Settings::of(&crate::functions::EVENT_ROUTER);
        let error = settings.optional(table::CHECK_SQL).expect_err("the router checks nothing").to_string();
        assert!(error.contains("STEADFAST_CHECK_SQL is read by event-router and not declared"), "{error}");
        assert!(settings.optional(table::TABLE).is_ok());
    }
}
