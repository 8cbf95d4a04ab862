//! Transfers money while the writer dies. `cargo run --release --example transfer` starts a cluster of three servers on
//! this machine, kills the host of its writer between transfers, promotes another instance, and shows what a caller sees.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use steadfast_campaign::cluster::Payments;
use steadfast_client::{Client, Error, Event, Key, Outcome, StatementError};

const TABLES: &str = "CREATE TABLE account (id text PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
    CREATE TABLE booking (request text NOT NULL, source text, target text, amount bigint);
    INSERT INTO account VALUES ('alice', 1000), ('bob', 0)";

/// What can be wrong with a transfer.
#[derive(Debug, thiserror::Error)]
enum TransferError {
    #[error("{0} has not enough money")]
    NotEnough(String),
    #[error(transparent)]
    Statement(#[from] StatementError),
}

/// The whole of it: one key for one request, and a closure that returns what the caller shall get.
async fn transfer(
    client: &Client,
    request: &str,
    made: SystemTime,
    (source, target): (&str, &str),
    amount: i64,
) -> Result<Outcome<i64>, Error<TransferError>> {
    let key = Key::of_request(made, "transfer", request);
    client
        .transaction(key, |tx| async move {
            let book = "INSERT INTO booking VALUES ($1, $2, $3, $4)";
            tx.execute(book, &[&request, &source, &target, &amount]).await?;
            let take = "UPDATE account SET balance = balance - $1 WHERE id = $2 AND balance >= $1 RETURNING balance";
            let left = tx.query(take, &[&amount, &source]).await?;
            let Some(left) = left.first() else {
                return Err(TransferError::NotEnough(source.to_owned()));
            };
            tx.execute("UPDATE account SET balance = balance + $1 WHERE id = $2", &[&amount, &target]).await?;
            Ok(left.get(0))
        })
        .await
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("starting three PostgreSQL servers");
    let payments = Payments::start(TABLES).await?;
    let told = |event: &Event| println!("      [{event:?}]");
    let client = Client::start(payments.config().on_event(told))?;
    client.ready().await?;
    let made = SystemTime::now();
    println!("a transfer: {:?}", transfer(&client, "request 1", made, ("alice", "bob"), 100).await?);
    println!("its caller asks again: {:?}", transfer(&client, "request 1", made, ("alice", "bob"), 100).await?);
    let refused = transfer(&client, "request 2", made, ("bob", "alice"), 5_000).await;
    println!("too much: {}", refused.err().map(|error| error.to_string()).unwrap_or_default());

    println!("the host of the writer dies in the middle of transfers");
    let cluster = Arc::clone(&payments.cluster);
    let failover = async {
        cluster.kill_host(cluster.writer()).await?;
        cluster.promote("orders-2").await
    };
    let transfers = (3..=8).map(|number| {
        let client = &client;
        async move {
            let (request, began) = (format!("request {number}"), Instant::now());
            let outcome = transfer(client, &request, made, ("alice", "bob"), 10).await;
            println!("{request}: {outcome:?} after {} ms", began.elapsed().as_millis());
        }
    });
    let (failed_over, _) = tokio::join!(failover, futures_util::future::join_all(transfers));
    failed_over?;
    let session = client.session().await?;
    for row in session.plain().query("SELECT id, balance FROM account ORDER BY id", &[]).await? {
        println!("{} has {}", row.get::<_, &str>(0), row.get::<_, i64>(1));
    }
    println!("covered: {}", serde_json::to_string(&client.coverage())?);
    Ok(())
}
