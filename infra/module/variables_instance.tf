variable "db_instance_identifier" {
  description = "Identifier of the RDS instance; of an adopted one, needed."
  type        = string
  default     = null

  validation {
    condition     = var.deployment != "existing-instance" || var.db_instance_identifier != null
    error_message = "An adopted instance needs db_instance_identifier."
  }
}

variable "instance_class" {
  description = "Class of the RDS instance."
  type        = string
  default     = "db.m7g.large"
}

variable "multi_az" {
  description = "Whether the RDS instance has a standby."
  type        = bool
  default     = true

  validation {
    condition     = var.multi_az || var.deployment != "instance"
    error_message = "Without a standby there is nothing to fail over to: set multi_az to true."
  }
}

variable "allocated_storage" {
  description = "Storage to begin with, GiB."
  type        = number
  default     = 100

  validation {
    condition     = var.allocated_storage >= 20
    error_message = "allocated_storage is at least 20 GiB."
  }
}

variable "max_allocated_storage" {
  description = "Storage grows by itself up to this, GiB."
  type        = number
  default     = 1000

  validation {
    condition     = var.max_allocated_storage >= ceil(var.allocated_storage * 1.1)
    error_message = "max_allocated_storage is at least a tenth more than allocated_storage: RDS refuses less, and a full disk stops all writes."
  }
}

variable "iops" {
  description = "IOPS of gp3. Null for the baseline."
  type        = number
  default     = null

  validation {
    condition     = var.iops == null || var.allocated_storage >= 400
    error_message = "gp3 takes iops from 400 GiB upwards: leave iops and storage_throughput out, or raise allocated_storage."
  }
}

variable "storage_throughput" {
  description = "Throughput of gp3, MiB/s. Null for the baseline."
  type        = number
  default     = null

  validation {
    condition     = var.storage_throughput == null || var.allocated_storage >= 400
    error_message = "gp3 takes storage_throughput from 400 GiB upwards: leave iops and storage_throughput out, or raise allocated_storage."
  }
}
