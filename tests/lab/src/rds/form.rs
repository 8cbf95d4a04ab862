//! Parameters of a request: `Filters.Filter.1.Values.Value.1=...` and its kin.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::ApiError;

/// All parameters of one request.
#[derive(Debug, Clone, Default)]
pub(super) struct Form(BTreeMap<String, String>);

/// One entry of `Filters`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) name: String,
    pub(super) values: Vec<String>,
}

impl Form {
    /// Reads the form-encoded body, or the query of a GET request.
    pub(super) fn parse(encoded: &[u8]) -> Result<Self, ApiError> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(encoded).map_err(|error| {
            let message = format!("The request is not form-encoded: {error}");
            ApiError::new(400, "MalformedQueryString", message)
        })?;
        Ok(Self(pairs.into_iter().collect()))
    }

    /// An empty value counts as none, as it does on AWS for identifiers.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?;
        (!value.is_empty()).then_some(value.as_str())
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| ApiError::missing_parameter(name))
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let parsed = text
            .parse()
            .map_err(|_| ApiError::invalid_value(format!("Invalid value {text} for {name}. Must be an integer")))?;
        Ok(Some(parsed))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => {
                Err(ApiError::invalid_value(format!("Invalid value {other} for {name}. Must be true or false")))
            }
        }
    }

    /// The values under `{prefix}.{n}`, in the order of n.
    pub(super) fn list(&self, prefix: &str) -> Vec<String> {
        (1_u32..).map_while(|n| self.get(&format!("{prefix}.{n}"))).map(str::to_owned).collect()
    }

    pub(super) fn filters(&self) -> Vec<Filter> {
        (1_u32..)
            .map_while(|n| {
                let prefix = format!("Filters.Filter.{n}");
                let name = self.get(&format!("{prefix}.Name"))?.to_owned();
                let values = self.list(&format!("{prefix}.Values.Value"));
                Some(Filter { name, values })
            })
            .collect()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn into_pairs(self) -> BTreeMap<String, String> {
        self.0
    }

    /// Cuts one page out of entries with ascending keys; also the marker of the next page.
    pub(super) fn page<T>(&self, entries: Vec<(u64, T)>) -> Result<(Vec<T>, Option<String>), ApiError> {
        let limit = self.page_size()?;
        let after = self.get("Marker").map(read_marker).transpose()?;
        let mut rest = entries.into_iter().filter(|(key, _)| after.is_none_or(|after| *key > after)).peekable();
        let mut page = Vec::new();
        let mut last = 0;
        while page.len() < limit
            && let Some((key, entry)) = rest.next()
        {
            last = key;
            page.push(entry);
        }
        let marker = rest.peek().map(|_| STANDARD.encode(last.to_string()));
        Ok((page, marker))
    }

    /// 20 to 100, default 100 (RDS API reference, `MaxRecords`).
    fn page_size(&self) -> Result<usize, ApiError> {
        let Some(asked) = self.number("MaxRecords")? else {
            return Ok(100);
        };
        usize::try_from(asked).ok().filter(|size| (20..=100).contains(size)).ok_or_else(|| {
            ApiError::invalid_value(format!("Invalid value {asked} for MaxRecords. Must be between 20 and 100"))
        })
    }
}

fn read_marker(marker: &str) -> Result<u64, ApiError> {
    let decoded = STANDARD.decode(marker).ok();
    decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| ApiError::invalid_value(format!("Invalid value {marker} for Marker")))
}
