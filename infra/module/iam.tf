locals {
  # Where an action of generated/iam.json applies.
  targets = merge(
    {
      table      = ["arn:${local.partition}:dynamodb:${local.region}:${local.account_id}:table/${var.name}"]
      cluster    = [local.cluster_arn]
      instances  = local.is_cluster ? ["${local.arn_prefix}:db:*"] : [local.instance_arn]
      promotable = local.is_cluster ? concat([local.cluster_arn], local.member_arns) : [local.instance_arn]
      topic      = [local.notices_topic_arn]
      zone       = ["arn:${local.partition}:route53:::hostedzone/${coalesce(local.zone_id, "none")}"]
      rotated    = concat(values(local.secret_arns), values(try(var.rotation.secret_arns, {})))
      nothing    = ["*"]

      "secret/administrator" = [coalesce(local.admin_secret_arn, "none")]
    },
    local.verification_targets,
    local.game_day_targets,
    { for key, arn in local.alias_arns : "function/${key}" => [arn] },
    { for login, arn in local.secret_arns : "secret/${login}" => [arn] },
  )

  # Exactly the calls of the code. "when" names what must hold for the call to be made at all.
  called = jsondecode(file("${path.module}/generated/iam.json"))
  call_statements = {
    for kind in keys(local.kinds) : kind => [
      for statement in lookup(local.called, kind, []) : merge(
        {
          Effect   = "Allow"
          Action   = statement.actions
          Resource = local.targets[statement.on]
        },
        {
          for key, condition in {
            Condition = {
              "ForAllValues:StringLike" = {
                "dynamodb:LeadingKeys" = [for key in statement.leading_keys : replace(key, "$${database}", local.database_name)]
              }
            }
          } : key => condition if length(statement.leading_keys) > 0
        },
        {
          for key, condition in {
            Condition = {
              "ForAllValues:StringEquals" = {
                "route53:ChangeResourceRecordSetsNormalizedRecordNames" = [coalesce(local.pin_fqdn, "none")]
                "route53:ChangeResourceRecordSetsRecordTypes"           = ["CNAME"]
                "route53:ChangeResourceRecordSetsActions"               = ["UPSERT"]
              }
            }
          } : key => condition if statement.on == "zone"
        },
        {
          # RDS names its secrets by itself, and tags them with whose they are: production's is none of these.
          for key, condition in {
            Condition = {
              StringLike = {
                "secretsmanager:ResourceTag/aws:rds:primary${local.is_cluster ? "DBClusterArn" : "DBInstanceArn"}" = local.is_cluster ? local.restored_cluster : local.restored_instance
              }
            }
          } : key => condition if statement.on == "secret/restored"
        },
      ) if statement.when == null || lookup(local.holds, coalesce(statement.when, "cluster"), false)
    ]
  }

  # What AWS asks of the caller beside the call itself.
  companion_statements = {
    for kind in keys(local.kinds) : kind => [
      for statement in [
        {
          on       = "secret/administrator"
          Action   = ["kms:Decrypt"]
          Resource = concat(local.database_key_arns, try(var.rotation.kms_key_arns, []))
        },
        {
          # Secrets of applications may have keys of their own.
          on       = "rotated"
          Action   = ["kms:GenerateDataKey"]
          Resource = try(var.rotation.kms_key_arns, [])
        },
        {
          # RDS opens the storage of the copy on behalf of whoever restores it.
          on       = "restoring"
          Action   = ["kms:Decrypt", "kms:DescribeKey"]
          Resource = local.database_key_arns
        },
        {
          # Grants for RDS alone: whoever takes over the function gives nobody else the key.
          on        = "restoring"
          Action    = ["kms:CreateGrant"]
          Resource  = local.database_key_arns
          Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
        },
        {
          on       = "restored"
          Action   = ["rds:AddTagsToResource"]
          Resource = [local.restored_cluster, local.restored_instance]
        },
        {
          # RDS makes the master secret of the copy on behalf of whoever asks for it.
          on       = "restored"
          Action   = ["secretsmanager:CreateSecret", "secretsmanager:TagResource"]
          Resource = [local.restored_secrets]
        },
        ] : merge(
        { Effect = "Allow", Action = statement.Action, Resource = statement.Resource },
        { for key, condition in { Condition = try(statement.Condition, null) } : key => condition if condition != null },
      )
      if length(statement.Resource) > 0 && contains([for called in lookup(local.called, kind, []) : called.on], statement.on)
    ]
  }

  # What Lambda itself does with the role: logs, failure destination, keys, network interfaces.
  platform_statements = {
    for key, function in local.functions : key => concat(
      [
        {
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = ["${aws_cloudwatch_log_group.function[key].arn}:*"]
        },
        {
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = [aws_sqs_queue.failures[0].arn]
        },
        {
          Effect   = "Allow"
          Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource = [local.operations_key_arn]
        },
      ],
      [
        for statement in [
          {
            Effect = "Allow"
            Action = [
              "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
              "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
            ]
            # Lambda makes the interfaces before it knows their names, and the Describe actions take no resource.
            Resource = ["*"]
          },
          {
            # These are Lambda's to use, never the code's.
            Effect   = "Deny"
            Action   = ["ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:UnassignPrivateIpAddresses"]
            Resource = ["*"]
            Condition = {
              ArnLike = { "lambda:SourceFunctionArn" = "arn:${local.partition}:lambda:${local.region}:${local.account_id}:function:${local.function_names[key]}" }
            }
          },
        ] : statement if local.kinds[function.kind].in_vpc
      ],
    )
  }

  lambda_trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name                 = "${var.name}-${each.key}"
  description          = "Execution role of ${local.function_names[each.key]}"
  assume_role_policy   = local.lambda_trust
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name = "calls"
  role = aws_iam_role.function[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      local.call_statements[each.value.kind],
      local.companion_statements[each.value.kind],
      local.platform_statements[each.key],
      local.kinds[each.value.kind].policy_statements,
    )
  })
}
