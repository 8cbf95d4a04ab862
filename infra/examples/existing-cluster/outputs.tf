output "function_alias_arns" {
  description = "What to invoke to arm, pause and switch over"
  value       = module.steadfast.function_alias_arns
}

output "secret_arns" {
  description = "For `infra bootstrap --prober-secret-arn` and `--drainer-secret-arn`"
  value       = module.steadfast.secret_arns
}
