//! Why the lab is not there.

use std::time::Duration;

use aws_sdk_dynamodb::error::DisplayErrorContext;

/// Why a part of the lab did not start or answer.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// PostgreSQL.
    #[error("PostgreSQL: {0}")]
    Cluster(#[from] crate::postgres::ClusterError),
    /// The emulator.
    #[error("emulator: {0}")]
    Emulator(#[from] crate::emulator::EmulatorError),
    /// The functions' host.
    #[error("Lambda: {0}")]
    Lambda(#[from] crate::lambda::LambdaError),
    /// The control plane.
    #[error("RDS: {0}")]
    Rds(#[from] crate::rds::StartError),
    /// The proxies in front of services.
    #[error("services: {0}")]
    Services(#[from] crate::services::ServicesError),
    /// The Data API.
    #[error("RDS Data API: {0}")]
    Data(#[from] crate::rds_data::ServeError),
    /// A server of the lab's own.
    #[error("{what} cannot listen on the loopback address: {source}")]
    Listen {
        /// Which.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// Schema and roles.
    #[error("bootstrap: {0}")]
    Bootstrap(#[from] steadfast_infra::bootstrap::BootstrapError),
    /// The state table.
    #[error(transparent)]
    State(#[from] steadfast_core::ports::StateError),
    /// TLS, DNS or another client setting.
    #[error(transparent)]
    Setting(#[from] steadfast_aws::settings::SettingError),
    /// A file that the Terraform module reads.
    #[error("infra/module/generated/{file}: {cause}; run `infra generate`")]
    Generated {
        /// Its name.
        file: &'static str,
        /// What is wrong.
        cause: String,
    },
    /// A required setting that nothing in the lab fills.
    #[error("{function} requires {setting}, and the lab has no value for it: add one to assembly/functions.rs")]
    Unfilled {
        /// The function.
        function: String,
        /// The environment variable.
        setting: String,
    },
    /// A call of the lab's own to its AWS.
    #[error("the lab's own call of {action}: {cause}")]
    Call {
        /// The API action.
        action: &'static str,
        /// What it said.
        cause: String,
    },
    /// SQL of the lab's own.
    #[error("SQL of the lab: {0}")]
    Sql(#[from] tokio_postgres::Error),
    /// A function answered with an error.
    #[error("function {function} failed: {answer}; its log is in target/lab/{function}.log")]
    Function {
        /// The function.
        function: String,
        /// Its answer.
        answer: String,
    },
    /// The probers do not report a healthy cluster.
    #[error("the cluster is not reported healthy after {limit:?}; the probers say:\n{seen}")]
    NotReady {
        /// How long it was waited for.
        limit: Duration,
        /// The latest reports.
        seen: String,
    },
}

/// Names the action of a failed SDK call.
pub(crate) fn call<E, R>(action: &'static str) -> impl FnOnce(aws_sdk_dynamodb::error::SdkError<E, R>) -> AssemblyError
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    move |error| AssemblyError::Call { action, cause: DisplayErrorContext(&error).to_string() }
}
