# Drills. `failover-db-cluster` is an orderly promotion: it proves the reaction, not the detection of a crash. A stop
# condition ends later actions; it cannot undo a failover.
locals {
  create_drills   = var.create && var.create_drills
  drill_log_group = "/aws/fis/${var.name}"
  drill_zone      = local.azs[0]

  drills = { for name, drill in merge(
    {
      for name, drill in {
        "failover" = {
          description   = "Fail the cluster over to another instance, in order"
          action_id     = "aws:rds:failover-db-cluster"
          target        = "Clusters"
          resource_type = "aws:rds:cluster"
          resource_arns = [local.cluster_arn]
          parameters    = {}
        }
      } : name => drill if local.is_cluster
    },
    {
      for name, drill in {
        "reboot-with-failover" = {
          description   = "Reboot the instance with failover to its standby"
          action_id     = "aws:rds:reboot-db-instances"
          target        = "DBInstances"
          resource_type = "aws:rds:db"
          resource_arns = [local.instance_arn]
          parameters    = { forceFailover = "true" }
        }
      } : name => drill if local.is_instance
    },
    {
      "zone-unreachable" = {
        description   = "Cut the database's subnet in ${local.drill_zone} off for two minutes"
        action_id     = "aws:network:disrupt-connectivity"
        target        = "Subnets"
        resource_type = "aws:ec2:subnet"
        resource_arns = ["arn:${local.partition}:ec2:${local.region}:${local.account_id}:subnet/${coalesce(local.database_subnets[local.drill_zone].id, "unknown")}"]
        parameters    = { duration = "PT2M", scope = "all" }
      }
    },
    # Breaks nothing: it stands around a fault that Aurora injects into itself.
    {
      "guard" = {
        description   = "Assert that all is well, and wait"
        action_id     = null
        target        = null
        resource_type = null
        resource_arns = []
        parameters    = {}
      }
    },
  ) : name => drill if local.create_drills }
  stop_alarms = concat(["person-called"], [for az in local.azs : "canary-lost-${az}"])
}

resource "aws_fis_experiment_template" "this" {
  for_each = local.drills

  description = each.value.description
  role_arn    = aws_iam_role.drills[0].arn

  dynamic "stop_condition" {
    for_each = local.stop_alarms
    content {
      source = "aws:cloudwatch:alarm"
      value  = aws_cloudwatch_metric_alarm.this[stop_condition.value].arn
    }
  }

  dynamic "target" {
    for_each = each.value.action_id == null ? [] : [each.value]
    content {
      name           = "target"
      resource_type  = target.value.resource_type
      selection_mode = "ALL"
      resource_arns  = target.value.resource_arns
    }
  }

  # Nothing is broken that is not whole, and nothing that nobody would stop.
  action {
    name      = "steady"
    action_id = "aws:cloudwatch:assert-alarm-state"
    parameter {
      key   = "alarmArns"
      value = join(",", [for az in local.azs : aws_cloudwatch_metric_alarm.this["no-commit-${az}"].arn])
    }
    parameter {
      key   = "alarmStates"
      value = "OK"
    }
  }

  action {
    name      = "guarded"
    action_id = "aws:cloudwatch:assert-alarm-state"
    parameter {
      key   = "alarmArns"
      value = join(",", [for key in local.stop_alarms : aws_cloudwatch_metric_alarm.this[key].arn])
    }
    parameter {
      key   = "alarmStates"
      value = "OK"
    }
  }

  dynamic "action" {
    for_each = each.value.action_id == null ? [] : [each.value]
    content {
      name        = "fault"
      action_id   = action.value.action_id
      start_after = ["guarded", "steady"]
      dynamic "parameter" {
        for_each = action.value.parameters
        content {
          key   = parameter.key
          value = parameter.value
        }
      }
      target {
        key   = action.value.target
        value = "target"
      }
    }
  }

  action {
    name        = "observe"
    action_id   = "aws:fis:wait"
    start_after = each.value.action_id == null ? ["guarded", "steady"] : ["fault"]
    parameter {
      key   = "duration"
      value = "PT5M"
    }
  }

  experiment_options {
    account_targeting            = "single-account"
    empty_target_resolution_mode = "fail"
  }

  log_configuration {
    log_schema_version = 2
    cloudwatch_logs_configuration {
      log_group_arn = "${aws_cloudwatch_log_group.drills[0].arn}:*"
    }
  }

  tags = merge(local.tags, { Name = "${var.name}-${each.key}" })

  depends_on = [aws_iam_role_policy.drills]
}

resource "aws_cloudwatch_log_group" "drills" {
  #checkov:skip=CKV_AWS_338:Retention is the input cloudwatch_log_group_retention_in_days
  count = local.create_drills ? 1 : 0

  name              = local.drill_log_group
  retention_in_days = var.cloudwatch_log_group_retention_in_days
  kms_key_id        = local.operations_key_arn
  tags              = local.tags
}

resource "aws_iam_role" "drills" {
  count = local.create_drills ? 1 : 0

  name = "${var.name}-drills"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "fis.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:fis:${local.region}:${local.account_id}:experiment/*" }
      }
    }]
  })
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags
}

resource "aws_iam_role_policy" "drills" {
  count = local.create_drills ? 1 : 0

  name = "drills"
  role = aws_iam_role.drills[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      local.is_cluster ? [
        { Effect = "Allow", Action = ["rds:FailoverDBCluster"], Resource = concat([local.cluster_arn], local.member_arns) },
        ] : [
        { Effect = "Allow", Action = ["rds:RebootDBInstance"], Resource = [local.instance_arn] },
      ],
      [
        {
          Effect = "Allow"
          Action = [
            "cloudwatch:DescribeAlarms", "ec2:DescribeManagedPrefixLists", "ec2:DescribeNetworkAcls", "ec2:DescribeSubnets",
            "ec2:DescribeVpcs", "rds:DescribeDBClusters", "rds:DescribeDBInstances", "tag:GetResources",
            "logs:CreateLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies", "logs:PutResourcePolicy",
          ]
          Resource = ["*"]
        },
        {
          Effect    = "Allow"
          Action    = ["ec2:CreateNetworkAcl", "ec2:CreateTags"]
          Resource  = ["arn:${local.partition}:ec2:${local.region}:${local.account_id}:network-acl/*"]
          Condition = { StringEquals = { "aws:RequestTag/managedByFIS" = "true" } }
        },
        {
          Effect    = "Allow"
          Action    = ["ec2:CreateNetworkAclEntry", "ec2:DeleteNetworkAcl"]
          Resource  = ["arn:${local.partition}:ec2:${local.region}:${local.account_id}:network-acl/*"]
          Condition = { StringEquals = { "aws:ResourceTag/managedByFIS" = "true" } }
        },
        {
          Effect   = "Allow"
          Action   = ["ec2:CreateNetworkAcl"]
          Resource = ["arn:${local.partition}:ec2:${local.region}:${local.account_id}:vpc/${coalesce(local.vpc_id, "unknown")}"]
        },
        {
          Effect = "Allow"
          Action = ["ec2:ReplaceNetworkAclAssociation"]
          Resource = [
            "arn:${local.partition}:ec2:${local.region}:${local.account_id}:subnet/${coalesce(local.database_subnets[local.drill_zone].id, "unknown")}",
            "arn:${local.partition}:ec2:${local.region}:${local.account_id}:network-acl/*",
          ]
        },
      ],
    )
  })
}
