# Who reaches the database: the functions, and the sources that are named.
locals {
  database_security_group_id = local.create_database ? aws_security_group.database[0].id : var.security_group_id
}

resource "aws_security_group" "database" {
  count = local.create_database ? 1 : 0

  name_prefix = "${var.name}-database-"
  description = "PostgreSQL of ${var.name}, from named sources only"
  vpc_id      = local.vpc_id
  tags        = merge(local.tags, { Name = "${var.name}-database" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "database_from_functions" {
  count = var.create && (local.create_database || var.manage_security_group_rule) ? 1 : 0

  security_group_id            = local.database_security_group_id
  description                  = "PostgreSQL from the functions of ${var.name}"
  referenced_security_group_id = aws_security_group.functions[0].id
  ip_protocol                  = "tcp"
  from_port                    = local.database_port
  to_port                      = local.database_port
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  for_each = local.create_database ? var.security_group_ingress_rules : {}

  security_group_id            = aws_security_group.database[0].id
  description                  = coalesce(each.value.description, "PostgreSQL from ${each.key}")
  cidr_ipv4                    = each.value.cidr_ipv4
  cidr_ipv6                    = each.value.cidr_ipv6
  prefix_list_id               = each.value.prefix_list_id
  referenced_security_group_id = each.value.referenced_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.database_port
  to_port                      = local.database_port
  tags                         = merge(local.tags, { Name = each.key })
}

resource "aws_security_group" "functions" {
  #checkov:skip=CKV2_AWS_5:Attached to the functions in the VPC by a dynamic block, which the scan does not follow
  count = var.create ? 1 : 0

  name_prefix = "${var.name}-functions-"
  description = "Functions of ${var.name}: to PostgreSQL and to AWS endpoints, from nowhere"
  vpc_id      = local.vpc_id
  tags        = merge(local.tags, { Name = "${var.name}-functions" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "functions_to_database" {
  count = var.create ? 1 : 0

  security_group_id            = aws_security_group.functions[0].id
  description                  = "PostgreSQL"
  referenced_security_group_id = local.database_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.database_port
  to_port                      = local.database_port
}

resource "aws_vpc_security_group_egress_rule" "functions_to_endpoints" {
  count = local.create_endpoints ? 1 : 0

  security_group_id            = aws_security_group.functions[0].id
  description                  = "AWS through interface endpoints"
  referenced_security_group_id = aws_security_group.endpoints[0].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "functions_to_gateways" {
  for_each = local.create_endpoints ? local.gateway_services : toset([])

  security_group_id = aws_security_group.functions[0].id
  description       = "AWS through the ${each.key} gateway"
  prefix_list_id    = aws_vpc_endpoint.gateway[each.key].prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# Where the VPC has a NAT gateway or endpoints of its own, only their owner knows the addresses.
resource "aws_vpc_security_group_egress_rule" "functions_to_aws" {
  count = var.create && !local.create_endpoints ? 1 : 0

  security_group_id = aws_security_group.functions[0].id
  description       = "AWS through the VPC's own way out"
  cidr_ipv4         = var.aws_egress_cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
