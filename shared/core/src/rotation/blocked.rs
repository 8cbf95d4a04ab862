//! Why a rotation does not go on, in words that say what to do.

use super::document::DocumentError;
use super::observed::Seated;
use crate::notice::{Notice, Severity};
use crate::time::Timestamp;

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// Nobody switched rotation on.
    #[error("rotation is not enabled for it; enable it, or do not invoke this function")]
    NotEnabled,
    /// The version is no longer the one to be made.
    #[error("version {token} is not AWSPENDING; {}", superseded(.pending.as_deref()))]
    Superseded {
        /// The version that was asked for.
        token: String,
        /// The one that is pending.
        pending: Option<String>,
    },
    /// Nobody ended it in time, and its password was taken back.
    #[error("version {0} was given up, and its user's password is being taken back; rotate again")]
    GivenUp(String),
    /// The secret cannot be read as one.
    #[error("{0}")]
    Document(DocumentError),
    /// What is pending cannot be read as a secret.
    #[error("its pending version is unfit: {0}; remove AWSPENDING from it and rotate again")]
    Pending(DocumentError),
    /// It is for another database.
    #[error("it names the host {host:?}, and this function rotates passwords of {expected}; mend the field \"host\"")]
    OtherHost {
        /// The host in the secret.
        host: String,
        /// The hosts of the database.
        expected: String,
    },
    /// The pending version is for an unexpected user.
    #[error(
        "its pending version is for user {found:?} in place of {expected:?}; remove AWSPENDING from it and rotate again"
    )]
    OtherUser {
        /// Whom it is for.
        found: String,
        /// Whose turn it is.
        expected: String,
    },
    /// A later step before the first.
    #[error("version {0} holds nothing yet; createSecret comes first")]
    NotCreated(String),
    /// PostgreSQL would cut the name.
    #[error("role name {0:?} is longer than 63 bytes; use a shorter user name, which leaves room for \"_clone\"")]
    TooLong(String),
    /// The user of the secret is not there.
    #[error("role {0:?} does not exist in the database; create it, or mend the field \"username\"")]
    NoRole(String),
    /// A second user could not stand in for the first.
    #[error("role {role:?} has {}, which no second user inherits; grant that through a group, or rotate this secret otherwise", .attributes.join(" and "))]
    Unfit {
        /// The role.
        role: String,
        /// What it has.
        attributes: Vec<String>,
    },
    /// The second user is somebody else's.
    #[error(
        "role {role:?} exists and is no member of {base:?}: it is no second user of this secret, and is left alone; \
         rename it, or GRANT {base} TO {role} if the two are to take turns"
    )]
    Unpaired {
        /// The first user.
        base: String,
        /// The other one.
        role: String,
    },
    /// Two secrets for the same users.
    #[error(
        "role {role:?} takes turns in the secret {secret} too, whose password would no longer work; give each secret \
         a user of its own, and remove that secret's row from the state table if it is no longer rotated"
    )]
    Shared {
        /// The role.
        role: String,
        /// The other secret.
        secret: String,
    },
    /// The last rotation is too young.
    #[error("whoever still uses {role:?} has until {} to read the secret of the last rotation", .until.rfc3339())]
    Grace {
        /// The user.
        role: String,
        /// Until when.
        until: Timestamp,
    },
    /// An episode is open.
    #[error("episode {0} of the cluster is open; the rotation goes on when it is closed")]
    Episode(u64),
    /// Somebody acts on the cluster.
    #[error("a coordinator holds the lease of the cluster; the rotation goes on when it is given back")]
    Leased,
    /// The login that changes passwords does not work.
    #[error("the administrator's secret is refused by {instance}: {cause}; mend STEADFAST_ADMIN_SECRET_ARN")]
    Admin {
        /// The instance.
        instance: String,
        /// The server's words.
        cause: String,
    },
    /// The writer does not answer.
    #[error("{instance} does not answer: {cause}")]
    Unreachable {
        /// The instance.
        instance: String,
        /// What went wrong.
        cause: String,
    },
    /// The control plane's writer takes no writes.
    #[error("{0} takes no writes: the writer role has moved, and nothing is changed on a reader")]
    NotWriter(String),
    /// The pending password is not taken.
    #[error("the pending password of {role:?} is refused by {instance}: {cause}; rotate again from setSecret on")]
    Refused {
        /// The user.
        role: String,
        /// The instance.
        instance: String,
        /// The server's words.
        cause: String,
    },
    /// No reader says whether it takes the pending password.
    #[error("no reader answers: {0}")]
    NoReader(String),
    /// Somebody would be locked out.
    #[error("{} still logged in as {role:?}, whose password is about to change: {}; they read no new secret", count(.sessions.len()), who(.sessions))]
    InUse {
        /// The user.
        role: String,
        /// Whose sessions.
        sessions: Vec<Seated>,
    },
    /// A service or the database did not do what was asked.
    #[error("{what}")]
    Failed {
        /// What, in its words.
        what: String,
        /// Whether trying again may help.
        passes: bool,
    },
}

impl Blocked {
    /// Whether another look a moment later may say otherwise.
    pub fn passes(&self) -> bool {
        match self {
            Self::Episode(_)
            | Self::Leased
            | Self::Unreachable { .. }
            | Self::NotWriter(_)
            | Self::Refused { .. }
            | Self::NoReader(_)
            | Self::Grace { .. }
            | Self::InUse { .. } => true,
            Self::Failed { passes, .. } => *passes,
            Self::NotEnabled
            | Self::Superseded { .. }
            | Self::GivenUp(_)
            | Self::Unpaired { .. }
            | Self::Shared { .. }
            | Self::Document(_)
            | Self::Pending(_)
            | Self::OtherHost { .. }
            | Self::OtherUser { .. }
            | Self::NotCreated(_)
            | Self::TooLong(_)
            | Self::NoRole(_)
            | Self::Unfit { .. }
            | Self::Admin { .. } => false,
        }
    }

    /// Whether it only waits for its turn: nothing is wrong.
    pub fn is_deferral(&self) -> bool {
        matches!(self, Self::Episode(_) | Self::Leased | Self::Grace { .. })
    }
}

fn superseded(pending: Option<&str>) -> String {
    match pending {
        Some(other) => format!("{other} is, so another rotation has begun: let that one end"),
        None => "no version is, so the rotation was given up: rotate again".to_owned(),
    }
}

fn count(sessions: usize) -> String {
    if sessions == 1 { "a session is".to_owned() } else { format!("{sessions} sessions are") }
}

/// The first few, by application and address.
fn who(sessions: &[Seated]) -> String {
    let named = sessions.iter().take(5).map(|session| {
        let from = session.address.as_deref().unwrap_or("a local socket");
        format!("{:?} from {from} on {}", session.application, session.instance)
    });
    let named: Vec<String> = named.collect();
    let more = sessions.len().saturating_sub(named.len());
    if more == 0 { named.join(", ") } else { format!("{} and {more} more", named.join(", ")) }
}

/// What people are told of a step that failed.
pub fn notice(secret: &str, step: &str, blocked: &Blocked) -> Notice {
    Notice {
        severity: Severity::Warning,
        subject: format!("{}: {step} failed", name(secret)),
        body: format!(
            "The rotation of secret {secret} does not go on at {step}: {blocked}. Clients are not affected: the current \
             secret is as it was, and its password works. Secrets Manager tries again by itself; what it has left half \
             done for hours is rolled back."
        ),
    }
}

/// The name in an ARN, without the six random letters.
fn name(secret: &str) -> &str {
    let name = secret.rsplit_once(":secret:").map_or(secret, |(_, name)| name);
    name.rsplit_once('-').filter(|(_, letters)| letters.len() == 6).map_or(name, |(name, _)| name)
}
