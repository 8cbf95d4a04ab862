#!/usr/bin/env python3
"""Tests the Terraform module with the real Terraform and the real AWS provider.

    installation.py quick   format, validation and the mocked tests
    installation.py fixture writes the last applied plan, without what no rule reads, to infra/tests/plans/complete.json
    installation.py all     the same as quick, plans of every example, and one installation from its first plan to its end:
                            apply, an empty plan, a failover, an empty plan again, destroy; and a scan by checkov

What cannot run here, for want of Terraform or of the provider, is counted as skipped and said. The result is
target/infra/summary.json. Where the provider lies in a folder instead of the registry, it is found and used from there.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import front as fronts  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
OUTPUT = ROOT / "target" / "infra"
MODULE = ROOT / "infra" / "module"
EXAMPLES = ROOT / "infra" / "examples"
ACCOUNT, REGION = "123456789012", "eu-central-1"
READY_LIMIT_S = 90
RUN_LIMIT_S = 1800
CHANNELS = {
    "on-call": {"protocol": "email", "endpoint": "on-call@example.org"},
    "phone": {"protocol": "sms", "endpoint": "+4930123456", "severities": ["critical"]},
}


class Failed(Exception):
    """A step that did not hold, with what was seen."""


def say(text):
    print(f"installation: {text}", flush=True)


def run(command, *, cwd=ROOT, env=None, check=True):
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, text=True, timeout=RUN_LIMIT_S,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))} in {cwd}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done


# Terraform and its provider.


def mirror():
    """A folder that holds the AWS provider, in the layout of a mirror; none if there is none on this machine."""
    found = run(["find", "/", "-xdev", "-name", "terraform-provider-aws_v*", "-not", "-path", "/proc/*",
                 "-not", "-path", "*/.terraform/*"], check=False).stdout.split()
    return next((Path(path).parents[5] for path in sorted(found) if len(Path(path).parents) > 6), None)


def terraform_environment():
    """The environment for Terraform, with a CLI configuration that finds a local mirror."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    env.update(CHECKPOINT_DISABLE="1", AWS_EC2_METADATA_DISABLED="true", TF_IN_AUTOMATION="1")
    config = OUTPUT / "terraform.rc"
    if not config.exists():
        folder = mirror()
        config.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{folder}"\n  }}\n}}\n' if folder else "")
    return {**env, "TF_CLI_CONFIG_FILE": str(config)}


def is_ready(env):
    """Whether Terraform is here and finds its provider; else why not."""
    if shutil.which("terraform") is None:
        return "terraform is not installed"
    done = run(["terraform", f"-chdir={MODULE}", "init", "-backend=false", "-input=false", "-no-color"], env=env, check=False)
    return None if done.returncode == 0 else f"the AWS provider is not to be had: {done.stderr.strip().splitlines()[-1:]}"


def quick(env):
    run(["terraform", "fmt", "-check", "-recursive", ROOT / "infra"], env=env)
    say("the format is right")
    for folder in [MODULE, *sorted(EXAMPLES.iterdir())]:
        run(["terraform", f"-chdir={folder}", "init", "-backend=false", "-input=false", "-no-color"], env=env)
        run(["terraform", f"-chdir={folder}", "validate", "-no-color"], env=env)
    say("module and examples are valid")
    tested = run(["terraform", f"-chdir={MODULE}", "test", "-no-color"], env=env).stdout
    counted = re.search(r"(\d+) passed, (\d+) failed", tested)
    say(f"mocked tests: {counted.group(0)}")
    return int(counted.group(1))


# The emulator and its front.


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def emulator():
    """The local AWS emulator on a port of the loopback address; it ends with us, however we end."""
    port, folder = free_port(), OUTPUT / "emulator"
    folder.mkdir(parents=True, exist_ok=True)
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder), "BIND_HOST": "127.0.0.1",
           "GATEWAY_PORT": str(port), "PERSIST_STATE": "0", "S3_PERSIST": "0", "IOT_MTLS_ENABLED": "0",
           "SFTP_ENABLED": "0", "DOCKER_HOST": "unix:///nonexistent/docker.sock", "LOG_LEVEL": "WARNING"}
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", ROOT / ".venv/bin/python", "-m", "ministack"],
                                   env=env, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        try:
            until = time.monotonic() + READY_LIMIT_S
            while not answers(port):
                if process.poll() is not None or time.monotonic() > until:
                    raise Failed(f"the emulator does not answer, see {folder / 'log'}")
                time.sleep(0.1)
            yield port
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def answers(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def rds(front, action, **parameters):
    """One call of the RDS API, as its answer's XML."""
    body = urllib.parse.urlencode({"Action": action, "Version": "2014-10-31", **parameters})
    headers = {"Content-Type": "application/x-www-form-urlencoded",
               "Authorization": f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/{REGION}/rds/aws4_request, SignedHeaders=host, Signature=0"}
    connection = http.client.HTTPConnection("127.0.0.1", int(front.endpoint.rsplit(":", 1)[1]), timeout=60)
    try:
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Failed(f"{action} answered {answer.status}: {text[:500]}")
        return ElementTree.fromstring(text)
    finally:
        connection.close()


def writer(front):
    described = rds(front, "DescribeDBClusters", DBClusterIdentifier="orders")
    members = fronts.each(described, "DBClusterMember")
    return next(fronts.text(one, "DBInstanceIdentifier") for one in members if fronts.text(one, "IsClusterWriter") == "true")


def fail_over(front):
    """Moves the writer's role, and waits until the control plane says so."""
    old = writer(front)
    target = "orders-two" if old != "orders-two" else "orders-three"
    rds(front, "FailoverDBCluster", DBClusterIdentifier="orders", TargetDBInstanceIdentifier=target)
    until = time.monotonic() + READY_LIMIT_S
    while writer(front) != target:
        if time.monotonic() > until:
            raise Failed(f"{old} still writes after FailoverDBCluster to {target}")
        time.sleep(0.2)
    say(f"the writer was {old} and is {target}")


# One installation, from its first plan to its end.


def tree():
    """A copy of module and examples: state and lock files stay out of the checkout."""
    folder = OUTPUT / "tree"
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("module", "examples"):
        shutil.copytree(ROOT / "infra" / part, folder / part, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    return folder


def package(infra):
    """Packs the functions as they were built, twice: the same input gives the same bytes."""
    bundle = OUTPUT / "global-bundle.pem"
    bundle.write_text("no certificate: the emulator's functions are never called\n")
    digests = []
    for name in ("packages", "packages-again"):
        listed = run([infra, "package", "--built", TARGET / "lambda", "--output", OUTPUT / name, "--ca-bundle", bundle]).stdout
        digests.append([line.split()[0] for line in listed.splitlines()])
    if digests[0] != digests[1]:
        raise Failed(f"packed twice, the bytes differ: {digests}")
    say(f"{len(digests[0])} packages, the same bytes twice")
    return OUTPUT / "packages"


def variables(packages):
    return {"TF_VAR_package_directory": str(packages), "TF_VAR_ca_bundle_package": str(packages / "ca-bundle.zip")}


def plan_json(env, folder, name, *arguments):
    """Plans, and returns what the plan holds."""
    file = OUTPUT / f"{name}.tfplan"
    run(["terraform", f"-chdir={folder}", "plan", "-input=false", "-no-color", f"-out={file}", *arguments], env=env)
    shown = run(["terraform", f"-chdir={folder}", "show", "-json", file], env=env).stdout
    (OUTPUT / f"{name}.json").write_text(shown)
    return json.loads(shown)


def changes(plan):
    """Addresses that a plan does something to."""
    return [f"{one['address']}: {'+'.join(one['change']['actions'])}" for one in plan["resource_changes"]
            if one["mode"] == "managed" and one["change"]["actions"] != ["no-op"]]


def counted(command, env):
    began = time.monotonic()
    output = run(command, env=env).stdout
    return round(time.monotonic() - began), output


def installation(infra, env, summary):
    packages = package(infra)
    folder = tree()
    complete = folder / "examples" / "complete"
    with emulator() as port:
        front = fronts.Front(port, ACCOUNT, REGION)
        try:
            env = {**env, **variables(packages), "AWS_ENDPOINT_URL": front.endpoint, "AWS_ACCESS_KEY_ID": ACCOUNT,
                   "AWS_SECRET_ACCESS_KEY": "none", "AWS_REGION": REGION}
            plan_examples(env, folder, summary)
            env["TF_VAR_notification_channels"] = json.dumps(CHANNELS)
            summary["apply_seconds"], output = counted([infra, "apply", "--directory", complete, "--yes"], env)
            say(f"applied in {summary['apply_seconds']} s: {output.strip().splitlines()[-1]}")
            again(env, complete, summary, "second_plan")
            fail_over(front)
            again(env, complete, summary, "plan_after_failover")
            check_applied(infra, env)
            plan_adopted(env, folder, summary)
            refuse_weakened(infra, env, complete, summary)
            summary["destroy_seconds"], output = counted([infra, "destroy", "--directory", complete, "--yes"], env)
            say(f"destroyed in {summary['destroy_seconds']} s: {output.strip().splitlines()[-1]}")
            if "aws_kms_key.database[0]: key" not in output or "is kept and taken out of the state" not in output:
                raise Failed(f"destroy does not say that it keeps the key of the last snapshot:\n{output[-2000:]}")
            left = run(["terraform", f"-chdir={complete}", "state", "list"], env=env).stdout.split()
            if left:
                raise Failed(f"destroy left {left}")
            bring_back_keys(env, complete, output)
        finally:
            (OUTPUT / "mends.json").write_text(json.dumps(front.mends.found, indent=2))
            front.close()
        summary["emulator_mends"] = len(front.mends.found)


def bring_back_keys(env, folder, output):
    """The lines that destroy prints import what it kept; the provider imports no key that is to be deleted."""
    kept = re.findall(r"^terraform import '([^']+)' '([^']+)'$", output, re.MULTILINE)
    if not any("aws_kms_key.database" in address for address, _ in kept):
        raise Failed(f"destroy does not print how the database's key comes back:\n{output[-2000:]}")
    for address, identifier in kept:
        run(["terraform", f"-chdir={folder}", "import", "-input=false", "-no-color", address, identifier], env=env)
    say(f"kept by destroy, and imported again: {', '.join(address for address, _ in kept)}")


def plan_examples(env, folder, summary):
    """How many resources each example makes."""
    summary["resources_planned"] = {}
    for name, given in (("complete", {}), ("multi-az-instance", {
            "TF_VAR_replica_subnet_ids": '["subnet-1","subnet-2"]', "TF_VAR_replica_security_group_ids": '["sg-1"]'})):
        example = folder / "examples" / name
        run(["terraform", f"-chdir={example}", "init", "-input=false", "-no-color"], env=env)
        plan = plan_json({**env, **given}, example, name)
        summary["resources_planned"][name] = len(changes(plan))
    say(f"resources planned: {summary['resources_planned']}")


def plan_adopted(env, folder, summary):
    """The cluster that was just made is adopted by another installation."""
    example = folder / "examples" / "existing-cluster"
    outputs = json.loads(run(["terraform", f"-chdir={folder / 'examples' / 'complete'}", "show", "-json"], env=env).stdout)
    subnets = [one for one in resources(outputs["values"]["root_module"]) if one["type"] == "aws_subnet" and one["name"] == "database"]
    table = next(one for one in resources(outputs["values"]["root_module"]) if one["type"] == "aws_route_table")
    given = {"TF_VAR_cluster_identifier": "orders", "TF_VAR_vpc_id": subnets[0]["values"]["vpc_id"],
             "TF_VAR_subnet_ids": json.dumps([one["values"]["id"] for one in subnets]),
             "TF_VAR_route_table_ids": json.dumps([table["values"]["id"]])}
    run(["terraform", f"-chdir={example}", "init", "-input=false", "-no-color"], env=env)
    plan = plan_json({**env, **given}, example, "existing-cluster")
    summary["resources_planned"]["existing-cluster"] = len(changes(plan))
    say(f"resources planned to adopt it: {summary['resources_planned']['existing-cluster']}")


def resources(module):
    found = list(module.get("resources", []))
    for inner in module.get("child_modules", []):
        found += resources(inner)
    return found


def again(env, folder, summary, name):
    """Plans once more: nothing may be left to do."""
    plan = plan_json(env, folder, name)
    found = changes(plan)
    summary[f"{name}_changes"] = len(found)
    summary["resources"] = len(resources(plan["planned_values"]["root_module"]))
    say(f"{name}: {len(found)} changes")
    if found:
        raise Failed(f"{name} is not empty: {found}")


def check_applied(infra, env):
    """What was applied breaks no rule; what it costs is said."""
    run([infra, "check", OUTPUT / "plan_after_failover.json", "--format", "sarif"], env=env)
    (OUTPUT / "cost.txt").write_text(run([infra, "cost", OUTPUT / "plan_after_failover.json"], env=env).stdout)
    say("what was applied breaks no rule of `infra check`")


def refuse_weakened(infra, env, folder, summary):
    """An apply without deletion protection is stopped, and goes on when it is meant: a destroy needs it."""
    main = folder / "main.tf"
    main.write_text(main.read_text().replace('  name = "orders"\n', '  name                = "orders"\n  deletion_protection = false\n', 1))
    refused = run([infra, "apply", "--directory", folder, "--yes"], env=env, check=False)
    if refused.returncode == 0 or "SF108" not in refused.stdout or "SF201" not in refused.stdout:
        raise Failed(f"an apply without deletion protection was not stopped:\n{refused.stdout[-2000:]}{refused.stderr[-2000:]}")
    run([infra, "apply", "--directory", folder, "--yes", "--despite-findings"], env=env)
    summary["stopped_without_protection"] = True
    say("an apply without deletion protection is stopped unless it is meant")


# What the code says of itself, and a scan by others.


def declared(summary):
    """Grants against calls, and plans that are weakened on purpose: tests of the code, counted."""
    cargo = ["cargo", "test", "--locked", "--release", "--target", host(), "--workspace"]
    plan = OUTPUT / "plan_after_failover.json"
    env = {**os.environ, **({"STEADFAST_PLAN": str(plan)} if plan.exists() else {})}
    grants = run([*cargo, "--test", "declared", "--", "--nocapture", "--test-threads=1"], env=env).stdout
    found = re.findall(r"^(\S+): (\d+) actions granted, (\d+) called$", grants, re.MULTILINE)
    summary["iam"] = {name: {"granted": int(granted), "called": int(called)} for name, granted, called in found}
    summary["surplus_iam_actions"] = sum(one["granted"] - one["called"] for one in summary["iam"].values())
    weakened = run([*cargo, "--test", "weakened", "--", "--nocapture", "--test-threads=1"], env=env).stdout
    counts = re.search(r"weakened: found (\d+) of (\d+)", weakened)
    summary["weakened_found"], summary["weakened_tried"] = int(counts.group(1)), int(counts.group(2))
    say(f"weakened plans found: {counts.group(1)} of {counts.group(2)}; surplus actions: {summary['surplus_iam_actions']}")


def host():
    return re.search(r"host: (\S+)", run(["rustc", "-vV"]).stdout).group(1)


def scan(summary):
    """checkov, in an environment of its own; each exception stands with its reason in the resource."""
    venv = OUTPUT / "checkov"
    if not (venv / "bin/checkov").exists():
        run([sys.executable, "-m", "venv", venv])
        run([venv / "bin/pip", "install", "--quiet", "checkov==3.2.*"])
    done = run([venv / "bin/checkov", "--config-file", "infra/.checkov.yaml", "--output", "json"], check=False)
    report = json.loads(done.stdout)
    reports = report if isinstance(report, list) else [report]
    summary["checkov_failed"] = sum(one["summary"]["failed"] for one in reports)
    summary["checkov_passed"] = sum(one["summary"]["passed"] for one in reports)
    summary["checkov_skipped"] = sum(one["summary"]["skipped"] for one in reports)
    say(f"checkov: {summary['checkov_passed']} passed, {summary['checkov_failed']} failed, {summary['checkov_skipped']} excepted")
    if summary["checkov_failed"]:
        raise Failed("checkov finds something, see its own output")


def fixture():
    """The plan over what was applied, for the tests that run without Terraform."""
    plan = json.loads((OUTPUT / "plan_after_failover.json").read_text())
    unread = {"filename", "tags", "tags_all", "dashboard_body", "source_code_hash", "code_sha256", "timeouts", "secret_string_wo_version"}
    lines = []
    for one in resources(plan["planned_values"]["root_module"]):
        values = {name: value for name, value in one["values"].items() if name not in unread and value not in (None, [], {}, "")}
        lines.append({"address": one["address"], "mode": one["mode"], "type": one["type"], "values": values})
    done = [{"address": one["address"], "type": one["type"], "change": {"actions": one["change"]["actions"]}}
            for one in plan["resource_changes"]]
    listed = ",\n".join(json.dumps(one, sort_keys=True) for one in lines)
    changed = ",\n".join(json.dumps(one, sort_keys=True) for one in done)
    to = ROOT / "infra/tests/plans/complete.json"
    to.write_text(f'{{"format_version":"{plan["format_version"]}","planned_values":{{"root_module":{{"resources":[\n{listed}\n]}}}},\n'
                  f'"resource_changes":[\n{changed}\n]}}\n')
    say(f"wrote {to.relative_to(ROOT)}")


def whole(infra, env, summary):
    missing = is_ready(env)
    steps = [("quick", lambda: summary.update(mocked_tests=quick(env))), ("installation", lambda: installation(infra, env, summary))]
    for name, step in steps:
        if missing:
            summary["skipped"].append({"step": name, "because": missing})
            say(f"skipped {name}: {missing}")
        else:
            step()
    declared(summary)
    try:
        scan(summary)
    except Failed as failure:
        if summary.get("checkov_failed") is not None:
            raise
        summary["skipped"].append({"step": "checkov", "because": str(failure).splitlines()[-1]})
        say(f"skipped checkov: {failure}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["quick", "fixture", "all"])
    parser.add_argument("--infra", type=Path, help="the infra program, for all")
    wanted = parser.parse_args()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    env = terraform_environment()
    if wanted.what == "fixture":
        return fixture()
    if wanted.what == "quick":
        missing = is_ready(env)
        if missing:
            return say(f"skipped: {missing}")
        return quick(env)
    summary = {"resources": None, "second_plan_changes": None, "plan_after_failover_changes": None, "checkov_failed": None,
               "surplus_iam_actions": None, "weakened_found": None, "weakened_tried": None, "skipped": []}
    try:
        whole(wanted.infra.resolve(), env, summary)
    finally:
        (OUTPUT / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        say(f"wrote {(OUTPUT / 'summary.json').relative_to(ROOT)}")
    return None


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        print(f"installation: {failure}", file=sys.stderr)
        sys.exit(1)
