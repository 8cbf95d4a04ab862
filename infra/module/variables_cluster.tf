variable "cluster_identifier" {
  description = "Identifier of the cluster; of an adopted one, needed."
  type        = string
  default     = null

  validation {
    condition     = var.deployment != "existing-cluster" || var.cluster_identifier != null
    error_message = "An adopted cluster needs cluster_identifier."
  }
}

variable "cluster_instance_class" {
  description = "Class of the instances that do not name one; of an adopted cluster, that of its instances. `db.serverless` for Serverless v2."
  type        = string
  default     = "db.serverless"
}

variable "instances" {
  description = "Instances by key, three or more. Zones are dealt out in the order of the keys unless named, when an instance is made: one that is there stays in its zone. Tiers 0 and 1 are the failover targets."
  type = map(object({
    identifier        = optional(string)
    instance_class    = optional(string)
    promotion_tier    = optional(number, 0)
    availability_zone = optional(string)
  }))
  default = {
    one   = {}
    two   = {}
    three = { promotion_tier = 1 }
  }

  validation {
    condition     = length(var.instances) >= 3
    error_message = "instances has at least three: a writer, a reader to take over, and one that keeps a spare while the failed one comes back."
  }

  validation {
    condition = length(distinct([
      for position, key in sort(keys(var.instances)) : coalesce(var.instances[key].availability_zone, var.azs[position % length(var.azs)])
    ])) >= 3
    error_message = "instances stand in fewer than three Availability Zones: name another availability_zone, or leave it out."
  }

  validation {
    condition     = alltrue([for instance in values(var.instances) : instance.availability_zone == null || contains(var.azs, coalesce(instance.availability_zone, "none"))])
    error_message = "instances names an availability_zone that azs does not have: no subnet, and no prober, would be there."
  }

  validation {
    condition     = length([for instance in values(var.instances) : instance if instance.promotion_tier <= 1]) >= 2
    error_message = "At least two of instances have promotion_tier 0 or 1: Serverless readers of higher tiers do not grow with the writer and may be too small to take over."
  }

  validation {
    condition     = alltrue([for instance in values(var.instances) : instance.promotion_tier >= 0 && instance.promotion_tier <= 15])
    error_message = "promotion_tier is 0 to 15."
  }

  validation {
    condition = var.deployment != "cluster" || !var.enable_http_endpoint || !anytrue([
      for instance in values(var.instances) : startswith(coalesce(instance.instance_class, var.cluster_instance_class), "db.t")
    ])
    error_message = "T classes have no Data API, which the gate of a switchover and `infra bootstrap` need: choose another class, or set enable_http_endpoint to false."
  }
}

variable "serverlessv2_scaling_configuration" {
  description = "Capacity of db.serverless instances, in ACU."
  type = object({
    min_capacity = number
    max_capacity = number
  })
  default = { min_capacity = 0.5, max_capacity = 16 }

  validation {
    condition     = var.serverlessv2_scaling_configuration.min_capacity > 0
    error_message = "min_capacity 0 lets the cluster pause, but the probers hold connections and commit twice a second: it would never pause, and a pause would look like an outage. Use 0.5 or more."
  }

  validation {
    condition     = var.serverlessv2_scaling_configuration.max_capacity >= max(1, var.serverlessv2_scaling_configuration.min_capacity) && var.serverlessv2_scaling_configuration.max_capacity <= 256
    error_message = "max_capacity is 1 to 256 ACU and not less than min_capacity."
  }
}

variable "enable_http_endpoint" {
  description = "Whether the Data API is on: without it no switchover on purpose, and no `infra bootstrap` over it."
  type        = bool
  default     = true
}

variable "storage_type" {
  description = "Aurora storage: null for standard, `aurora-iopt1` for I/O-optimized."
  type        = string
  default     = null

  validation {
    condition     = var.storage_type == null || var.storage_type == "aurora-iopt1"
    error_message = "storage_type is null or aurora-iopt1."
  }
}

variable "cluster_parameters" {
  description = "Further parameters of the cluster's group."
  type = list(object({
    name         = string
    value        = string
    apply_method = optional(string, "immediate")
  }))
  default = []
}

# Of an adopted cluster, as outputs of the community module rds-aurora name them.

variable "cluster_arn" {
  description = "ARN of an adopted cluster. Null: made from its identifier, for this account and Region."
  type        = string
  default     = null
}

variable "cluster_members" {
  description = "Identifiers of an adopted cluster's instances: what the coordinator may name as a target."
  type        = list(string)
  default     = []

  validation {
    condition     = var.deployment != "existing-cluster" || length(var.cluster_members) >= 2
    error_message = "An adopted cluster needs cluster_members, at least two instances: with one, nobody can take over."
  }
}

variable "cluster_endpoint" {
  description = "Writer endpoint of an adopted database."
  type        = string
  default     = null

  validation {
    condition     = !startswith(var.deployment, "existing-") || var.cluster_endpoint != null
    error_message = "An adopted database needs cluster_endpoint, its writer endpoint."
  }
}

variable "cluster_reader_endpoint" {
  description = "Reader endpoint of an adopted cluster; needed with private_zone_name."
  type        = string
  default     = null

  validation {
    condition     = var.deployment != "existing-cluster" || var.private_zone_name == null || var.cluster_reader_endpoint != null
    error_message = "The reader's name in the private zone needs cluster_reader_endpoint."
  }
}

variable "cluster_master_user_secret" {
  description = "Master secret of an adopted cluster, as the community module's output gives it; only passed on as an output for `infra bootstrap`."
  type        = list(object({ secret_arn = string }))
  default     = []
}
