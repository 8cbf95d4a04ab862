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

variable "cluster_identifier" {
  description = "The cluster to adopt."
  type        = string
  default     = "orders"
}

variable "instance_class" {
  description = "Class of its instances."
  type        = string
  default     = "db.r7g.large"
}

variable "vpc_id" {
  description = "The VPC it is in."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of that VPC, in the order of azs."
  type        = list(string)
}

variable "route_table_ids" {
  description = "Route tables of those subnets."
  type        = list(string)
}
