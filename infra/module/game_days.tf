# Game days: something is broken on purpose once a week. What, when and whether at all is decided by the scheduler; the
# templates of the experiments are those of fis.tf.
locals {
  game_days = var.create && var.create_drills && var.game_days != null

  game_day_targets = {
    experiments = concat(
      [for template in aws_fis_experiment_template.this : "arn:${local.partition}:fis:${local.region}:${local.account_id}:experiment-template/${template.id}"],
      ["arn:${local.partition}:fis:${local.region}:${local.account_id}:experiment/*"],
    )
    lever = ["arn:${local.partition}:fis:${local.region}:${local.account_id}:safety-lever/*"]
  }
  game_day_values = merge(
    {
      STEADFAST_TEMPLATES         = join(",", [for key, template in aws_fis_experiment_template.this : "${key}=${template.id}"])
      STEADFAST_APPLICATION_PROBE = lookup(local.function_names, "application-probe", null)
    },
    {
      for name, items in {
        STEADFAST_EXPERIMENTS = try(var.game_days.experiments, [])
        STEADFAST_DAYS        = try(var.game_days.days, [])
        STEADFAST_FREEZES     = try(var.game_days.freezes, [])
      } : name => join(",", items) if length(items) > 0
    },
    { for name, window in { STEADFAST_WINDOW = try(var.game_days.window, null) } : name => window if window != null },
  )
}

# The order. The function's own schedule only goes on with what was begun, and sees what was missed.
resource "aws_scheduler_schedule" "game_day" {
  count = local.game_days ? 1 : 0

  name                = "fis-scheduler-order"
  group_name          = aws_scheduler_schedule_group.this[0].name
  description         = "Orders the game day of ${local.database_name}"
  schedule_expression = var.game_days.schedule_expression
  state               = var.schedules_enabled ? "ENABLED" : "DISABLED"
  kms_key_arn         = local.operations_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_alias.live["fis-scheduler"].arn
    role_arn = aws_iam_role.scheduler[0].arn
    input    = jsonencode({ order = "game_day", cluster = local.database_name })

    # A second order of the same week starts nothing.
    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 3
    }

    dead_letter_config {
      arn = aws_sqs_queue.failures[0].arn
    }
  }
}
