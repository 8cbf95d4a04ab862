//! What is seen of a secret, its database and the cluster, frozen.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::document::{Document, DocumentError};
use super::row::Rotation;
use crate::ports::State;
use crate::time::Timestamp;

/// The label of the version that clients read.
pub const CURRENT: &str = "AWSCURRENT";
/// The label of the version that is being made.
pub const PENDING: &str = "AWSPENDING";

/// Everything that a step judges.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When.
    pub now: Timestamp,
    /// ARN of the secret.
    pub secret: String,
    /// The version that is to become current.
    pub token: String,
    /// Whether rotation is switched on for the secret.
    pub enabled: bool,
    /// The labels of each version that has any.
    pub stages: BTreeMap<String, Vec<String>>,
    /// The current secret.
    pub current: Result<Document, DocumentError>,
    /// The version of the token; None while it holds nothing.
    pub pending: Option<Result<Document, DocumentError>>,
    /// The previous secret, where there is a readable one.
    pub previous: Option<Document>,
    /// Names of the database's endpoints.
    pub hosts: Vec<String>,
    /// What stands in the state table.
    pub state: State,
    /// How far the clocks of two functions may differ.
    pub skew: Duration,
    /// None until somebody looked.
    pub database: Option<Database>,
}

impl Observed {
    /// The open episode of the cluster.
    pub fn open_episode(&self) -> Option<u64> {
        self.state.episode.as_ref().filter(|episode| episode.is_open()).map(|episode| episode.epoch)
    }

    /// Whether somebody may act on the cluster.
    pub fn is_leased(&self) -> bool {
        self.state.lease.as_ref().is_some_and(|lease| !lease.is_over(self.now, self.skew))
    }

    /// The latest rotation of this secret, as announced.
    pub fn row(&self) -> Option<&Rotation> {
        self.state.rotations.iter().find(|row| row.secret == self.secret)
    }

    /// Who holds a label.
    pub fn holder(&self, label: &str) -> Option<&str> {
        self.stages
            .iter()
            .find(|(_, labels)| labels.iter().any(|held| held == label))
            .map(|(version, _)| version.as_str())
    }

    /// Whether the token's version has the label.
    pub fn has(&self, label: &str) -> bool {
        self.holder(label) == Some(self.token.as_str())
    }
}

/// What is seen of the database.
#[derive(Clone, Debug)]
pub struct Database {
    /// The login that changes passwords, on what the control plane calls the writer.
    pub admin: Login,
    /// The pending secret's login there; untried without one.
    pub writer: Server,
    /// The pending secret's login on each reader.
    pub readers: Vec<Server>,
    /// The user that everything belongs to.
    pub base: Role,
    /// Sessions of the user whose turn it is not: the one that changes next, or the one whose turn has ended.
    pub sessions: Vec<Seated>,
    /// Instances whose sessions could not be seen.
    pub unseen: Vec<String>,
    /// Whether sessions were ended by us since this began: whoever is there now has come back.
    pub drained: bool,
    /// Whether the pending password was given to its user since this began.
    pub changed: bool,
}

/// One instance, and a login there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Server {
    /// Its identifier.
    pub instance: String,
    /// What came of the login.
    pub login: Login,
}

/// What came of a login. Causes are the server's own words, which hold no password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// Nobody tried.
    Untried,
    /// It works.
    Works {
        /// Whether that server takes writes.
        writes: bool,
    },
    /// The server refuses the user or the password.
    Refused(String),
    /// No answer, or not about the login.
    Unreachable(String),
}

impl Login {
    /// Whether it works where writes are taken.
    pub fn writes(&self) -> bool {
        *self == Self::Works { writes: true }
    }

    /// What went wrong, in words.
    pub fn cause(&self) -> String {
        match self {
            Self::Untried => "nobody tried".to_owned(),
            Self::Works { writes: true } => "it takes writes".to_owned(),
            Self::Works { writes: false } => "it takes no writes".to_owned(),
            Self::Refused(cause) | Self::Unreachable(cause) => cause.clone(),
        }
    }
}

/// A role as the catalog shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The catalog could not be read.
    Unknown,
    /// There is none of that name.
    Missing,
    /// A second user can stand in for it.
    Fit,
    /// It has what a member of it would not have.
    Unfit(Vec<String>),
    /// The role that would stand in for it is there and no member of it: somebody else's.
    Unpaired,
}

/// A session of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seated {
    /// On which instance.
    pub instance: String,
    /// Process id there.
    pub pid: i32,
    /// Its `application_name`.
    pub application: String,
    /// Its address.
    pub address: Option<String>,
    /// Whether it is between two transactions.
    pub idle: bool,
    /// When it began, by the server's clock.
    pub began: Timestamp,
}

impl Seated {
    /// Our own functions' sessions end with their invocation. Ending them earlier would look like a failure of the
    /// writer to several witnesses at once.
    pub fn ends_by_itself(&self) -> bool {
        self.application.starts_with("steadfast-")
    }
}
