# What the functions in the VPC call, and nothing else. Route 53 has no endpoint: the coordinator, which sets the
# stable name, runs outside the VPC. Metrics go through the log and need none.
locals {
  create_endpoints = var.create && coalesce(var.create_vpc_endpoints, local.create_vpc)
  called_from_vpc = toset(flatten([
    for function in values(local.kinds) : function.services if function.in_vpc
  ]))
  gateway_services   = setintersection(local.called_from_vpc, ["dynamodb", "s3"])
  interface_services = setsubtract(local.called_from_vpc, ["dynamodb", "s3"])
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = local.create_endpoints ? local.gateway_services : toset([])

  vpc_id            = local.vpc_id
  vpc_endpoint_type = "Gateway"
  service_name      = "com.amazonaws.${local.region}.${each.key}"
  route_table_ids   = local.route_table_ids
  tags              = merge(local.tags, { Name = "${var.name}-${each.key}" })

  lifecycle {
    precondition {
      condition     = length(var.route_table_ids) > 0 || local.create_vpc
      error_message = "A gateway endpoint in an existing VPC needs route_table_ids, those of the functions' subnets."
    }
  }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.create_endpoints ? local.interface_services : toset([])

  vpc_id              = local.vpc_id
  vpc_endpoint_type   = "Interface"
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  subnet_ids          = values(local.function_subnet_ids)
  security_group_ids  = [aws_security_group.endpoints[0].id]
  private_dns_enabled = true
  tags                = merge(local.tags, { Name = "${var.name}-${each.key}" })
}

resource "aws_security_group" "endpoints" {
  count = local.create_endpoints ? 1 : 0

  name_prefix = "${var.name}-endpoints-"
  description = "Interface endpoints of ${var.name}: HTTPS from its functions"
  vpc_id      = local.vpc_id
  tags        = merge(local.tags, { Name = "${var.name}-endpoints" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  count = local.create_endpoints ? 1 : 0

  security_group_id            = aws_security_group.endpoints[0].id
  description                  = "HTTPS from the functions"
  referenced_security_group_id = aws_security_group.functions[0].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}
