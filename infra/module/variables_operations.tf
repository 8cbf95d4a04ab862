variable "notification_channels" {
  description = "Who is told, by name: e-mail, HTTPS (incident tools and chat webhooks that confirm a subscription), SMS, a queue, or a function of yours that writes into a chat."
  type = map(object({
    protocol               = string
    endpoint               = string
    severities             = optional(set(string), ["warning", "critical"])
    endpoint_auto_confirms = optional(bool, false)
    raw_message_delivery   = optional(bool, false)
  }))
  default = {}

  validation {
    condition     = alltrue([for channel in values(var.notification_channels) : contains(["email", "email-json", "https", "sms", "sqs", "lambda"], channel.protocol)])
    error_message = "protocol of notification_channels is email, email-json, https, sms, sqs or lambda; plain HTTP is not among them."
  }

  validation {
    condition     = alltrue([for channel in values(var.notification_channels) : length(channel.severities) > 0 && length(setsubtract(channel.severities, ["info", "warning", "critical"])) == 0])
    error_message = "severities of notification_channels are among info, warning and critical, and at least one."
  }

  validation {
    condition = alltrue([
      for channel in values(var.notification_channels) : (
        startswith(channel.protocol, "email") ? can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", channel.endpoint))
        : channel.protocol == "https" ? startswith(channel.endpoint, "https://")
        : channel.protocol == "sms" ? can(regex("^\\+[1-9][0-9]{6,14}$", channel.endpoint))
        : startswith(channel.endpoint, "arn:")
      )
    ])
    error_message = "endpoint of notification_channels is an e-mail address, an https:// address, a telephone number such as +4930123456, or the ARN of a queue or function, as its protocol says."
  }
}

variable "alarm_actions" {
  description = "ARNs of further actions of every alarm."
  type        = list(string)
  default     = []
}

variable "alarm_thresholds" {
  description = "Other thresholds for alarms on load, by their key in generated/alarms.json (those that are adjustable there), such as { \"replica-lag\" = 30000 }."
  type        = map(number)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.alarm_thresholds), keys(jsondecode(file("${path.module}/generated/alarms.json"))))) == 0
    error_message = "alarm_thresholds names an alarm that generated/alarms.json does not have."
  }

  validation {
    condition     = alltrue([for key in keys(var.alarm_thresholds) : try(jsondecode(file("${path.module}/generated/alarms.json"))[key].adjustable, true)])
    error_message = "alarm_thresholds is for alarms on load, those that are adjustable in generated/alarms.json, such as replica-lag or writer-cpu: the others protect, and go off when they ship to."
  }
}

variable "actions_suppressor" {
  description = "An alarm that keeps the composite alarms quiet while it is in ALARM, for maintenance and drills; periods in seconds."
  type = object({
    alarm            = string
    wait_period      = optional(number, 60)
    extension_period = optional(number, 300)
  })
  default = null
}

variable "private_zone_name" {
  description = "Private hosted zone for names of the database, such as orders.internal. Null: no names."
  type        = string
  default     = null

  validation {
    condition     = var.private_zone_name == null || can(regex("^[a-z0-9_-]+(\\.[a-z0-9_-]+)+$", var.private_zone_name))
    error_message = "private_zone_name is a lower-case domain name of two labels or more, without a final dot."
  }
}

variable "create_private_zone" {
  description = "Whether to make that zone, for the VPC; otherwise private_zone_id is one that exists."
  type        = bool
  default     = true
}

variable "private_zone_id" {
  description = "Id of an existing private hosted zone named private_zone_name."
  type        = string
  default     = null

  validation {
    condition     = var.create_private_zone ? var.private_zone_id == null : var.private_zone_id != null && var.private_zone_name != null
    error_message = "An existing zone needs create_private_zone = false, private_zone_id and private_zone_name, its name."
  }
}

variable "writer_record_name" {
  description = "Label of the record that leads to the writer endpoint."
  type        = string
  default     = "db"
}

variable "reader_record_name" {
  description = "Label of the record that leads to the reader endpoint."
  type        = string
  default     = "reader"
}

variable "secondary" {
  description = "Where the writer's record leads when most zones saw no commit for ten minutes: a replica in another Region, or what stands in."
  type        = object({ endpoint = string })
  default     = null

  validation {
    condition     = var.secondary == null || var.private_zone_name != null
    error_message = "secondary needs private_zone_name: the failover records live there."
  }
}

variable "pin_name" {
  description = "Label of a record that the coordinator keeps on the instance of the proved writer. Null: none."
  type        = string
  default     = null

  validation {
    condition     = var.pin_name == null || var.private_zone_name != null
    error_message = "pin_name needs private_zone_name."
  }

  validation {
    condition     = var.pin_name == null || !contains([var.writer_record_name, var.reader_record_name], coalesce(var.pin_name, "none"))
    error_message = "pin_name is the coordinator's own: it must differ from writer_record_name and reader_record_name, or Terraform and the coordinator would overwrite each other."
  }

  validation {
    condition     = var.pin_name == null || contains(["cluster", "existing-cluster"], var.deployment)
    error_message = "pin_name is for clusters: an instance has one endpoint, which moves by itself."
  }
}

variable "create_drills" {
  description = "Whether to make the templates of the fault injection experiments, for at most four zones."
  type        = bool
  default     = true

  validation {
    condition     = !var.create_drills || length(var.azs) <= 4
    error_message = "A drill is stopped by an alarm of every zone and one more, and FIS takes five: with more than four azs set create_drills to false."
  }
}

variable "backup_plan" {
  description = "AWS Backup beside RDS's own backups: when, for how long, and a vault to copy to. Null: none."
  type = object({
    schedule          = optional(string, "cron(0 5 ? * * *)")
    delete_after_days = optional(number, 35)
    vault_lock        = optional(bool, false)
    copy_to_vault_arn = optional(string)
  })
  default = null
}
