variable "azs" {
  description = "Names of the Availability Zones, three or more: one prober and one database subnet in each."
  type        = list(string)

  validation {
    condition     = length(distinct(var.azs)) >= 3 && length(distinct(var.azs)) == length(var.azs)
    error_message = "azs names at least three different Availability Zones: a failover needs two witnesses that agree while a third zone is away."
  }

  validation {
    condition     = length(var.azs) <= 8
    error_message = "azs names at most eight zones: the VPC has room for no more subnets."
  }
}

variable "vpc_cidr" {
  description = "Address range of the VPC to make, /16 to /24."
  type        = string
  default     = "10.64.0.0/20"

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && try(tonumber(split("/", var.vpc_cidr)[1]) >= 16 && tonumber(split("/", var.vpc_cidr)[1]) <= 24, false)
    error_message = "vpc_cidr is an IPv4 range of /16 to /24, such as 10.64.0.0/20."
  }
}

variable "create_vpc" {
  description = "Whether to make a VPC; otherwise vpc_id is one that exists."
  type        = bool
  default     = true

  validation {
    condition     = !var.create_vpc || !startswith(var.deployment, "existing-")
    error_message = "An adopted database lives in a VPC already: set create_vpc to false, and vpc_id, subnet_ids and azs to where it is."
  }
}

variable "vpc_id" {
  description = "An existing VPC."
  type        = string
  default     = null

  validation {
    condition     = var.create_vpc == (var.vpc_id == null)
    error_message = "An existing VPC needs create_vpc = false and vpc_id."
  }
}

variable "subnet_ids" {
  description = "Private subnets of an existing VPC for the database, one for each of azs and in their order, each in its zone."
  type        = list(string)
  default     = []

  validation {
    condition     = var.create_vpc || length(var.subnet_ids) == length(var.azs)
    error_message = "subnet_ids has one subnet for each of azs, in their order."
  }
}

variable "subnet_cidr_blocks" {
  description = "Address ranges of subnet_ids, in their order. Needed for an instance: its address is all that tells which host answered."
  type        = list(string)
  default     = []

  validation {
    condition     = var.create_vpc || !contains(["instance", "existing-instance"], var.deployment) || length(var.subnet_cidr_blocks) == length(var.azs)
    error_message = "subnet_cidr_blocks has the range of each of subnet_ids: the probers of an instance tell its hosts apart by them."
  }
}

variable "function_subnet_ids" {
  description = "Subnets of an existing VPC for the functions, one for each of azs and in their order, each in its zone. Empty: those of the database."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.function_subnet_ids) == 0 || length(var.function_subnet_ids) == length(var.azs)
    error_message = "function_subnet_ids has one subnet for each of azs, in their order, or is empty."
  }
}

variable "route_table_ids" {
  description = "Route tables of the functions' subnets in an existing VPC, for the gateway endpoint."
  type        = list(string)
  default     = []
}

variable "create_vpc_endpoints" {
  description = "Whether to make the endpoints that the functions need. Null: only in a VPC made here."
  type        = bool
  default     = null

  validation {
    condition     = !var.create_vpc || var.create_vpc_endpoints != false
    error_message = "The VPC that this module makes has no other way to AWS: leave create_vpc_endpoints unset."
  }
}

variable "aws_egress_cidr" {
  description = "Where the functions reach AWS over HTTPS if no endpoints are made here: the range of the VPC's own endpoints, or everywhere behind a NAT gateway."
  type        = string
  default     = "0.0.0.0/0"
}

variable "flow_logs_enabled" {
  description = "Whether refused connections in a VPC made here are logged."
  type        = bool
  default     = true
}

variable "security_group_ingress_rules" {
  description = "Who else may reach PostgreSQL, by name: exactly one source each."
  type = map(object({
    description                  = optional(string)
    cidr_ipv4                    = optional(string)
    cidr_ipv6                    = optional(string)
    prefix_list_id               = optional(string)
    referenced_security_group_id = optional(string)
  }))
  default = {}

  validation {
    condition = alltrue([
      for rule in values(var.security_group_ingress_rules) :
      (rule.cidr_ipv4 == null || try(tonumber(split("/", rule.cidr_ipv4)[1]) >= 8, false))
      && (rule.cidr_ipv6 == null || try(tonumber(split("/", rule.cidr_ipv6)[1]) >= 32, false))
    ])
    error_message = "security_group_ingress_rules opens the database to half the Internet or more: name the networks of your applications, of /8 or narrower (IPv6: /32), or their security groups."
  }

  validation {
    condition = alltrue([
      for rule in values(var.security_group_ingress_rules) :
      length([for source in [rule.cidr_ipv4, rule.cidr_ipv6, rule.prefix_list_id, rule.referenced_security_group_id] : source if source != null]) == 1
    ])
    error_message = "Each of security_group_ingress_rules has one source: cidr_ipv4, cidr_ipv6, prefix_list_id or referenced_security_group_id."
  }
}

variable "security_group_id" {
  description = "Security group of an adopted database."
  type        = string
  default     = null

  validation {
    condition     = !startswith(var.deployment, "existing-") || var.security_group_id != null
    error_message = "An adopted database needs security_group_id, its security group: the functions must reach it."
  }
}

variable "manage_security_group_rule" {
  description = "Whether to add the rule for the functions to the security group of an adopted database. Turn off if that group's rules are written inline elsewhere, and add the output function_security_group_id there."
  type        = bool
  default     = true
}
