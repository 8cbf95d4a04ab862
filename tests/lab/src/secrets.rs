//! Rotations as Secrets Manager carries them out: the emulator keeps versions and labels, and calls no function.
//!
//! Source: the Secrets Manager guide, "Lambda function rotation": an empty version gets AWSPENDING, the function is
//! called once for each step, and a step that fails ends the try. A later try has the same version.

use aws_sdk_secretsmanager::Client;
use serde_json::{Value, json};
use steadfast_core::rotation::Document;
use steadfast_core::rotation::observed::{CURRENT, PENDING};
use steadfast_core::rotation::step::{STEPS, Step};

use crate::assembly::{AssemblyError, Lab, call, names};

/// Secrets Manager, in front of one function.
pub struct SecretsManager<'l> {
    lab: &'l Lab,
    client: Client,
}

/// A rotation that was ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// ARN of the secret.
    pub secret: String,
    /// The version that is to become current.
    pub token: String,
}

/// What stands of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The version with AWSCURRENT.
    pub current: Option<String>,
    /// The version with AWSPENDING.
    pub pending: Option<String>,
}

impl Versions {
    /// The version that stands in the way of the next rotation.
    pub fn stuck(&self) -> Option<&String> {
        self.pending.as_ref().filter(|pending| self.current.as_ref() != Some(pending))
    }
}

impl<'l> SecretsManager<'l> {
    /// The one of this lab.
    pub fn new(lab: &'l Lab) -> Self {
        Self { lab, client: Client::new(&lab.aws) }
    }

    /// Switches rotation on. The emulator takes that for a rotation, to the same content.
    ///
    /// # Errors
    ///
    /// When the emulator refuses.
    pub async fn enable(&self, secret: &str) -> Result<(), AssemblyError> {
        let function = format!("arn:aws:lambda:{}:{}:function:{}", names::REGION, names::ACCOUNT, names::ROTATOR);
        let enabled = self.client.rotate_secret().secret_id(secret).rotation_lambda_arn(function).send().await;
        enabled.map_err(call("RotateSecret"))?;
        Ok(())
    }

    /// Which versions have a label.
    ///
    /// # Errors
    ///
    /// When the emulator refuses.
    pub async fn versions(&self, secret: &str) -> Result<Versions, AssemblyError> {
        let described = self.client.describe_secret().secret_id(secret).send().await.map_err(call("DescribeSecret"))?;
        let stages = described.version_ids_to_stages.unwrap_or_default();
        let holder = |label: &str| {
            let found = stages.iter().find(|(_, labels)| labels.iter().any(|held| held == label));
            found.map(|(version, _)| version.clone())
        };
        Ok(Versions { current: holder(CURRENT), pending: holder(PENDING) })
    }

    /// Orders a rotation; one that has not ended is taken up again with the same version.
    ///
    /// # Errors
    ///
    /// When the emulator refuses.
    pub async fn order(&self, secret: &str) -> Result<Ordered, AssemblyError> {
        let versions = self.versions(secret).await?;
        if let Some(token) = versions.stuck() {
            return Ok(Ordered { secret: secret.to_owned(), token: token.clone() });
        }
        if let Some(done) = &versions.pending {
            self.unlabel(secret, done).await?;
        }
        let token = uuid::Uuid::new_v4().to_string();
        let put = self.client.put_secret_value().secret_id(secret).client_request_token(&token);
        put.version_stages(PENDING).send().await.map_err(call("PutSecretValue"))?;
        Ok(Ordered { secret: secret.to_owned(), token })
    }

    /// Calls the function for one step.
    ///
    /// # Errors
    ///
    /// [`AssemblyError::Function`] with what the function said.
    pub async fn step(&self, ordered: &Ordered, step: Step) -> Result<Value, AssemblyError> {
        let event = json!({ "Step": step, "SecretId": ordered.secret, "ClientRequestToken": ordered.token });
        self.lab.invoke(names::ROTATOR, &event).await
    }

    /// One try of a rotation.
    ///
    /// # Errors
    ///
    /// What the first step that failed said, with its name.
    pub async fn attempt(&self, ordered: &Ordered) -> Result<(), (Step, AssemblyError)> {
        for step in STEPS {
            self.step(ordered, step).await.map_err(|error| (step, error))?;
        }
        Ok(())
    }

    /// What a version holds; None while it holds nothing.
    ///
    /// # Errors
    ///
    /// When the emulator refuses.
    pub async fn held(&self, secret: &str, version: &str) -> Result<Option<Document>, AssemblyError> {
        let read = self.client.get_secret_value().secret_id(secret).version_id(version).send().await;
        let text = read.map_err(call("GetSecretValue"))?.secret_string;
        Ok(text.and_then(|text| Document::parse(&text).ok()))
    }

    /// Takes AWSPENDING from a version.
    ///
    /// # Errors
    ///
    /// When the emulator refuses.
    pub async fn unlabel(&self, secret: &str, version: &str) -> Result<(), AssemblyError> {
        let update = self.client.update_secret_version_stage().secret_id(secret).version_stage(PENDING);
        update.remove_from_version_id(version).send().await.map_err(call("UpdateSecretVersionStage"))?;
        Ok(())
    }

    /// Stores another text as the current version, as a person would.
    ///
    /// # Errors
    ///
    /// When the emulator refuses.
    pub async fn store(&self, secret: &str, text: &str) -> Result<(), AssemblyError> {
        let put = self.client.put_secret_value().secret_id(secret).secret_string(text);
        put.send().await.map_err(call("PutSecretValue"))?;
        Ok(())
    }
}
