variable "create" {
  description = "Whether to make anything at all."
  type        = bool
  default     = true
}

variable "name" {
  description = "Name of the installation, and of the database unless it has one of its own."
  type        = string

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,27}[a-z0-9])?$", var.name)) && !strcontains(var.name, "--")
    error_message = "name has 1 to 29 characters of a-z, 0-9 and single hyphens, begins with a letter and does not end in a hyphen: it becomes part of function names, which end at 64."
  }
}

variable "tags" {
  description = "Tags of everything that can have some."
  type        = map(string)
  default     = {}
}

variable "deployment" {
  description = "What is watched: `cluster` (make an Aurora PostgreSQL cluster), `instance` (make an RDS Multi-AZ instance), `existing-cluster`, `existing-instance`."
  type        = string
  default     = "cluster"

  validation {
    condition     = contains(["cluster", "instance", "existing-cluster", "existing-instance"], var.deployment)
    error_message = "deployment is one of cluster, instance, existing-cluster, existing-instance."
  }
}

variable "permissions_boundary" {
  description = "ARN of a permissions boundary for the roles."
  type        = string
  default     = null
}

variable "cloudwatch_log_group_retention_in_days" {
  description = "How long logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.cloudwatch_log_group_retention_in_days)
    error_message = "cloudwatch_log_group_retention_in_days is one of the values that CloudWatch takes, such as 30, 90 or 365; keeping logs forever is not among them."
  }
}

variable "create_kms_key" {
  description = "Whether to make a key for the database; otherwise kms_key_id is one that exists."
  type        = bool
  default     = true
}

variable "kms_key_id" {
  description = "ARN of an existing key for the database's storage, backups and master secret."
  type        = string
  default     = null

  validation {
    condition     = var.create_kms_key ? var.kms_key_id == null : (var.kms_key_id != null || !contains(["cluster", "instance"], var.deployment))
    error_message = "An existing key needs create_kms_key = false and kms_key_id."
  }

  validation {
    condition     = var.kms_key_id == null || can(regex("^arn:[^:]+:kms:", var.kms_key_id))
    error_message = "kms_key_id is the key's ARN: RDS returns the ARN, and any other form is a change in every plan."
  }
}

variable "create_operations_kms_key" {
  description = "Whether to make a key for what runs beside the database; otherwise operations_kms_key_arn is one that exists."
  type        = bool
  default     = true
}

variable "operations_kms_key_arn" {
  description = "ARN of an existing key for state table, topics, secrets, logs and settings. Its policy must let cloudwatch, backup and logs use it, see keys.tf."
  type        = string
  default     = null

  validation {
    condition     = var.create_operations_kms_key == (var.operations_kms_key_arn == null)
    error_message = "An existing key needs create_operations_kms_key = false and operations_kms_key_arn."
  }
}

variable "kms_deletion_window_in_days" {
  description = "How long a deleted key can be brought back, in days."
  type        = number
  default     = 30

  validation {
    condition     = var.kms_deletion_window_in_days >= 7 && var.kms_deletion_window_in_days <= 30
    error_message = "kms_deletion_window_in_days is 7 to 30."
  }
}
