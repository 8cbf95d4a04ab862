//! The versions of a secret. What they hold is never printed.

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use steadfast_core::rotation::executor::Which;
use steadfast_core::rotation::observed::{CURRENT, PENDING};
use steadfast_core::rotation::{Blocked, Document, DocumentError};

use super::not_done;
use crate::control_plane::{call_error, code};
use crate::grant::{Call, Calls, On};

/// The label of the version that was current before.
const PREVIOUS: &str = "AWSPREVIOUS";
/// What trips over connection strings and shells, as in the rotation templates of Secrets Manager.
const EXCLUDED: &str = "/@\"'\\:%";
const PASSWORD_LENGTH: i64 = 32;

/// Secrets Manager.
#[derive(Clone, Debug)]
pub struct Secrets {
    client: Client,
}

/// What is seen of a secret.
pub(super) struct Seen {
    pub(super) enabled: bool,
    pub(super) stages: BTreeMap<String, Vec<String>>,
    pub(super) current: Result<Document, DocumentError>,
    pub(super) pending: Option<Result<Document, DocumentError>>,
}

/// Which version is read.
#[derive(Clone, Copy)]
enum Version<'a> {
    Labelled(&'static str),
    Numbered(&'a str),
}

impl Secrets {
    /// What [`Self::versions`] and [`Self::previous`] call.
    pub const READ: Calls = &[
        Call::new("secretsmanager:DescribeSecret", On::Rotated),
        Call::new("secretsmanager:GetSecretValue", On::Rotated),
    ];
    /// What [`Self::create_pending`] calls.
    pub const CREATE_PENDING: Calls = &[
        Call::new("secretsmanager:GetRandomPassword", On::Nothing),
        Call::new("secretsmanager:PutSecretValue", On::Rotated),
    ];
    /// What [`Self::move_current`] and [`Self::clear_pending`] call.
    pub const MOVE_LABELS: Calls = &[Call::new("secretsmanager:UpdateSecretVersionStage", On::Rotated)];

    /// Takes a client of [`crate::clients`].
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) async fn versions(&self, which: Which<'_>) -> Result<Seen, Blocked> {
        let described = self.client.describe_secret().secret_id(which.secret).send();
        let current = self.read(which.secret, Version::Labelled(CURRENT));
        let pending = self.read(which.secret, Version::Numbered(which.token));
        let (described, current, pending) = tokio::join!(described, current, pending);
        let described = described.map_err(|error| refused("DescribeSecret", &error))?;
        Ok(Seen {
            enabled: described.rotation_enabled().unwrap_or(false),
            stages: described.version_ids_to_stages.unwrap_or_default().into_iter().collect(),
            current: Document::parse(&current?.unwrap_or_default()),
            pending: pending?.as_deref().map(Document::parse),
        })
    }

    /// The secret before the current one; None where there is none that can be used.
    pub(super) async fn previous(&self, secret: &str) -> Result<Option<Document>, Blocked> {
        let text = self.read(secret, Version::Labelled(PREVIOUS)).await?;
        Ok(text.and_then(|text| Document::parse(&text).ok()))
    }

    /// Stores the same secret for `role`, with a password that Secrets Manager makes.
    pub(super) async fn create_pending(&self, which: Which<'_>, current: &Document, role: &str) -> Result<(), Blocked> {
        let made = self.client.get_random_password().exclude_characters(EXCLUDED).password_length(PASSWORD_LENGTH);
        let made = made.send().await.map_err(|error| refused("GetRandomPassword", &error))?;
        let password = made.random_password().unwrap_or_default();
        if password.is_empty() {
            return Err(Blocked::Failed { what: "GetRandomPassword: an empty answer".to_owned(), passes: true });
        }
        let put = self.client.put_secret_value().secret_id(which.secret).client_request_token(which.token);
        let put = put.secret_string(current.with_user(role, password).to_text()).version_stages(PENDING);
        put.send().await.map(|_| ()).map_err(|error| refused("PutSecretValue", &error))
    }

    pub(super) async fn move_current(&self, which: Which<'_>, from: &str) -> Result<(), Blocked> {
        let call = self.client.update_secret_version_stage().secret_id(which.secret).version_stage(CURRENT);
        let call = call.move_to_version_id(which.token).remove_from_version_id(from);
        call.send().await.map(|_| ()).map_err(|error| refused("UpdateSecretVersionStage", &error))
    }

    pub(super) async fn clear_pending(&self, which: Which<'_>) -> Result<(), Blocked> {
        let call = self.client.update_secret_version_stage().secret_id(which.secret).version_stage(PENDING);
        let call = call.remove_from_version_id(which.token);
        call.send().await.map(|_| ()).map_err(|error| refused("UpdateSecretVersionStage", &error))
    }

    /// The text of a version; None where the version holds nothing. A binary one is no JSON of ours: an empty text.
    async fn read(&self, secret: &str, version: Version<'_>) -> Result<Option<String>, Blocked> {
        let call = self.client.get_secret_value().secret_id(secret);
        let call = match version {
            Version::Labelled(label) => call.version_stage(label),
            Version::Numbered(id) => call.version_id(id),
        };
        match call.send().await {
            Ok(answer) if answer.secret_binary().is_some() => Ok(Some(String::new())),
            Ok(answer) => Ok(answer.secret_string),
            Err(error) if code(&error) == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(refused("GetSecretValue", &error)),
        }
    }
}

/// Somebody else's step of the same rotation may have come first, or Secrets Manager is busy: the next look shows it.
fn refused<E, R>(action: &'static str, error: &SdkError<E, R>) -> Blocked
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let passes = matches!(
        code(error),
        Some("ResourceExistsException" | "InvalidParameterException" | "ThrottlingException" | "InternalServiceError")
    );
    let blocked = not_done(&call_error(action, error));
    Blocked::Failed { passes: passes || blocked.passes(), what: blocked.to_string() }
}
