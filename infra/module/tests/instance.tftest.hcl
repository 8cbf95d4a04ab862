# The Multi-AZ instance, applied against a provider that makes nothing.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name              = "ledger"
  deployment        = "instance"
  azs               = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  package_directory = "./tests/packages"
  ca_bundle_package = "./tests/packages/ca-bundle.zip"
  login_passwords   = { prober = "of-nobody", drainer = "of-nobody" }
  private_zone_name = "ledger.internal"
  secondary         = { endpoint = "ledger-replica.abc.eu-west-1.rds.amazonaws.com" }
}

run "applies" {
  assert {
    condition     = aws_db_instance.this[0].multi_az && aws_db_instance.this[0].storage_type == "gp3" && aws_db_instance.this[0].max_allocated_storage == 1000 && aws_db_instance.this[0].backup_retention_period == 7 && aws_db_instance.this[0].deletion_protection && !aws_db_instance.this[0].skip_final_snapshot
    error_message = "Multi-AZ, gp3 that grows, a week of backups, protected"
  }
  assert {
    condition     = length(aws_rds_cluster.this) == 0 && length(aws_iam_role.monitoring) == 1
    error_message = "an instance with its monitoring role, no cluster"
  }
  assert {
    condition     = !contains(keys(aws_lambda_function.this), "connection-drainer") && !contains(keys(aws_secretsmanager_secret.login), "drainer")
    error_message = "nobody is left on the old host: no drainer"
  }
  assert {
    condition     = !contains(keys(aws_lambda_function.this), "application-probe") && !contains(keys(aws_secretsmanager_secret.login), "application_probe") && !contains(keys(aws_scheduler_schedule.this), "application-probe")
    error_message = "no application of its own unless asked for"
  }
  assert {
    condition     = aws_lambda_function.this["health-prober-eu-central-1a"].environment[0].variables["STEADFAST_SUBNETS"] == "eu-central-1a=10.64.0.0/24,eu-central-1b=10.64.1.0/24,eu-central-1c=10.64.2.0/24"
    error_message = "the probers tell the hosts apart by their subnets"
  }
  assert {
    condition     = !contains(keys(aws_lambda_function.this["promotion-coordinator"].environment[0].variables), "STEADFAST_CLUSTER") && aws_lambda_function.this["promotion-coordinator"].environment[0].variables["STEADFAST_INSTANCE"] == "ledger"
    error_message = "an instance is watched"
  }
  assert {
    condition     = output.db_instance_port == 5432 && startswith(output.db_instance_master_user_secret_arn, "arn:aws:secretsmanager:") && length(output.cluster_members) == 0
    error_message = "outputs as of the community modules"
  }
  assert {
    condition     = strcontains(aws_iam_role_policy.function["promotion-coordinator"].policy, "rds:RebootDBInstance") && !strcontains(aws_iam_role_policy.function["promotion-coordinator"].policy, "rds:FailoverDBCluster")
    error_message = "the call is a reboot with failover"
  }
  assert {
    condition     = aws_route53_record.failover["PRIMARY"].health_check_id == aws_route53_health_check.commits[0].id && aws_route53_record.failover["SECONDARY"].records == toset(["ledger-replica.abc.eu-west-1.rds.amazonaws.com"])
    error_message = "the name fails over"
  }
  assert {
    condition     = length(aws_route53_health_check.zone) == 3 && aws_route53_health_check.commits[0].child_health_threshold == 2
    error_message = "a check for each zone, two of three"
  }
  assert {
    condition = alltrue([for az, check in aws_route53_health_check.zone : (
      check.cloudwatch_alarm_name == "ledger-name-fails-over-${az}"
      && aws_cloudwatch_metric_alarm.this["name-fails-over-${az}"].evaluation_periods == 10
      && aws_cloudwatch_metric_alarm.this["name-fails-over-${az}"].datapoints_to_alarm == 10
    )])
    error_message = "a failover to the standby does not lead clients to a replica"
  }
  assert {
    condition     = contains([for parameter in aws_db_parameter_group.this[0].parameter : parameter.value if parameter.name == "shared_preload_libraries" && parameter.apply_method == "pending-reboot"], "pg_stat_statements") && contains([for parameter in aws_db_parameter_group.this[0].parameter : parameter.name], "log_statement")
    error_message = "pg_stat_statements and log_statement"
  }
  assert {
    condition     = contains(keys(aws_cloudwatch_metric_alarm.this), "free-storage") && !contains(keys(aws_cloudwatch_metric_alarm.this), "replica-lag") && !strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, "CommitThroughput")
    error_message = "metrics that an instance has"
  }
}

run "rotates_passwords_and_opens_backups" {
  command = plan
  variables {
    rotation            = {}
    backup_verification = { instance_class = "db.m7g.large" }
    game_days           = {}
  }
  assert {
    condition     = sort(keys(aws_secretsmanager_secret_rotation.login)) == tolist(["prober"]) && contains(keys(aws_lambda_function.this), "backup-verifier")
    error_message = "the prober's login is rotated, backups are opened"
  }
  assert {
    condition     = !contains(keys(aws_lambda_function.this["fis-scheduler"].environment[0].variables), "STEADFAST_APPLICATION_PROBE")
    error_message = "game days without an application of its own"
  }
}

run "runs_an_application_of_its_own" {
  variables {
    application_probe   = true
    login_passwords     = { prober = "of-nobody", application_probe = "of-nobody" }
    backup_verification = {}
    game_days           = {}
  }
  assert {
    condition     = aws_lambda_function.this["application-probe"].environment[0].variables["STEADFAST_ENDPOINT"] == "orders.abc.eu-central-1.rds.amazonaws.com:5432" && aws_lambda_function.this["application-probe"].environment[0].variables["STEADFAST_INSTANCE"] == "ledger" && !contains(keys(aws_lambda_function.this["application-probe"].environment[0].variables), "STEADFAST_CLUSTER")
    error_message = "it is led to the instance's endpoint, port included"
  }
  assert {
    condition     = aws_lambda_function.this["application-probe"].environment[0].variables["STEADFAST_SECRET_ARN"] == aws_secretsmanager_secret.login["application_probe"].arn && sort(keys(aws_secretsmanager_secret_version.login)) == tolist(["application_probe", "prober"])
    error_message = "with a login of its own"
  }
  assert {
    condition     = aws_scheduler_schedule.this["application-probe"].schedule_expression == "rate(1 minute)" && jsondecode(aws_scheduler_schedule.this["application-probe"].target[0].input).hint == "tick" && aws_lambda_function.this["fis-scheduler"].environment[0].variables["STEADFAST_APPLICATION_PROBE"] == "ledger-application-probe"
    error_message = "a tick a minute keeps it going, and the scheduler knows that it is there"
  }
}

run "without_a_standby" {
  command = plan
  variables {
    multi_az = false
  }
  expect_failures = [var.multi_az]
}

run "storage_that_cannot_grow" {
  command = plan
  variables {
    max_allocated_storage = 100
  }
  expect_failures = [var.max_allocated_storage]
}

run "iops_on_a_small_disk" {
  command = plan
  variables {
    iops = 12000
  }
  expect_failures = [var.iops]
}

run "a_stable_name_for_an_instance" {
  command = plan
  variables {
    pin_name = "writer"
  }
  expect_failures = [var.pin_name]
}
