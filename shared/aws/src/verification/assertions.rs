//! The owner's own queries.

use steadfast_core::verification::manifest::Assertion;
use steadfast_core::verification::run::Looked;
use steadfast_core::verification::{Check, Finding, Manifest, Place};
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::checks::finding;
use super::portion::{Done, Portion};

/// Asks what follows on `place`, as far as time allows, each in a read-only transaction.
pub(super) async fn assertions(portion: &Portion<'_>, manifest: &Manifest, place: Place) -> Result<Looked, Error> {
    let mut looked = Looked { goes_on: Some(place), ..Looked::default() };
    for (number, assertion) in (0_u32..).zip(&manifest.assertions) {
        if number < place.after {
            continue;
        }
        if !portion.has_time() {
            return Ok(looked);
        }
        let wrong = match portion.spend(ask(portion.client, &assertion.sql)).await {
            Ok(Done::Fully(messages)) => wrong(assertion, &messages),
            Ok(Done::Cut) => return Ok(looked),
            Ok(Done::TooLong(had)) => {
                Some(format!("no answer within {} s; ask for less, or leave it out", had.as_secs()))
            }
            Err(error) => Some(finding(Check::Assertions, &assertion.name, error)?.what),
        };
        let find = |what| Finding { check: Check::Assertions, about: assertion.name.clone(), what };
        looked.findings.extend(wrong.map(find));
        looked.goes_on = Some(Place::behind(number.saturating_add(1)));
    }
    looked.goes_on = None;
    Ok(looked)
}

async fn ask(client: &Client, sql: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
    client.batch_execute("BEGIN READ ONLY").await?;
    let answer = client.simple_query(sql).await;
    client.batch_execute("ROLLBACK").await?;
    answer
}

fn wrong(assertion: &Assertion, messages: &[SimpleQueryMessage]) -> Option<String> {
    let first = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
        SimpleQueryMessage::CommandComplete(_) | SimpleQueryMessage::RowDescription(_) | _ => None,
    });
    match first {
        None => Some(format!("no row, and {:?} is expected", assertion.expected)),
        Some(None) => Some(format!("NULL, and {:?} is expected", assertion.expected)),
        Some(Some(value)) if value == assertion.expected => None,
        Some(Some(value)) => Some(format!("{value:?}, and {:?} is expected", assertion.expected)),
    }
}
