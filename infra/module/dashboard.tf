locals {
  dashboard = jsondecode(templatefile("${path.module}/generated/dashboard.json", {
    database              = local.database_name
    region                = local.region
    coordinator_log_group = "/aws/lambda/${var.name}-promotion-coordinator"
    drill_log_group       = local.drill_log_group
  }))
  alarm_arn_prefix = "arn:${local.partition}:cloudwatch:${local.region}:${local.account_id}:alarm"
  widgets = concat(
    [{
      type   = "alarm"
      width  = 24
      height = 4
      properties = {
        title  = "State"
        alarms = [for name in concat([for key in keys(local.composite_table) : "${var.name}-${key}"], values(local.alarm_names)) : "${local.alarm_arn_prefix}:${name}"]
      }
    }],
    [
      for widget in local.dashboard.widgets : { for key, value in widget : key => value if key != "when" }
      if widget.when == null || lookup(local.holds, coalesce(widget.when, "cluster"), false)
    ],
    # What further functions measure.
    [
      for widget in flatten([for kind, function in var.additional_functions : function.dashboard_metrics]) : {
        type   = "metric"
        width  = 8
        height = 6
        properties = {
          region  = local.region
          title   = widget.title
          view    = widget.view
          stat    = widget.stat
          period  = widget.period
          metrics = [for metric in widget.metrics : concat([local.metric_namespace, metric], ["Cluster", local.database_identifier])]
        }
      }
    ],
  )
  metric_namespace = jsondecode(file("${path.module}/generated/metrics.json")).namespace
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.create ? 1 : 0

  dashboard_name = var.name
  dashboard_body = jsonencode({
    start          = local.dashboard.start
    periodOverride = local.dashboard.periodOverride
    widgets        = local.widgets
  })
}
