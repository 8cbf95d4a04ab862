# One RDS Multi-AZ instance, watched, with a replica in another Region that the name fails over to.
provider "aws" {
  region = var.region
}

provider "aws" {
  alias  = "elsewhere"
  region = var.replica_region
}

# Made anew at every plan, stored nowhere; written when the secrets are made, and when secret_version rises.
ephemeral "aws_secretsmanager_random_password" "login" {
  for_each = toset(["prober", "drainer"])

  password_length     = 40
  exclude_punctuation = true
}

module "steadfast" {
  source = "../../module"

  name = "ledger"
  azs  = var.azs

  deployment            = "instance"
  engine_version        = "16.8"
  database_name         = "ledger"
  instance_class        = "db.m7g.large"
  allocated_storage     = 100
  max_allocated_storage = 1000

  security_group_ingress_rules = {
    applications = { cidr_ipv4 = "10.10.0.0/16" }
  }

  package_directory = var.package_directory
  ca_bundle_package = var.ca_bundle_package
  login_passwords   = { for login, made in ephemeral.aws_secretsmanager_random_password.login : login => made.random_password }

  private_zone_name = "ledger.internal"
  secondary         = { endpoint = module.replica.db_instance_address }

  notification_channels = {
    on-call = { protocol = "email", endpoint = "on-call@example.org" }
  }
}

module "replica" {
  source = "../../module/replica"
  providers = {
    aws = aws.elsewhere
  }

  identifier             = "ledger-replica"
  source_db_instance_arn = module.steadfast.db_instance_arn
  instance_class         = "db.m7g.large"
  subnet_ids             = var.replica_subnet_ids
  vpc_security_group_ids = var.replica_security_group_ids
}
