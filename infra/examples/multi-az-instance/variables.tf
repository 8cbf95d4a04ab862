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

variable "replica_region" {
  description = "Region of the replica."
  type        = string
  default     = "eu-west-1"
}

variable "replica_subnet_ids" {
  description = "Private subnets of that Region."
  type        = list(string)
}

variable "replica_security_group_ids" {
  description = "Security groups of that Region."
  type        = list(string)
}
