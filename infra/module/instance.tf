resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_226:A minor upgrade fails over; it is made on purpose by a change of engine_version, not in the maintenance window
  count = local.create_instance ? 1 : 0

  identifier     = local.instance_identifier
  engine         = "postgres"
  engine_version = var.engine_version
  instance_class = var.instance_class
  multi_az       = var.multi_az
  db_name        = var.snapshot_identifier == null ? var.database_name : null
  port           = local.database_port

  username                            = var.master_username
  manage_master_user_password         = true
  master_user_secret_kms_key_id       = local.database_key_arn
  iam_database_authentication_enabled = var.iam_database_authentication_enabled

  db_subnet_group_name   = aws_db_subnet_group.this[0].name
  vpc_security_group_ids = [aws_security_group.database[0].id]
  parameter_group_name   = aws_db_parameter_group.this[0].name
  ca_cert_identifier     = var.ca_cert_identifier
  publicly_accessible    = false

  storage_type          = "gp3"
  allocated_storage     = var.allocated_storage
  max_allocated_storage = var.max_allocated_storage
  iops                  = var.iops
  storage_throughput    = var.storage_throughput
  storage_encrypted     = true
  kms_key_id            = local.database_key_arn
  snapshot_identifier   = var.snapshot_identifier

  backup_retention_period     = var.backup_retention_period
  backup_window               = var.preferred_backup_window
  maintenance_window          = var.preferred_maintenance_window
  copy_tags_to_snapshot       = true
  delete_automated_backups    = false
  deletion_protection         = var.deletion_protection
  skip_final_snapshot         = var.skip_final_snapshot
  final_snapshot_identifier   = local.final_snapshot_identifier
  apply_immediately           = var.apply_immediately
  allow_major_version_upgrade = var.allow_major_version_upgrade
  auto_minor_version_upgrade  = var.auto_minor_version_upgrade

  monitoring_interval                   = var.monitoring_interval
  monitoring_role_arn                   = local.monitoring_role_arn
  performance_insights_enabled          = var.performance_insights_enabled
  performance_insights_kms_key_id       = var.performance_insights_enabled ? local.database_key_arn : null
  performance_insights_retention_period = var.performance_insights_enabled ? var.performance_insights_retention_period : null

  enabled_cloudwatch_logs_exports = distinct(concat(var.enabled_cloudwatch_logs_exports, ["upgrade"]))

  tags = local.tags

  depends_on = [aws_cloudwatch_log_group.database]

  lifecycle {
    ignore_changes = [snapshot_identifier]
  }
}
