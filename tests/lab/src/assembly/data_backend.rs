//! Where the RDS Data API finds the writer and the credentials.

use std::sync::Arc;

use aws_config::SdkConfig;
use steadfast_aws::postgres::tls_config;

use super::error::AssemblyError;
use super::names;
use crate::postgres::{Cluster, NodeState};
use crate::rds_data::{Backend, BackendError, Writer};

/// The lab's cluster and the emulator's secrets.
pub(super) struct LabBackend {
    cluster: Arc<Cluster>,
    cluster_arn: String,
    tls: Arc<rustls::ClientConfig>,
    secrets: aws_sdk_secretsmanager::Client,
}

impl LabBackend {
    pub(super) fn new(cluster: Arc<Cluster>, aws: &SdkConfig, cluster_arn: String) -> Result<Self, AssemblyError> {
        let tls = Arc::new(tls_config(cluster.ca_file())?);
        Ok(Self { cluster, cluster_arn, tls, secrets: aws_sdk_secretsmanager::Client::new(aws) })
    }
}

impl Backend for LabBackend {
    async fn writer(&self, cluster_arn: &str) -> Result<Writer, BackendError> {
        if cluster_arn != self.cluster_arn {
            return Err(BackendError::NoSuchCluster);
        }
        let instance = self.cluster.writer().to_owned();
        if !matches!(self.cluster.state(&instance), Ok(NodeState::Running | NodeState::Frozen)) {
            return Err(BackendError::Unavailable);
        }
        let address = self.cluster.proxy_address(0, &instance).map_err(|_| BackendError::NoInstance)?;
        Ok(Writer { address, server_name: names::cluster_endpoint(), tls: Some(Arc::clone(&self.tls)), instance })
    }

    async fn secret(&self, secret_arn: &str) -> Result<String, BackendError> {
        let answer = self.secrets.get_secret_value().secret_id(secret_arn).send().await;
        match answer {
            Ok(answer) => Ok(answer.secret_string().unwrap_or_default().to_owned()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
                Err(BackendError::NoSuchSecret)
            }
            Err(error) => Err(BackendError::SecretUnreadable(error.to_string())),
        }
    }
}
