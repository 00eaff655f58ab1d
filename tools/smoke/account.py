"""Checks of a deployed stack's resources: what AWS says of each is what its template says.

A check takes the clients and a resource, and yields findings; CHECKS has it under the resource's type.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tools.smoke.findings import Finding, attempt, expect, require
from tools.smoke.policies import grants, statements
from tools.smoke.stack import Connect, Resource, Stack

type Check = Callable[[Connect, Resource], Iterator[Finding]]


def check_account(stack: Stack, connect: Connect) -> Iterator[Finding]:
    """Yield what is found of the stack itself and of every resource that there is a check for."""
    # A deployment that was rolled back is complete, too.
    settled = stack.status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
    yield require(f"{stack.name}: status", "CREATE_COMPLETE or UPDATE_COMPLETE", stack.status, met=settled)
    yield expect(f"{stack.name}: resources", set(stack.declared()), set(stack.ids))
    for resource_type, check in CHECKS.items():
        for resource in stack.of_type(resource_type):
            yield from attempt(resource.logical_id, check(connect, resource))


def _api(connect: Connect, declared: Resource) -> Iterator[Finding]:
    pages = connect("apigatewayv2").get_paginator("get_routes").paginate(ApiId=declared.id)
    routes = {route["RouteKey"]: route.get("AuthorizationType", "NONE") for page in pages for route in page["Items"]}
    yield expect(f"{declared.logical_id}: routes, and who may call them", declared.stack.routes(), routes)


def _authorizer(connect: Connect, declared: Resource) -> Iterator[Finding]:
    properties = declared.properties
    pages = connect("apigatewayv2").get_paginator("get_authorizers").paginate(ApiId=properties["ApiId"])
    actual = {each["Name"]: each for page in pages for each in page["Items"]}.get(properties["Name"], {})
    expected = {name: value for name, value in properties.items() if name != "ApiId"}
    yield _declared(f"{declared.logical_id}: settings", expected, actual)


def _stage(connect: Connect, declared: Resource) -> Iterator[Finding]:
    properties = declared.properties
    actual = connect("apigatewayv2").get_stage(ApiId=properties["ApiId"], StageName=properties["StageName"])
    yield _declared(
        f"{declared.logical_id}: throttling", properties["DefaultRouteSettings"], actual.get("DefaultRouteSettings", {})
    )
    # They would go before the default.
    yield expect(
        f"{declared.logical_id}: settings of single routes",
        properties.get("RouteSettings", {}),
        actual.get("RouteSettings", {}),
    )
    # API Gateway may cut the ending off the log group's ARN.
    logs = (
        {key: value.removesuffix(":*") for key, value in side.get("AccessLogSettings", {}).items()}
        for side in (properties, actual)
    )
    yield expect(f"{declared.logical_id}: access log", *logs)


def _role(connect: Connect, declared: Resource) -> Iterator[Finding]:
    iam = connect("iam")
    trusted = iam.get_role(RoleName=declared.id)["Role"]["AssumeRolePolicyDocument"]
    yield expect(
        f"{declared.logical_id}: who may take it on",
        statements(declared.properties["AssumeRolePolicyDocument"]),
        statements(trusted),
    )

    more = (policy.properties for policy in declared.stack.of_type("AWS::IAM::Policy"))
    expected = [*declared.properties.get("Policies", []), *(each for each in more if declared.id in each["Roles"])]
    names = [
        name
        for page in iam.get_paginator("list_role_policies").paginate(RoleName=declared.id)
        for name in page["PolicyNames"]
    ]
    actual = [iam.get_role_policy(RoleName=declared.id, PolicyName=name) for name in names]
    granted = grants(actual)
    yield expect(f"{declared.logical_id}: what it may", grants(expected), granted)
    yield expect(f"{declared.logical_id}: no wildcard", set(), {grant for grant in granted if grant.wild})
    pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=declared.id)
    attached = {policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]}
    yield expect(
        f"{declared.logical_id}: managed policies", set(declared.properties.get("ManagedPolicyArns", [])), attached
    )


def _function(connect: Connect, declared: Resource) -> Iterator[Finding]:
    functions, properties = connect("lambda"), declared.properties
    actual = functions.get_function_configuration(FunctionName=declared.id)
    yield expect(f"{declared.logical_id}: role", properties["Role"], actual["Role"])
    settings = ("Architectures", "Environment", "Handler", "MemorySize", "Runtime", "Timeout", "TracingConfig")
    expected = {name: properties[name] for name in settings if name in properties}
    yield _declared(f"{declared.logical_id}: settings", expected, actual)
    reserved = functions.get_function_concurrency(FunctionName=declared.id).get("ReservedConcurrentExecutions")
    yield expect(
        f"{declared.logical_id}: reserved concurrency", properties.get("ReservedConcurrentExecutions"), reserved
    )


def _table(connect: Connect, declared: Resource) -> Iterator[Finding]:
    dynamodb, properties = connect("dynamodb"), declared.properties
    table = dynamodb.describe_table(TableName=declared.id)["Table"]
    # Of a table that DynamoDB encrypts with a key of its own, nothing is described.
    yield expect(
        f"{declared.logical_id}: encrypted with a key of KMS",
        "ENABLED" if properties.get("SSESpecification", {}).get("SSEEnabled") else None,
        table.get("SSEDescription", {}).get("Status"),
    )
    yield expect(
        f"{declared.logical_id}: deletion protection",
        properties.get("DeletionProtectionEnabled", False),
        table.get("DeletionProtectionEnabled", False),
    )
    backups = dynamodb.describe_continuous_backups(TableName=declared.id)["ContinuousBackupsDescription"]
    wanted = properties.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled")
    yield expect(
        f"{declared.logical_id}: point-in-time recovery",
        "ENABLED" if wanted else "DISABLED",
        backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"],
    )


def _bucket(connect: Connect, declared: Resource) -> Iterator[Finding]:
    s3, properties, bucket = connect("s3"), declared.properties, {"Bucket": declared.id}
    blocked = s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"]
    yield expect(
        f"{declared.logical_id}: closed to the public", properties["PublicAccessBlockConfiguration"], dict(blocked)
    )
    rules = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    yield expect(
        f"{declared.logical_id}: encryption",
        [
            rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"]
            for rule in properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        ],
        [rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in rules],
    )
    yield expect(
        f"{declared.logical_id}: versioning",
        properties.get("VersioningConfiguration", {}).get("Status"),
        s3.get_bucket_versioning(**bucket).get("Status"),
    )


def _bucket_policy(connect: Connect, declared: Resource) -> Iterator[Finding]:
    policy = connect("s3").get_bucket_policy(Bucket=declared.properties["Bucket"])["Policy"]
    yield _same_policy(declared, policy)


def _topic(connect: Connect, declared: Resource) -> Iterator[Finding]:
    pages = connect("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=declared.id)
    # One that is not confirmed yet has no ARN, but a word in its place.
    told = [each for page in pages for each in page["Subscriptions"] if each["SubscriptionArn"].startswith("arn:")]
    yield require(f"{declared.logical_id}: tells somebody", "a confirmed subscription", None, met=bool(told))


def _topic_policy(connect: Connect, declared: Resource) -> Iterator[Finding]:
    for topic in declared.properties["Topics"]:
        yield _same_policy(declared, connect("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])


def _queue(connect: Connect, declared: Resource) -> Iterator[Finding]:
    settings = ["MessageRetentionPeriod", "SqsManagedSseEnabled", "VisibilityTimeout"]
    actual = connect("sqs").get_queue_attributes(QueueUrl=declared.id, AttributeNames=settings)["Attributes"]
    expected = {name: str(declared.properties[name]).lower() for name in settings if name in declared.properties}
    yield _declared(f"{declared.logical_id}: settings", expected, actual)


def _queue_policy(connect: Connect, declared: Resource) -> Iterator[Finding]:
    for queue in declared.properties["Queues"]:
        answer = connect("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])
        yield _same_policy(declared, answer.get("Attributes", {}).get("Policy", '{"Statement": []}'))


def _alarm(connect: Connect, declared: Resource) -> Iterator[Finding]:
    alarms = connect("cloudwatch").describe_alarms(AlarmNames=[declared.id])["MetricAlarms"]
    actual = alarms[0] if alarms else {}
    # CloudFormation and CloudWatch use the same names.
    expected = {"ActionsEnabled": True, **declared.properties}
    expected.pop("Tags", None)
    yield _declared(f"{declared.logical_id}: settings", *map(_with_dimensions_in_order, (expected, actual)))
    state = actual.get("StateValue")
    why = f"{state} ({actual.get('StateReason')})"
    yield require(f"{declared.logical_id}: quiet", "OK or INSUFFICIENT_DATA", why, met=state != "ALARM")


def _log_group(connect: Connect, declared: Resource) -> Iterator[Finding]:
    pages = connect("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=declared.id)
    kept = {group["logGroupName"]: group.get("retentionInDays") for page in pages for group in page["logGroups"]}
    yield expect(
        f"{declared.logical_id}: retention in days", declared.properties.get("RetentionInDays"), kept.get(declared.id)
    )


CHECKS: Mapping[str, Check] = {
    "AWS::ApiGatewayV2::Api": _api,
    "AWS::ApiGatewayV2::Authorizer": _authorizer,
    "AWS::ApiGatewayV2::Stage": _stage,
    "AWS::IAM::Role": _role,
    "AWS::Lambda::Function": _function,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::DynamoDB::Table": _table,
    "AWS::S3::Bucket": _bucket,
    "AWS::S3::BucketPolicy": _bucket_policy,
    "AWS::SQS::Queue": _queue,
    "AWS::SQS::QueuePolicy": _queue_policy,
    "AWS::SNS::Topic": _topic,
    "AWS::SNS::TopicPolicy": _topic_policy,
    "AWS::CloudWatch::Alarm": _alarm,
}


def _with_dimensions_in_order(alarm: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an alarm with its dimensions by name: CloudWatch promises no order of them."""
    dimensions = sorted(alarm.get("Dimensions", []), key=lambda dimension: str(dimension["Name"]))
    return {**alarm, "Dimensions": dimensions}


def _declared(what: str, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Finding:
    """Return whether everything that is declared is so; AWS may describe more."""
    return expect(what, expected, {key: actual[key] for key in expected if key in actual})


def _same_policy(declared: Resource, actual: str) -> Finding:
    expected = statements(declared.properties["PolicyDocument"])
    return expect(f"{declared.logical_id}: what it says", expected, statements(json.loads(actual)))
