locals {
  instance_keys = sort(keys(var.instances))
  instances = {
    for position, key in local.instance_keys : key => {
      identifier     = coalesce(var.instances[key].identifier, "${local.cluster_identifier}-${key}")
      instance_class = coalesce(var.instances[key].instance_class, var.cluster_instance_class)
      # The API's default tier is 1, the provider's is 0: always say which.
      promotion_tier    = var.instances[key].promotion_tier
      availability_zone = coalesce(var.instances[key].availability_zone, element(local.azs, position))
    }
  }
}

resource "aws_rds_cluster" "this" {
  #checkov:skip=CKV2_AWS_8:Backups are made continuously by Aurora with var.backup_retention_period; AWS Backup is the input backup_plan
  #checkov:skip=CKV2_AWS_27:log_statement and log_min_duration_statement are set in parameters.tf, through a map that the scan does not follow
  count = local.create_cluster ? 1 : 0

  cluster_identifier = local.cluster_identifier
  engine             = "aurora-postgresql"
  engine_version     = var.engine_version
  database_name      = var.snapshot_identifier == null ? var.database_name : null
  port               = local.database_port

  master_username                     = var.master_username
  manage_master_user_password         = true
  master_user_secret_kms_key_id       = local.database_key_arn
  iam_database_authentication_enabled = var.iam_database_authentication_enabled
  enable_http_endpoint                = var.enable_http_endpoint

  db_subnet_group_name            = aws_db_subnet_group.this[0].name
  vpc_security_group_ids          = [aws_security_group.database[0].id]
  db_cluster_parameter_group_name = aws_rds_cluster_parameter_group.this[0].name

  storage_encrypted   = true
  kms_key_id          = local.database_key_arn
  storage_type        = var.storage_type
  snapshot_identifier = var.snapshot_identifier

  backup_retention_period      = var.backup_retention_period
  preferred_backup_window      = var.preferred_backup_window
  preferred_maintenance_window = var.preferred_maintenance_window
  copy_tags_to_snapshot        = true
  delete_automated_backups     = false
  deletion_protection          = var.deletion_protection
  skip_final_snapshot          = var.skip_final_snapshot
  final_snapshot_identifier    = local.final_snapshot_identifier
  apply_immediately            = var.apply_immediately
  allow_major_version_upgrade  = var.allow_major_version_upgrade
  # A major upgrade takes the instances along, and is refused while their group is of the old family.
  db_instance_parameter_group_name = var.allow_major_version_upgrade ? aws_db_parameter_group.this[0].name : null

  enabled_cloudwatch_logs_exports = var.enabled_cloudwatch_logs_exports

  dynamic "serverlessv2_scaling_configuration" {
    for_each = local.has_serverless ? [var.serverlessv2_scaling_configuration] : []
    content {
      min_capacity = serverlessv2_scaling_configuration.value.min_capacity
      max_capacity = serverlessv2_scaling_configuration.value.max_capacity
    }
  }

  tags = local.tags

  # No availability_zones: with fewer than three of them AWS adds the rest, and every plan replaces the cluster.
  depends_on = [aws_cloudwatch_log_group.database]

  lifecycle {
    ignore_changes = [snapshot_identifier]
    precondition {
      condition     = var.skip_final_snapshot || local.final_snapshot_identifier != null
      error_message = "A final snapshot needs a name: set final_snapshot_identifier."
    }
  }
}

resource "aws_rds_cluster_instance" "this" {
  #checkov:skip=CKV_AWS_226:A minor upgrade restarts the writer; it is made on purpose by a change of engine_version, not in the maintenance window
  for_each = local.create_cluster ? local.instances : {}

  identifier         = each.value.identifier
  cluster_identifier = aws_rds_cluster.this[0].id
  engine             = aws_rds_cluster.this[0].engine
  engine_version     = aws_rds_cluster.this[0].engine_version
  instance_class     = each.value.instance_class
  promotion_tier     = each.value.promotion_tier
  availability_zone  = each.value.availability_zone

  db_subnet_group_name    = aws_db_subnet_group.this[0].name
  db_parameter_group_name = aws_db_parameter_group.this[0].name
  ca_cert_identifier      = var.ca_cert_identifier
  publicly_accessible     = false

  monitoring_interval                   = var.monitoring_interval
  monitoring_role_arn                   = local.monitoring_role_arn
  performance_insights_enabled          = var.performance_insights_enabled
  performance_insights_kms_key_id       = var.performance_insights_enabled ? local.database_key_arn : null
  performance_insights_retention_period = var.performance_insights_enabled ? var.performance_insights_retention_period : null

  auto_minor_version_upgrade = var.auto_minor_version_upgrade
  apply_immediately          = var.apply_immediately
  copy_tags_to_snapshot      = true

  # Nothing here follows the writer's role, so a failover leaves the next plan empty.
  tags = local.tags

  # A new key shifts the order by which zones are dealt out, and another zone would make running instances anew.
  lifecycle {
    ignore_changes = [availability_zone]
  }
}

resource "aws_rds_cluster_parameter_group" "this" {
  count = local.create_cluster ? 1 : 0

  name_prefix = "${var.name}-"
  family      = "aurora-postgresql${local.engine_major}"
  description = "Cluster parameters of ${local.cluster_identifier}"

  dynamic "parameter" {
    for_each = local.cluster_parameters
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
