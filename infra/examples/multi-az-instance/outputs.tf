output "db_instance_endpoint" {
  description = "Endpoint with its port"
  value       = module.steadfast.db_instance_endpoint
}

output "writer_name" {
  description = "Name that leads to the instance, or to the replica when no zone sees commits"
  value       = module.steadfast.writer_name
}
