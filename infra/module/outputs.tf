# Named as users of terraform-aws-modules/rds-aurora and rds expect.

output "cluster_id" {
  description = "Identifier of the cluster that is watched"
  value       = local.is_cluster ? local.cluster_identifier : null
}

output "cluster_arn" {
  description = "ARN of the cluster"
  value       = local.create_cluster ? aws_rds_cluster.this[0].arn : (local.is_cluster ? local.cluster_arn : null)
}

output "cluster_resource_id" {
  description = "Resource id of the cluster, for IAM authentication"
  value       = one(aws_rds_cluster.this[*].cluster_resource_id)
}

output "cluster_endpoint" {
  description = "Writer endpoint"
  value       = local.is_cluster ? local.cluster_endpoint : null
}

output "cluster_reader_endpoint" {
  description = "Reader endpoint"
  value       = local.is_cluster ? local.cluster_reader_endpoint : null
}

output "cluster_port" {
  description = "Port"
  value       = local.is_cluster ? local.database_port : null
}

output "cluster_database_name" {
  description = "Name of the database"
  value       = var.database_name
}

output "cluster_engine_version_actual" {
  description = "Version that runs"
  value       = one(aws_rds_cluster.this[*].engine_version_actual)
}

output "cluster_hosted_zone_id" {
  description = "Hosted zone of the endpoints"
  value       = one(aws_rds_cluster.this[*].hosted_zone_id)
}

output "cluster_master_username" {
  description = "Master user"
  value       = local.create_database ? var.master_username : null
}

output "cluster_master_user_secret" {
  description = "Master secret, kept and rotated by RDS"
  value       = local.master_user_secret_arn == null ? [] : [{ secret_arn = local.master_user_secret_arn }]
}

output "cluster_members" {
  description = "Identifiers of the cluster's instances"
  value       = local.is_cluster ? local.member_identifiers : []
}

output "cluster_instances" {
  description = "Instances by key"
  value       = { for key, instance in aws_rds_cluster_instance.this : key => { id = instance.identifier, arn = instance.arn, endpoint = instance.endpoint, availability_zone = instance.availability_zone } }
}

output "db_instance_identifier" {
  description = "Identifier of the RDS instance that is watched"
  value       = local.is_instance ? local.instance_identifier : null
}

output "db_instance_arn" {
  description = "ARN of the RDS instance"
  value       = local.create_instance ? aws_db_instance.this[0].arn : (local.is_instance ? local.instance_arn : null)
}

output "db_instance_endpoint" {
  description = "Endpoint of the RDS instance with its port"
  value       = one(aws_db_instance.this[*].endpoint)
}

output "db_instance_address" {
  description = "Host name of the RDS instance"
  value       = one(aws_db_instance.this[*].address)
}

output "db_instance_port" {
  description = "Port of the RDS instance"
  value       = local.is_instance ? local.database_port : null
}

output "db_instance_resource_id" {
  description = "Resource id of the RDS instance, for IAM authentication"
  value       = one(aws_db_instance.this[*].resource_id)
}

output "db_instance_master_user_secret_arn" {
  description = "Master secret of the RDS instance, kept and rotated by RDS"
  value       = local.is_instance ? local.master_user_secret_arn : null
}

output "db_subnet_group_name" {
  description = "Subnet group"
  value       = one(aws_db_subnet_group.this[*].name)
}

output "security_group_id" {
  description = "Security group of the database"
  value       = local.database_security_group_id
}

output "enhanced_monitoring_iam_role_arn" {
  description = "Role of enhanced monitoring"
  value       = local.create_database ? local.monitoring_role_arn : null
}

output "vpc_id" {
  description = "VPC"
  value       = local.vpc_id
}

output "database_subnet_ids" {
  description = "Subnets of the database, by zone"
  value       = { for az, subnet in local.database_subnets : az => subnet.id }
}

output "function_subnet_ids" {
  description = "Subnets of the functions, by zone"
  value       = local.function_subnet_ids
}

output "function_security_group_id" {
  description = "Security group of the functions in the VPC"
  value       = one(aws_security_group.functions[*].id)
}

output "function_names" {
  description = "Names of the functions"
  value       = local.function_names
}

output "function_alias_arns" {
  description = "What to invoke: ARNs of the functions' aliases"
  value       = local.alias_arns
}

output "secret_arns" {
  description = "Secrets of the functions' logins, for `infra bootstrap`"
  value       = local.secret_arns
}

output "state_table_name" {
  description = "State table"
  value       = one(aws_dynamodb_table.state[*].name)
}

output "topic_arns" {
  description = "Topics: notices of the functions, and one for each severity of alarms"
  value       = { for key, topic in aws_sns_topic.this : key => topic.arn }
}

output "failures_queue_url" {
  description = "Dead-letter queue"
  value       = one(aws_sqs_queue.failures[*].url)
}

output "event_rule_names" {
  description = "EventBridge rules"
  value       = { for key, rule in aws_cloudwatch_event_rule.this : key => rule.name }
}

output "alarm_names" {
  description = "Alarms, composite ones too"
  value       = sort(concat(values(aws_cloudwatch_metric_alarm.this)[*].alarm_name, values(aws_cloudwatch_composite_alarm.this)[*].alarm_name))
}

output "dashboard_name" {
  description = "Dashboard"
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_name)
}

output "experiment_template_ids" {
  description = "Templates of drills"
  value       = { for key, template in aws_fis_experiment_template.this : key => template.id }
}

output "private_zone_id" {
  description = "Private hosted zone"
  value       = local.has_zone ? local.zone_id : null
}

output "writer_name" {
  description = "Name that leads to the writer endpoint"
  value       = local.has_zone ? "${var.writer_record_name}.${var.private_zone_name}" : null
}

output "pin_name" {
  description = "Name that the coordinator keeps on the proved writer"
  value       = local.pin_fqdn
}

output "kms_key_arns" {
  description = "Keys of the database and of what runs beside it"
  value       = { database = local.database_key_arn, operations = local.operations_key_arn }
}

output "backup_vault_arn" {
  description = "Vault of AWS Backup"
  value       = one(aws_backup_vault.this[*].arn)
}
