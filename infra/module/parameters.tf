locals {
  engine_major = split(".", var.engine_version)[0]

  # Static parameters need pending-reboot, or the provider changes them forever. So does whatever may be its family's
  # default: RDS keeps pending-reboot for it, whatever it is told. A new group holds from the first start all the same.
  shared_parameters = {
    "shared_preload_libraries"   = { value = "pg_stat_statements", apply_method = "pending-reboot" }
    "pg_stat_statements.track"   = { value = "all", apply_method = "immediate" }
    "log_statement"              = { value = var.log_statement, apply_method = var.log_statement == "none" ? "pending-reboot" : "immediate" }
    "log_min_duration_statement" = { value = tostring(var.log_min_duration_statement), apply_method = var.log_min_duration_statement == -1 ? "pending-reboot" : "immediate" }
    "rds.force_ssl"              = { value = "1", apply_method = "pending-reboot" }
    "password_encryption"        = { value = "scram-sha-256", apply_method = "pending-reboot" }
  }

  # Cluster cache management: a promoted tier-0 reader starts with a warm cache.
  cluster_parameters = merge(
    local.shared_parameters,
    { "apg_ccm_enabled" = { value = "1", apply_method = "immediate" } },
    { for parameter in var.cluster_parameters : parameter.name => { value = parameter.value, apply_method = parameter.apply_method } },
  )

  instance_parameters = merge(
    local.is_instance ? local.shared_parameters : {},
    { for parameter in var.parameters : parameter.name => { value = parameter.value, apply_method = parameter.apply_method } },
  )
}

resource "aws_db_parameter_group" "this" {
  count = local.create_database ? 1 : 0

  name_prefix = "${var.name}-"
  family      = local.is_cluster ? "aurora-postgresql${local.engine_major}" : "postgres${local.engine_major}"
  description = "Instance parameters of ${local.database_identifier}"

  dynamic "parameter" {
    for_each = local.instance_parameters
    content {
      name         = parameter.key
      value        = parameter.value.value
      apply_method = parameter.value.apply_method
    }
  }

  tags = local.tags

  lifecycle {
    create_before_destroy = true
  }
}

locals {
  final_snapshot_identifier = var.skip_final_snapshot ? null : coalesce(var.final_snapshot_identifier, "${var.name}-final")
  exported_logs             = local.is_cluster ? var.enabled_cloudwatch_logs_exports : distinct(concat(var.enabled_cloudwatch_logs_exports, ["upgrade"]))
  exported_logs_prefix      = local.is_cluster ? "/aws/rds/cluster" : "/aws/rds/instance"
}

# RDS would make them without retention.
resource "aws_cloudwatch_log_group" "database" {
  #checkov:skip=CKV_AWS_338:Retention is the input cloudwatch_log_group_retention_in_days
  for_each = toset(local.create_database ? local.exported_logs : [])

  name              = "${local.exported_logs_prefix}/${local.database_identifier}/${each.key}"
  retention_in_days = var.cloudwatch_log_group_retention_in_days
  kms_key_id        = local.operations_key_arn
  tags              = local.tags
}

# Enhanced monitoring.
locals {
  create_monitoring_role = local.create_database && var.monitoring_interval > 0 && var.create_monitoring_role
  monitoring_role_arn    = var.monitoring_interval == 0 ? null : (local.create_monitoring_role ? aws_iam_role.monitoring[0].arn : var.monitoring_role_arn)
}

resource "aws_iam_role" "monitoring" {
  count = local.create_monitoring_role ? 1 : 0

  name = "${var.name}-monitoring"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  count = local.create_monitoring_role ? 1 : 0

  role       = aws_iam_role.monitoring[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}
