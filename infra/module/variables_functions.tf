variable "architecture" {
  description = "What the packages were built for: arm64 or x86_64."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is arm64 or x86_64."
  }
}

variable "package_directory" {
  description = "Where the packages are: NAME/bootstrap.zip for each function, as `make package` writes them; with package_bucket the prefix of their keys."
  type        = string
  default     = "target/lambda"
}

variable "package_bucket" {
  description = "Bucket that holds the packages. Null: they are local files."
  type        = string
  default     = null
}

variable "ca_bundle_package" {
  description = "A zip file with the RDS certificate authorities (global-bundle.pem), for a layer. Null if the packages hold them."
  type        = string
  default     = null
}

variable "ca_file" {
  description = "Where the functions find the bundle: /opt/… from a layer, /var/task/… from the package."
  type        = string
  default     = "/opt/global-bundle.pem"

  validation {
    condition     = startswith(var.ca_file, "/opt/") || startswith(var.ca_file, "/var/task/")
    error_message = "ca_file is under /opt (a layer, see ca_bundle_package) or /var/task (the package)."
  }

  validation {
    condition     = !startswith(var.ca_file, "/opt/") || var.ca_bundle_package != null
    error_message = "ca_file lies in a layer: set ca_bundle_package, or put the bundle into the packages and ca_file under /var/task."
  }
}

variable "settings" {
  description = "Thresholds by the name of their environment variable, such as STEADFAST_PLATFORM_GRACE = \"20s\"; see the table of settings in the README."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : startswith(name, "STEADFAST_")])
    error_message = "settings holds variables that begin with STEADFAST_."
  }

  validation {
    condition = length(setintersection(keys(var.settings), [
      "STEADFAST_ADMIN_SECRET_ARN", "STEADFAST_APPLICATION_PROBE", "STEADFAST_AZ", "STEADFAST_CA_FILE", "STEADFAST_CLUSTER", "STEADFAST_CLUSTER_ARN",
      "STEADFAST_COORDINATOR", "STEADFAST_DATABASE", "STEADFAST_DRAINER", "STEADFAST_ENDPOINT", "STEADFAST_INSTANCE", "STEADFAST_PIN_NAME",
      "STEADFAST_PIN_ZONE", "STEADFAST_READ_WRITE_ROLES",
      "STEADFAST_SECRET_ARN", "STEADFAST_SUBNETS", "STEADFAST_TABLE", "STEADFAST_TOPIC_ARN",
      "STEADFAST_VERIFY_CLASS", "STEADFAST_VERIFY_SECURITY_GROUPS", "STEADFAST_VERIFY_SUBNET_GROUP",
    ])) == 0
    error_message = "settings names a variable that this module fills itself: use the input for it."
  }
}

variable "read_write_roles" {
  description = "Database roles of the applications that write: their sessions have no business on a reader and are ended there after a failover."
  type        = list(string)
  default     = []

  validation {
    condition     = !contains(["cluster", "existing-cluster"], var.deployment) || length(var.read_write_roles) > 0
    error_message = "read_write_roles names at least one role: without it the drainer would not know whose sessions to end on the old writer."
  }

  validation {
    condition     = alltrue([for role in var.read_write_roles : length(role) > 0 && !strcontains(role, ",")])
    error_message = "read_write_roles has no empty name, and no name with a comma."
  }
}

variable "reserve_concurrency" {
  description = "Whether the functions reserve concurrency, so that others in the account cannot starve them. An account with a quota of 10 has to turn it off."
  type        = bool
  default     = true
}

variable "schedules_enabled" {
  description = "Whether the schedules tick: off until the packages and the database's schema are there."
  type        = bool
  default     = true
}

variable "application_log_level" {
  description = "Level of the functions' own log."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"], var.application_log_level)
    error_message = "application_log_level is TRACE, DEBUG, INFO, WARN, ERROR or FATAL."
  }
}

variable "additional_functions" {
  description = "Further functions: one entry is the function with role, log group, alias, schedule and failure destination."
  type = map(object({
    description                  = string
    per_zone                     = optional(bool, false)
    in_vpc                       = optional(bool, false)
    timeout                      = optional(number, 60)
    memory_size                  = optional(number, 256)
    maximum_retry_attempts       = optional(number, 2)
    maximum_event_age_in_seconds = optional(number, 21600)
    reserved_concurrency         = optional(number, -1)
    schedule_expression          = optional(string)
    schedule_input               = optional(string)
    services                     = optional(list(string), [])
    environment                  = optional(map(string), {})
    policy_statements = optional(list(object({
      Effect   = optional(string, "Allow")
      Action   = list(string)
      Resource = list(string)
    })), [])
    dashboard_metrics = optional(list(object({
      title   = string
      metrics = list(string)
      stat    = optional(string, "Maximum")
      view    = optional(string, "singleValue")
      period  = optional(number, 86400)
    })), [])
  }))
  default = {}

  validation {
    condition     = length(setintersection(keys(var.additional_functions), ["health-prober", "event-router", "promotion-coordinator", "connection-drainer", "secret-rotator", "backup-verifier", "fis-scheduler", "application-probe"])) == 0
    error_message = "additional_functions names a function that ships already."
  }

  validation {
    condition     = alltrue([for kind in keys(var.additional_functions) : can(regex("^[a-z][a-z0-9-]{1,30}$", kind))])
    error_message = "Names in additional_functions have 2 to 31 characters of a-z, 0-9 and hyphens."
  }

  validation {
    condition = alltrue(flatten([
      for kind, function in var.additional_functions : [
        for az in var.azs : length(join("-", compact([var.name, kind, function.per_zone ? az : ""]))) <= 64
      ]
    ]))
    error_message = "additional_functions makes a function name of more than 64 characters, NAME-FUNCTION or NAME-FUNCTION-ZONE: shorten one of them."
  }

  validation {
    condition = alltrue(flatten([
      for function in values(var.additional_functions) : [
        for statement in function.policy_statements : [for action in statement.Action : !strcontains(action, "*")]
      ]
    ]))
    error_message = "additional_functions grants an action with a wildcard: name the actions that the function calls."
  }
}

variable "rotation" {
  description = "Rotation of the passwords of the functions' logins and of secret_arns, the secrets of applications by name. kms_key_arns are the keys of the latter; admin_secret_arn is the secret of a role that may change the passwords, the master's if null. Null: no rotation."
  type = object({
    schedule_expression = optional(string, "cron(0 3 ? * SUN *)")
    duration            = optional(string, "3h")
    secret_arns         = optional(map(string), {})
    kms_key_arns        = optional(list(string), [])
    admin_secret_arn    = optional(string)
  })
  default = null

  validation {
    condition     = var.rotation == null || can(regex("^(rate|cron)\\(.+\\)$", var.rotation.schedule_expression))
    error_message = "rotation.schedule_expression is rate(…) or cron(…), such as cron(0 3 ? * SUN *)."
  }

  validation {
    condition     = alltrue([for arn in values(try(var.rotation.secret_arns, {})) : can(regex("^arn:[a-z-]+:secretsmanager:[^:]+:[0-9]{12}:secret:.+", arn))])
    error_message = "rotation.secret_arns holds whole ARNs of secrets."
  }

  validation {
    condition     = length(setintersection(keys(try(var.rotation.secret_arns, {})), ["prober", "drainer", "application_probe"])) == 0
    error_message = "rotation.secret_arns names prober, drainer or application_probe, which are rotated by themselves: give the application's secret another name."
  }

  validation {
    condition     = var.rotation == null || !startswith(var.deployment, "existing-") || try(var.rotation.admin_secret_arn, null) != null || length(var.cluster_master_user_secret) > 0
    error_message = "rotation of an adopted database needs rotation.admin_secret_arn or cluster_master_user_secret: who may change the passwords?"
  }
}

variable "backup_verification" {
  description = "Verification of backups: when a backup is restored beside production and looked through, with what class of instance (null: db.serverless, of an instance db.t4g.medium), and what is expected of it, as in payloads/verify.json. Null: none."
  type = object({
    schedule_expression = optional(string, "cron(0 6 * * ? *)")
    instance_class      = optional(string)
    manifest = optional(object({
      source     = optional(string, "point_in_time")
      rpo_max_s  = optional(number, 900)
      rto_max_s  = optional(number, 3600)
      extensions = optional(list(string), [])
      settings   = optional(map(string), {})
      tables = optional(map(object({
        at_least = optional(number, 0)
        at_most  = optional(number)
      })), {})
      assertions = optional(list(object({
        name     = string
        sql      = string
        expected = string
      })), [])
    }), {})
  })
  default = null

  validation {
    condition     = var.backup_verification == null || can(regex("^(rate|cron)\\(.+\\)$", var.backup_verification.schedule_expression))
    error_message = "backup_verification.schedule_expression is rate(…) or cron(…), such as cron(0 6 * * ? *)."
  }

  validation {
    condition     = contains(["point_in_time", "snapshot"], try(var.backup_verification.manifest.source, "point_in_time"))
    error_message = "backup_verification.manifest.source is point_in_time or snapshot."
  }

  validation {
    condition     = try(var.backup_verification.manifest.rpo_max_s > 0 && var.backup_verification.manifest.rto_max_s > 0, var.backup_verification == null)
    error_message = "backup_verification.manifest has rpo_max_s and rto_max_s above 0, in seconds."
  }

  validation {
    condition     = alltrue([for table in keys(try(var.backup_verification.manifest.tables, {})) : can(regex("^[^.]+[.][^.]+$", table))])
    error_message = "backup_verification.manifest.tables names each table with its schema, such as public.orders."
  }
}

variable "game_days" {
  description = "Game days: when the weekly experiment is ordered, in which hours of the day in UTC (such as 9-16), on which days of the week (1 for Monday) and outside which stretches of time (such as 2026-12-15T00:00:00Z/2027-01-05T00:00:00Z) something may be broken, and what: names of experiments, all if empty. Needs create_drills and backup_verification. Null: none."
  type = object({
    schedule_expression = optional(string, "cron(0 10 ? * TUE *)")
    window              = optional(string, "8-16")
    days                = optional(list(number), [1, 2, 3, 4])
    freezes             = optional(list(string), [])
    experiments         = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.game_days == null || can(regex("^(rate|cron)\\(.+\\)$", var.game_days.schedule_expression))
    error_message = "game_days.schedule_expression is rate(…) or cron(…), such as cron(0 10 ? * TUE *)."
  }

  validation {
    condition     = var.game_days == null || can(regex("^([01]?[0-9]|2[0-4])-([01]?[0-9]|2[0-4])$", var.game_days.window))
    error_message = "game_days.window is two hours of the day in UTC, such as 8-16."
  }

  validation {
    condition     = alltrue([for day in try(var.game_days.days, []) : contains([1, 2, 3, 4, 5, 6, 7], day)])
    error_message = "game_days.days are days of the week, 1 for Monday to 7 for Sunday."
  }

  validation {
    condition     = alltrue([for stretch in try(var.game_days.freezes, []) : try(timecmp(split("/", stretch)[0], split("/", stretch)[1]) < 0, false)])
    error_message = "game_days.freezes are stretches of time, each START/END in RFC 3339 with the earlier one first, such as 2026-12-15T00:00:00Z/2027-01-05T00:00:00Z."
  }

  validation {
    condition     = length(setsubtract(try(var.game_days.experiments, []), ["failover", "crash", "zone-unreachable", "replica-failure", "reboot-with-failover", "disk-failure", "disk-congestion"])) == 0
    error_message = "game_days.experiments names failover, crash, zone-unreachable, replica-failure, reboot-with-failover, disk-failure or disk-congestion."
  }

  validation {
    condition     = var.game_days == null || (var.create_drills && var.backup_verification != null)
    error_message = "game_days needs the templates of create_drills, and backup_verification: nothing is broken on purpose without a backup that was opened."
  }

  validation {
    condition     = var.game_days == null || !startswith(var.deployment, "existing-") || try(var.rotation.admin_secret_arn, null) != null || length(var.cluster_master_user_secret) > 0
    error_message = "game_days of an adopted database needs rotation.admin_secret_arn or cluster_master_user_secret: who may inject faults?"
  }
}

variable "application_probe" {
  description = "Whether a small application runs all the time: two processes that make two transfers a second each through the protected client, with how many were acknowledged, how many failed, the longest wait and what is wrong in the books as metrics. That is about 375,000 transactions a day, whose rows it deletes after two days. Its login is made by `infra bootstrap --application-probe-secret-arn`."
  type        = bool
  default     = false
}

variable "secret_recovery_window_in_days" {
  description = "How long a deleted secret can be brought back, in days; 0 deletes at once."
  type        = number
  default     = 7

  validation {
    condition     = var.secret_recovery_window_in_days == 0 || (var.secret_recovery_window_in_days >= 7 && var.secret_recovery_window_in_days <= 30)
    error_message = "secret_recovery_window_in_days is 0 or 7 to 30."
  }
}

variable "login_passwords" {
  description = "Passwords of the functions' logins, `prober`, `drainer` and `application_probe`: see the examples for how to have them made anew without storing them. Written once, and again when secret_version rises."
  type        = map(string)
  default     = null
  sensitive   = true
  ephemeral   = true

  validation {
    condition     = !var.write_login_passwords || (can(var.login_passwords["prober"]) && (can(var.login_passwords["drainer"]) || !contains(["cluster", "existing-cluster"], var.deployment)))
    error_message = "login_passwords has a password for prober, and for a cluster one for drainer; or set write_login_passwords to false and write the secrets yourself."
  }

  validation {
    condition     = !var.write_login_passwords || !var.application_probe || can(var.login_passwords["application_probe"])
    error_message = "application_probe needs a password of that name in login_passwords; or set write_login_passwords to false and write the secrets yourself."
  }
}

variable "write_login_passwords" {
  description = "Whether to write login_passwords into the functions' secrets; otherwise somebody else puts {\"username\", \"password\"} there."
  type        = bool
  default     = true
}

variable "secret_version" {
  description = "Raise by one to write new passwords into the functions' secrets."
  type        = number
  default     = 1
}
