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
    },
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
      ) if statement.when == null || lookup(local.holds, coalesce(statement.when, "cluster"), false)
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
      local.platform_statements[each.key],
      local.kinds[each.value.kind].policy_statements,
    )
  })
}
