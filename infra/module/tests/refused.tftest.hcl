# Inputs that are refused, one by one.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name              = "orders"
  azs               = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  package_directory = "./tests/packages"
  ca_bundle_package = "./tests/packages/ca-bundle.zip"
  login_passwords   = { prober = "of-nobody", drainer = "of-nobody" }
  read_write_roles  = ["orders_app"]
}

run "two_zones" {
  command = plan
  variables {
    azs = ["eu-central-1a", "eu-central-1b"]
  }
  expect_failures = [var.azs]
}

run "a_zone_twice" {
  command = plan
  variables {
    azs = ["eu-central-1a", "eu-central-1a", "eu-central-1b"]
  }
  expect_failures = [var.azs]
}

run "a_long_name" {
  command = plan
  variables {
    name = "a-name-that-is-longer-than-29-c"
  }
  expect_failures = [var.name]
}

run "an_unknown_deployment" {
  command = plan
  variables {
    deployment = "aurora"
  }
  expect_failures = [var.deployment]
}

run "two_instances" {
  command = plan
  variables {
    instances = { one = {}, two = {} }
  }
  expect_failures = [var.instances]
}

run "instances_in_two_zones" {
  command = plan
  variables {
    instances = { one = { availability_zone = "eu-central-1a" }, two = { availability_zone = "eu-central-1a" }, three = {} }
  }
  expect_failures = [var.instances]
}

run "one_target" {
  command = plan
  variables {
    instances = { one = {}, two = { promotion_tier = 2 }, three = { promotion_tier = 2 } }
  }
  expect_failures = [var.instances]
}

run "t_classes_with_the_data_api" {
  command = plan
  variables {
    cluster_instance_class = "db.t4g.large"
  }
  expect_failures = [var.instances]
}

run "a_pausing_cluster" {
  command = plan
  variables {
    serverlessv2_scaling_configuration = { min_capacity = 0, max_capacity = 8 }
  }
  expect_failures = [var.serverlessv2_scaling_configuration]
}

run "an_old_postgresql" {
  command = plan
  variables {
    engine_version = "14.9"
  }
  expect_failures = [var.engine_version]
}

run "a_bare_major_version" {
  command = plan
  variables {
    engine_version = "16"
  }
  expect_failures = [var.engine_version]
}

run "a_version_without_the_data_api" {
  command = plan
  variables {
    engine_version = "16.0"
  }
  expect_failures = [var.engine_version]
}

run "an_open_database" {
  command = plan
  variables {
    security_group_ingress_rules = { all = { cidr_ipv4 = "0.0.0.0/0" } }
  }
  expect_failures = [var.security_group_ingress_rules]
}

run "a_database_open_in_two_halves" {
  command = plan
  variables {
    security_group_ingress_rules = { low = { cidr_ipv4 = "0.0.0.0/1" }, high = { cidr_ipv4 = "128.0.0.0/1" } }
  }
  expect_failures = [var.security_group_ingress_rules]
}

run "few_backups" {
  command = plan
  variables {
    backup_retention_period = 1
  }
  expect_failures = [var.backup_retention_period]
}

run "no_roles" {
  command = plan
  variables {
    read_write_roles = []
  }
  expect_failures = [var.read_write_roles]
}

run "a_setting_of_the_modules_own" {
  command = plan
  variables {
    settings = { STEADFAST_TABLE = "x" }
  }
  expect_failures = [var.settings]
}

run "a_setting_that_nobody_reads" {
  command = plan
  variables {
    settings = { STEADFAST_PLATFORM_GRAZE = "20s" }
  }
  expect_failures = [aws_lambda_function.this]
}

run "a_missing_package" {
  command = plan
  variables {
    package_directory = "./tests/nowhere"
  }
  expect_failures = [aws_lambda_function.this]
}

run "a_layer_that_is_missing" {
  command = plan
  variables {
    ca_bundle_package = null
  }
  expect_failures = [var.ca_file]
}

run "rotation_of_a_name_that_is_no_arn" {
  command = plan
  variables {
    rotation = { secret_arns = { application = "orders-app" } }
  }
  expect_failures = [var.rotation]
}

run "verification_from_nowhere" {
  command = plan
  variables {
    backup_verification = { manifest = { source = "yesterday" } }
  }
  expect_failures = [var.backup_verification]
}

run "verification_of_a_table_without_a_schema" {
  command = plan
  variables {
    backup_verification = { manifest = { tables = { orders = { at_least = 1 } } } }
  }
  expect_failures = [var.backup_verification]
}

run "a_wildcard_action" {
  command = plan
  variables {
    additional_functions = { extra = { description = "x", policy_statements = [{ Action = ["rds:*"], Resource = ["arn:aws:rds:eu-central-1:123456789012:db:x"] }] } }
  }
  expect_failures = [var.additional_functions]
}

run "a_channel_over_http" {
  command = plan
  variables {
    notification_channels = { a = { protocol = "http", endpoint = "http://example.org" } }
  }
  expect_failures = [var.notification_channels]
}

run "a_channel_with_a_wrong_number" {
  command = plan
  variables {
    notification_channels = { a = { protocol = "sms", endpoint = "030 123456" } }
  }
  expect_failures = [var.notification_channels]
}

run "an_unknown_alarm" {
  command = plan
  variables {
    alarm_thresholds = { "replica-lagg" = 1 }
  }
  expect_failures = [var.alarm_thresholds]
}

run "an_alarm_that_protects" {
  command = plan
  variables {
    alarm_thresholds = { "no-commit" = 0, "replica-lag" = 30000 }
  }
  expect_failures = [var.alarm_thresholds]
}

run "a_secondary_without_a_zone" {
  command = plan
  variables {
    secondary = { endpoint = "x" }
  }
  expect_failures = [var.secondary]
}

run "a_name_that_two_would_write" {
  command = plan
  variables {
    private_zone_name = "orders.internal"
    pin_name          = "db"
  }
  expect_failures = [var.pin_name]
}

run "game_days_without_a_backup_that_was_opened" {
  command = plan
  variables {
    game_days = {}
  }
  expect_failures = [var.game_days]
}

run "an_application_without_a_password" {
  command = plan
  variables {
    application_probe = true
  }
  expect_failures = [var.login_passwords]
}

run "drills_in_five_zones" {
  command = plan
  variables {
    azs = ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d", "us-east-1f"]
  }
  expect_failures = [var.create_drills]
}

run "an_unknown_architecture" {
  command = plan
  variables {
    architecture = "riscv"
  }
  expect_failures = [var.architecture]
}

run "logs_for_ever" {
  command = plan
  variables {
    cloudwatch_log_group_retention_in_days = 0
  }
  expect_failures = [var.cloudwatch_log_group_retention_in_days]
}

run "a_source_that_is_two" {
  command = plan
  variables {
    security_group_ingress_rules = { both = { cidr_ipv4 = "10.0.0.0/16", referenced_security_group_id = "sg-1" } }
  }
  expect_failures = [var.security_group_ingress_rules]
}

run "a_database_name_that_rds_reserves" {
  command = plan
  variables {
    database_name = "postgres"
  }
  expect_failures = [var.database_name]
}

run "a_function_name_that_is_too_long" {
  command = plan
  variables {
    name                 = "a-name-that-has-29-characters"
    additional_functions = { a-function-with-a-long-name = { description = "x", per_zone = true } }
  }
  expect_failures = [var.additional_functions]
}
