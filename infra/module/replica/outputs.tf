output "db_instance_arn" {
  description = "ARN of the replica"
  value       = aws_db_instance.this.arn
}

output "db_instance_address" {
  description = "Host name of the replica: secondary.endpoint of the main module"
  value       = aws_db_instance.this.address
}
