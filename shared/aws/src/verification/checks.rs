//! Opens a restored database and looks at one thing in it.

use std::time::Duration;

use steadfast_core::time::Timestamp;
use steadfast_core::verification::executor::At;
use steadfast_core::verification::run::Looked;
use steadfast_core::verification::{Check, Finding, Run, Unseen};
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use super::portion::{Done, Portion};
use super::{Verifier, assertions, contents, pages, rows};
use crate::postgres::{ConnectError, ConnectLimits, Session, Target};
use crate::{clock, secret};

/// A restored database loads its pages as they are first read.
const LIMITS: ConnectLimits = ConnectLimits { tcp: Duration::from_secs(5), total: Duration::from_secs(20) };

/// What is outside of the portions, such as the list of relations, ends this long after them.
const GRACE: Duration = Duration::from_secs(2);

impl Verifier {
    pub(super) async fn look_inside(
        &self,
        run: &Run,
        check: Check,
        at: At<'_>,
        until: Timestamp,
    ) -> Result<Looked, Unseen> {
        let session = self.open(at).await?;
        let portion = Portion::new(&session.client, until);
        let left = until.since(clock::now()).saturating_add(GRACE);
        match timeout(left, self.look_at(&portion, run, check)).await {
            Ok(Ok(Some(looked))) => Ok(looked),
            Ok(Err(error)) => Err(Unseen::Later(format!("{}: {}", check.as_str(), words(&error)))),
            Ok(Ok(None)) | Err(_) => {
                Err(Unseen::Later(format!("{} took longer than an invocation may", check.as_str())))
            }
        }
    }

    async fn open(&self, at: At<'_>) -> Result<Session, Unseen> {
        let credentials =
            secret::credentials(&self.secrets, at.secret).await.map_err(|error| Unseen::Later(error.to_string()))?;
        let (host, database) = (at.host.to_owned(), self.name.clone());
        let target = Target { host, port: at.port, database, application: "steadfast-verifier" };
        let session = self.connector.connect(&target, &credentials, LIMITS).await;
        session.map_err(|error| unopened(&error, &target, at.secret))
    }

    /// None when the time was too short.
    async fn look_at(&self, portion: &Portion<'_>, run: &Run, check: Check) -> Result<Option<Looked>, Error> {
        let client = portion.client;
        let looked = match check {
            Check::Open => portion.spend(self.furnished(client, run)).await?,
            Check::Canary => portion.spend(contents::canary(client)).await?,
            Check::Catalog => portion.spend(contents::catalog(client)).await?,
            Check::Pages => Done::Fully(pages::pages(portion, run.place).await?),
            Check::Rows => Done::Fully(rows::rows(portion, &run.manifest, run.place).await?),
            Check::Assertions => Done::Fully(assertions::assertions(portion, &run.manifest, run.place).await?),
        };
        match looked {
            Done::Fully(looked) => Ok(Some(looked)),
            Done::Cut | Done::TooLong(_) => Ok(None),
        }
    }

    async fn furnished(&self, client: &Client, run: &Run) -> Result<Looked, Error> {
        client.query_one("SELECT pg_catalog.version()", &[]).await?;
        let answered_at = Some(clock::now());
        let findings = contents::furnishing(client, &run.manifest).await?;
        Ok(Looked { answered_at, opened: Some(self.name.clone()), findings, ..Looked::default() })
    }
}

/// Why there is no session, and what to do about it.
fn unopened(error: &ConnectError, target: &Target, secret: &str) -> Unseen {
    let ConnectError::Answered { address, cause } = error else {
        return Unseen::Later(error.to_string());
    };
    let said = format!("{address}: {}", words(cause));
    match cause.code() {
        Some(code) if *code == SqlState::UNDEFINED_DATABASE => Unseen::Refused(format!(
            "{said}: the backup holds no database {:?}; mend STEADFAST_DATABASE, or look whether production has it",
            target.database
        )),
        // Class 28: who somebody is, and what shows it.
        Some(code) if code.code().starts_with("28") => Unseen::Refused(format!(
            "{said}: it does not take the login that RDS keeps in secret {secret}; look whether its role is in \
             production and may log in"
        )),
        Some(_) | None => Unseen::Later(said),
    }
}

/// The server's own words, without the driver's.
pub(super) fn words(error: &Error) -> String {
    match error.as_db_error() {
        Some(answer) => format!("{} (SQLSTATE {})", answer.message(), answer.code().code()),
        None => error.to_string(),
    }
}

/// An answer about what was asked is a finding; the end of the session is not.
pub(super) fn finding(check: Check, about: &str, error: Error) -> Result<Finding, Error> {
    match error.as_db_error() {
        // Classes 08 and 57: the connection, and whoever operates the server.
        Some(answer) if !answer.code().code().starts_with("08") && !answer.code().code().starts_with("57") => {
            Ok(Finding { check, about: about.to_owned(), what: words(&error) })
        }
        Some(_) | None => Err(error),
    }
}
