//! Request bodies and the checks that come before any connection.

use serde::Deserialize;

use super::error::{ApiError, Code};

/// The longest SQL text in characters.
const MAX_SQL: usize = 65_536;
/// The longest transaction id in characters.
const MAX_TRANSACTION_ID: usize = 192;

/// The members of all operations; each operation takes those that it knows.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    resource_arn: Option<String>,
    secret_arn: Option<String>,
    sql: Option<String>,
    database: Option<String>,
    schema: Option<String>,
    parameters: Option<Vec<SqlParameter>>,
    parameter_sets: Option<Vec<Vec<SqlParameter>>>,
    transaction_id: Option<String>,
    include_result_metadata: Option<bool>,
    continue_after_timeout: Option<bool>,
    result_set_options: Option<ResultSetOptions>,
    format_records_as: Option<RecordsFormat>,
}

/// One named parameter.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SqlParameter {
    pub(super) name: Option<String>,
    pub(super) value: Option<InputField>,
    pub(super) type_hint: Option<TypeHint>,
}

/// The `Field` union as a request carries it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InputField {
    pub(super) is_null: Option<bool>,
    pub(super) boolean_value: Option<bool>,
    pub(super) long_value: Option<i64>,
    pub(super) double_value: Option<InputDouble>,
    pub(super) string_value: Option<String>,
    pub(super) blob_value: Option<String>,
    pub(super) array_value: Option<serde::de::IgnoredAny>,
}

/// A double; the AWS JSON protocols write the values JSON has no number for as strings.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(super) enum InputDouble {
    Number(f64),
    Named(NamedDouble),
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) enum NamedDouble {
    NaN,
    Infinity,
    #[serde(rename = "-Infinity")]
    NegativeInfinity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum TypeHint {
    Json,
    Uuid,
    Timestamp,
    Date,
    Time,
    Decimal,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResultSetOptions {
    decimal_return_type: Option<DecimalReturnType>,
    long_return_type: Option<LongReturnType>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum DecimalReturnType {
    String,
    DoubleOrLong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum LongReturnType {
    String,
    Long,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum RecordsFormat {
    None,
    Json,
}

/// Who is asking for which cluster.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) resource_arn: String,
    pub(super) secret_arn: String,
    /// `None` means the database that has the name of the user.
    pub(super) database: Option<String>,
}

/// How a result set is to be returned.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ResultOptions {
    pub(super) metadata: bool,
    pub(super) as_json: bool,
    pub(super) decimal_as_number: bool,
    pub(super) long_as_string: bool,
}

impl Request {
    /// Reads a body. An empty body is an empty object.
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(body).map_err(|error| {
            ApiError::new(Code::SerializationException, format!("the request body is not valid: {error}"))
        })
    }

    pub(super) fn target(&self) -> Result<Target, ApiError> {
        if self.schema.is_some() {
            return Err(ApiError::validation("The schema parameter isn't supported"));
        }
        let database = self.database.clone().filter(|name| !name.is_empty());
        if database.as_deref().is_some_and(|name| name.contains('\0')) {
            return Err(ApiError::validation("the database name holds a zero byte; remove it"));
        }
        Ok(Target {
            resource_arn: required(self.resource_arn.as_deref(), "resourceArn")?,
            secret_arn: required(self.secret_arn.as_deref(), "secretArn")?,
            database,
        })
    }

    pub(super) fn sql(&self) -> Result<String, ApiError> {
        let sql = required(self.sql.as_deref(), "sql")?;
        let length = sql.chars().count();
        if length > MAX_SQL {
            return Err(ApiError::validation(format!(
                "the sql has {length} characters; shorten it to at most {MAX_SQL}"
            )));
        }
        if sql.contains('\0') {
            return Err(ApiError::sql("ERROR: invalid byte sequence for encoding \"UTF8\": 0x00", "22021"));
        }
        Ok(sql)
    }

    pub(super) fn transaction_id(&self) -> Result<Option<&str>, ApiError> {
        let id = self.transaction_id.as_deref().filter(|id| !id.is_empty());
        match id {
            Some(id) if id.chars().count() > MAX_TRANSACTION_ID => Err(ApiError::validation(format!(
                "the transactionId is longer than {MAX_TRANSACTION_ID} characters; use the one BeginTransaction returned"
            ))),
            id => Ok(id),
        }
    }

    pub(super) fn required_transaction_id(&self) -> Result<&str, ApiError> {
        self.transaction_id()?.ok_or_else(|| missing("transactionId"))
    }

    pub(super) fn take_parameters(&mut self) -> Vec<SqlParameter> {
        self.parameters.take().unwrap_or_default()
    }

    pub(super) fn take_parameter_sets(&mut self) -> Vec<Vec<SqlParameter>> {
        self.parameter_sets.take().unwrap_or_default()
    }

    pub(super) fn continue_after_timeout(&self) -> bool {
        self.continue_after_timeout.unwrap_or(false)
    }

    pub(super) fn result_options(&self) -> ResultOptions {
        let options = self.result_set_options.unwrap_or_default();
        ResultOptions {
            metadata: self.include_result_metadata.unwrap_or(false),
            as_json: self.format_records_as == Some(RecordsFormat::Json),
            decimal_as_number: options.decimal_return_type == Some(DecimalReturnType::DoubleOrLong),
            long_as_string: options.long_return_type == Some(LongReturnType::String),
        }
    }
}

fn required(value: Option<&str>, name: &str) -> Result<String, ApiError> {
    match value {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        Some(_) | None => Err(missing(name)),
    }
}

fn missing(name: &str) -> ApiError {
    ApiError::validation(format!(
        "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
    ))
}
