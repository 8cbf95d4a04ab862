# A login of its own for each function that speaks SQL. `infra bootstrap` creates the roles with these passwords.
locals {
  logins = {
    for function in values(local.kinds) : function.login => "steadfast_${function.login}" if function.login != null
  }
  rotated = var.rotation == null ? {} : local.logins
  written = { for login, role in local.logins : login => role if var.write_login_passwords }
}

resource "aws_secretsmanager_secret" "login" {
  for_each = local.logins

  name                    = "${var.name}/${each.key}"
  description             = "Login of the ${each.key} on ${local.database_identifier}"
  kms_key_id              = local.operations_key_arn
  recovery_window_in_days = var.secret_recovery_window_in_days
  tags                    = local.tags
}

resource "aws_secretsmanager_secret_version" "login" {
  for_each = local.written

  secret_id = aws_secretsmanager_secret.login[each.key].id
  secret_string_wo = jsonencode({
    engine   = "postgres"
    host     = local.database_endpoint
    port     = local.database_port
    dbname   = var.database_name
    username = each.value
    password = var.login_passwords[each.key]
  })
  # Neither plan nor state holds the password. Written once; raise it to write a new password, then run `infra bootstrap` again.
  secret_string_wo_version = var.secret_version
}

resource "aws_secretsmanager_secret_rotation" "login" {
  #checkov:skip=CKV_AWS_304:Weekly unless rotation.schedule_expression says otherwise, an expression that the scan does not resolve
  for_each = local.rotated

  secret_id           = aws_secretsmanager_secret.login[each.key].id
  rotation_lambda_arn = local.alias_arns[var.rotation.function]
  # The provider's default rotates at once, before `infra bootstrap` has made the role.
  rotate_immediately = false

  rotation_rules {
    schedule_expression = var.rotation.schedule_expression
    duration            = var.rotation.duration
  }

  depends_on = [aws_lambda_permission.rotation, aws_secretsmanager_secret_version.login]
}

resource "aws_lambda_permission" "rotation" {
  for_each = local.rotated

  statement_id   = "rotation-${each.key}"
  function_name  = aws_lambda_function.this[var.rotation.function].function_name
  qualifier      = aws_lambda_alias.live[var.rotation.function].name
  action         = "lambda:InvokeFunction"
  principal      = "secretsmanager.amazonaws.com"
  source_account = local.account_id
  source_arn     = aws_secretsmanager_secret.login[each.key].arn
}
