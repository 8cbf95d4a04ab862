locals {
  create_vpc = var.create && var.create_vpc
  azs        = var.azs
  vpc_id     = local.create_vpc ? aws_vpc.this[0].id : var.vpc_id

  # Two sets of subnets, so that a drill on the database's leaves the witnesses alone.
  database_subnets = local.create_vpc ? {
    for az, subnet in aws_subnet.database : az => { id = subnet.id, cidr_block = subnet.cidr_block }
    } : {
    for position, az in var.azs : az => {
      id         = try(var.subnet_ids[position], null)
      cidr_block = try(var.subnet_cidr_blocks[position], null)
    }
  }
  function_subnet_ids = local.create_vpc ? {
    for az, subnet in aws_subnet.function : az => subnet.id
    } : {
    for position, az in var.azs : az => try(coalescelist(var.function_subnet_ids, var.subnet_ids)[position], null)
  }
  # Where functions share the database's subnets, a drill on one of them would cut the application off with it.
  application_probe_subnet_ids = [
    for az, id in local.function_subnet_ids : id if !(local.game_days && az == local.drill_zone && id == local.database_subnets[az].id)
  ]
  route_table_ids = local.create_vpc ? [aws_route_table.private[0].id] : var.route_table_ids
}

# A subnet that is listed under another zone would make one zone's witness stand in another.
locals {
  listed_subnets = merge([
    for kind, ids in { subnet_ids = var.subnet_ids, function_subnet_ids = var.function_subnet_ids } : {
      for position, id in ids : "${kind}/${var.azs[position]}" => { id = id, az = var.azs[position] } if var.create && !var.create_vpc
    }
  ]...)
}

data "aws_subnet" "listed" {
  for_each = local.listed_subnets

  id = each.value.id

  lifecycle {
    postcondition {
      condition     = self.availability_zone == each.value.az
      error_message = "${each.key}: ${each.value.id} lies in ${self.availability_zone}. List subnet_ids and function_subnet_ids in the order of azs, one in each zone."
    }
  }
}

resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:aws_flow_log.this logs it, under the condition of an input that the scan does not resolve
  #checkov:skip=CKV2_AWS_12:aws_default_security_group.this takes all rules away, under a condition that the scan does not resolve
  count = local.create_vpc ? 1 : 0

  cidr_block = var.vpc_cidr
  # A private hosted zone and the endpoints' names need both.
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(local.tags, { Name = var.name })
}

resource "aws_default_security_group" "this" {
  count = local.create_vpc ? 1 : 0

  vpc_id = aws_vpc.this[0].id
  tags   = merge(local.tags, { Name = "${var.name}-unused" })
}

resource "aws_subnet" "database" {
  for_each = { for position, az in local.azs : az => position if local.create_vpc }

  vpc_id            = aws_vpc.this[0].id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.vpc_cidr, 4, each.value)
  tags              = merge(local.tags, { Name = "${var.name}-database-${each.key}" })
}

resource "aws_subnet" "function" {
  for_each = { for position, az in local.azs : az => position if local.create_vpc }

  vpc_id            = aws_vpc.this[0].id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.vpc_cidr, 4, 8 + each.value)
  tags              = merge(local.tags, { Name = "${var.name}-function-${each.key}" })
}

# No way out: no internet gateway, no NAT. Functions reach AWS through the endpoints.
resource "aws_route_table" "private" {
  count = local.create_vpc ? 1 : 0

  vpc_id = aws_vpc.this[0].id
  tags   = merge(local.tags, { Name = "${var.name}-private" })
}

resource "aws_route_table_association" "database" {
  for_each = toset(local.create_vpc ? local.azs : [])

  subnet_id      = aws_subnet.database[each.key].id
  route_table_id = aws_route_table.private[0].id
}

resource "aws_route_table_association" "function" {
  for_each = toset(local.create_vpc ? local.azs : [])

  subnet_id      = aws_subnet.function[each.key].id
  route_table_id = aws_route_table.private[0].id
}

resource "aws_db_subnet_group" "this" {
  count = local.create_database ? 1 : 0

  name        = var.name
  description = "Private subnets of ${var.name} in ${length(local.azs)} Availability Zones"
  subnet_ids  = values(local.database_subnets)[*].id
  tags        = local.tags
}

# Flow logs.
locals {
  create_flow_logs = local.create_vpc && var.flow_logs_enabled
}

resource "aws_cloudwatch_log_group" "flow_logs" {
  #checkov:skip=CKV_AWS_338:Retention is the input cloudwatch_log_group_retention_in_days
  count = local.create_flow_logs ? 1 : 0

  name              = "/aws/vpc/${var.name}"
  retention_in_days = var.cloudwatch_log_group_retention_in_days
  kms_key_id        = local.operations_key_arn
  tags              = local.tags
}

resource "aws_iam_role" "flow_logs" {
  count = local.create_flow_logs ? 1 : 0

  name = "${var.name}-flow-logs"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags
}

resource "aws_iam_role_policy" "flow_logs" {
  count = local.create_flow_logs ? 1 : 0

  name = "write"
  role = aws_iam_role.flow_logs[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.flow_logs[0].arn}:*"
    }]
  })
}

resource "aws_flow_log" "this" {
  count = local.create_flow_logs ? 1 : 0

  vpc_id          = aws_vpc.this[0].id
  traffic_type    = "REJECT"
  iam_role_arn    = aws_iam_role.flow_logs[0].arn
  log_destination = aws_cloudwatch_log_group.flow_logs[0].arn
  tags            = local.tags
}
