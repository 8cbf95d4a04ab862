# Snapshots outside of RDS's own, in a vault with rules of its own. A plan proves nothing: only a restore does.
# AWS deletes no vault that holds recovery points: `infra destroy` says so before it destroys anything.
locals {
  create_backup = var.create && var.backup_plan != null
}

resource "aws_backup_vault" "this" {
  count = local.create_backup ? 1 : 0

  name        = var.name
  kms_key_arn = coalesce(local.database_key_arn, local.operations_key_arn)
  tags        = local.tags
}

resource "aws_backup_vault_lock_configuration" "this" {
  count = local.create_backup && try(var.backup_plan.vault_lock, false) ? 1 : 0

  backup_vault_name  = aws_backup_vault.this[0].name
  min_retention_days = var.backup_plan.delete_after_days
}

resource "aws_backup_vault_notifications" "this" {
  count = local.create_backup ? 1 : 0

  backup_vault_name   = aws_backup_vault.this[0].name
  sns_topic_arn       = aws_sns_topic.this["warning"].arn
  backup_vault_events = ["BACKUP_JOB_FAILED", "COPY_JOB_FAILED", "RESTORE_JOB_COMPLETED"]
}

resource "aws_backup_plan" "this" {
  count = local.create_backup ? 1 : 0

  name = var.name

  rule {
    rule_name         = "scheduled"
    target_vault_name = aws_backup_vault.this[0].name
    schedule          = var.backup_plan.schedule
    start_window      = 60
    completion_window = 360

    lifecycle {
      delete_after = var.backup_plan.delete_after_days
    }

    dynamic "copy_action" {
      for_each = var.backup_plan.copy_to_vault_arn == null ? [] : [var.backup_plan.copy_to_vault_arn]
      content {
        destination_vault_arn = copy_action.value
        lifecycle {
          delete_after = var.backup_plan.delete_after_days
        }
      }
    }
  }

  tags = local.tags
}

resource "aws_backup_selection" "this" {
  count = local.create_backup ? 1 : 0

  name         = var.name
  plan_id      = aws_backup_plan.this[0].id
  iam_role_arn = aws_iam_role.backup[0].arn
  resources    = [local.database_arn]
}

resource "aws_iam_role" "backup" {
  count = local.create_backup ? 1 : 0

  name = "${var.name}-backup"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "backup.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags
}

resource "aws_iam_role_policy_attachment" "backup" {
  count = local.create_backup ? 1 : 0

  role       = aws_iam_role.backup[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup"
}
