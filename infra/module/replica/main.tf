# A read replica in another Region. It is asynchronous: promoting it may lose the last transactions, and a person does it.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  key_arn = var.kms_key_id == null ? aws_kms_key.database[0].arn : var.kms_key_id
}

resource "aws_kms_key" "database" {
  count = var.kms_key_id == null ? 1 : 0

  description         = "Storage and backups of ${var.identifier}"
  enable_key_rotation = true
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OwnerAndIamPolicies"
      Effect    = "Allow"
      Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root" }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })
  tags = var.tags
}

resource "aws_db_subnet_group" "this" {
  name       = var.identifier
  subnet_ids = var.subnet_ids
  tags       = var.tags
}

resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_226:A minor upgrade is made on purpose, together with the source's
  #checkov:skip=CKV_AWS_157:Multi-AZ is the input multi_az; a replica for disaster recovery often does without
  identifier          = var.identifier
  replicate_source_db = var.source_db_instance_arn
  instance_class      = var.instance_class
  multi_az            = var.multi_az
  port                = var.port

  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = var.vpc_security_group_ids
  parameter_group_name   = var.parameter_group_name
  ca_cert_identifier     = var.ca_cert_identifier
  publicly_accessible    = false

  storage_type          = "gp3"
  max_allocated_storage = var.max_allocated_storage
  storage_encrypted     = true
  kms_key_id            = local.key_arn

  # Backups make it a source of its own once it is promoted.
  backup_retention_period   = var.backup_retention_period
  copy_tags_to_snapshot     = true
  deletion_protection       = var.deletion_protection
  skip_final_snapshot       = var.skip_final_snapshot
  final_snapshot_identifier = var.skip_final_snapshot ? null : "${var.identifier}-final"

  monitoring_interval                   = var.monitoring_role_arn == null ? 0 : 30
  monitoring_role_arn                   = var.monitoring_role_arn
  performance_insights_enabled          = true
  performance_insights_kms_key_id       = local.key_arn
  performance_insights_retention_period = 7
  enabled_cloudwatch_logs_exports       = ["postgresql", "upgrade"]
  auto_minor_version_upgrade            = false

  tags = var.tags
}
