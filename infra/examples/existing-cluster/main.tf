# Adopt a cluster that runs. Nothing of it is changed, but for one rule in its security group.
provider "aws" {
  region = var.region
}

data "aws_rds_cluster" "orders" {
  cluster_identifier = var.cluster_identifier
}

# Made anew at every plan, stored nowhere; written when the secrets are made, and when secret_version rises.
ephemeral "aws_secretsmanager_random_password" "login" {
  for_each = toset(["prober", "drainer"])

  password_length     = 40
  exclude_punctuation = true
}

module "steadfast" {
  source = "../../module"

  name = "orders-watch"
  azs  = var.azs

  deployment              = "existing-cluster"
  cluster_identifier      = var.cluster_identifier
  cluster_arn             = data.aws_rds_cluster.orders.arn
  cluster_members         = tolist(data.aws_rds_cluster.orders.cluster_members)
  cluster_endpoint        = data.aws_rds_cluster.orders.endpoint
  cluster_reader_endpoint = data.aws_rds_cluster.orders.reader_endpoint
  port                    = data.aws_rds_cluster.orders.port
  database_name           = data.aws_rds_cluster.orders.database_name
  # Its instances' class; db.serverless if it is Serverless v2.
  cluster_instance_class = var.instance_class

  create_vpc           = false
  vpc_id               = var.vpc_id
  subnet_ids           = var.subnet_ids
  route_table_ids      = var.route_table_ids
  create_vpc_endpoints = true
  security_group_id    = one(data.aws_rds_cluster.orders.vpc_security_group_ids)

  package_directory = var.package_directory
  ca_bundle_package = var.ca_bundle_package
  login_passwords   = { for login, made in ephemeral.aws_secretsmanager_random_password.login : login => made.random_password }
  read_write_roles  = ["orders_app"]

  notification_channels = {
    on-call = { protocol = "email", endpoint = "on-call@example.org" }
  }
}
