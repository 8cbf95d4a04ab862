# Names in a private hosted zone. Nothing here is on the path of a failover: the cluster endpoint moves by itself, and
# the records only lead to it. Certificates hold the names that RDS gave: clients that verify host names use those.
locals {
  create_zone = var.create && var.private_zone_name != null && var.create_private_zone
  has_zone    = var.create && var.private_zone_name != null
  zone_id     = local.create_zone ? aws_route53_zone.private[0].zone_id : var.private_zone_id
  pin_fqdn    = var.pin_name == null || var.private_zone_name == null ? null : "${var.pin_name}.${var.private_zone_name}"

  # Fails over to another Region's replica, or to whatever stands in.
  has_secondary = local.has_zone && var.secondary != null
}

resource "aws_route53_zone" "private" {
  count = local.create_zone ? 1 : 0

  name    = var.private_zone_name
  comment = "Names of ${local.database_identifier}"
  # The coordinator writes the stable name at run time: Terraform does not know that record, and must not stumble on it.
  force_destroy = true

  vpc {
    vpc_id = local.vpc_id
  }

  tags = local.tags
}

# Health checkers cannot reach a private address, so the checks read the data of the witnesses' metric, one for each
# zone: a check takes neither metric math nor M of N. A witness that falls silent keeps its last word. Ten minutes
# without a commit make a zone unhealthy: a failover to the standby is over by then, and must not lead clients to a
# replica that takes no writes.
resource "aws_route53_health_check" "zone" {
  for_each = { for az in local.azs : az => "name-fails-over-${az}" if local.has_secondary }

  type                            = "CLOUDWATCH_METRIC"
  cloudwatch_alarm_name           = aws_cloudwatch_metric_alarm.this[each.value].alarm_name
  cloudwatch_alarm_region         = local.region
  insufficient_data_health_status = "LastKnownStatus"

  # A check does not notice that its alarm was changed; a change here makes it read the alarm again.
  triggers = {
    alarm = sha256(jsonencode(local.alarms[each.value]))
  }

  tags = merge(local.tags, { Name = "${var.name}-commits-${each.key}" })
}

resource "aws_route53_health_check" "commits" {
  count = local.has_secondary ? 1 : 0

  type                   = "CALCULATED"
  child_health_threshold = floor(length(local.azs) / 2) + 1
  child_healthchecks     = [for check in aws_route53_health_check.zone : check.id]
  tags                   = merge(local.tags, { Name = "${var.name}-commits" })
}

resource "aws_route53_record" "writer" {
  count = local.has_zone && !local.has_secondary ? 1 : 0

  zone_id = local.zone_id
  name    = "${var.writer_record_name}.${var.private_zone_name}"
  type    = "CNAME"
  ttl     = 5
  records = [local.database_endpoint]
}

resource "aws_route53_record" "failover" {
  for_each = local.has_secondary ? { PRIMARY = local.database_endpoint, SECONDARY = var.secondary.endpoint } : {}

  zone_id         = local.zone_id
  name            = "${var.writer_record_name}.${var.private_zone_name}"
  type            = "CNAME"
  ttl             = 5
  records         = [each.value]
  set_identifier  = lower(each.key)
  health_check_id = each.key == "PRIMARY" ? aws_route53_health_check.commits[0].id : null

  failover_routing_policy {
    type = each.key
  }
}

resource "aws_route53_record" "reader" {
  count = local.has_zone && local.is_cluster ? 1 : 0

  zone_id = local.zone_id
  name    = "${var.reader_record_name}.${var.private_zone_name}"
  type    = "CNAME"
  ttl     = 5
  records = [local.cluster_reader_endpoint]
}
