variable "region" {
  description = "Region."
  type        = string
  default     = "eu-central-1"
}

variable "azs" {
  description = "Availability Zones of the Region."
  type        = list(string)
  default     = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
}

variable "package_directory" {
  description = "Where `make package` put the functions."
  type        = string
  default     = "../../../target/lambda"
}

variable "ca_bundle_package" {
  description = "A zip file that holds global-bundle.pem."
  type        = string
  default     = "../../../target/lambda/ca-bundle.zip"
}

variable "notification_channels" {
  description = "Who is told, by name. An HTTPS endpoint has to confirm its subscription while it is made."
  type = map(object({
    protocol   = string
    endpoint   = string
    severities = optional(list(string))
  }))
  default = {
    on-call  = { protocol = "email", endpoint = "on-call@example.org" }
    incident = { protocol = "https", endpoint = "https://incidents.example.org/sns", severities = ["critical"] }
    phone    = { protocol = "sms", endpoint = "+4930123456", severities = ["critical"] }
    chat     = { protocol = "https", endpoint = "https://chat.example.org/sns", severities = ["info", "warning", "critical"] }
  }
}
