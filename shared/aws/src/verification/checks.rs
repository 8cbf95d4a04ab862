//! Opens a restored database and looks at one thing in it.

use std::time::Duration;

use steadfast_core::time::Timestamp;
use steadfast_core::verification::executor::{At, NotDone};
use steadfast_core::verification::run::Looked;
use steadfast_core::verification::{Check, Finding, Run};
use tokio::time::timeout;
use tokio_postgres::{Client, Error};

use super::{Verifier, contents};
use crate::postgres::{ConnectLimits, Session, Target};
use crate::{clock, secret};

/// A restored database loads its pages as they are first read.
const LIMITS: ConnectLimits = ConnectLimits { tcp: Duration::from_secs(5), total: Duration::from_secs(20) };

impl Verifier {
    pub(super) async fn look_inside(
        &self,
        run: &Run,
        check: Check,
        at: At<'_>,
        until: Timestamp,
    ) -> Result<Looked, NotDone> {
        let session = self.open(at).await?;
        let left = until.since(clock::now());
        let looked = timeout(left, look(&session.client, run, check, until)).await;
        match looked {
            Ok(Ok(looked)) => Ok(looked),
            Ok(Err(error)) => Err(later(words(&error))),
            Err(_) => Err(later(format!("{} took longer than an invocation may", check.as_str()))),
        }
    }

    async fn open(&self, at: At<'_>) -> Result<Session, NotDone> {
        let credentials =
            secret::credentials(&self.secrets, at.secret).await.map_err(|error| later(error.to_string()))?;
        let (host, database) = (at.host.to_owned(), self.name.clone());
        let target = Target { host, port: at.port, database, application: "steadfast-verifier" };
        // What the server says may change by itself: the run's limit ends it.
        self.connector.connect(&target, &credentials, LIMITS).await.map_err(|error| later(error.to_string()))
    }
}

async fn look(client: &Client, run: &Run, check: Check, until: Timestamp) -> Result<Looked, Error> {
    match check {
        Check::Open => {
            client.query_one("SELECT pg_catalog.version()", &[]).await?;
            let answered_at = Some(clock::now());
            let findings = contents::furnishing(client, &run.manifest).await?;
            Ok(Looked { answered_at, findings, ..Looked::default() })
        }
        Check::Canary => contents::canary(client).await,
        Check::Catalog => contents::catalog(client).await,
        Check::Pages => contents::pages(client, run.after, until).await,
        Check::Rows => contents::rows(client, &run.manifest).await,
        Check::Assertions => contents::assertions(client, &run.manifest).await,
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

fn later(what: String) -> NotDone {
    NotDone { what, passes: true }
}
