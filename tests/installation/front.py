"""A front of the local emulator, for Terraform's AWS provider.

It hands every request on, and mends what the emulator forgets or does not have. Each mend is of the emulator and not of
the installation: it brings back what the provider itself wrote before, and is counted with what the emulator had
answered instead: the tests write that to target/infra/mends.json. A mend is made only where the answer differs.
"""

import hashlib
import http.client
import http.server
import json
import re
import threading
import urllib.parse
import uuid
import xml.etree.ElementTree as ElementTree

SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")


PREFIXES = threading.Lock()


class Mends:
    """What was mended, by name: how often, and what the emulator had answered."""

    def __init__(self):
        self.lock = threading.Lock()
        self.found = {}

    def note(self, name, written, answered):
        with self.lock:
            entry = self.found.setdefault(name, {"times": 0, "written": written, "answered": answered})
            entry["times"] += 1


class Memory:
    """What the provider wrote, by kind and identifier."""

    def __init__(self):
        self.lock = threading.Lock()
        self.kinds = {}

    def put(self, kind, key, value):
        with self.lock:
            self.kinds.setdefault(kind, {})[key] = value

    def get(self, kind, key):
        with self.lock:
            return self.kinds.get(kind, {}).get(key)

    def drop(self, kind, key):
        with self.lock:
            return self.kinds.get(kind, {}).pop(key, None)

    def all(self, kind):
        with self.lock:
            return dict(self.kinds.get(kind, {}))


def form_of(body):
    return dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def items(form, prefix):
    """The values of `prefix.N`, in order."""
    found = [(int(name[len(prefix) + 1 :]), value) for name, value in form.items()
             if name.startswith(prefix + ".") and name[len(prefix) + 1 :].isdigit()]
    return [value for _, value in sorted(found)]


class Answer:
    """An answer on its way back: as XML, where it is some."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def tree(self):
        return ElementTree.fromstring(self.body)

    def write(self, tree):
        space = tree.tag[1:].split("}")[0] if tree.tag.startswith("{") else ""
        # The prefixes are one table for all threads.
        with PREFIXES:
            if space:
                ElementTree.register_namespace("", space)
            self.body = ElementTree.tostring(tree, encoding="utf-8", xml_declaration=True)


def each(tree, name):
    """All elements of a name, whatever their namespace; with that namespace."""
    for element in tree.iter():
        if element.tag.split("}")[-1] == name:
            yield element


def child(element, name):
    return next((one for one in element if one.tag.split("}")[-1] == name), None)


def text(element, name):
    found = child(element, name)
    return found.text if found is not None else None


def put(element, name, value=None):
    """Sets a child to a text, or empties it."""
    space = element.tag.split("}")[0] + "}" if element.tag.startswith("{") else ""
    found = child(element, name)
    if found is None:
        found = ElementTree.SubElement(element, space + name)
    for inner in list(found):
        found.remove(inner)
    found.text = value
    return found


def put_list(element, name, item, values):
    found = put(element, name)
    space = element.tag.split("}")[0] + "}" if element.tag.startswith("{") else ""
    for value in values:
        ElementTree.SubElement(found, space + item).text = value
    return found


# The emulator's CloudWatch reads alarms back without most of what was written.

CLOUDWATCH = "http://monitoring.amazonaws.com/doc/2010-08-01/"


def nested(form):
    """`A.member.1=x` as nested lists and dictionaries."""
    tree = {}
    for name, value in form.items():
        at = tree
        steps = name.split(".")
        for step in steps[:-1]:
            at = at.setdefault(step, {})
        at[steps[-1]] = value
    return tree


def write_nested(parent, value):
    if isinstance(value, str):
        parent.text = value
        return
    for name, inner in value.items():
        if name == "member":
            for _, one in sorted(inner.items(), key=lambda pair: int(pair[0])):
                write_nested(ElementTree.SubElement(parent, "member"), one)
        else:
            write_nested(ElementTree.SubElement(parent, name), inner)


def alarms(front, action, form, answer):
    if action in ("PutMetricAlarm", "PutCompositeAlarm"):
        kept = {name: value for name, value in form.items() if name not in ("Action", "Version") and not name.startswith("Tags.")}
        front.memory.put(action, form["AlarmName"], kept)
    elif action == "DeleteAlarms":
        for name in items(form, "AlarmNames.member"):
            front.memory.drop("PutMetricAlarm", name)
            front.memory.drop("PutCompositeAlarm", name)
    elif action == "DescribeAlarms":
        wanted = items(form, "AlarmNames.member")
        root = ElementTree.Element("DescribeAlarmsResponse", {"xmlns": CLOUDWATCH})
        result = ElementTree.SubElement(root, "DescribeAlarmsResult")
        for kind, name in (("PutMetricAlarm", "MetricAlarms"), ("PutCompositeAlarm", "CompositeAlarms")):
            listed = ElementTree.SubElement(result, name)
            for alarm, kept in front.memory.all(kind).items():
                if alarm not in wanted:
                    continue
                member = ElementTree.SubElement(listed, "member")
                write_nested(member, nested({"ActionsEnabled": "true", **kept}))
                ElementTree.SubElement(member, "AlarmArn").text = front.arn("cloudwatch", f"alarm:{alarm}")
                ElementTree.SubElement(member, "StateValue").text = "OK"
                missing = [key for key in ("AlarmDescription", "AlarmActions.member.1") if key in kept and kept[key] not in answer.body.decode("utf-8", "replace")]
                if missing:
                    front.mends.note("cloudwatch.DescribeAlarms", {key: kept[key] for key in missing}, "without them")
        ElementTree.SubElement(ElementTree.SubElement(root, "ResponseMetadata"), "RequestId").text = str(uuid.uuid4())
        answer.status, answer.body = 200, ElementTree.tostring(root, encoding="utf-8")


# EC2 forgets parts of flow logs, interface endpoints and of rules with prefix lists.


def compute(front, action, form, answer):
    if action == "CreateFlowLogs":
        for identifier in each(answer.tree(), "item"):
            front.memory.put("flow log", identifier.text, form)
    elif action == "CreateVpcEndpoint":
        identifier = next(each(answer.tree(), "vpcEndpointId"), None)
        if identifier is not None:
            front.memory.put("endpoint", identifier.text, form)
    elif action == "AuthorizeSecurityGroupEgress":
        identifier = next(each(answer.tree(), "securityGroupRuleId"), None)
        listed = form.get("IpPermissions.1.PrefixListIds.1.PrefixListId")
        if identifier is not None and listed:
            front.memory.put("prefix list", identifier.text, form)
    elif action == "DescribeFlowLogs":
        mend_flow_logs(front, answer)
    elif action == "DescribeVpcEndpoints":
        mend_endpoints(front, answer)
    elif action == "DescribeSecurityGroupRules":
        mend_rules(front, answer)


def mend_flow_logs(front, answer):
    tree = answer.tree()
    for item in each(tree, "item"):
        form = front.memory.get("flow log", text(item, "flowLogId"))
        if not form:
            continue
        written = {
            "deliverLogsPermissionArn": form.get("DeliverLogsPermissionArn"),
            "maxAggregationInterval": form.get("MaxAggregationInterval", "600"),
            "logGroupName": form.get("LogGroupName"),
            "logDestination": form.get("LogDestination"),
            "logDestinationType": form.get("LogDestinationType"),
        }
        for name, value in written.items():
            if value and text(item, name) != value:
                front.mends.note(f"ec2.DescribeFlowLogs.{name}", value, text(item, name))
                put(item, name, value)
        if text(item, "logFormat") is None:
            put(item, "logFormat", "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} "
                "${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}")
        mend_tags(front, item, form, "ec2.DescribeFlowLogs.tagSet")
    answer.write(tree)


def mend_tags(front, item, form, name):
    keys = {key: value for key, value in form.items() if re.fullmatch(r"TagSpecification\.1\.Tag\.\d+\.(Key|Value)", key)}
    tags = child(item, "tagSet")
    if not keys or (tags is not None and len(tags)):
        return
    front.mends.note(name, keys, None)
    tags = put(item, "tagSet")
    space = item.tag.split("}")[0] + "}" if item.tag.startswith("{") else ""
    for key in sorted(key for key in keys if key.endswith(".Key")):
        one = ElementTree.SubElement(tags, space + "item")
        ElementTree.SubElement(one, space + "key").text = keys[key]
        ElementTree.SubElement(one, space + "value").text = keys[key[:-3] + "Value"]


def mend_endpoints(front, answer):
    tree = answer.tree()
    for item in each(tree, "item"):
        form = front.memory.get("endpoint", text(item, "vpcEndpointId"))
        if not form:
            continue
        groups = items(form, "SecurityGroupId")
        listed = [text(one, "groupId") for one in child(item, "groupSet") or []]
        if groups and listed != groups:
            front.mends.note("ec2.DescribeVpcEndpoints.groupSet", groups, listed)
            found = put(item, "groupSet")
            space = item.tag.split("}")[0] + "}" if item.tag.startswith("{") else ""
            for group in groups:
                ElementTree.SubElement(ElementTree.SubElement(found, space + "item"), space + "groupId").text = group
        private = form.get("PrivateDnsEnabled", "false")
        if form.get("VpcEndpointType") == "Interface" and text(item, "privateDnsEnabled") != private:
            front.mends.note("ec2.DescribeVpcEndpoints.privateDnsEnabled", private, text(item, "privateDnsEnabled"))
            put(item, "privateDnsEnabled", private)
    answer.write(tree)


def mend_rules(front, answer):
    tree = answer.tree()
    for item in each(tree, "item"):
        form = front.memory.get("prefix list", text(item, "securityGroupRuleId"))
        if not form:
            continue
        written = {
            "prefixListId": form["IpPermissions.1.PrefixListIds.1.PrefixListId"],
            "description": form.get("IpPermissions.1.PrefixListIds.1.Description"),
        }
        for name, value in written.items():
            if value and text(item, name) != value:
                front.mends.note(f"ec2.DescribeSecurityGroupRules.{name}", value, text(item, name))
                put(item, name, value)
    answer.write(tree)


# RDS forgets exports and keys, and turns its endpoints into localhost on the second read.


def databases(front, action, form, answer):
    if action == "CreateDBCluster" and answer.status == 200:
        front.memory.put("cluster", form["DBClusterIdentifier"], form)
    elif action == "CreateDBInstance" and answer.status == 200:
        front.memory.put("instance", form["DBInstanceIdentifier"], form)
    if action.endswith(("DBCluster", "DBClusters")) and answer.status == 200:
        tree = answer.tree()
        for element in each(tree, "DBCluster"):
            mend_cluster(front, element)
        answer.write(tree)
    if action.endswith(("DBInstance", "DBInstances")) and answer.status == 200:
        tree = answer.tree()
        for element in each(tree, "DBInstance"):
            mend_instance(front, element)
        answer.write(tree)


def mend_cluster(front, element):
    identifier = text(element, "DBClusterIdentifier")
    form = front.memory.get("cluster", identifier)
    if not form:
        return
    # One name for good, whatever the emulator says; on AWS it does not change either.
    for name, role in (("Endpoint", "cluster"), ("ReaderEndpoint", "cluster-ro")):
        stable = f"{identifier}.{role}-c7steadfast.{front.region}.rds.amazonaws.com"
        if text(element, name) == "localhost":
            front.mends.note(f"rds.DescribeDBClusters.{name}", stable, "localhost")
        put(element, name, stable)
    exports = items(form, "EnableCloudwatchLogsExports.member")
    listed = [one.text for one in child(element, "EnabledCloudwatchLogsExports") or []]
    if exports and listed != exports:
        front.mends.note("rds.DescribeDBClusters.EnabledCloudwatchLogsExports", exports, listed)
        put_list(element, "EnabledCloudwatchLogsExports", "member", exports)


def mend_instance(front, element):
    form = front.memory.get("instance", text(element, "DBInstanceIdentifier"))
    if not form:
        return
    key = form.get("PerformanceInsightsKMSKeyId")
    if key and text(element, "PerformanceInsightsKMSKeyId") != key:
        front.mends.note("rds.DescribeDBInstances.PerformanceInsightsKMSKeyId", key, text(element, "PerformanceInsightsKMSKeyId"))
        put(element, "PerformanceInsightsKMSKeyId", key)


# Route 53 forgets the children of calculated health checks, and knows nothing of signed zones.


UNSIGNED = (b'<?xml version="1.0"?><GetDNSSECResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Status>'
            b"<ServeSignature>NOT_SIGNING</ServeSignature></Status><KeySigningKeys/></GetDNSSECResponse>")


def names(front, method, path, body, answer):
    if method == "GET" and path.endswith("/dnssec") and answer.status == 400:
        front.mends.note("route53.GetDNSSEC", "no signing", "no such route")
        answer.status, answer.body = 200, UNSIGNED
    if method == "POST" and path.endswith("/healthcheck") and answer.status < 300 and body:
        written = ElementTree.fromstring(body)
        children = [one.text for one in each(written, "ChildHealthCheck")]
        identifier = next(each(answer.tree(), "Id"), None)
        if children and identifier is not None:
            front.memory.put("health check", identifier.text, children)
    if "/healthcheck" in path and answer.status < 300 and answer.body and method != "DELETE":
        tree = answer.tree()
        for check in list(each(tree, "HealthCheck")):
            children = front.memory.get("health check", text(check, "Id"))
            config = child(check, "HealthCheckConfig")
            if not children or config is None:
                continue
            listed = [one.text for one in child(config, "ChildHealthChecks") or []]
            if listed != children:
                front.mends.note("route53.GetHealthCheck.ChildHealthChecks", children, listed)
                put_list(config, "ChildHealthChecks", "ChildHealthCheck", children)
        answer.write(tree)


# Fault injection is not there at all: templates are kept here, and no experiment is ever started.


def drills(front, method, path, body):
    front.mends.note("fis", "experiment templates", "no such service")
    parts = [urllib.parse.unquote(part) for part in path.split("?")[0].split("/") if part]
    if parts and parts[0] == "tags":
        return 200, {"tags": {}}
    if method == "POST" and parts == ["experimentTemplates"]:
        wanted = json.loads(body)
        identifier = "EXT" + hashlib.sha256(body).hexdigest()[:16]
        wanted.pop("clientToken", None)
        for action in wanted.get("actions", {}).values():
            action.setdefault("parameters", {})
        made = {**wanted, "id": identifier, "arn": front.arn("fis", f"experiment-template/{identifier}"),
                "creationTime": 1767225600, "lastUpdateTime": 1767225600}
        front.memory.put("template", identifier, made)
        return 200, {"experimentTemplate": made}
    kept = front.memory.get("template", parts[1]) if len(parts) == 2 else None
    if kept is None:
        return 404, {"message": f"Resource not found: {path}", "__type": "ResourceNotFoundException"}
    if method == "DELETE":
        front.memory.drop("template", parts[1])
    return 200, {"experimentTemplate": kept}


def notifications(front, method, path, body):
    """A backup vault's notifications, which the emulator's Backup does not have."""
    front.mends.note("backup.BackupVaultNotifications", "notifications of a vault", "no such route")
    vault = path.split("/")[2]
    if method == "PUT":
        front.memory.put("vault", vault, json.loads(body))
        return 200, {}
    if method == "DELETE":
        front.memory.drop("vault", vault)
        return 200, {}
    kept = front.memory.get("vault", vault)
    if kept is None:
        return 400, {"message": "no notifications", "__type": "ResourceNotFoundException"}
    return 200, {"BackupVaultName": vault, "BackupVaultArn": front.arn("backup", f"backup-vault:{vault}"), **kept}


def secrets(front, target, body, answer):
    """The end of a rotation's schedule, which the emulator's Secrets Manager cannot cancel."""
    if target == "secretsmanager.CancelRotateSecret" and b"Unknown action" in answer.body:
        front.mends.note("secretsmanager.CancelRotateSecret", "the end of a rotation", "unknown action")
        arn = json.loads(body)["SecretId"]
        answer.status, answer.body = 200, json.dumps({"ARN": arn, "Name": arn.split(":")[-1]}).encode()


class Front:
    """The front while it runs, on a free port of the loopback address."""

    def __init__(self, emulator, account, region):
        self.emulator, self.account, self.region = emulator, account, region
        self.memory, self.mends = Memory(), Mends()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"

    def arn(self, service, resource):
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def hand_on(self, method, path, headers, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.emulator, timeout=120)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()


def handler(front):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found = SCOPE.search(self.headers.get("Authorization", ""))
            service = found.group(1) if found else ""
            if service == "fis":
                return self.reply_json(*drills(front, self.command, self.path, body))
            if service == "backup" and self.path.endswith("/notification-configuration"):
                return self.reply_json(*notifications(front, self.command, self.path, body))
            skipped = ("host", "content-length", "connection", "transfer-encoding", "accept-encoding")
            headers = {name: value for name, value in self.headers.items() if name.lower() not in skipped}
            answer = front.hand_on(self.command, self.path, headers, body)
            form = form_of(body) if service in ("monitoring", "ec2", "rds") else {}
            action = form.get("Action", "")
            if service == "monitoring":
                alarms(front, action, form, answer)
            elif service == "ec2" and answer.status == 200:
                compute(front, action, form, answer)
            elif service == "rds":
                databases(front, action, form, answer)
            elif service == "secretsmanager":
                secrets(front, self.headers.get("X-Amz-Target", ""), body, answer)
            elif service == "route53":
                names(front, self.command, self.path, body, answer)
            return self.reply(answer)

        def reply_json(self, status, value):
            body = json.dumps(value).encode()
            kind = value.get("__type")
            headers = [("Content-Type", "application/json")] + ([("x-amzn-ErrorType", kind)] if kind else [])
            self.reply(Answer(status, headers, body))

        def reply(self, answer):
            self.send_response(answer.status)
            for name, value in answer.headers:
                if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = answer

    return Handler
