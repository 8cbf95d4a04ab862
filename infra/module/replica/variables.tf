variable "identifier" {
  description = "Identifier of the replica."
  type        = string
}

variable "source_db_instance_arn" {
  description = "ARN of the source; in another Region only an ARN will do."
  type        = string

  validation {
    condition     = startswith(var.source_db_instance_arn, "arn:")
    error_message = "source_db_instance_arn is an ARN: an identifier is looked for in the replica's own Region."
  }
}

variable "instance_class" {
  description = "Class of the replica."
  type        = string
}

variable "multi_az" {
  description = "Whether the replica has a standby."
  type        = bool
  default     = false
}

variable "port" {
  description = "Port of PostgreSQL."
  type        = number
  default     = 5432
}

variable "subnet_ids" {
  description = "Private subnets of its Region."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids has at least two subnets, in two Availability Zones."
  }
}

variable "vpc_security_group_ids" {
  description = "Security groups of its Region."
  type        = list(string)
}

variable "parameter_group_name" {
  description = "Parameter group of its Region. Null for the default one."
  type        = string
  default     = null
}

variable "ca_cert_identifier" {
  description = "Certificate authority."
  type        = string
  default     = "rds-ca-rsa2048-g1"
}

variable "max_allocated_storage" {
  description = "Storage grows by itself up to this, GiB."
  type        = number
  default     = 1000
}

variable "kms_key_id" {
  description = "ARN of a key of its Region. Null makes one."
  type        = string
  default     = null
}

variable "backup_retention_period" {
  description = "How many days backups are kept."
  type        = number
  default     = 7
}

variable "deletion_protection" {
  description = "Whether it refuses to be deleted."
  type        = bool
  default     = true
}

variable "skip_final_snapshot" {
  description = "Whether it may be destroyed without a last snapshot. RDS takes none of a read replica, and refuses to delete one for which a snapshot is asked: false only once it is promoted."
  type        = bool
  default     = true
}

variable "monitoring_role_arn" {
  description = "Role for enhanced monitoring. Null for none."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags."
  type        = map(string)
  default     = {}
}
