# The database that is watched, whether made here or adopted.
locals {
  database_identifier = local.is_cluster ? local.cluster_identifier : local.instance_identifier
  database_arn        = local.is_cluster ? local.cluster_arn : local.instance_arn
  # Never null, for texts.
  database_name     = coalesce(local.database_identifier, "unknown")
  database_port     = var.port
  database_endpoint = local.is_cluster ? local.cluster_endpoint : local.instance_endpoint

  # Identifiers are inputs, so ARNs are known before anything exists. Only the master secret, by which the rotator
  # changes passwords, is known with the database.
  arn_prefix          = "arn:${local.partition}:rds:${local.region}:${local.account_id}"
  cluster_identifier  = var.deployment == "existing-cluster" ? var.cluster_identifier : coalesce(var.cluster_identifier, var.name)
  instance_identifier = var.deployment == "existing-instance" ? var.db_instance_identifier : coalesce(var.db_instance_identifier, var.name)
  cluster_arn         = coalesce(var.cluster_arn, "${local.arn_prefix}:cluster:${coalesce(local.cluster_identifier, "unknown")}")
  instance_arn        = "${local.arn_prefix}:db:${coalesce(local.instance_identifier, "unknown")}"

  cluster_endpoint        = local.create_cluster ? aws_rds_cluster.this[0].endpoint : var.cluster_endpoint
  cluster_reader_endpoint = local.create_cluster ? aws_rds_cluster.this[0].reader_endpoint : var.cluster_reader_endpoint
  instance_endpoint       = local.create_instance ? aws_db_instance.this[0].address : var.cluster_endpoint

  # Instances that the coordinator may name as a target.
  member_identifiers = (
    var.deployment == "cluster" ? [for instance in values(local.instances) : instance.identifier]
    : var.deployment == "existing-cluster" ? sort(var.cluster_members)
    : [local.instance_identifier]
  )
  member_arns = [for identifier in local.member_identifiers : "${local.arn_prefix}:db:${identifier}"]

  has_serverless = var.deployment == "cluster" ? anytrue([
    for instance in values(local.instances) : instance.instance_class == "db.serverless"
  ]) : var.cluster_instance_class == "db.serverless"

  data_api = var.enable_http_endpoint

  master_user_secret_arn = (
    local.create_cluster ? one(aws_rds_cluster.this[0].master_user_secret[*].secret_arn)
    : local.create_instance ? one(aws_db_instance.this[0].master_user_secret[*].secret_arn)
    : one(var.cluster_master_user_secret[*].secret_arn)
  )
}
