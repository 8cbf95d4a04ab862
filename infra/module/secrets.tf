# Passwords: a login of its own for each function that speaks SQL, and the rotation of these and of the applications'.
# `infra bootstrap` creates the roles with these passwords.
locals {
  logins = {
    for function in values(local.kinds) : function.login => "steadfast_${function.login}" if function.login != null
  }
  # The application probe's sessions are ended as those of any application: otherwise it would not show what they meet.
  application_roles = [for login, role in local.logins : role if login == "application_probe"]
  # Passwords are changed by the master user, whose own secret RDS rotates.
  admin_secret_arn = try(coalesce(try(var.rotation.admin_secret_arn, null), local.master_user_secret_arn), null)
  rotator          = "secret-rotator"
  # By keys that are known before the secrets are.
  rotated_keys = var.create && var.rotation != null ? toset(concat(keys(local.logins), keys(try(var.rotation.secret_arns, {})))) : toset([])
  rotated      = { for key in local.rotated_keys : key => lookup(merge(try(var.rotation.secret_arns, {}), local.secret_arns), key, null) }
  written      = { for login, role in local.logins : login => role if var.write_login_passwords }
}

resource "aws_secretsmanager_secret" "login" {
  #checkov:skip=CKV2_AWS_57:aws_secretsmanager_secret_rotation.login rotates it with the input rotation, over keys that the scan does not resolve
  for_each = local.logins

  # A deleted secret keeps its name for the recovery window, and an installation may be made again before that.
  name_prefix             = "${var.name}/${each.key}-"
  description             = "Login of the ${replace(each.key, "_", " ")} on ${local.database_identifier}"
  kms_key_id              = local.operations_key_arn
  recovery_window_in_days = var.secret_recovery_window_in_days
  tags                    = local.tags

  # A secret that is there keeps the name it has: another one would be a new secret without its password.
  lifecycle {
    ignore_changes = [name, name_prefix]
  }
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
  for_each = local.rotated_keys

  secret_id           = local.rotated[each.key]
  rotation_lambda_arn = local.alias_arns[local.rotator]
  # The provider's default rotates at once, before `infra bootstrap` has made the role.
  rotate_immediately = false

  rotation_rules {
    schedule_expression = var.rotation.schedule_expression
    duration            = var.rotation.duration
  }

  depends_on = [aws_lambda_permission.rotation, aws_secretsmanager_secret_version.login]
}

resource "aws_lambda_permission" "rotation" {
  for_each = local.rotated_keys

  statement_id   = "rotation-${each.key}"
  function_name  = aws_lambda_function.this[local.rotator].function_name
  qualifier      = aws_lambda_alias.live[local.rotator].name
  action         = "lambda:InvokeFunction"
  principal      = "secretsmanager.amazonaws.com"
  source_account = local.account_id
  source_arn     = local.rotated[each.key]
}
