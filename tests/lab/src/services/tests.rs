//! The proxies in front of real services, asked through the AWS SDK.

use std::path::Path;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_lambda::types::InvocationType;
use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType};

use super::*;
use crate::emulator::Emulator;
use crate::lambda::{FunctionSpec, Lambda, Settings};

/// Generous: only a hanging test gets here.
const LIMIT: Duration = Duration::from_secs(60);
/// Long enough to tell silence from an answer on loopback.
const SILENCE: Duration = Duration::from_millis(500);

async fn config(endpoint: String) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("123456789012", "lab", None, None, "lab"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(endpoint)
        .load()
        .await
}

/// The status and the code of a refusal.
fn refused<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    answer: Result<T, SdkError<E>>,
) -> (u16, String) {
    let error = answer.unwrap_err();
    let status = error.raw_response().unwrap().status().as_u16();
    (status, error.code().unwrap_or_default().to_owned())
}

struct StateTable {
    proxied: aws_sdk_dynamodb::Client,
    direct: aws_sdk_dynamodb::Client,
}

impl StateTable {
    async fn create(services: &Services, emulator: &Emulator) -> Self {
        let proxied = aws_sdk_dynamodb::Client::new(&config(services.endpoint(Service::StateTable)).await);
        let direct = aws_sdk_dynamodb::Client::new(&config(emulator.endpoint()).await);
        let key = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
        let schema = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
        let create = proxied.create_table().table_name("states").billing_mode(BillingMode::PayPerRequest);
        let create = create.attribute_definitions(key.build().unwrap()).key_schema(schema.build().unwrap());
        create.send().await.unwrap();
        Self { proxied, direct }
    }

    async fn put(&self, id: &str) -> Result<PutItemOutput, SdkError<PutItemError>> {
        self.proxied.put_item().table_name("states").item("id", AttributeValue::S(id.to_owned())).send().await
    }

    async fn holds(&self, id: &str) -> bool {
        let get = self.direct.get_item().table_name("states").key("id", AttributeValue::S(id.to_owned()));
        get.send().await.unwrap().item.is_some()
    }
}

#[tokio::test]
async fn each_service_fails_in_its_own_words_and_with_or_without_effect() {
    let logs = std::env::temp_dir().join(format!("services-{}", uuid::Uuid::new_v4()));
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv");
    let emulator = Emulator::start(&venv, &logs).await.unwrap();
    let lambda = Lambda::start(([127, 0, 0, 1], 0).into(), &logs, Settings::default()).await.unwrap();
    let services = Services::start(emulator.address(), lambda.address()).await.unwrap();
    let table = StateTable::create(&services, &emulator).await;
    refusals_of_the_table(&services, &table).await;
    silence_and_delay(&services, &table).await;
    effects_without_their_answers(&services, &table).await;
    the_topic(&services).await;
    invocations(&services, &lambda).await;
    names(&services).await;
    services.shutdown().await;
    assert!(matches!(table.put("late").await, Err(SdkError::DispatchFailure(_))));
    lambda.shutdown().await;
    emulator.shutdown().await.unwrap();
    std::fs::remove_dir_all(&logs).unwrap();
}

async fn refusals_of_the_table(services: &Services, table: &StateTable) {
    let cases = [
        (Trouble::Throttle, 400, "ThrottlingException"),
        (Trouble::Error, 500, "InternalServerError"),
        (Trouble::Denied, 400, "AccessDeniedException"),
    ];
    for (trouble, status, code) in cases {
        services.set(Service::StateTable, trouble, None);
        assert_eq!(refused(table.put("refused").await), (status, code.to_owned()));
        services.clear(Service::StateTable, trouble, None);
    }
    assert!(!table.holds("refused").await);
    services.set(Service::StateTable, Trouble::Throttle, Some("DeleteItem"));
    table.put("other action").await.unwrap();
    services.clear_all();
}

async fn silence_and_delay(services: &Services, table: &StateTable) {
    services.set(Service::StateTable, Trouble::Silence, Some("PutItem"));
    assert!(tokio::time::timeout(SILENCE, table.put("silent")).await.is_err());
    services.clear(Service::StateTable, Trouble::Silence, Some("PutItem"));
    services.set(Service::StateTable, Trouble::Slow(8 * SILENCE), None);
    // The caller hangs up, and the request is carried out all the same.
    assert!(tokio::time::timeout(2 * SILENCE, table.put("slow")).await.is_err());
    assert!(!table.holds("slow").await);
    let arrived = async { while !table.holds("slow").await {} };
    tokio::time::timeout(LIMIT, arrived).await.unwrap();
    services.clear_all();
    assert!(!table.holds("silent").await);
}

async fn effects_without_their_answers(services: &Services, table: &StateTable) {
    services.set(Service::StateTable, Trouble::LostAnswer, None);
    let lost = table.put("lost").await;
    assert!(matches!(lost, Err(SdkError::DispatchFailure(_))), "{lost:?}");
    services.clear_all();
    services.set(Service::StateTable, Trouble::ErrorAfterEffect, None);
    assert_eq!(refused(table.put("hidden").await), (500, "InternalServerError".to_owned()));
    services.clear_all();
    assert!(table.holds("lost").await && table.holds("hidden").await);
}

async fn the_topic(services: &Services) {
    let client = aws_sdk_sns::Client::new(&config(services.endpoint(Service::Notifier)).await);
    let topic = client.create_topic().name("notices").send().await.unwrap();
    let publish = || client.publish().topic_arn(topic.topic_arn().unwrap()).message("m").send();
    let cases = [
        (Trouble::Throttle, 429, "Throttled"),
        (Trouble::Error, 500, "InternalError"),
        (Trouble::Denied, 403, "AuthorizationError"),
    ];
    for (trouble, status, code) in cases {
        services.set(Service::Notifier, trouble, Some("Publish"));
        assert_eq!(refused(publish().await), (status, code.to_owned()));
        services.clear(Service::Notifier, trouble, Some("Publish"));
    }
    publish().await.unwrap();
}

async fn invocations(services: &Services, lambda: &Lambda) {
    let client = aws_sdk_lambda::Client::new(&config(services.endpoint(Service::Invocations)).await);
    let spec = FunctionSpec::new("sleeper", "/bin/false");
    lambda.create_function(FunctionSpec { retries: 0, ..spec }).await.unwrap();
    let wake = || client.invoke().function_name("sleeper").invocation_type(InvocationType::Event).send();
    let cases = [
        (Trouble::Throttle, 429, "TooManyRequestsException"),
        (Trouble::Error, 500, "ServiceException"),
        (Trouble::Denied, 403, "AccessDeniedException"),
    ];
    for (trouble, status, code) in cases {
        services.set(Service::Invocations, trouble, Some("Invoke"));
        assert_eq!(refused(wake().await), (status, code.to_owned()));
        services.clear(Service::Invocations, trouble, Some("Invoke"));
    }
    assert!(lambda.records().await.is_empty());
    services.set(Service::Invocations, Trouble::LostAnswer, None);
    assert!(matches!(wake().await, Err(SdkError::DispatchFailure(_))));
    services.clear_all();
    let ran = async {
        while lambda.records().await.is_empty() {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(LIMIT, ran).await.unwrap();
}

async fn names(services: &Services) {
    let client = aws_sdk_route53::Client::new(&config(services.endpoint(Service::Names)).await);
    let zone = client.create_hosted_zone().name("orders.internal").caller_reference("c").send().await.unwrap();
    let zone = zone.hosted_zone.unwrap().id;
    let set = || {
        let value = ResourceRecord::builder().value("orders-1.example").build().unwrap();
        let record = ResourceRecordSet::builder().name("writer.orders.internal").r#type(RrType::Cname).ttl(5);
        let record = record.resource_records(value).build().unwrap();
        let change = Change::builder().action(ChangeAction::Upsert).resource_record_set(record).build().unwrap();
        let batch = ChangeBatch::builder().changes(change).build().unwrap();
        client.change_resource_record_sets().hosted_zone_id(&zone).change_batch(batch).send()
    };
    let count = async || {
        let held = client.list_resource_record_sets().hosted_zone_id(&zone).send().await.unwrap();
        held.resource_record_sets.into_iter().filter(|record| record.r#type == RrType::Cname).count()
    };
    let cases = [
        (Trouble::Throttle, 400, "Throttling"),
        (Trouble::Error, 500, "InternalFailure"),
        (Trouble::Denied, 403, "AccessDenied"),
    ];
    for (trouble, status, code) in cases {
        services.set(Service::Names, trouble, Some("ChangeResourceRecordSets"));
        assert_eq!(refused(set().await), (status, code.to_owned()));
        services.clear(Service::Names, trouble, Some("ChangeResourceRecordSets"));
    }
    assert_eq!(count().await, 0);
    set().await.unwrap();
    assert_eq!(count().await, 1);
}
