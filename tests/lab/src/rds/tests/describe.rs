use aws_sdk_rds::error::ProvideErrorMetadata;
use aws_sdk_rds::types::Filter;

use super::super::PendingMaintenance;
use super::{Lab, passive, writer_of};

#[tokio::test]
async fn the_sdk_reads_the_cluster() {
    let lab = Lab::start(passive()).await;
    let cluster = lab.cluster().await;
    assert_eq!(cluster.status(), Some("available"));
    assert_eq!(cluster.engine_version(), Some("15.10"));
    assert_eq!(cluster.multi_az(), Some(true));
    assert_eq!(cluster.http_endpoint_enabled(), Some(true));
    assert_eq!(cluster.db_cluster_resource_id(), Some("cluster-LAB"));
    assert_eq!(cluster.db_cluster_arn(), Some("arn:aws:rds:eu-west-1:123456789012:cluster:orders"));
    assert_eq!(cluster.availability_zones().len(), 3);
    assert_eq!(writer_of(&cluster), "orders-1");
    let tiers = cluster.db_cluster_members().iter();
    let tiers: Vec<_> = tiers.map(|member| member.promotion_tier()).collect();
    assert_eq!(tiers, [Some(1), Some(2), Some(3)]);
    let scaling = cluster.serverless_v2_scaling_configuration().unwrap();
    assert_eq!(scaling.min_capacity(), Some(0.5));
    assert_eq!(scaling.max_capacity(), Some(4.0));
    let secret = cluster.master_user_secret().unwrap();
    assert!(secret.secret_arn().unwrap().ends_with("rds!cluster-1"));
    assert!(cluster.latest_restorable_time().is_some());
    assert_eq!(cluster.tag_list()[0].value(), Some("lab <&>"));
}

#[tokio::test]
async fn the_cluster_is_found_by_name_in_any_case_by_arn_and_by_filter() {
    let lab = Lab::start(passive()).await;
    let arn = "arn:aws:rds:eu-west-1:123456789012:cluster:orders";
    for name in ["ORDERS", arn] {
        let call = lab.client.describe_db_clusters();
        let answer = call.db_cluster_identifier(name).send().await.unwrap();
        assert_eq!(answer.db_clusters().len(), 1, "{name}");
    }
    for (name, found) in [("orders", 1), ("other", 0)] {
        let filter = Filter::builder().name("db-cluster-id").values(name);
        let call = lab.client.describe_db_clusters();
        let call = call.filters(filter.build());
        assert_eq!(call.send().await.unwrap().db_clusters().len(), found);
    }
    let call = lab.client.describe_db_clusters();
    let error = call.db_cluster_identifier("other").send().await.unwrap_err();
    let status = error.raw_response().unwrap().status().as_u16();
    assert_eq!(status, 404);
    assert!(error.into_service_error().is_db_cluster_not_found_fault());
}

#[tokio::test]
async fn the_sdk_reads_the_instances() {
    let lab = Lab::start(passive()).await;
    let filter = Filter::builder().name("db-cluster-id").values("orders");
    let call = lab.client.describe_db_instances();
    let answer = call.filters(filter.build()).send().await.unwrap();
    let zones = answer.db_instances().iter();
    let zones: Vec<_> = zones.map(|member| member.availability_zone()).collect();
    assert_eq!(zones, [Some("eu-west-1a"), Some("eu-west-1b"), Some("eu-west-1c")]);
    let first = &answer.db_instances()[0];
    assert_eq!(first.db_instance_status(), Some("available"));
    assert_eq!(first.db_instance_class(), Some("db.serverless"));
    assert_eq!(first.endpoint().unwrap().port(), Some(5432));
    assert_eq!(first.dbi_resource_id(), Some("db-LAB1"));
    assert_eq!(first.performance_insights_enabled(), Some(false));

    let call = lab.client.describe_db_instances();
    let error = call.db_instance_identifier("nobody").send().await;
    let error = error.unwrap_err().into_service_error();
    assert!(error.is_db_instance_not_found_fault());
    assert_eq!(error.code(), Some("DBInstanceNotFound"));

    let filter = Filter::builder().name("colour").values("red");
    let call = lab.client.describe_db_instances();
    let error = call.filters(filter.build()).send().await;
    let error = error.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("InvalidParameterValue"));
}

#[tokio::test]
async fn a_changed_promotion_tier_is_shown_and_used() {
    let lab = Lab::start(passive()).await;
    let call = lab.client.modify_db_instance();
    let call = call.db_instance_identifier("orders-3").promotion_tier(0);
    let changed = call.apply_immediately(true).send().await.unwrap();
    assert_eq!(changed.db_instance().unwrap().promotion_tier(), Some(0));
    lab.fail_over(None).await.unwrap();
    lab.wait_for_writer("orders-3").await;

    let call = lab.client.modify_db_instance();
    let call = call.db_instance_identifier("orders-3").promotion_tier(16);
    let error = call.send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("InvalidParameterValue"));
    let call = lab.client.modify_db_instance();
    let call = call.db_instance_identifier("orders-3").multi_az(true);
    let error = call.send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("InvalidParameterCombination"));
}

#[tokio::test]
async fn the_smaller_descriptions_answer() {
    let lab = Lab::start(passive()).await;
    let call = lab.client.describe_db_cluster_endpoints();
    let answer = call.db_cluster_identifier("orders").send().await.unwrap();
    let kinds = answer.db_cluster_endpoints().iter();
    let kinds: Vec<_> = kinds.map(|endpoint| endpoint.endpoint_type()).collect();
    assert_eq!(kinds, [Some("WRITER"), Some("READER")]);

    let call = lab.client.describe_blue_green_deployments();
    let answer = call.send().await.unwrap();
    assert!(answer.blue_green_deployments().is_empty());

    let arn = "arn:aws:rds:eu-west-1:123456789012:cluster:orders";
    let call = lab.client.list_tags_for_resource();
    let answer = call.resource_name(arn).send().await.unwrap();
    assert_eq!(answer.tag_list()[0].key(), Some("env"));

    let call = lab.client.describe_pending_maintenance_actions();
    let answer = call.send().await.unwrap();
    assert!(answer.pending_maintenance_actions().is_empty());
    lab.rds.set_pending_maintenance(vec![PendingMaintenance {
        resource_arn: arn.to_owned(),
        action: "system-update".to_owned(),
        description: "New operating system".to_owned(),
    }]);
    let call = lab.client.describe_pending_maintenance_actions();
    let answer = call.resource_identifier(arn).send().await.unwrap();
    let waiting = &answer.pending_maintenance_actions()[0];
    let details = waiting.pending_maintenance_action_details();
    assert_eq!(details[0].action(), Some("system-update"));
}
