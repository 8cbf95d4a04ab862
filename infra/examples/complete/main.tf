# Everything from one plan: network, an Aurora Serverless v2 cluster with three instances in three zones, Steadfast.
provider "aws" {
  region = var.region
}

# Made anew at every plan, stored nowhere; written when the secrets are made, and when secret_version rises.
ephemeral "aws_secretsmanager_random_password" "login" {
  for_each = toset(["prober", "drainer", "application_probe"])

  password_length     = 40
  exclude_punctuation = true
}

module "steadfast" {
  source = "../../module"

  name = "orders"
  azs  = var.azs

  deployment                         = "cluster"
  engine_version                     = "16.8"
  database_name                      = "orders"
  cluster_instance_class             = "db.serverless"
  serverlessv2_scaling_configuration = { min_capacity = 1, max_capacity = 32 }
  instances = {
    one   = { promotion_tier = 0 }
    two   = { promotion_tier = 0 }
    three = { promotion_tier = 1 }
  }

  security_group_ingress_rules = {
    applications = { cidr_ipv4 = "10.10.0.0/16" }
  }

  package_directory = var.package_directory
  ca_bundle_package = var.ca_bundle_package
  login_passwords   = { for login, made in ephemeral.aws_secretsmanager_random_password.login : login => made.random_password }
  read_write_roles  = ["orders_app"]
  settings          = { STEADFAST_PLATFORM_GRACE = "20s" }

  private_zone_name = "orders.internal"
  pin_name          = "writer"

  notification_channels = var.notification_channels

  rotation            = { schedule_expression = "cron(0 3 ? * SUN *)" }
  backup_verification = { manifest = { extensions = ["plpgsql"], tables = { "steadfast.canary" = { at_least = 1 } } } }
  application_probe   = true
  game_days           = { freezes = ["2026-12-15T00:00:00Z/2027-01-05T00:00:00Z"] }

  backup_plan = { schedule = "cron(0 5 ? * * *)", delete_after_days = 35 }

  tags = { Service = "orders" }
}
