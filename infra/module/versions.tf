terraform {
  # Write-only arguments and ephemeral resources keep passwords out of plans and state.
  required_version = ">= 1.11.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}
