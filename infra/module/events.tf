# Reasons to look. RDS events are best effort: they wake earlier than the one-minute sweep, never instead of it.
locals {
  # Members of an adopted cluster need not begin with its name.
  other_members = [for identifier in local.member_identifiers : identifier if !startswith(identifier, local.database_name)]
  rules = {
    for rule, pattern in jsondecode(file("${path.module}/generated/events.json")) : rule => replace(
      replace(
        jsonencode(merge(pattern, {
          for key, detail in {
            detail = merge(try(pattern.detail, {}), {
              SourceIdentifier = concat(try(pattern.detail.SourceIdentifier, []), local.other_members)
            })
          } : key => detail if rule == "rds"
        })),
        "$${database}", local.database_name,
      ),
      "$${name}", var.name,
    ) if var.create
  }
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.rules

  name          = "${var.name}-${each.key}"
  description   = "Events of kind ${each.key} for ${local.database_identifier}"
  event_pattern = each.value
  state         = "ENABLED"
  tags          = local.tags

  lifecycle {
    precondition {
      condition     = length(each.value) <= 4096
      error_message = "The event pattern ${each.key} is longer than the 4096 characters that EventBridge takes: shorten the identifiers."
    }
  }
}

resource "aws_cloudwatch_event_target" "router" {
  for_each = local.rules

  rule      = aws_cloudwatch_event_rule.this[each.key].name
  target_id = "event-router"
  arn       = aws_lambda_alias.live["event-router"].arn

  # Older than a quarter of an hour, the router drops it. The API takes no age below 60.
  retry_policy {
    maximum_event_age_in_seconds = 900
    maximum_retry_attempts       = 20
  }

  dead_letter_config {
    arn = aws_sqs_queue.failures[0].arn
  }
}

# The rule's ARN alone: with a source account EventBridge is refused.
resource "aws_lambda_permission" "events" {
  for_each = local.rules

  statement_id  = "events-${each.key}"
  function_name = aws_lambda_function.this["event-router"].function_name
  qualifier     = aws_lambda_alias.live["event-router"].name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.this[each.key].arn
}

# What failed for good: events that reached no function, ticks, and invocations that ended in errors.
resource "aws_sqs_queue" "failures" {
  count = var.create ? 1 : 0

  name                      = "${var.name}-failures"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = local.tags
}

resource "aws_sqs_queue_policy" "failures" {
  count = var.create ? 1 : 0

  queue_url = aws_sqs_queue.failures[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Rules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.failures[0].arn
        Condition = { ArnLike = { "aws:SourceArn" = "arn:${local.partition}:events:${local.region}:${local.account_id}:rule/${var.name}-*" } }
      },
      {
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.failures[0].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}
