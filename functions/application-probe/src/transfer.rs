//! One transfer, as an application makes it.

use steadfast_client::{Client, Error, Key, StatementError};
use steadfast_core::application::Answer;

/// Accounts of the schema, numbered from 0.
const ACCOUNTS: u64 = 16;
const AMOUNT: i64 = 1;

/// Moves an amount between two accounts; what the caller was told.
pub(crate) async fn transfer(client: &Client, run: &str, number: u64) -> Answer {
    let (source, target) = accounts(number);
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    // In the order of their numbers: two that meet wait for each other, and never both.
    let mut changes = [(source, -AMOUNT), (target, AMOUNT)];
    changes.sort_unstable();
    let key = Key::fresh();
    let made = client.transaction(key, |tx| async move {
        let book = "INSERT INTO steadfast.application_transfer (key, run, number, source, target, amount) \
                    VALUES ($1, $2, $3, $4, $5, $6)";
        tx.execute(book, &[&key, &run, &number, &source, &target, &AMOUNT]).await?;
        for (account, change) in changes {
            let change_balance = "UPDATE steadfast.application_account SET balance = balance + $1 WHERE id = $2";
            tx.execute(change_balance, &[&change, &account]).await?;
        }
        Ok::<_, StatementError>(())
    });
    match made.await {
        Ok(_) => Answer::Acknowledged,
        Err(error) => told(&error),
    }
}

/// Which promise the error carries.
fn told<E: std::fmt::Display>(error: &Error<E>) -> Answer {
    match error {
        Error::Application(_) | Error::NotApplied { .. } | Error::Abandoned(_) => Answer::Denied(error.to_string()),
        Error::Undecided { .. } | Error::Forgotten { .. } | Error::Unreadable { .. } | _ => {
            Answer::Undecided(error.to_string())
        }
    }
}

/// Two different accounts, every pair in its turn.
fn accounts(number: u64) -> (i16, i16) {
    let source = number % ACCOUNTS;
    let step = number / ACCOUNTS % (ACCOUNTS - 1) + 1;
    let id = |account: u64| i16::try_from(account % ACCOUNTS).unwrap_or_default();
    (id(source), id(source + step))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn money_never_stays_where_it_is() {
        let pairs: std::collections::BTreeSet<_> = (0..ACCOUNTS * (ACCOUNTS - 1)).map(accounts).collect();
        assert_eq!(pairs.len() as u64, ACCOUNTS * (ACCOUNTS - 1));
        assert!(pairs.iter().all(|(source, target)| source != target && *source < 16 && *target < 16));
    }

    #[test]
    fn only_an_error_that_promises_so_denies_a_transfer() {
        let denied: Error<Infallible> = Error::Abandoned(Key::fresh());
        assert!(matches!(told(&denied), Answer::Denied(_)));
        let age = std::time::Duration::from_secs(1);
        let unknown: Error<Infallible> = Error::Forgotten { key: Key::fresh(), age };
        assert!(matches!(told(&unknown), Answer::Undecided(_)));
    }
}
