output "cluster_endpoint" {
  description = "Writer endpoint"
  value       = module.steadfast.cluster_endpoint
}

output "cluster_arn" {
  description = "For `infra bootstrap --cluster-arn`"
  value       = module.steadfast.cluster_arn
}

output "cluster_master_user_secret" {
  description = "For `infra bootstrap --admin-secret-arn`"
  value       = module.steadfast.cluster_master_user_secret
}

output "secret_arns" {
  description = "For `infra bootstrap --prober-secret-arn`, `--drainer-secret-arn` and `--application-probe-secret-arn`"
  value       = module.steadfast.secret_arns
}

output "function_alias_arns" {
  description = "What to invoke to arm, pause and switch over"
  value       = module.steadfast.function_alias_arns
}
