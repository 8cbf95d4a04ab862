# Where the verifier puts what it restores: in the database's subnets, in a security group that only the functions reach.
locals {
  verifies          = var.create && var.backup_verification != null
  restored_cluster  = "${local.arn_prefix}:cluster:verify-*"
  restored_instance = "${local.arn_prefix}:db:verify-*"
  restored_secrets  = "arn:${local.partition}:secretsmanager:${local.region}:${local.account_id}:secret:rds!*"

  # Targets of generated/iam.json. What is left over is found by its tags, among all clusters and instances.
  verification_targets = {
    any_cluster  = ["${local.arn_prefix}:cluster:*"]
    any_instance = ["${local.arn_prefix}:db:*"]
    backups = (
      local.is_cluster
      ? [local.cluster_arn, "${local.arn_prefix}:cluster-snapshot:*"]
      : [local.instance_arn, "${local.arn_prefix}:snapshot:*"]
    )
    # Automated snapshots of a database begin with rds:NAME; those of AWS Backup with awsbackup:.
    restoring = concat(
      local.is_cluster
      ? [local.cluster_arn, local.restored_cluster, "${local.arn_prefix}:cluster-snapshot:*", "${local.arn_prefix}:cluster-pg:*"]
      : [local.instance_arn, local.restored_instance, "${local.arn_prefix}:snapshot:*", "${local.arn_prefix}:pg:*"],
      ["${local.arn_prefix}:subgrp:${local.verification_name}", "${local.arn_prefix}:og:*"],
    )
    restored = concat(
      [local.restored_cluster, local.restored_instance],
      # It takes production's own groups, whatever their names are.
      local.is_cluster ? ["${local.arn_prefix}:pg:*", "${local.arn_prefix}:cluster-pg:*", "${local.arn_prefix}:og:default:*"] : ["${local.arn_prefix}:pg:*", "${local.arn_prefix}:og:*"],
    )
    "secret/restored" = [local.restored_secrets]
  }
  verification_name = "${var.name}-verification"
  verification_values = merge(
    {
      STEADFAST_VERIFY_SUBNET_GROUP    = local.verification_name
      STEADFAST_VERIFY_SECURITY_GROUPS = one(aws_security_group.restored[*].id)
    },
    { for name, class in { STEADFAST_VERIFY_CLASS = try(var.backup_verification.instance_class, null) } : name => class if class != null },
  )
}

resource "aws_db_subnet_group" "verification" {
  count = local.verifies ? 1 : 0

  name        = local.verification_name
  description = "Restored databases of ${var.name}, beside production"
  subnet_ids  = values(local.database_subnets)[*].id
  tags        = local.tags
}

resource "aws_security_group" "restored" {
  #checkov:skip=CKV2_AWS_5:Attached by the verifier to what it restores
  count = local.verifies ? 1 : 0

  name_prefix = "${local.verification_name}-"
  description = "Restored databases of ${var.name}: from the functions, to nowhere"
  vpc_id      = local.vpc_id
  tags        = merge(local.tags, { Name = local.verification_name })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "restored_from_functions" {
  count = local.verifies ? 1 : 0

  security_group_id            = aws_security_group.restored[0].id
  description                  = "PostgreSQL from the functions of ${var.name}"
  referenced_security_group_id = aws_security_group.functions[0].id
  ip_protocol                  = "tcp"
  from_port                    = local.database_port
  to_port                      = local.database_port
}

resource "aws_vpc_security_group_egress_rule" "functions_to_restored" {
  count = local.verifies ? 1 : 0

  security_group_id            = aws_security_group.functions[0].id
  description                  = "PostgreSQL of restored databases"
  referenced_security_group_id = aws_security_group.restored[0].id
  ip_protocol                  = "tcp"
  from_port                    = local.database_port
  to_port                      = local.database_port
}

# The order. Its ticks come from the function's own schedule; one that comes while a run is open begins none.
resource "aws_scheduler_schedule" "verification" {
  count = local.verifies ? 1 : 0

  name                = "backup-verifier-order"
  group_name          = aws_scheduler_schedule_group.this[0].name
  description         = "Orders a verification of the backups of ${local.database_name}"
  schedule_expression = var.backup_verification.schedule_expression
  state               = var.schedules_enabled ? "ENABLED" : "DISABLED"
  kms_key_arn         = local.operations_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_alias.live["backup-verifier"].arn
    role_arn = aws_iam_role.scheduler[0].arn
    input = jsonencode({
      order   = "verify"
      cluster = local.database_name
      manifest = merge(var.backup_verification.manifest, {
        tables = { for table, bounds in var.backup_verification.manifest.tables : table => { for key, bound in bounds : key => bound if bound != null } }
      })
    })

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 3
    }

    dead_letter_config {
      arn = aws_sqs_queue.failures[0].arn
    }
  }
}
