"""The template that `sls package` makes of serverless.yml, without an account or a network."""

from __future__ import annotations

import importlib.util
import json
import marshal
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Collection, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from databases import boto3_at
from packages import Package, Packager, listed

from dynamodb import MAX_CALL_S
from keys import KeysTable
from receipts import FilesTable
from repository import VisitsTable
from tools import local_cloud

STAGES = ["local", "dev", "staging", "prod", "anyones-own"]

MAX_PACKAGE_BYTES = 300_000
MAX_LAYER_BYTES = 4_000_000

ALARMS = {
    "AuthorizeReaderErrorsAlarm",
    "AuthorizeReaderThrottlesAlarm",
    "CountsReadThrottlesAlarm",
    "CountsWriteThrottlesAlarm",
    "FailedEventsAlarm",
    "GetPageErrorsAlarm",
    "GetPageThrottlesAlarm",
    "GetVisitsErrorsAlarm",
    "GetVisitsThrottlesAlarm",
    "IndexReadThrottlesAlarm",
    "IndexWriteThrottlesAlarm",
    "IngestFileErrorsAlarm",
    "IngestFileThrottlesAlarm",
    "LatencyAlarm",
    "ListVisitsErrorsAlarm",
    "ListVisitsThrottlesAlarm",
    "ReceiptsThrottlesAlarm",
    "RefusedFilesAlarm",
    "RejectedRowsAlarm",
    "ServerErrorsAlarm",
    "UndeliveredEventsAlarm",
}


def test_the_stack_is_what_it_is(package: Packager) -> None:
    """No resource comes or goes unseen."""
    assert {
        "AlertsTopic": "AWS::SNS::Topic",
        "AlertsTopicPolicy": "AWS::SNS::TopicPolicy",
        "AuthorizeReaderLambdaFunction": "AWS::Lambda::Function",
        "AuthorizeReaderLogGroup": "AWS::Logs::LogGroup",
        "AuthorizeReaderRole": "AWS::IAM::Role",
        "Dashboard": "AWS::CloudWatch::Dashboard",
        "FailedEvents": "AWS::SQS::Queue",
        "FailedEventsPolicy": "AWS::SQS::QueuePolicy",
        "FilesTable": "AWS::DynamoDB::Table",
        "GetPageLambdaFunction": "AWS::Lambda::Function",
        "GetPageLambdaPermissionHttpApi": "AWS::Lambda::Permission",
        "GetPageLogGroup": "AWS::Logs::LogGroup",
        "GetPageRole": "AWS::IAM::Role",
        "GetVisitsLambdaFunction": "AWS::Lambda::Function",
        "GetVisitsLambdaPermissionHttpApi": "AWS::Lambda::Permission",
        "GetVisitsLogGroup": "AWS::Logs::LogGroup",
        "GetVisitsRole": "AWS::IAM::Role",
        "HttpApi": "AWS::ApiGatewayV2::Api",
        "HttpApiIntegrationGetPage": "AWS::ApiGatewayV2::Integration",
        "HttpApiIntegrationGetVisits": "AWS::ApiGatewayV2::Integration",
        "HttpApiIntegrationListVisits": "AWS::ApiGatewayV2::Integration",
        "HttpApiLogGroup": "AWS::Logs::LogGroup",
        "HttpApiRouteGetVisits": "AWS::ApiGatewayV2::Route",
        "HttpApiRouteGetVisitsResourceidVar": "AWS::ApiGatewayV2::Route",
        "HttpApiRouteGetVisitsResourceidVarChart": "AWS::ApiGatewayV2::Route",
        "HttpApiRouteHeadVisits": "AWS::ApiGatewayV2::Route",
        "HttpApiRouteHeadVisitsResourceidVar": "AWS::ApiGatewayV2::Route",
        "HttpApiRouteHeadVisitsResourceidVarChart": "AWS::ApiGatewayV2::Route",
        "HttpApiStage": "AWS::ApiGatewayV2::Stage",
        "Inbox": "AWS::S3::Bucket",
        "InboxMayInvokeIngestFile": "AWS::Lambda::Permission",
        "InboxPolicy": "AWS::S3::BucketPolicy",
        "IngestFileInboxPolicy": "AWS::IAM::Policy",
        "IngestFileLambdaEvConf": "AWS::Lambda::EventInvokeConfig",
        "IngestFileLambdaFunction": "AWS::Lambda::Function",
        "IngestFileLogGroup": "AWS::Logs::LogGroup",
        "IngestFileRole": "AWS::IAM::Role",
        "KeysTable": "AWS::DynamoDB::Table",
        "ListVisitsLambdaFunction": "AWS::Lambda::Function",
        "ListVisitsLambdaPermissionHttpApi": "AWS::Lambda::Permission",
        "ListVisitsLogGroup": "AWS::Logs::LogGroup",
        "ListVisitsRole": "AWS::IAM::Role",
        "PythonRequirementsLambdaLayer": "AWS::Lambda::LayerVersion",
        "ServerlessDeploymentBucket": "AWS::S3::Bucket",
        "ServerlessDeploymentBucketPolicy": "AWS::S3::BucketPolicy",
        "VisitsTable": "AWS::DynamoDB::Table",
        **dict.fromkeys(ALARMS, "AWS::CloudWatch::Alarm"),
    } == {name: resource["Type"] for name, resource in package("dev").template["Resources"].items()}


NAMES = {
    "AWS::ApiGatewayV2::Api": None,  # several APIs may have one name
    "AWS::ApiGatewayV2::Authorizer": None,
    "AWS::ApiGatewayV2::Integration": None,
    "AWS::ApiGatewayV2::Route": None,
    "AWS::ApiGatewayV2::Stage": None,
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::IAM::Policy": None,  # within its role
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::EventInvokeConfig": None,
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Lambda::LayerVersion": "LayerName",
    "AWS::Lambda::Permission": None,
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::S3::BucketPolicy": None,
    "AWS::SNS::Topic": "TopicName",
    "AWS::SNS::TopicPolicy": None,
    "AWS::SQS::Queue": "QueueName",
    "AWS::SQS::QueuePolicy": None,
}
"""The property that names a resource of each type; None where a name is not needed or may be there twice."""

OF_ALL_REGIONS = {"AWS::CloudWatch::Dashboard", "AWS::IAM::Role", "AWS::S3::Bucket"}
"""The types whose names AWS has once for all regions; of the others it has them once a region."""


def names(package: Package, types: Collection[str] = NAMES.keys()) -> set[tuple[str, str]]:
    """Return the names that a template gives to resources of some types, by their type."""
    resources = package.template["Resources"].values()
    named = ((each["Type"], each.get("Properties", {}).get(NAMES[each["Type"]])) for each in resources)
    return {(resource_type, name) for resource_type, name in named if name and resource_type in types}


@pytest.mark.parametrize(("one", "other"), list(combinations(STAGES, 2)))
def test_two_stages_in_one_region_share_no_name(package: Packager, one: str, other: str) -> None:
    """Two stages of one account and region never meet: no resource of both has the same name."""
    assert len(names(package(one))) > len(ALARMS)
    assert set() == names(package(one)) & names(package(other))


def test_one_stage_in_two_regions_shares_no_name_that_aws_has_once(package: Packager) -> None:
    """The same stage can be deployed to two regions: what is named for all regions has a name of its own in each."""
    here, there = (names(package("dev", region=region), OF_ALL_REGIONS) for region in ("eu-west-1", "us-east-1"))

    assert here
    assert set() == here & there
    # Bucket names are those of all accounts, so CloudFormation makes them.
    assert {"AWS::CloudWatch::Dashboard"} == {resource_type for resource_type, _ in here}


def test_the_names_are_those_that_the_command_line_knows(package: Packager) -> None:
    """Tables and functions are found by the stage's name alone."""
    assert {
        "user-visits-dev",
        "visit-files-dev",
        "visit-keys-dev",
        "visits-dev-getVisits",
        "visits-dev-ingestFile",
    } <= {name for _, name in names(package("dev"))}
    variables = package("dev").resource("IngestFileLambdaFunction")["Environment"]["Variables"]
    assert ("dev", "user-visits-dev", "visit-files-dev") == (
        variables["STAGE"],
        variables["VISITS_TABLE"],
        variables["FILES_TABLE"],
    )


RETAINED = {
    f"{logical_id}.{policy}": ("Delete", value)
    for logical_id in ("VisitsTable", "FilesTable", "KeysTable", "Inbox", "InboxPolicy")
    # A first deployment that fails deletes what it created, so that it can be repeated.
    for policy, value in (("DeletionPolicy", "RetainExceptOnCreate"), ("UpdateReplacePolicy", "Retain"))
}
PROTECTED = {
    f"{logical_id}.Properties.DeletionProtectionEnabled": (False, True)
    for logical_id in ("VisitsTable", "FilesTable", "KeysTable")
}
AUTHORIZED = {
    **{
        f"HttpApiRoute{route}.Properties.AuthorizationType": (None, "AWS_IAM")
        for route in ("GetVisits", "HeadVisits", "GetVisitsResourceidVar", "HeadVisitsResourceidVar")
    },
    **{
        f"{function}LambdaFunction.Properties.Environment.Variables.CACHE_CONTROL": (
            "public, max-age=60",
            "private, max-age=60",
        )
        for function in ("GetVisits", "ListVisits")
    },
}
LOADED = {
    "HttpApiStage.Properties.DefaultRouteSettings.ThrottlingRateLimit": (50, 500),
    "HttpApiStage.Properties.DefaultRouteSettings.ThrottlingBurstLimit": (100, 1000),
}


def logged(before: int, after: int) -> dict[str, tuple[object, object]]:
    groups = ("GetVisits", "ListVisits", "GetPage", "AuthorizeReader", "IngestFile", "HttpApi")
    return {f"{name}LogGroup.Properties.RetentionInDays": (before, after) for name in groups}


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("anyones-own", {}),
        ("staging", AUTHORIZED | LOADED),
        ("prod", AUTHORIZED | LOADED | PROTECTED | RETAINED | logged(14, 90)),
        (
            "local",
            {
                f"{name}LambdaFunction.Properties.Environment.Variables.CACHE_CONTROL": (
                    "public, max-age=60",
                    "public, max-age=0",
                )
                for name in ("GetVisits", "ListVisits", "GetPage")
            }
            | logged(14, 1),
        ),
    ],
)
def test_stages_differ_in_what_params_say_and_in_nothing_else(
    package: Packager, stage: str, expected: dict[str, tuple[object, object]]
) -> None:
    """Each against `dev`, which has the defaults, down to the last property; the stage's name aside."""
    dev, other = leaves(package("dev"), "dev"), leaves(package(stage), stage)

    different = {path: (dev.get(path), other.get(path)) for path in dev | other if dev.get(path) != other.get(path)}
    assert expected == different
    demanded = "false" if stage == "local" else "true"
    assert {"TlsOnly": {"Fn::Equals": [demanded, "true"]}} == package(stage).template["Conditions"]


def leaves(package: Package, stage: str) -> dict[str, object]:
    """Return every value of a stage's resources by its path, without the stage's name."""
    found: dict[str, object] = {}

    def walk(path: str, value: object) -> None:
        if isinstance(value, dict):
            for name, part in value.items():
                walk(f"{path}.{name}" if path else name, part)
        elif isinstance(value, list):
            for number, part in enumerate(value):
                walk(f"{path}.{number}", part)
        elif not path.endswith(".S3Key"):  # it has the time of packaging in it
            found[path] = re.sub(rf"\b{stage}\b", "<stage>", value) if isinstance(value, str) else value

    walk("", package.template["Resources"])
    return found


@pytest.mark.parametrize(("name", "entry_point"), [("GetVisits", "get_visits"), ("ListVisits", "list_visits")])
def test_the_function_runs_as_designed(package: Packager, name: str, entry_point: str) -> None:
    """It has its runtime, entry point, role, JSON logs, and a timeout beyond the client's own."""
    function = package("dev").resource(f"{name}LambdaFunction")

    assert f"handler.{entry_point}" == function["Handler"]
    assert "python3.13" == function["Runtime"]
    assert ["arm64"] == function["Architectures"]
    assert {"Fn::GetAtt": [f"{name}Role", "Arn"]} == function["Role"]
    assert "JSON" == function["LoggingConfig"]["LogFormat"]
    # Below API Gateway's 30 s, above what one call to DynamoDB can take at worst.
    assert MAX_CALL_S < function["Timeout"] < 30


def test_the_page_has_a_function_of_its_own(package: Packager) -> None:
    """With nothing in its environment that it could reach a count by, and nobody asked who they are."""
    dev = package("dev")
    function = dev.resource("GetPageLambdaFunction")

    assert "pages.get_page" == function["Handler"]
    assert "python3.13" == function["Runtime"]
    assert ["arm64"] == function["Architectures"]
    assert {"Fn::GetAtt": ["GetPageRole", "Arn"]} == function["Role"]
    assert "JSON" == function["LoggingConfig"]["LogFormat"]
    assert {"CACHE_CONTROL": "public, max-age=60"} == function["Environment"]["Variables"]
    route = dev.resource("HttpApiRouteGetVisitsResourceidVarChart")
    assert "GET /visits/{resourceId}/chart" == route["RouteKey"]
    assert "NONE" == route.get("AuthorizationType", "NONE")


def test_the_converter_runs_as_designed(package: Packager) -> None:
    """Its time, its memory, and what its environment names: all that ingestion.py reads and nothing else."""
    converter = package("dev").resource("IngestFileLambdaFunction")

    assert "ingestion.ingest_file" == converter["Handler"]
    assert "python3.13" == converter["Runtime"]
    assert ["arm64"] == converter["Architectures"]
    assert 900 == converter["Timeout"]
    assert 1769 == converter["MemorySize"]
    assert {"Fn::GetAtt": ["IngestFileRole", "Arn"]} == converter["Role"]
    assert "JSON" == converter["LoggingConfig"]["LogFormat"]
    assert {
        "STAGE": "dev",
        "VISITS_TABLE": "user-visits-dev",
        "FILES_TABLE": "visit-files-dev",
        "ALERTS_TOPIC_ARN": {"Ref": "AlertsTopic"},
        "MAX_FILE_BYTES": str(256 * 1024**2),
        "MAX_UNCOMPRESSED_BYTES": str(1024**3),
        "MAX_LINE_BYTES": str(64 * 1024),
        "MAX_PAIRS": "100000",
        "MAX_REJECTED_BYTES": str(64 * 1024**2),
        "SOURCES_FILE": "sources.toml",
    } == converter["Environment"]["Variables"]


def test_a_file_that_fails_is_retried_twice_and_then_kept(package: Packager) -> None:
    """For 14 days; while a replay runs the function, nobody else gets the event."""
    dev = package("dev")
    queue, converter = dev.resource("FailedEvents"), dev.resource("IngestFileLambdaFunction")

    assert {
        "FunctionName": {"Ref": "IngestFileLambdaFunction"},
        "Qualifier": "$LATEST",
        "MaximumRetryAttempts": 2,
        "MaximumEventAgeInSeconds": 6 * 60 * 60,
        "DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["FailedEvents", "Arn"]}}},
    } == dev.resource("IngestFileLambdaEvConf")
    assert 14 * 24 * 60 * 60 == queue["MessageRetentionPeriod"]
    assert converter["Timeout"] < queue["VisibilityTimeout"]
    assert queue["SqsManagedSseEnabled"] is True


def test_the_inbox_is_locked_down(package: Packager) -> None:
    """Encrypted, versioned, without access lists, closed to the public."""
    inbox = package("dev").resource("Inbox")

    assert [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}] == inbox["BucketEncryption"][
        "ServerSideEncryptionConfiguration"
    ]
    assert {"Status": "Enabled"} == inbox["VersioningConfiguration"]
    assert {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]} == inbox["OwnershipControls"]
    assert {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    } == inbox["PublicAccessBlockConfiguration"]


def test_a_file_under_incoming_leads_to_the_converter(package: Packager) -> None:
    """And nothing else does: what the converter writes would call it again."""
    dev = package("dev")
    converter = {"Fn::GetAtt": ["IngestFileLambdaFunction", "Arn"]}

    assert {
        "LambdaConfigurations": [
            {
                "Event": "s3:ObjectCreated:*",
                "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "incoming/"}]}},
                "Function": converter,
            }
        ]
    } == dev.resource("Inbox")["NotificationConfiguration"]
    assert {
        "Action": "lambda:InvokeFunction",
        "FunctionName": converter,
        "Principal": "s3.amazonaws.com",
        "SourceAccount": {"Ref": "AWS::AccountId"},
        "SourceArn": {"Fn::Sub": "arn:${AWS::Partition}:s3:::visits-*"},
    } == dev.resource("InboxMayInvokeIngestFile")
    # S3 tries the notification when it is set: the permission has to be there before.
    assert "InboxMayInvokeIngestFile" in dev.template["Resources"]["Inbox"]["DependsOn"]


def test_the_command_line_finds_what_it_needs_in_the_outputs(package: Packager) -> None:
    """`upload` the inbox, `replay` the queue, an operator the topic."""
    outputs = package("dev").template["Outputs"]

    assert {
        "InboxName": {"Ref": "Inbox"},
        "FailedEventsUrl": {"Ref": "FailedEvents"},
        "AlertsTopicArn": {"Ref": "AlertsTopic"},
    } == {name: outputs[name]["Value"] for name in ("InboxName", "FailedEventsUrl", "AlertsTopicArn")}


def test_the_route_leads_to_the_function(package: Packager) -> None:
    """Payload format 2.0; pages of any origin may ask, and read what helps them to go on."""
    dev = package("dev")

    cors = dev.resource("HttpApi")["CorsConfiguration"]
    assert (["*"], ["GET", "HEAD"]) == (cors["AllowOrigins"], cors["AllowMethods"])
    assert ["ETag", "Link", "Retry-After"] == cors["ExposeHeaders"]
    assert {"Authorization", "If-None-Match"} < set(cors["AllowHeaders"])

    assert "GET /visits/{resourceId}" == dev.resource("HttpApiRouteGetVisitsResourceidVar")["RouteKey"]
    assert "2.0" == dev.resource("HttpApiIntegrationGetVisits")["PayloadFormatVersion"]


def statements_of(role: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a role may, which is in one policy of its own; check that Lambda alone may take it on."""
    assert [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}] == role[
        "AssumeRolePolicyDocument"
    ]["Statement"]
    assert {"AssumeRolePolicyDocument", "PermissionsBoundary", "Policies"} == set(role)
    (policy,) = role["Policies"]
    statements: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return statements


TRACING = {"Effect": "Allow", "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "Resource": "*"}


def test_the_role_may_query_its_table_and_write_its_log(package: Packager) -> None:
    """And may do nothing else; only Lambda may take it on."""
    assert [
        {"Effect": "Allow", "Action": "dynamodb:Query", "Resource": {"Fn::GetAtt": ["VisitsTable", "Arn"]}},
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": {"Fn::GetAtt": ["GetVisitsLogGroup", "Arn"]},
        },
        TRACING,
    ] == statements_of(package("dev").resource("GetVisitsRole"))


def test_the_lists_role_may_query_the_counts_by_event_and_by_day(package: Packager) -> None:
    """`all` says which days were loaded, the index which events a day has; only Lambda may take the role on."""
    assert [
        {"Effect": "Allow", "Action": "dynamodb:Query", "Resource": {"Fn::GetAtt": ["VisitsTable", "Arn"]}},
        {
            "Effect": "Allow",
            "Action": "dynamodb:Query",
            "Resource": {"Fn::Sub": "${VisitsTable.Arn}/index/EventsByDay"},
        },
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": {"Fn::GetAtt": ["ListVisitsLogGroup", "Arn"]},
        },
        TRACING,
    ] == statements_of(package("dev").resource("ListVisitsRole"))


def test_the_list_has_a_throttle_of_its_own(package: Packager) -> None:
    """Its routes come before their settings, which CloudFormation does not know by itself."""
    stage = package("dev", listRequestsPerSecond="7").template["Resources"]["HttpApiStage"]
    settings = {"ThrottlingRateLimit": "7", "ThrottlingBurstLimit": 10, "DetailedMetricsEnabled": False}

    assert {"GET /visits": settings, "HEAD /visits": settings} == stage["Properties"]["RouteSettings"]
    assert {"HttpApiRouteGetVisits", "HttpApiRouteHeadVisits"} <= set(stage["DependsOn"])


def test_the_pages_role_may_write_its_log(package: Packager) -> None:
    """And may do nothing else; only Lambda may take it on."""
    assert [
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": {"Fn::GetAtt": ["GetPageLogGroup", "Arn"]},
        },
        TRACING,
    ] == statements_of(package("dev").resource("GetPageRole"))


def test_the_converters_role_may_do_what_a_file_needs(package: Packager) -> None:
    """Read the incoming, write the rejected, count, tell, hand a failed event over; only Lambda may take it on."""
    dev = package("dev")
    assert [
        {"Effect": "Allow", "Action": "dynamodb:UpdateItem", "Resource": {"Fn::GetAtt": ["VisitsTable", "Arn"]}},
        {
            "Effect": "Allow",
            "Action": ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            "Resource": {"Fn::GetAtt": ["FilesTable", "Arn"]},
        },
        {"Effect": "Allow", "Action": "sns:Publish", "Resource": {"Ref": "AlertsTopic"}},
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": {"Fn::GetAtt": ["FailedEvents", "Arn"]}},
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": {"Fn::GetAtt": ["IngestFileLogGroup", "Arn"]},
        },
        TRACING,
    ] == statements_of(dev.resource("IngestFileRole"))

    inbox = dev.resource("IngestFileInboxPolicy")
    assert [{"Ref": "IngestFileRole"}] == inbox["Roles"]
    assert not {"Users", "Groups"} & set(inbox)
    assert [
        {
            "Effect": "Allow",
            "Action": "s3:GetObjectVersion",
            "Resource": {"Fn::Sub": "${Inbox.Arn}/incoming/*"},
        },
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": {"Fn::Sub": "${Inbox.Arn}/rejected/*"}},
    ] == inbox["PolicyDocument"]["Statement"]


WILDCARDS = {
    "${Inbox.Arn}/incoming/*": "the objects under a prefix: their names are the third party's to choose",
    "${Inbox.Arn}/rejected/*": "the same names, under another prefix",
    "*": "X-Ray has no resources to name",
}


@pytest.mark.parametrize("stage", STAGES)
def test_no_role_has_a_wildcard_without_a_reason(package: Packager, stage: str) -> None:
    """Every statement of every role allows named actions on named resources."""
    statements = list(allowed(package(stage)))

    assert all("*" not in action for statement in statements for action in listed(statement["Action"]))
    wild = [(text, each) for each in statements for text in texts(each["Resource"]) if "*" in text]
    assert set(WILDCARDS) == {text for text, _ in wild}
    assert all(TRACING == each for text, each in wild if text == "*")
    # NotAction, NotResource and managed policies would allow more than they name.
    assert {frozenset({"Effect", "Action", "Resource"})} == {frozenset(statement) for statement in statements}
    assert "ManagedPolic" not in json.dumps(package(stage).template)


def test_who_comes_without_tls_is_turned_away(package: Packager) -> None:
    """From inbox, topic and queue, whatever is asked of them; where the stage's param says so."""
    dev = package("dev")
    denied = {"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*"}
    condition = {"Condition": {"Bool": {"aws:SecureTransport": False}}}
    inbox, queue, topic = (
        {"Fn::GetAtt": ["Inbox", "Arn"]},
        {"Fn::GetAtt": ["FailedEvents", "Arn"]},
        {"Ref": "AlertsTopic"},
    )

    def if_tls_only(statement: dict[str, Any]) -> dict[str, Any]:
        return {"Fn::If": ["TlsOnly", denied | statement | condition, {"Ref": "AWS::NoValue"}]}

    assert if_tls_only({"Action": "s3:*", "Resource": [inbox, {"Fn::Sub": "${Inbox.Arn}/*"}]}) == statement(
        dev, "InboxPolicy", 1
    )
    assert if_tls_only({"Action": "sns:Publish", "Resource": topic}) == statement(dev, "AlertsTopicPolicy", 1)
    assert denied | {"Action": "sqs:*", "Resource": queue} | condition == statement(dev, "FailedEventsPolicy", 0)
    assert "TlsOnly" == dev.template["Resources"]["FailedEventsPolicy"]["Condition"]


@pytest.mark.parametrize(
    ("params", "principal"),
    [({}, {"Ref": "AWS::AccountId"}), ({"thirdPartyArn": "arn:aws:iam::1:role/a"}, "arn:aws:iam::1:role/a")],
)
def test_the_third_party_may_put_files_under_incoming(
    package: Packager, params: dict[str, str], principal: object
) -> None:
    """And may do nothing else; as long as none is named, this account's own policies decide."""
    packaged = package("dev", **params)

    assert {
        "Sid": "ThirdPartyDelivers",
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": "s3:PutObject",
        "Resource": {"Fn::Sub": "${Inbox.Arn}/incoming/*"},
    } == statement(packaged, "InboxPolicy", 0)
    assert 5 == len(packaged.resource("InboxPolicy")["PolicyDocument"]["Statement"])


@pytest.mark.parametrize(
    ("number", "header", "only"),
    [
        (2, "s3:x-amz-server-side-encryption", "AES256"),
        (3, "s3:x-amz-server-side-encryption-customer-algorithm", None),
        (4, "s3:x-amz-storage-class", "STANDARD"),
    ],
)
def test_what_the_function_could_not_read_is_not_delivered(
    package: Packager, number: int, header: str, only: str | None
) -> None:
    """A request without the header passes, as `Null` and the other condition must both hold for it to be denied."""
    found = statement(package("dev"), "InboxPolicy", number)

    assert ("Deny", "*", "s3:PutObject", {"Fn::Sub": "${Inbox.Arn}/incoming/*"}) == tuple(
        found[name] for name in ("Effect", "Principal", "Action", "Resource")
    )
    assert {"Null": {header: False}} | ({"StringNotEquals": {header: only}} if only else {}) == found["Condition"]


def test_only_the_accounts_alarms_are_let_in_to_the_topic(package: Packager) -> None:
    """The converter publishes by its role; a policy of its own has replaced the topic's default."""
    dev = package("dev")

    assert {
        "Sid": "AlarmsTell",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": {"Ref": "AlertsTopic"},
        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
    } == statement(dev, "AlertsTopicPolicy", 0)
    assert 2 == len(dev.resource("AlertsTopicPolicy")["PolicyDocument"]["Statement"])


def statement(package: Package, logical_id: str, number: int) -> dict[str, Any]:
    """Return a statement of a resource's policy."""
    found: dict[str, Any] = package.resource(logical_id)["PolicyDocument"]["Statement"][number]
    return found


@pytest.mark.parametrize("logical_id", ["VisitsTable", "FilesTable", "KeysTable"])
def test_the_tables_are_encrypted_and_can_be_restored(package: Packager, logical_id: str) -> None:
    """To any second; and nothing in them expires."""
    table = package("dev").resource(logical_id)

    assert {"SSEEnabled": True} == table["SSESpecification"]
    assert {"PointInTimeRecoveryEnabled": True} == table["PointInTimeRecoverySpecification"]
    assert "TimeToLiveSpecification" not in table


def test_of_the_inbox_only_what_nobody_will_ask_for_expires(package: Packager) -> None:
    """Replaced versions after the longest wait of a failed event, rejects after 90 days; never what was delivered."""
    dev = package("dev")
    rules = {rule.pop("Id"): rule for rule in dev.resource("Inbox")["LifecycleConfiguration"]["Rules"]}

    assert {
        "old-versions": {
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            "ExpiredObjectDeleteMarker": True,
        },
        "old-rejects": {"Status": "Enabled", "Prefix": "rejected/", "ExpirationInDays": 90},
        "unfinished-uploads": {"Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
    } == rules
    assert dev.resource("FailedEvents")["MessageRetentionPeriod"] < 30 * 24 * 60 * 60


def test_requests_are_logged_and_traced(package: Packager) -> None:
    """One JSON object a request, without address or token of whoever asked; X-Ray for every function."""
    dev = package("dev")
    stage = dev.resource("HttpApiStage")

    assert stage["DefaultRouteSettings"]["DetailedMetricsEnabled"] is False
    assert {"Fn::GetAtt": ["HttpApiLogGroup", "Arn"]} == stage["AccessLogSettings"]["DestinationArn"]
    logged = json.loads(stage["AccessLogSettings"]["Format"])
    assert {"requestId", "status", "latency", "integrationLatency", "integrationError"} < set(logged)
    assert all(value.startswith("$context.") for value in logged.values())
    forbidden = ("identity", "claims", "userAgent", "querystring", "header")
    assert not [value for value in logged.values() for word in forbidden if word in value]
    # Who has a key is told by the key's name.
    assert "$context.authorizer.reader" == logged["reader"]
    for name in ("GetVisits", "ListVisits", "GetPage", "AuthorizeReader", "IngestFile"):
        assert {"Mode": "Active"} == dev.resource(f"{name}LambdaFunction")["TracingConfig"]


MORE = {"converterConcurrency": "5", "permissionsBoundary": "arn:aws:iam::123456789012:policy/visits"}


def test_the_converter_can_be_held_to_a_number_of_files_at_once(package: Packager) -> None:
    """By a param; as many as arrive otherwise."""
    assert "ReservedConcurrentExecutions" not in package("dev").resource("IngestFileLambdaFunction")
    limited = package("dev", **MORE).resource("IngestFileLambdaFunction")
    assert 5 == int(limited["ReservedConcurrentExecutions"])


def test_a_policy_of_the_account_can_bound_every_role(package: Packager) -> None:
    """A param names the permissions boundary of all roles, and without it no role has one."""
    for params, boundary in (({}, {"Ref": "AWS::NoValue"}), (MORE, MORE["permissionsBoundary"])):
        resources = package("dev", **params).template["Resources"].values()
        roles = [each["Properties"] for each in resources if each["Type"] == "AWS::IAM::Role"]
        assert [boundary] * len(roles) == [role["PermissionsBoundary"] for role in roles]


JWT = {"auth": "jwt", "jwtIssuer": "https://issuer.example/", "jwtAudience": "visits"}


@pytest.mark.parametrize(
    ("params", "route", "cached"),
    [
        ({"auth": "none"}, {}, "public, max-age=60"),
        ({"auth": "iam"}, {"AuthorizationType": "AWS_IAM"}, "private, max-age=60"),
        (
            JWT,
            {"AuthorizationType": "JWT", "AuthorizerId": {"Ref": "HttpApiAuthorizerJwt"}},
            "private, max-age=60",
        ),
        (
            {"auth": "key"},
            {"AuthorizationType": "CUSTOM", "AuthorizerId": {"Ref": "HttpApiAuthorizerKey"}},
            "private, max-age=60",
        ),
    ],
)
def test_a_param_says_who_may_read(
    package: Packager, params: dict[str, str], route: dict[str, object], cached: str
) -> None:
    """And with it, who may keep the answer."""
    packaged = package("dev", **params)
    for name in ("GetVisits", "HeadVisits", "GetVisitsResourceidVar", "HeadVisitsResourceidVar"):
        properties = packaged.resource(f"HttpApiRoute{name}")
        assert route == {name: properties[name] for name in ("AuthorizationType", "AuthorizerId") if name in properties}
    for name in ("GetVisits", "ListVisits"):
        assert cached == packaged.resource(f"{name}LambdaFunction")["Environment"]["Variables"]["CACHE_CONTROL"]
    # The page has no count in it, and tells how to get them.
    assert "AuthorizationType" not in packaged.resource("HttpApiRouteGetVisitsResourceidVarChart")
    chart = packaged.resource("GetPageLambdaFunction")["Environment"]["Variables"]
    assert {"CACHE_CONTROL": "public, max-age=60"} == chart


def test_tokens_are_of_the_issuer_and_for_the_audience_that_params_name(package: Packager) -> None:
    """As the `Authorization` header carries them."""
    authorizer = package("dev", **JWT).resource("HttpApiAuthorizerJwt")

    assert ("JWT", ["$request.header.Authorization"]) == (authorizer["AuthorizerType"], authorizer["IdentitySource"])
    assert {"Issuer": "https://issuer.example/", "Audience": ["visits"]} == authorizer["JwtConfiguration"]


@pytest.mark.parametrize(
    ("params", "source"),
    [({}, "$request.header.Authorization"), ({"keyIn": "query"}, "$request.querystring.key")],
)
def test_a_key_is_looked_for_in_one_place_and_checked_by_the_authorizer(
    package: Packager, params: dict[str, str], source: str
) -> None:
    """API Gateway keeps its answer, but not so long that a revoked key is let in after five minutes."""
    packaged = package("dev", auth="key", **params)
    authorizer, function = (
        packaged.resource(f"{name}") for name in ("HttpApiAuthorizerKey", "AuthorizeReaderLambdaFunction")
    )

    assert [source] == authorizer["IdentitySource"]
    assert ("REQUEST", "2.0", True) == tuple(
        authorizer[name] for name in ("AuthorizerType", "AuthorizerPayloadFormatVersion", "EnableSimpleResponses")
    )
    assert {"Fn::GetAtt": ["AuthorizeReaderLambdaFunction", "Arn"]} in authorizer["AuthorizerUri"]["Fn::Join"][1]
    # A look into the table, the longest run, and then the cache.
    assert 300 == authorizer["AuthorizerResultTtlInSeconds"] + function["Timeout"]
    permission = packaged.resource("KeyLambdaAuthorizerPermissionHttpApi")
    assert {"Ref": "HttpApi"} in permission["SourceArn"]["Fn::Join"][1]


def test_the_authorizer_runs_as_designed(package: Packager) -> None:
    """In every stage, so that one can come to demand keys; its role looks keys up and writes a log."""
    function = package("dev").resource("AuthorizeReaderLambdaFunction")

    assert "authorizer.authorize_reader" == function["Handler"]
    assert "python3.13" == function["Runtime"]
    assert ["arm64"] == function["Architectures"]
    assert {"Fn::GetAtt": ["AuthorizeReaderRole", "Arn"]} == function["Role"]
    assert "JSON" == function["LoggingConfig"]["LogFormat"]
    assert {"KEYS_TABLE": "visit-keys-dev"} == function["Environment"]["Variables"]
    assert [
        {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": {"Fn::GetAtt": ["KeysTable", "Arn"]}},
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": {"Fn::GetAtt": ["AuthorizeReaderLogGroup", "Arn"]},
        },
        TRACING,
    ] == statements_of(package("dev").resource("AuthorizeReaderRole"))


@pytest.mark.parametrize(
    ("params", "blamed"),
    [
        ({"auth": "jtw"}, "custom.authorization"),
        ({"auth": "jwt", "jwtIssuer": "https://issuer.example/"}, "authorizers.jwt.audience"),
        ({"auth": "jwt", "jwtAudience": "visits"}, "authorizers.jwt.issuerUrl"),
        ({"auth": "key", "keyIn": "cookie"}, "authorizers.key.identitySource"),
    ],
)
def test_a_param_that_is_mistyped_or_missing_leaves_no_stage_open(
    package: Packager, params: dict[str, str], blamed: str
) -> None:
    """There is no package to deploy, and the error names the place."""
    with pytest.raises(subprocess.CalledProcessError) as failed:
        package("dev", **params)

    assert "Cannot resolve variable" in failed.value.output
    assert blamed in failed.value.output


def test_every_function_has_a_role_of_its_own(package: Packager) -> None:
    """What one may do is no business of the other's."""
    resources = package("dev").template["Resources"].values()
    roles = [
        resource["Properties"]["Role"]["Fn::GetAtt"][0]
        for resource in resources
        if resource["Type"] == "AWS::Lambda::Function"
    ]

    assert ["AuthorizeReaderRole", "GetPageRole", "GetVisitsRole", "IngestFileRole", "ListVisitsRole"] == sorted(roles)


@pytest.mark.parametrize("logical_id", ["VisitsTable", "FilesTable", "KeysTable"])
def test_the_tables_are_those_that_the_command_line_creates(
    package: Packager, moto: str, table: VisitsTable, files: FilesTable, keys: KeysTable, logical_id: str
) -> None:
    """The tables of `visits create-table`, and of the tests, have the keys and the capacity of the stack's."""
    declared = package("dev").resource(logical_id)
    name = {"VisitsTable": table, "FilesTable": files, "KeysTable": keys}[logical_id].name
    created = boto3_at(moto).describe_table(TableName=name)["Table"]

    assert declared["AttributeDefinitions"] == created["AttributeDefinitions"]
    assert declared["KeySchema"] == created["KeySchema"]
    assert declared["BillingMode"] == created["BillingModeSummary"]["BillingMode"]
    assert declared.get("GlobalSecondaryIndexes", []) == [
        {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
        for index in created.get("GlobalSecondaryIndexes", [])
    ]


def test_the_functions_package_has_no_third_party_code(package: Packager) -> None:
    """It holds the modules with their bytecode, the page and its library, within its budget of 0.3 MB."""
    path = package("dev").folder / "visits.zip"
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if archive.getinfo(name).file_size > 1]
    modules = [path.stem for path in local_cloud.PROJECT.glob("*.py")]

    assert {
        *(f"{module}.py" for module in modules),
        *("__pycache__", "page", "node_modules", "sources.toml"),
    } == {Path(name).parts[0] for name in names}
    page = [file for file in (local_cloud.PROJECT / "page").iterdir() if file.suffix != ".json"]
    assert {f"page/{file.name}" for file in page} == {name for name in names if name.startswith("page/")}
    assert {f"node_modules/uplot/dist/uPlot.{kind}" for kind in ("iife.min.js", "min.css")} == {
        name for name in names if name.startswith("node_modules")
    }
    assert {f"__pycache__/{module}.cpython-313.pyc" for module in modules} == {
        name for name in names if name.startswith("__pycache__/")
    }
    assert path.stat().st_size <= MAX_PACKAGE_BYTES


def test_the_converters_sdk_is_a_layer_of_its_own(package: Packager) -> None:
    """The layer has what requirements.txt pins, within its budget of 4 MB; only the file converter has it."""
    packaged = package("dev")
    path = packaged.folder / "pythonRequirements.zip"
    with zipfile.ZipFile(path) as archive:
        tops = {Path(name).parts[1] for name in archive.namelist() if len(Path(name).parts) > 1}
    layered = [name for name, each in packaged.template["Resources"].items() if each["Properties"].get("Layers")]

    assert {
        *("aws_lambda_powertools", "boto3", "botocore", "dateutil", "jmespath", "s3transfer", "tzdata", "urllib3"),
        *("six.py", "typing_extensions.py", "requirements.txt", ".completed_requirements", "__pycache__"),
    } == tops
    assert path.stat().st_size <= MAX_LAYER_BYTES
    assert ["IngestFileLambdaFunction"] == layered


@pytest.mark.parametrize(("archive", "folder"), [("visits.zip", "."), ("pythonRequirements.zip", "python")])
def test_all_packaged_bytecode_is_valid(package: Packager, tmp_path: Path, archive: str, folder: str) -> None:
    """Bytecode is checked by its source's hash, and has it, so Lambda compiles nothing at a cold start."""
    with zipfile.ZipFile(package("dev").folder / archive) as zipped:
        zipped.extractall(tmp_path)

    bytecode = list((tmp_path / folder).rglob("*.pyc"))

    assert len(bytecode) >= len(list(local_cloud.PROJECT.glob("*.py")))
    for path in bytecode:
        content = path.read_bytes()
        source = (path.parent.parent / path.name.replace(".cpython-313.pyc", ".py")).read_bytes()
        # https://docs.python.org/3/reference/import.html#pyc-invalidation: by hash, checked.
        assert (importlib.util.MAGIC_NUMBER, 0b11) == (content[:4], int.from_bytes(content[4:8], "little"))
        assert importlib.util.source_hash(source) == content[8:16]


def test_tracebacks_name_the_modules_where_lambda_has_them(package: Packager) -> None:
    """The bytecode of the modules says that they lie in /var/task."""
    with zipfile.ZipFile(package("dev").folder / "visits.zip") as archive:
        content = archive.read("__pycache__/handler.cpython-313.pyc")

    assert marshal.loads(content[16:]).co_filename == "/var/task/handler.py"  # noqa: S302


def test_the_converter_uses_its_own_sdk_beside_another(package: Packager, tmp_path: Path) -> None:
    """A botocore that the runtime has is not used, as the layer comes before it on Lambda's path."""
    for archive in ("visits.zip", "pythonRequirements.zip"):
        with zipfile.ZipFile(package("dev").folder / archive) as zipped:
            zipped.extractall(tmp_path)
    for name in ("boto3", "botocore"):
        other = tmp_path / "runtime" / name
        other.mkdir(parents=True)
        (other / "__init__.py").write_text(f"raise ImportError('the {name} of the runtime was imported')")
    found = "import ingestion, boto3, botocore; print(boto3.__version__, botocore.__version__, botocore.__file__)"
    path = os.pathsep.join(str(tmp_path / folder) for folder in (".", "python", "runtime"))

    # -S: without this environment's own packages.
    printed = subprocess.run(
        [sys.executable, "-S", "-c", found],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()

    pinned = dict(re.findall(r"^(\S+)==(\S+)", (local_cloud.PROJECT / "requirements.txt").read_text(), re.MULTILINE))
    assert [pinned["boto3"], pinned["botocore"], str(tmp_path / "python" / "botocore" / "__init__.py")] == printed


def allowed(packaged: Package) -> Iterator[dict[str, Any]]:
    """Yield every statement of what the stack's roles may do."""
    for resource in packaged.template["Resources"].values():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::IAM::Role":
            for policy in properties["Policies"]:
                yield from policy["PolicyDocument"]["Statement"]
        elif resource["Type"].startswith("AWS::IAM::"):
            yield from properties["PolicyDocument"]["Statement"]


def texts(value: object) -> Iterator[str]:
    """Yield every text within a template's value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)
