data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  # Provider 6 deprecates `name`; `id` is the same in both.
  region     = data.aws_region.current.id
  dns_suffix = data.aws_partition.current.dns_suffix

  is_cluster      = contains(["cluster", "existing-cluster"], var.deployment)
  is_instance     = !local.is_cluster
  create_cluster  = var.create && var.deployment == "cluster"
  create_instance = var.create && var.deployment == "instance"
  create_database = local.create_cluster || local.create_instance

  # What holds for this installation: entries of the generated files name one of these as their condition.
  holds = {
    cluster           = local.is_cluster
    instance          = local.is_instance
    serverless        = local.is_cluster && local.has_serverless
    provisioned       = local.is_cluster && !local.has_serverless
    data_api          = local.is_cluster && local.data_api
    pin               = local.is_cluster && var.pin_name != null
    secondary         = local.has_secondary
    drills            = local.create_drills
    rotation          = var.rotation != null
    verification      = var.backup_verification != null
    game_days         = local.game_days
    application_probe = var.application_probe
  }

  tags = merge({ "steadfast:installation" = var.name }, var.tags)
}
