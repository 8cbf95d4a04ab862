variable "engine_version" {
  description = "PostgreSQL version, major.minor."
  type        = string
  default     = "16.8"

  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+", var.engine_version)) && try(tonumber(split(".", var.engine_version)[0]) >= 15, false)
    error_message = "engine_version is 15 or newer and names the minor version as well, such as 16.8: older readers restart together with the writer, and a bare major version drifts."
  }

  validation {
    condition     = var.deployment != "cluster" || !var.enable_http_endpoint || !can(regex("^(15\\.[0-2]|16\\.0|17\\.[0-3])$", var.engine_version))
    error_message = "The Data API needs Aurora PostgreSQL 15.3, 16.1 or 17.4: raise engine_version or set enable_http_endpoint to false."
  }
}

variable "allow_major_version_upgrade" {
  description = "Whether a change of engine_version may be a major one."
  type        = bool
  default     = false
}

variable "auto_minor_version_upgrade" {
  description = "Whether RDS may upgrade in the maintenance window. It restarts the writer, and engine_version drifts."
  type        = bool
  default     = false
}

variable "database_name" {
  description = "Name of the database, for the canary and the gate too."
  type        = string
  default     = "app"

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9_]{0,62}$", var.database_name)) && (!contains(["cluster", "instance"], var.deployment) || !contains(["postgres", "rdsadmin", "template0", "template1"], lower(var.database_name)))
    error_message = "database_name has 1 to 63 letters, digits and underscores, begins with a letter, and is none that RDS reserves, such as postgres."
  }
}

variable "port" {
  description = "Port of PostgreSQL."
  type        = number
  default     = 5432
}

variable "master_username" {
  description = "Master user; RDS keeps and rotates its password."
  type        = string
  default     = "steadfast_admin"

  validation {
    condition     = !contains(["admin", "postgres_admin", "rdsadmin", "rds_superuser"], var.master_username)
    error_message = "master_username is a name that RDS reserves."
  }
}

variable "iam_database_authentication_enabled" {
  description = "Whether roles may log in with IAM tokens."
  type        = bool
  default     = true
}

variable "snapshot_identifier" {
  description = "Snapshot to begin from."
  type        = string
  default     = null
}

variable "ca_cert_identifier" {
  description = "Certificate authority of the database's certificate; the functions' bundle must hold it."
  type        = string
  default     = "rds-ca-rsa2048-g1"
}

variable "backup_retention_period" {
  description = "How many days automated backups are kept."
  type        = number
  default     = 7

  validation {
    condition     = var.backup_retention_period >= 7 && var.backup_retention_period <= 35
    error_message = "backup_retention_period is 7 to 35 days."
  }
}

variable "preferred_backup_window" {
  description = "When backups are made, UTC."
  type        = string
  default     = "02:00-03:00"
}

variable "preferred_maintenance_window" {
  description = "When RDS may maintain, UTC. Outside the backup window."
  type        = string
  default     = "sun:04:00-sun:05:00"
}

variable "deletion_protection" {
  description = "Whether database and state table refuse to be deleted. Turn off in an apply of its own before `destroy`."
  type        = bool
  default     = true
}

variable "skip_final_snapshot" {
  description = "Whether the database may be destroyed without a last snapshot."
  type        = bool
  default     = false
}

variable "final_snapshot_identifier" {
  description = "Name of the last snapshot. Null: the installation's name with -final."
  type        = string
  default     = null
}

variable "apply_immediately" {
  description = "Whether changes are made at once instead of in the maintenance window, where they wait unseen."
  type        = bool
  default     = true
}

variable "enabled_cloudwatch_logs_exports" {
  description = "Logs to export."
  type        = list(string)
  default     = ["postgresql"]
}

variable "monitoring_interval" {
  description = "Enhanced monitoring every so many seconds; 0 for none."
  type        = number
  default     = 30

  validation {
    condition     = contains([0, 1, 5, 10, 15, 30, 60], var.monitoring_interval)
    error_message = "monitoring_interval is 0, 1, 5, 10, 15, 30 or 60."
  }
}

variable "create_monitoring_role" {
  description = "Whether to make the role for enhanced monitoring; otherwise monitoring_role_arn is one that exists."
  type        = bool
  default     = true
}

variable "monitoring_role_arn" {
  description = "ARN of an existing role for enhanced monitoring."
  type        = string
  default     = null

  validation {
    condition     = var.create_monitoring_role || var.monitoring_interval == 0 || var.monitoring_role_arn != null
    error_message = "An existing role needs create_monitoring_role = false and monitoring_role_arn."
  }
}

variable "performance_insights_enabled" {
  description = "Whether Performance Insights is on."
  type        = bool
  default     = true
}

variable "performance_insights_retention_period" {
  description = "How many days Performance Insights keeps data."
  type        = number
  default     = 7
}

variable "log_statement" {
  description = "Which statements PostgreSQL logs: none, ddl, mod or all."
  type        = string
  default     = "ddl"

  validation {
    condition     = contains(["none", "ddl", "mod", "all"], var.log_statement)
    error_message = "log_statement is none, ddl, mod or all."
  }
}

variable "log_min_duration_statement" {
  description = "Statements that take longer are logged, in ms; -1 for none."
  type        = number
  default     = 1000
}

variable "parameters" {
  description = "Further parameters of the instances' group."
  type = list(object({
    name         = string
    value        = string
    apply_method = optional(string, "immediate")
  }))
  default = []
}
