# The cluster deployment, applied against a provider that makes nothing.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name              = "orders"
  azs               = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  package_directory = "./tests/packages"
  ca_bundle_package = "./tests/packages/ca-bundle.zip"
  login_passwords   = { prober = "of-nobody", drainer = "of-nobody" }
  read_write_roles  = ["orders_app"]
  private_zone_name = "orders.internal"
  pin_name          = "writer"
  backup_plan       = {}
  notification_channels = {
    on-call = { protocol = "email", endpoint = "on-call@example.org" }
    phone   = { protocol = "sms", endpoint = "+4930123456", severities = ["critical"] }
  }
}

run "applies" {
  assert {
    condition     = length(aws_rds_cluster_instance.this) == 3 && length(distinct([for instance in aws_rds_cluster_instance.this : instance.availability_zone])) == 3
    error_message = "three instances in three zones"
  }
  assert {
    condition     = sort([for instance in aws_rds_cluster_instance.this : instance.promotion_tier]) == tolist([0, 0, 1]) || length([for instance in aws_rds_cluster_instance.this : instance if instance.promotion_tier <= 1]) == 3
    error_message = "tiers 0 and 1 are targets"
  }
  assert {
    condition     = sort(keys(aws_lambda_function.this)) == tolist(["connection-drainer", "event-router", "health-prober-eu-central-1a", "health-prober-eu-central-1b", "health-prober-eu-central-1c", "promotion-coordinator"])
    error_message = "one prober for each zone, and the others once"
  }
  assert {
    condition     = aws_lambda_function.this["health-prober-eu-central-1b"].environment[0].variables["STEADFAST_AZ"] == "eu-central-1b" && aws_lambda_function.this["health-prober-eu-central-1b"].vpc_config[0].subnet_ids == toset([aws_subnet.function["eu-central-1b"].id])
    error_message = "a prober stands in its own zone"
  }
  assert {
    condition     = length(aws_lambda_function.this["promotion-coordinator"].vpc_config) == 0 && length(aws_lambda_function.this["event-router"].vpc_config) == 0
    error_message = "who acts stays outside the VPC"
  }
  assert {
    condition     = aws_lambda_function.this["promotion-coordinator"].environment[0].variables["STEADFAST_PIN_NAME"] == "writer.orders.internal"
    error_message = "the stable name is set"
  }
  assert {
    condition     = alltrue([for config in aws_lambda_function_event_invoke_config.this : config.qualifier == "live"])
    error_message = "asynchronous settings are those of the alias"
  }
  assert {
    condition     = aws_lambda_function_event_invoke_config.this["health-prober-eu-central-1a"].maximum_retry_attempts == 0
    error_message = "a prober is not tried again minutes later"
  }
  assert {
    condition     = sort(keys(aws_scheduler_schedule.this)) == tolist(["health-prober-eu-central-1a", "health-prober-eu-central-1b", "health-prober-eu-central-1c", "promotion-coordinator"])
    error_message = "probers and the coordinator's sweep are scheduled"
  }
  assert {
    condition     = jsondecode(aws_scheduler_schedule.this["promotion-coordinator"].target[0].input) == { hint = "tick", cluster = "orders" }
    error_message = "a tick names the cluster"
  }
  assert {
    condition     = alltrue([for target in aws_cloudwatch_event_target.router : target.retry_policy[0].maximum_event_age_in_seconds >= 60 && length(target.dead_letter_config) == 1])
    error_message = "no event age below what the API takes, and a dead-letter queue"
  }
  assert {
    condition     = alltrue([for permission in aws_lambda_permission.events : permission.source_account == null && permission.qualifier == "live"])
    error_message = "EventBridge sends no source account"
  }
  assert {
    condition     = contains([for match in jsondecode(aws_cloudwatch_event_rule.this["rds"].event_pattern).detail.SourceIdentifier : lookup(match, "prefix", "")], "orders")
    error_message = "the pattern is about this cluster"
  }
  assert {
    condition     = aws_dynamodb_table.state[0].point_in_time_recovery[0].enabled && aws_dynamodb_table.state[0].deletion_protection_enabled
    error_message = "the state can be brought back"
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : length(alarm.alarm_actions) > 0]) && alltrue([for alarm in aws_cloudwatch_composite_alarm.this : length(alarm.alarm_actions) > 0])
    error_message = "no alarm without an action"
  }
  assert {
    condition     = alltrue([for az in var.azs : aws_cloudwatch_metric_alarm.this["prober-silent-${az}"].treat_missing_data == "breaching"])
    error_message = "a dead man sends no data"
  }
  assert {
    condition     = length(aws_route53_health_check.zone) + length(aws_route53_health_check.commits) == 0 && !contains(keys(aws_cloudwatch_metric_alarm.this), "name-fails-over-eu-central-1a")
    error_message = "a name that leads nowhere else needs no health check"
  }
  assert {
    condition     = length(aws_sns_topic_subscription.this) == 3 + 2
    error_message = "a channel is subscribed to the notices and to each of its severities"
  }
  assert {
    condition     = sort(keys(aws_vpc_endpoint.interface)) == tolist(["lambda", "rds", "rds-data", "secretsmanager", "sns"]) && sort(keys(aws_vpc_endpoint.gateway)) == tolist(["dynamodb"])
    error_message = "exactly the endpoints that functions in the VPC call"
  }
  assert {
    condition     = alltrue([for template in aws_fis_experiment_template.this : length(template.stop_condition) >= 1 && alltrue([for stop in template.stop_condition : stop.source != "none"])])
    error_message = "no drill without a stop condition"
  }
  assert {
    condition     = length(aws_backup_plan.this) == 1 && length(aws_secretsmanager_secret_rotation.login) == 0
    error_message = "a backup plan; no rotation by a function that is not there"
  }
  assert {
    condition     = sort(keys(aws_secretsmanager_secret.login)) == tolist(["drainer", "prober"]) && aws_lambda_function.this["connection-drainer"].environment[0].variables["STEADFAST_READ_WRITE_ROLES"] == "orders_app"
    error_message = "no application of its own unless asked for"
  }
  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets) > 12
    error_message = "a dashboard"
  }
}

run "says_what_others_build_on" {
  command = plan

  assert {
    condition     = output.cluster_members == tolist(["orders-one", "orders-three", "orders-two"]) && output.db_instance_port == null
    error_message = "outputs as of the community modules"
  }
}

run "grants_what_is_called_and_no_more" {
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.function : [
        for statement in jsondecode(policy.policy).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*")]
      ]
    ]))
    error_message = "no wildcard action"
  }
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.function : [
        for statement in jsondecode(policy.policy).Statement :
        alltrue([for action in flatten([statement.Action]) : startswith(action, "ec2:") || action == "secretsmanager:GetRandomPassword"]) if contains(flatten([statement.Resource]), "*")
      ]
    ]))
    error_message = "everything on named resources, but for what takes none"
  }
  assert {
    condition = toset([
      for key, policy in aws_iam_role_policy.function : key if strcontains(policy.policy, "rds:FailoverDBCluster")
    ]) == toset(["promotion-coordinator"])
    error_message = "only the coordinator may fail over"
  }
  assert {
    condition = sort(flatten([
      for statement in jsondecode(aws_iam_role_policy.function["promotion-coordinator"].policy).Statement : statement.Resource if contains(statement.Action, "rds:FailoverDBCluster")
      ])) == sort([
      "arn:aws:rds:eu-central-1:123456789012:cluster:orders", "arn:aws:rds:eu-central-1:123456789012:db:orders-one",
      "arn:aws:rds:eu-central-1:123456789012:db:orders-three", "arn:aws:rds:eu-central-1:123456789012:db:orders-two",
    ])
    error_message = "on this cluster and its instances"
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.function["event-router"].policy).Statement :
      statement.Condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"] == ["event#*"] if contains(statement.Action, "dynamodb:PutItem")
    ])
    error_message = "the router marks events and cannot arm anybody"
  }
}

run "parameters_that_leave_nothing_to_change" {
  command = plan
  variables {
    log_statement = "none"
  }
  assert {
    condition = toset([for parameter in aws_rds_cluster_parameter_group.this[0].parameter : parameter.name if parameter.apply_method == "pending-reboot"]) == toset([
      "log_statement", "password_encryption", "rds.force_ssl", "shared_preload_libraries",
    ])
    error_message = "what is static, and what may be the family's default"
  }
}

run "bounds_every_role" {
  command = plan
  variables {
    permissions_boundary = "arn:aws:iam::123456789012:policy/boundary"
    rotation             = {}
    backup_verification  = {}
    game_days            = {}
  }
  assert {
    condition = alltrue([
      for role in concat(values(aws_iam_role.function), aws_iam_role.scheduler, aws_iam_role.drills, aws_iam_role.backup, aws_iam_role.flow_logs, aws_iam_role.monitoring) :
      role.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"
    ])
    error_message = "no role without its boundary"
  }
}

run "plans_again" {
  command = plan

  assert {
    condition     = aws_rds_cluster.this[0].cluster_identifier == "orders"
    error_message = "plans again"
  }
}

run "a_major_upgrade_takes_the_instances_along" {
  command = plan
  variables {
    allow_major_version_upgrade = true
  }
  assert {
    condition     = aws_rds_cluster.this[0].db_instance_parameter_group_name == aws_db_parameter_group.this[0].name
    error_message = "with parameters of the new version"
  }
}

run "a_fourth_instance_moves_none_of_the_three" {
  command = plan
  variables {
    instances = { four = {}, one = {}, two = {}, three = { promotion_tier = 1 } }
  }
  assert {
    condition     = { for key, instance in aws_rds_cluster_instance.this : key => instance.availability_zone } == { four = "eu-central-1a", one = "eu-central-1a", three = "eu-central-1b", two = "eu-central-1c" }
    error_message = "who is there stays where it is"
  }
}

run "provisioned_with_its_own_alarms" {
  command = plan
  variables {
    cluster_instance_class = "db.r7g.large"
    alarm_thresholds       = { "writer-cpu" = 75 }
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["writer-cpu"].threshold == 75
    error_message = "a threshold on load is the user's"
  }
  assert {
    condition     = length(aws_rds_cluster.this[0].serverlessv2_scaling_configuration) == 0
    error_message = "no capacity range"
  }
  assert {
    condition     = contains(keys(aws_cloudwatch_metric_alarm.this), "local-storage") && !contains(keys(aws_cloudwatch_metric_alarm.this), "capacity")
    error_message = "local storage is watched instead of capacity"
  }
}

run "one_more_function_is_one_entry" {
  command = plan
  variables {
    additional_functions = {
      event-archiver = {
        description       = "Keeps what was told"
        in_vpc            = true
        services          = ["secretsmanager"]
        policy_statements = [{ Action = ["secretsmanager:DescribeSecret"], Resource = ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders/*"] }]
      }
      drill-starter = {
        description         = "Starts a drill"
        schedule_expression = "rate(1 day)"
        dashboard_metrics   = [{ title = "Last drill", metrics = ["DrillPassed"] }]
      }
    }
  }
  assert {
    condition     = length(aws_lambda_function.this) == 8 && contains(keys(aws_scheduler_schedule.this), "drill-starter") && contains(keys(aws_cloudwatch_metric_alarm.this), "function-errors-event-archiver")
    error_message = "function, schedule and alarms"
  }
  assert {
    condition     = strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, "Last drill")
    error_message = "and on the dashboard"
  }
}

run "breaks_something_once_a_week" {
  variables {
    backup_verification = {}
    game_days           = { experiments = ["failover", "crash"], freezes = ["2026-12-15T00:00:00Z/2027-01-05T00:00:00Z"] }
  }
  assert {
    condition     = jsondecode(aws_scheduler_schedule.game_day[0].target[0].input) == { cluster = "orders", order = "game_day" } && aws_scheduler_schedule.this["fis-scheduler"].schedule_expression == "rate(5 minutes)"
    error_message = "an order each week, and a tick every five minutes"
  }
  assert {
    condition     = aws_lambda_function.this["fis-scheduler"].environment[0].variables["STEADFAST_EXPERIMENTS"] == "failover,crash" && aws_lambda_function.this["fis-scheduler"].environment[0].variables["STEADFAST_WINDOW"] == "8-16" && aws_lambda_function.this["fis-scheduler"].environment[0].variables["STEADFAST_DAYS"] == "1,2,3,4" && strcontains(aws_lambda_function.this["fis-scheduler"].environment[0].variables["STEADFAST_TEMPLATES"], "guard=")
    error_message = "what, and within which bounds"
  }
  assert {
    condition     = !contains(keys(aws_lambda_function.this["fis-scheduler"].environment[0].variables), "STEADFAST_APPLICATION_PROBE")
    error_message = "without an application of its own"
  }
  assert {
    condition = alltrue([
      for template in aws_fis_experiment_template.this :
      toset([for condition in template.stop_condition : condition.value]) == toset(flatten([for action in template.action : [for parameter in action.parameter : split(",", parameter.value) if parameter.key == "alarmArns"] if action.name == "guarded"]))
    ])
    error_message = "every template asserts the alarms that are to stop it"
  }
  assert {
    condition     = length([for action in aws_fis_experiment_template.this["guard"].action : action if action.name == "fault"]) == 0 && length(aws_fis_experiment_template.this["guard"].target) == 0
    error_message = "the guard breaks nothing"
  }
}

run "runs_an_application_of_its_own" {
  variables {
    application_probe   = true
    login_passwords     = { prober = "of-nobody", drainer = "of-nobody", application_probe = "of-nobody" }
    rotation            = {}
    backup_verification = {}
    game_days           = {}
  }
  assert {
    condition     = aws_lambda_function.this["application-probe"].environment[0].variables["STEADFAST_ENDPOINT"] == "orders.cluster-abc.eu-central-1.rds.amazonaws.com:5432" && aws_lambda_function.this["application-probe"].environment[0].variables["STEADFAST_CLUSTER"] == "orders" && aws_lambda_function.this["application-probe"].environment[0].variables["STEADFAST_TABLE"] == "orders"
    error_message = "it is led to the writer endpoint, port included"
  }
  assert {
    condition     = aws_lambda_function.this["application-probe"].environment[0].variables["STEADFAST_SECRET_ARN"] == aws_secretsmanager_secret.login["application_probe"].arn && aws_secretsmanager_secret.login["application_probe"].name_prefix == "orders/application_probe-" && contains(keys(aws_secretsmanager_secret_version.login), "application_probe") && contains(keys(aws_secretsmanager_secret_rotation.login), "application_probe")
    error_message = "with a login of its own, whose password is written and rotated"
  }
  assert {
    condition     = aws_lambda_function.this["connection-drainer"].environment[0].variables["STEADFAST_READ_WRITE_ROLES"] == "orders_app,steadfast_application_probe"
    error_message = "the drainer takes it for an application"
  }
  assert {
    condition     = aws_scheduler_schedule.this["application-probe"].schedule_expression == "rate(1 minute)" && jsondecode(aws_scheduler_schedule.this["application-probe"].target[0].input).hint == "tick"
    error_message = "a tick a minute keeps it going"
  }
  assert {
    condition     = aws_lambda_function.this["fis-scheduler"].environment[0].variables["STEADFAST_APPLICATION_PROBE"] == "orders-application-probe"
    error_message = "the scheduler knows that it is there"
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.function["application-probe"].policy).Statement :
      statement.Condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"] == ["application#orders"] if anytrue([for action in flatten([statement.Action]) : startswith(action, "dynamodb:")])
    ])
    error_message = "it writes down what it met, and nothing else"
  }
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.function["application-probe"].policy).Statement : statement.Resource if contains(flatten([statement.Action]), "secretsmanager:GetSecretValue")
    ] == [[aws_secretsmanager_secret.login["application_probe"].arn]]
    error_message = "and reads its own password"
  }
  assert {
    condition     = alltrue([for key, alarm in jsondecode(file("./generated/alarms.json")) : contains(keys(aws_cloudwatch_metric_alarm.this), key) if alarm.when == "application_probe"]) && contains(keys(aws_cloudwatch_metric_alarm.this), "function-errors-application-probe")
    error_message = "it has its alarms"
  }
  assert {
    condition = length(setsubtract(
      [for widget in jsondecode(file("./generated/dashboard.json")).widgets : widget.properties.title if widget.when == "application_probe"],
      [for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : try(widget.properties.title, "")],
    )) == 0
    error_message = "and is on the dashboard"
  }
}

run "rotates_passwords_and_opens_backups" {
  variables {
    rotation            = { secret_arns = { application = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders-app-AbCdEf" } }
    backup_verification = { manifest = { tables = { "steadfast.canary" = { at_least = 1 } } } }
  }
  assert {
    condition     = sort(keys(aws_secretsmanager_secret_rotation.login)) == tolist(["application", "drainer", "prober"]) && alltrue([for rotation in aws_secretsmanager_secret_rotation.login : rotation.rotate_immediately == false])
    error_message = "logins and named secrets are rotated, not at once"
  }
  assert {
    condition     = alltrue([for permission in aws_lambda_permission.rotation : permission.qualifier == "live" && permission.source_account == "123456789012" && permission.principal == "secretsmanager.amazonaws.com"])
    error_message = "Secrets Manager may call the rotator, for these secrets of this account"
  }
  assert {
    condition     = aws_scheduler_schedule.this["secret-rotator"].schedule_expression == "rate(5 minutes)" && aws_scheduler_schedule.this["backup-verifier"].schedule_expression == "rate(1 minute)"
    error_message = "a sweep every five minutes, a tick every minute"
  }
  assert {
    condition     = jsondecode(aws_scheduler_schedule.verification[0].target[0].input).order == "verify" && jsondecode(aws_scheduler_schedule.verification[0].target[0].input).manifest.tables == { "steadfast.canary" = { at_least = 1 } }
    error_message = "an order each day, with the manifest and without what nobody set"
  }
  assert {
    condition     = startswith(aws_lambda_function.this["secret-rotator"].environment[0].variables["STEADFAST_ADMIN_SECRET_ARN"], "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!cluster")
    error_message = "the master user changes passwords"
  }
  assert {
    condition     = aws_lambda_function.this["backup-verifier"].environment[0].variables["STEADFAST_VERIFY_SUBNET_GROUP"] == aws_db_subnet_group.verification[0].name && aws_lambda_function.this["backup-verifier"].environment[0].variables["STEADFAST_VERIFY_SECURITY_GROUPS"] == aws_security_group.restored[0].id && !contains(keys(aws_lambda_function.this["backup-verifier"].environment[0].variables), "STEADFAST_VERIFY_CLASS")
    error_message = "restored databases have a place of their own"
  }
  assert {
    condition = alltrue(flatten([
      for statement in jsondecode(aws_iam_role_policy.function["backup-verifier"].policy).Statement : [
        for resource in flatten([statement.Resource]) : !contains(["arn:aws:rds:eu-central-1:123456789012:cluster:orders", "arn:aws:rds:eu-central-1:123456789012:cluster:*", "arn:aws:rds:eu-central-1:123456789012:db:*"], resource)
      ] if anytrue([for action in flatten([statement.Action]) : can(regex("^rds:(Delete|Modify|Create)", action))])
    ]))
    error_message = "the verifier changes and deletes nothing but what it restored"
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.function["backup-verifier"].policy).Statement :
      statement.Condition.StringLike["secretsmanager:ResourceTag/aws:rds:primaryDBClusterArn"] == "arn:aws:rds:eu-central-1:123456789012:cluster:verify-*" if contains(flatten([statement.Action]), "secretsmanager:GetSecretValue")
    ])
    error_message = "and reads the passwords of nothing else"
  }
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.function["backup-verifier"].policy).Statement :
      statement.Condition.Bool["kms:GrantIsForAWSResource"] if contains(flatten([statement.Action]), "kms:CreateGrant")
    ] == ["true"]
    error_message = "and gives the key to AWS alone"
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_role_policy.function["secret-rotator"].policy).Statement :
      statement.Action == ["secretsmanager:GetRandomPassword"] && statement.Resource == ["*"]
    ])
    error_message = "random passwords are of no resource, and nothing else is granted with them"
  }
  assert {
    condition     = contains(keys(aws_cloudwatch_metric_alarm.this), "rotation-failed") && aws_cloudwatch_metric_alarm.this["backup-not-verified"].treat_missing_data == "breaching"
    error_message = "failed rotations and backups that nobody opens have an alarm"
  }
}

run "nothing_at_all" {
  command = plan
  variables {
    create = false
  }
  assert {
    condition     = length(aws_rds_cluster.this) + length(aws_lambda_function.this) + length(aws_vpc.this) + length(aws_sns_topic.this) + length(aws_cloudwatch_metric_alarm.this) + length(aws_kms_key.operations) + length(aws_cloudwatch_event_rule.this) == 0
    error_message = "create = false makes nothing"
  }
}
