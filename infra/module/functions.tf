locals {
  # What ships, by generated/functions.json, and what was added: one entry each.
  shipped = {
    for kind, function in jsondecode(file("${path.module}/generated/functions.json")) : kind => {
      description                  = function.description
      per_zone                     = function.per_zone
      in_vpc                       = function.in_vpc
      timeout                      = function.timeout
      memory_size                  = function.memory_size
      maximum_retry_attempts       = function.maximum_retry_attempts
      maximum_event_age_in_seconds = function.maximum_event_age_in_seconds
      reserved_concurrency         = function.reserved_concurrency
      schedule_expression          = function.schedule_expression
      schedule_input               = function.schedule_input == null ? null : replace(jsonencode(function.schedule_input), "$${database}", local.database_name)
      services                     = function.services
      login                        = function.login
      settings                     = { for setting in function.settings : setting.name => setting if setting.when == null || lookup(local.holds, coalesce(setting.when, "cluster"), false) }
      environment                  = {}
      policy_statements            = []
    } if var.create && contains(function.deployments, local.is_cluster ? "cluster" : "instance") && (function.when == null || lookup(local.holds, coalesce(function.when, "cluster"), false))
  }
  added = {
    for kind, function in var.additional_functions : kind => {
      description                  = function.description
      per_zone                     = function.per_zone
      in_vpc                       = function.in_vpc
      timeout                      = function.timeout
      memory_size                  = function.memory_size
      maximum_retry_attempts       = function.maximum_retry_attempts
      maximum_event_age_in_seconds = function.maximum_event_age_in_seconds
      reserved_concurrency         = function.reserved_concurrency
      schedule_expression          = function.schedule_expression
      schedule_input               = function.schedule_input
      services                     = function.services
      login                        = null
      settings                     = {}
      environment                  = function.environment
      policy_statements            = function.policy_statements
    } if var.create
  }
  kinds = merge(local.shipped, local.added)

  # One prober per zone: what one zone sees is no fact.
  functions = merge(
    { for kind, function in local.kinds : kind => { kind = kind, az = null } if !function.per_zone },
    merge([
      for kind, function in local.kinds : {
        for az in local.azs : "${kind}-${az}" => { kind = kind, az = az }
      } if function.per_zone
    ]...),
  )
  function_names = { for key in keys(local.functions) : key => "${var.name}-${key}" }
  # From names, not from resources: functions name each other.
  alias_arns = {
    for key, name in local.function_names :
    key => "arn:${local.partition}:lambda:${local.region}:${local.account_id}:function:${name}:${local.alias}"
  }
  alias = "live"

  package_paths = { for kind in keys(local.kinds) : kind => "${var.package_directory}/${kind}/bootstrap.zip" }

  # The value of every setting that this module knows; var.settings adds the thresholds.
  setting_values = merge(local.verification_values, local.game_day_values, {
    STEADFAST_ADMIN_SECRET_ARN = local.admin_secret_arn
    STEADFAST_CLUSTER          = local.cluster_identifier
    STEADFAST_INSTANCE         = local.instance_identifier
    STEADFAST_CLUSTER_ARN      = local.cluster_arn
    STEADFAST_TABLE            = var.name
    STEADFAST_TOPIC_ARN        = local.notices_topic_arn
    STEADFAST_COORDINATOR      = lookup(local.alias_arns, "promotion-coordinator", null)
    STEADFAST_DRAINER          = lookup(local.alias_arns, "connection-drainer", null)
    STEADFAST_DATABASE         = var.database_name
    STEADFAST_ENDPOINT         = local.database_endpoint == null ? null : "${local.database_endpoint}:${local.database_port}"
    STEADFAST_CA_FILE          = var.ca_file
    STEADFAST_READ_WRITE_ROLES = join(",", distinct(concat(var.read_write_roles, local.application_roles)))
    STEADFAST_SUBNETS          = join(",", [for az, subnet in local.database_subnets : "${az}=${coalesce(subnet.cidr_block, "unknown")}"])
    STEADFAST_PIN_NAME         = local.pin_fqdn
    STEADFAST_PIN_ZONE         = local.zone_id
  })
  secret_arns = { for login, secret in aws_secretsmanager_secret.login : login => secret.arn }

  environments = {
    for key, function in local.functions : key => merge(
      {
        for name in keys(local.kinds[function.kind].settings) : name => (
          name == "STEADFAST_AZ" ? function.az
          : name == "STEADFAST_SECRET_ARN" ? local.secret_arns[local.kinds[function.kind].login]
          : try(coalesce(lookup(var.settings, name, null), lookup(local.setting_values, name, null)), null)
        )
        if contains(["STEADFAST_AZ", "STEADFAST_SECRET_ARN"], name) || contains(keys(var.settings), name) || contains(keys(local.setting_values), name)
      },
      local.kinds[function.kind].environment,
    )
  }
  # A required setting that nobody fills would end every start of the function.
  unfilled = distinct(flatten([
    for kind, function in local.kinds : [
      for name, setting in function.settings : name
      if setting.required && !contains(concat(keys(local.setting_values), keys(var.settings), ["STEADFAST_AZ", "STEADFAST_SECRET_ARN"]), name)
    ]
  ]))
  known_settings = distinct(flatten([for function in values(local.kinds) : keys(function.settings)]))
}

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_338:Retention is the input cloudwatch_log_group_retention_in_days
  for_each = local.function_names

  # Before the function: Lambda would make it without retention.
  name              = "/aws/lambda/${each.value}"
  retention_in_days = var.cloudwatch_log_group_retention_in_days
  kms_key_id        = local.operations_key_arn
  tags              = local.tags
}

resource "aws_lambda_layer_version" "ca_bundle" {
  count = var.create && var.ca_bundle_package != null ? 1 : 0

  layer_name               = "${var.name}-ca-bundle"
  description              = "Certificate authorities of RDS, at ${var.ca_file}"
  filename                 = var.ca_bundle_package
  source_code_hash         = fileexists(var.ca_bundle_package) ? filebase64sha256(var.ca_bundle_package) : null
  compatible_runtimes      = ["provided.al2023"]
  compatible_architectures = [var.architecture]
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:The evidence and the audit lines are the trace; X-Ray would be one more dependency of the failover path
  #checkov:skip=CKV_AWS_116:A failure destination takes what fails for good, with its cause, see aws_lambda_function_event_invoke_config
  #checkov:skip=CKV_AWS_272:Packages are made by `infra package`; a signing profile belongs to the account, not to this module
  for_each = local.functions

  function_name                  = local.function_names[each.key]
  description                    = local.kinds[each.value.kind].description
  role                           = aws_iam_role.function[each.key].arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  timeout                        = local.kinds[each.value.kind].timeout
  memory_size                    = local.kinds[each.value.kind].memory_size
  reserved_concurrent_executions = var.reserve_concurrency ? local.kinds[each.value.kind].reserved_concurrency : -1
  kms_key_arn                    = local.operations_key_arn
  publish                        = true

  filename         = var.package_bucket == null ? local.package_paths[each.value.kind] : null
  s3_bucket        = var.package_bucket
  s3_key           = var.package_bucket == null ? null : local.package_paths[each.value.kind]
  source_code_hash = var.package_bucket == null && fileexists(local.package_paths[each.value.kind]) ? filebase64sha256(local.package_paths[each.value.kind]) : null

  layers = local.kinds[each.value.kind].in_vpc ? aws_lambda_layer_version.ca_bundle[*].arn : []

  environment {
    variables = local.environments[each.key]
  }

  # Application lines are JSON objects already, among them the metrics: JSON format passes them on as they are.
  logging_config {
    log_format            = "JSON"
    log_group             = aws_cloudwatch_log_group.function[each.key].name
    application_log_level = var.application_log_level
    system_log_level      = "INFO"
  }

  dynamic "vpc_config" {
    for_each = local.kinds[each.value.kind].in_vpc ? [each.value.az] : []
    content {
      subnet_ids = (
        vpc_config.value != null ? [local.function_subnet_ids[vpc_config.value]]
        : each.key == "application-probe" ? local.application_probe_subnet_ids
        : values(local.function_subnet_ids)
      )
      security_group_ids = [aws_security_group.functions[0].id]
    }
  }

  tags = local.tags

  depends_on = [aws_iam_role_policy.function]

  lifecycle {
    precondition {
      condition     = var.package_bucket != null || fileexists(local.package_paths[each.value.kind])
      error_message = "No package ${local.package_paths[each.value.kind]}: build it first (`make package`), or set package_directory or package_bucket."
    }
    precondition {
      condition     = length(local.unfilled) == 0
      error_message = "Nothing fills the settings ${join(", ", local.unfilled)}: set them in settings."
    }
    precondition {
      condition     = length(setsubtract(keys(var.settings), local.known_settings)) == 0
      error_message = "No function of this deployment reads ${join(", ", setsubtract(keys(var.settings), local.known_settings))}: remove it from settings, or mend its name."
    }
  }
}

resource "aws_lambda_alias" "live" {
  for_each = local.functions

  name             = local.alias
  description      = "The version that is called"
  function_name    = aws_lambda_function.this[each.key].function_name
  function_version = aws_lambda_function.this[each.key].version
}

# On the alias: what is set for the function alone does not hold for calls of its alias.
resource "aws_lambda_function_event_invoke_config" "this" {
  for_each = local.functions

  function_name                = aws_lambda_function.this[each.key].function_name
  qualifier                    = aws_lambda_alias.live[each.key].name
  maximum_retry_attempts       = local.kinds[each.value.kind].maximum_retry_attempts
  maximum_event_age_in_seconds = local.kinds[each.value.kind].maximum_event_age_in_seconds

  destination_config {
    on_failure {
      destination = aws_sqs_queue.failures[0].arn
    }
  }
}
