//! A cluster with a client and two tables.

#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]

use steadfast_campaign::cluster::Payments;
use steadfast_client::Client;

pub(crate) struct Lab {
    pub(crate) client: Client,
    pub(crate) payments: Payments,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        let tables = "CREATE TABLE entry (id bigint PRIMARY KEY);
            CREATE TABLE deferred (id bigint UNIQUE DEFERRABLE INITIALLY DEFERRED);
            CREATE SEQUENCE number";
        let payments = Payments::start(tables).await.unwrap();
        let client = Client::start(payments.config()).unwrap();
        Self { client, payments }
    }
}

/// How many rows there are on the present writer.
pub(crate) async fn entries(lab: &Lab) -> i64 {
    let admin = lab.payments.cluster.admin(lab.payments.cluster.writer()).await.unwrap();
    admin.query_one("SELECT count(*) FROM payments.entry", &[]).await.unwrap().get(0)
}
