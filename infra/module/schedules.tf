# Ticks. A late one is of no use: the next comes within the minute.
locals {
  schedules = { for key, function in local.functions : key => local.kinds[function.kind] if local.kinds[function.kind].schedule_expression != null }
}

resource "aws_scheduler_schedule_group" "this" {
  count = var.create ? 1 : 0

  name = var.name
  tags = local.tags
}

resource "aws_scheduler_schedule" "this" {
  for_each = local.schedules

  name                = each.key
  group_name          = aws_scheduler_schedule_group.this[0].name
  description         = "Wakes ${local.function_names[each.key]}"
  schedule_expression = each.value.schedule_expression
  state               = var.schedules_enabled ? "ENABLED" : "DISABLED"
  kms_key_arn         = local.operations_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_alias.live[each.key].arn
    role_arn = aws_iam_role.scheduler[0].arn
    input    = coalesce(each.value.schedule_input, jsonencode({ hint = "tick" }))

    # The default of 185 attempts over a day would run yesterday's probes today.
    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 0
    }

    dead_letter_config {
      arn = aws_sqs_queue.failures[0].arn
    }
  }
}

resource "aws_iam_role" "scheduler" {
  count = var.create ? 1 : 0

  name = "${var.name}-scheduler"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags
}

resource "aws_iam_role_policy" "scheduler" {
  count = var.create ? 1 : 0

  name = "invoke"
  role = aws_iam_role.scheduler[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = [for key in keys(local.schedules) : local.alias_arns[key]]
      },
      {
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.failures[0].arn
      },
      {
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = local.operations_key_arn
      },
    ]
  })
}
