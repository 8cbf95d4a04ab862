locals {
  # generated/alarms.json, one alarm for each zone or function where it says so.
  alarm_table = {
    for key, alarm in jsondecode(file("${path.module}/generated/alarms.json")) : key => merge(alarm, {
      namespace = replace(alarm.namespace, "$${name}", var.name)
      dimensions = {
        for dimension, value in alarm.dimensions :
        dimension => replace(replace(value, "$${database}", local.database_name), "$${failures_queue}", "${var.name}-failures")
      }
    }) if alarm.when == null || lookup(local.holds, coalesce(alarm.when, "cluster"), false)
  }
  alarms = { for key, alarm in merge(
    { for key, alarm in local.alarm_table : key => merge(alarm, { threshold = lookup(var.alarm_thresholds, key, alarm.threshold) }) if alarm.per == null },
    merge([
      for key, alarm in local.alarm_table : {
        for az in local.azs : "${key}-${az}" => merge(alarm, {
          description = "${az}: ${alarm.description}"
          threshold   = lookup(var.alarm_thresholds, key, alarm.threshold)
          dimensions  = merge(alarm.dimensions, { Az = az })
        })
      } if alarm.per == "zone"
    ]...),
    merge([
      for key, alarm in local.alarm_table : {
        for function, name in local.function_names : "${key}-${function}" => merge(alarm, {
          description = "${name}: ${alarm.description}"
          threshold   = lookup(var.alarm_thresholds, key, alarm.threshold)
          dimensions  = { FunctionName = name }
        })
      } if alarm.per == "function"
    ]...),
  ) : key => alarm if var.create }

  topic_of = { for severity in local.severities : severity => [aws_sns_topic.this[severity].arn] if var.create }

  # More than one zone says so: every pair of zones, since rules that count are not known everywhere yet.
  pairs = [
    for pair in setproduct(range(length(local.azs)), range(length(local.azs))) : [local.azs[pair[0]], local.azs[pair[1]]] if pair[0] < pair[1]
  ]
  composite_table = {
    "writer-does-not-commit" = {
      description = "Two Availability Zones or more saw no commit for a minute: applications cannot write."
      rule = join(" OR ", [
        for pair in local.pairs : format("(ALARM(\"%s\") AND ALARM(\"%s\"))", "${var.name}-no-commit-${pair[0]}", "${var.name}-no-commit-${pair[1]}")
      ])
    }
    "nobody-watches" = {
      description = "The probers of two Availability Zones or more are silent: a failure of the writer would not be seen."
      rule = join(" OR ", [
        for pair in local.pairs : format("(ALARM(\"%s\") AND ALARM(\"%s\"))", "${var.name}-prober-silent-${pair[0]}", "${var.name}-prober-silent-${pair[1]}")
      ])
    }
    "needs-a-person" = {
      description = "Steadfast called a person, wrote what the code rules out, or saw data lost."
      rule = join(" OR ", [
        for key in concat(["person-called", "defect"], [for az in local.azs : "canary-lost-${az}"]) : "ALARM(\"${var.name}-${key}\")"
      ])
    }
  }
  alarm_names = { for key in keys(local.alarms) : key => "${var.name}-${key}" }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = local.alarm_names[each.key]
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric_name
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.evaluation_periods
  datapoints_to_alarm = each.value.datapoints_to_alarm
  threshold           = each.value.threshold
  comparison_operator = each.value.comparison_operator
  treat_missing_data  = each.value.treat_missing_data
  alarm_actions       = concat(local.topic_of[each.value.severity], var.alarm_actions)
  ok_actions          = local.topic_of[each.value.severity]
  tags                = local.tags
}

resource "aws_cloudwatch_composite_alarm" "this" {
  for_each = { for key, composite in local.composite_table : key => composite if var.create }

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = each.value.description
  alarm_rule        = each.value.rule
  alarm_actions     = concat(local.topic_of.critical, var.alarm_actions)
  ok_actions        = local.topic_of.critical

  dynamic "actions_suppressor" {
    for_each = var.actions_suppressor == null ? [] : [var.actions_suppressor]
    content {
      alarm            = actions_suppressor.value.alarm
      wait_period      = actions_suppressor.value.wait_period
      extension_period = actions_suppressor.value.extension_period
    }
  }

  tags = local.tags

  # The rule names alarms that must exist.
  depends_on = [aws_cloudwatch_metric_alarm.this]
}

# An ERROR line is a defect.
resource "aws_cloudwatch_log_metric_filter" "defects" {
  for_each = local.function_names

  name           = "${var.name}-defects"
  log_group_name = aws_cloudwatch_log_group.function[each.key].name
  pattern        = "{ $.level = \"ERROR\" }"

  metric_transformation {
    namespace = local.alarm_table["defect"].namespace
    name      = local.alarm_table["defect"].metric_name
    value     = "1"
  }
}
