# Two keys: one for what the database holds, one for what runs beside it.
locals {
  create_database_key   = local.create_database && var.create_kms_key
  create_operations_key = var.create && var.create_operations_kms_key
  database_key_arn      = local.create_database_key ? aws_kms_key.database[0].arn : var.kms_key_id
  # A list whose length is known before the key is.
  database_key_arns  = local.create_database_key || var.kms_key_id != null ? [local.database_key_arn] : []
  operations_key_arn = local.create_operations_key ? aws_kms_key.operations[0].arn : var.operations_kms_key_arn

  key_owner_statement = {
    Sid       = "OwnerAndIamPolicies"
    Effect    = "Allow"
    Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
    Action    = "kms:*"
    Resource  = "*"
  }
}

resource "aws_kms_key" "database" {
  count = local.create_database_key ? 1 : 0

  description             = "Storage, backups and master secret of ${local.database_identifier}"
  enable_key_rotation     = true
  deletion_window_in_days = var.kms_deletion_window_in_days
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.key_owner_statement]
  })
  tags = local.tags
}

resource "aws_kms_alias" "database" {
  count = local.create_database_key ? 1 : 0

  name          = "alias/${var.name}-database"
  target_key_id = aws_kms_key.database[0].key_id
}

resource "aws_kms_key" "operations" {
  count = local.create_operations_key ? 1 : 0

  description             = "State table, topics, secrets, logs and settings of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = var.kms_deletion_window_in_days
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.key_owner_statement,
      {
        # Alarms and backups cannot publish to a topic under alias/aws/sns. No rule of EventBridge publishes to a topic here:
        # its grant would have to do without aws:SourceArn and aws:SourceAccount.
        Sid       = "Publishers"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.amazonaws.com", "backup.amazonaws.com"] }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
      },
      {
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logs.${local.region}.${local.dns_suffix}" }
        Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
        Resource  = "*"
        Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${local.region}:${local.account_id}:*" } }
      },
    ]
  })
  tags = local.tags
}

resource "aws_kms_alias" "operations" {
  count = local.create_operations_key ? 1 : 0

  name          = "alias/${var.name}-operations"
  target_key_id = aws_kms_key.operations[0].key_id
}
