# The functions write to one topic and say the severity in an attribute, by which subscribers filter. Alarms carry no
# attribute, so they have a topic per severity. A channel is subscribed to all that it wants.
locals {
  severities        = ["info", "warning", "critical"]
  topic_names       = merge({ notices = "${var.name}-notices" }, { for severity in local.severities : severity => "${var.name}-${severity}" })
  topic_arn_prefix  = "arn:${local.partition}:sns:${local.region}:${local.account_id}"
  notices_topic_arn = "${local.topic_arn_prefix}:${local.topic_names.notices}"

  subscriptions = merge([
    for channel, subscription in var.notification_channels : merge(
      { "${channel}/notices" = merge(subscription, { topic = "notices" }) },
      { for severity in subscription.severities : "${channel}/${severity}" => merge(subscription, { topic = severity }) },
    )
  ]...)
}

resource "aws_sns_topic" "this" {
  for_each = var.create ? local.topic_names : {}

  name = each.value
  # Not alias/aws/sns: alarms cannot publish under it, and fail silently.
  kms_master_key_id = local.operations_key_arn
  tags              = local.tags
}

resource "aws_sns_topic_policy" "this" {
  for_each = var.create ? local.topic_names : {}

  arn = aws_sns_topic.this[each.key].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # A policy of one's own replaces the default one, which lets the owner in.
        Sid       = "Owner"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action    = ["sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "sns:Publish", "sns:SetTopicAttributes", "sns:Subscribe"]
        Resource  = aws_sns_topic.this[each.key].arn
      },
      {
        Sid       = "AlarmsAndBackups"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.amazonaws.com", "backup.amazonaws.com"] }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[each.key].arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
      },
      {
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[each.key].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

# E-mail waits for a click in each message that SNS sends; Terraform cannot click.
resource "aws_sns_topic_subscription" "this" {
  for_each = var.create ? local.subscriptions : {}

  topic_arn              = aws_sns_topic.this[each.value.topic].arn
  protocol               = each.value.protocol
  endpoint               = each.value.endpoint
  endpoint_auto_confirms = contains(["http", "https"], each.value.protocol) ? each.value.endpoint_auto_confirms : null
  raw_message_delivery   = contains(["https", "sqs"], each.value.protocol) ? each.value.raw_message_delivery : null
  filter_policy          = each.value.topic == "notices" ? jsonencode({ severity = sort(each.value.severities) }) : null
}

resource "aws_lambda_permission" "channel" {
  for_each = var.create ? { for key, subscription in local.subscriptions : key => subscription if subscription.protocol == "lambda" } : {}

  statement_id  = "${var.name}-${replace(each.key, "/", "-")}"
  function_name = each.value.endpoint
  action        = "lambda:InvokeFunction"
  principal     = "sns.amazonaws.com"
  source_arn    = aws_sns_topic.this[each.value.topic].arn
}
