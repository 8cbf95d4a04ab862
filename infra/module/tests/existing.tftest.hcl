# A cluster that is there already.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                    = "orders-watch"
  deployment              = "existing-cluster"
  azs                     = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  package_directory       = "./tests/packages"
  ca_bundle_package       = "./tests/packages/ca-bundle.zip"
  login_passwords         = { prober = "of-nobody", drainer = "of-nobody" }
  read_write_roles        = ["orders_app"]
  cluster_identifier      = "orders"
  cluster_members         = ["orders-a", "warehouse-b"]
  cluster_endpoint        = "orders.cluster-abc.eu-central-1.rds.amazonaws.com"
  cluster_reader_endpoint = "orders.cluster-ro-abc.eu-central-1.rds.amazonaws.com"
  cluster_instance_class  = "db.r7g.large"
  create_vpc              = false
  vpc_id                  = "vpc-1"
  subnet_ids              = ["subnet-a", "subnet-b", "subnet-c"]
  security_group_id       = "sg-1"
}

override_data {
  target = data.aws_subnet.listed["subnet_ids/eu-central-1a"]
  values = { availability_zone = "eu-central-1a" }
}

override_data {
  target = data.aws_subnet.listed["subnet_ids/eu-central-1b"]
  values = { availability_zone = "eu-central-1b" }
}

override_data {
  target = data.aws_subnet.listed["subnet_ids/eu-central-1c"]
  values = { availability_zone = "eu-central-1c" }
}

run "applies" {
  assert {
    condition     = length(aws_rds_cluster.this) + length(aws_db_instance.this) + length(aws_vpc.this) + length(aws_db_subnet_group.this) + length(aws_kms_key.database) == 0
    error_message = "nothing of the database is made"
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.database_from_functions[0].security_group_id == "sg-1" && length(aws_vpc_endpoint.interface) == 0
    error_message = "one rule in its security group, no endpoints unless asked for"
  }
  assert {
    condition     = contains(jsondecode(aws_cloudwatch_event_rule.this["rds"].event_pattern).detail.SourceIdentifier[*], "warehouse-b")
    error_message = "events of a member with another name are matched"
  }
  assert {
    condition     = contains(flatten([for statement in jsondecode(aws_iam_role_policy.function["promotion-coordinator"].policy).Statement : statement.Resource if contains(statement.Action, "rds:FailoverDBCluster")]), "arn:aws:rds:eu-central-1:123456789012:db:warehouse-b")
    error_message = "its members are the targets"
  }
}

run "a_rule_that_somebody_else_keeps" {
  command = plan
  variables {
    manage_security_group_rule = false
  }
  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.database_from_functions) == 0
    error_message = "the security group is left alone"
  }
}

run "an_instance_that_is_there" {
  command = plan
  variables {
    deployment             = "existing-instance"
    db_instance_identifier = "ledger"
    subnet_cidr_blocks     = ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]
  }
  assert {
    condition     = aws_lambda_function.this["promotion-coordinator"].environment[0].variables["STEADFAST_INSTANCE"] == "ledger"
    error_message = "it is watched"
  }
}

run "an_application_on_another_port" {
  command = plan
  variables {
    application_probe = true
    login_passwords   = { prober = "of-nobody", drainer = "of-nobody", application_probe = "of-nobody" }
    port              = 5433
  }
  assert {
    condition     = aws_lambda_function.this["application-probe"].environment[0].variables["STEADFAST_ENDPOINT"] == "orders.cluster-abc.eu-central-1.rds.amazonaws.com:5433"
    error_message = "it is led to the endpoint that is there"
  }
}

run "an_application_is_not_cut_off_with_the_zone_of_a_drill" {
  command = plan
  variables {
    application_probe   = true
    login_passwords     = { prober = "of-nobody", drainer = "of-nobody", application_probe = "of-nobody" }
    game_days           = {}
    create_drills       = true
    backup_verification = {}
    rotation            = { admin_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:admin-AbCdEf" }
  }
  assert {
    condition     = aws_lambda_function.this["application-probe"].vpc_config[0].subnet_ids == setsubtract(toset(var.subnet_ids), [var.subnet_ids[0]])
    error_message = "it shares the database's subnets, and stays out of the one that is cut off"
  }
}

run "without_a_security_group" {
  command = plan
  variables {
    security_group_id = null
  }
  expect_failures = [var.security_group_id]
}

run "with_one_member" {
  command = plan
  variables {
    cluster_members = ["orders-a"]
  }
  expect_failures = [var.cluster_members]
}

run "in_a_vpc_that_is_made" {
  command = plan
  variables {
    create_vpc = true
    vpc_id     = null
  }
  expect_failures = [var.create_vpc]
}

run "with_a_subnet_missing" {
  command = plan
  variables {
    subnet_ids = ["subnet-a", "subnet-b"]
  }
  expect_failures = [var.subnet_ids]
}

run "with_a_subnet_in_another_zone" {
  command = plan
  variables {
    function_subnet_ids = ["subnet-d", "subnet-e", "subnet-f"]
  }
  override_data {
    target = data.aws_subnet.listed["function_subnet_ids/eu-central-1a"]
    values = { availability_zone = "eu-central-1c" }
  }
  override_data {
    target = data.aws_subnet.listed["function_subnet_ids/eu-central-1b"]
    values = { availability_zone = "eu-central-1b" }
  }
  override_data {
    target = data.aws_subnet.listed["function_subnet_ids/eu-central-1c"]
    values = { availability_zone = "eu-central-1c" }
  }
  expect_failures = [data.aws_subnet.listed]
}

run "gateway_endpoint_without_route_tables" {
  command = plan
  variables {
    create_vpc_endpoints = true
  }
  expect_failures = [aws_vpc_endpoint.gateway]
}

run "rotation_by_nobody" {
  command = plan
  variables {
    rotation = {}
  }
  expect_failures = [var.rotation]
}

run "rotation_by_its_administrator" {
  command = plan
  variables {
    rotation = { admin_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders-admin-AbCdEf" }
  }
  assert {
    condition     = aws_lambda_function.this["secret-rotator"].environment[0].variables["STEADFAST_ADMIN_SECRET_ARN"] == "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders-admin-AbCdEf"
    error_message = "the named role changes passwords"
  }
}
