"""The template that `sls package` makes of serverless.yml, without an account or a network."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest

import local_cloud
from repository import MAX_CALL_S, FilesTable, VisitsTable

STAGES = ["local", "dev", "staging", "prod", "anyones-own"]

MAX_PACKAGE_BYTES = 3_000_000


@dataclass(frozen=True)
class Package:
    """What `sls package` leaves for a stage."""

    folder: Path

    @property
    def template(self) -> dict[str, Any]:
        template: dict[str, Any] = json.loads((self.folder / "cloudformation-template-update-stack.json").read_text())
        return template

    def resource(self, logical_id: str) -> dict[str, Any]:
        properties: dict[str, Any] = self.template["Resources"][logical_id]["Properties"]
        return properties


type Packager = Callable[[str], Package]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Packager:
    """Package a stage, once, where every call to AWS would fail: no credentials, and an endpoint that refuses."""

    @cache
    def of_stage(stage: str) -> Package:
        folder = tmp_path_factory.mktemp(stage)
        environment = {name: value for name, value in os.environ.items() if "AWS_ACCESS" not in name}
        environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{free_port()}"
        subprocess.run(
            ["sls", "package", "--stage", stage, "--package", str(folder)],
            cwd=local_cloud.PROJECT,
            env=environment,
            check=True,
            capture_output=True,
        )
        return Package(folder)

    return of_stage


def test_the_stack_is_what_it_is(package: Packager) -> None:
    """No resource comes or goes unseen."""
    assert {
        "AlertsTopic": "AWS::SNS::Topic",
        "FailedEvents": "AWS::SQS::Queue",
        "FilesTable": "AWS::DynamoDB::Table",
        "GetVisitsLambdaFunction": "AWS::Lambda::Function",
        "GetVisitsLambdaPermissionHttpApi": "AWS::Lambda::Permission",
        "GetVisitsLogGroup": "AWS::Logs::LogGroup",
        "GetVisitsRole": "AWS::IAM::Role",
        "HttpApi": "AWS::ApiGatewayV2::Api",
        "HttpApiIntegrationGetVisits": "AWS::ApiGatewayV2::Integration",
        "HttpApiRouteGetVisitsResourceidVar": "AWS::ApiGatewayV2::Route",
        "HttpApiStage": "AWS::ApiGatewayV2::Stage",
        "Inbox": "AWS::S3::Bucket",
        "InboxMayInvokeIngestFile": "AWS::Lambda::Permission",
        "IngestFileInboxPolicy": "AWS::IAM::Policy",
        "IngestFileLambdaEvConf": "AWS::Lambda::EventInvokeConfig",
        "IngestFileLambdaFunction": "AWS::Lambda::Function",
        "IngestFileLogGroup": "AWS::Logs::LogGroup",
        "IngestFileRole": "AWS::IAM::Role",
        "ServerlessDeploymentBucket": "AWS::S3::Bucket",
        "ServerlessDeploymentBucketPolicy": "AWS::S3::BucketPolicy",
        "VisitsTable": "AWS::DynamoDB::Table",
    } == {name: resource["Type"] for name, resource in package("dev").template["Resources"].items()}


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_names_of_its_own(package: Packager, stage: str) -> None:
    """Two stages in one account do not meet."""
    packaged = package(stage)
    function, converter = (packaged.resource(f"{name}LambdaFunction") for name in ("GetVisits", "IngestFile"))

    assert f"user-visits-{stage}" == packaged.resource("VisitsTable")["TableName"]
    assert f"visit-files-{stage}" == packaged.resource("FilesTable")["TableName"]
    assert f"visits-alerts-{stage}" == packaged.resource("AlertsTopic")["TopicName"]
    assert f"visits-failed-events-{stage}" == packaged.resource("FailedEvents")["QueueName"]
    assert f"visits-{stage}-getVisits" == function["FunctionName"]
    assert f"visits-{stage}-ingestFile" == converter["FunctionName"]
    assert f"/aws/lambda/visits-{stage}-getVisits" == packaged.resource("GetVisitsLogGroup")["LogGroupName"]
    assert f"/aws/lambda/visits-{stage}-ingestFile" == packaged.resource("IngestFileLogGroup")["LogGroupName"]
    assert f"user-visits-{stage}" == function["Environment"]["Variables"]["VISITS_TABLE"]
    variables = converter["Environment"]["Variables"]
    assert (stage, f"user-visits-{stage}", f"visit-files-{stage}") == (
        variables["STAGE"],
        variables["VISITS_TABLE"],
        variables["FILES_TABLE"],
    )
    # Bucket names are global: two accounts can have one stage only where CloudFormation makes the name.
    assert "BucketName" not in packaged.resource("Inbox")


def test_stages_differ_in_what_params_say_and_in_nothing_else(package: Packager) -> None:
    """Retention of logs, how long an answer may be kept, and the stage's name."""
    functions = ["GetVisits", "IngestFile"]

    def normal(stage: str) -> str:
        resources = package(stage).template["Resources"]
        resources["GetVisitsLambdaFunction"]["Properties"]["Environment"]["Variables"].pop("CACHE_CONTROL")
        for name in functions:
            resources[f"{name}LogGroup"]["Properties"].pop("RetentionInDays")
            resources[f"{name}LambdaFunction"]["Properties"]["Code"].pop("S3Key")
        return json.dumps(resources, sort_keys=True).replace(stage, "<stage>")

    for name in functions:
        assert [1, 14, 14, 90, 14] == [
            package(stage).resource(f"{name}LogGroup")["RetentionInDays"] for stage in STAGES
        ]
    assert [0, 60, 60, 60, 60] == [
        int(cache_control(package(stage)).removeprefix("public, max-age=")) for stage in STAGES
    ]
    assert 1 == len({normal(stage) for stage in STAGES})


def cache_control(package: Package) -> str:
    variables = package.resource("GetVisitsLambdaFunction")["Environment"]["Variables"]
    assert {"VISITS_TABLE", "CACHE_CONTROL"} == set(variables)
    value: str = variables["CACHE_CONTROL"]
    return value


def test_the_function_runs_as_designed(package: Packager) -> None:
    """Runtime, entry point, JSON logs, and a timeout beyond the client's own."""
    function = package("dev").resource("GetVisitsLambdaFunction")

    assert "handler.get_visits" == function["Handler"]
    assert "python3.13" == function["Runtime"]
    assert ["arm64"] == function["Architectures"]
    assert {"Fn::GetAtt": ["GetVisitsRole", "Arn"]} == function["Role"]
    assert "JSON" == function["LoggingConfig"]["LogFormat"]
    # Below API Gateway's 30 s, above what one call to DynamoDB can take at worst.
    assert MAX_CALL_S < function["Timeout"] < 30


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
    """Payload format 2.0, no authorization yet; pages of any origin may ask, and read what helps them to go on."""
    dev = package("dev")

    cors = dev.resource("HttpApi")["CorsConfiguration"]
    assert (["*"], ["GET"]) == (cors["AllowOrigins"], cors["AllowMethods"])
    assert ["ETag", "Link", "Retry-After"] == cors["ExposeHeaders"]
    assert {"Authorization", "If-None-Match"} < set(cors["AllowHeaders"])

    assert "GET /visits/{resourceId}" == dev.resource("HttpApiRouteGetVisitsResourceidVar")["RouteKey"]
    assert "2.0" == dev.resource("HttpApiIntegrationGetVisits")["PayloadFormatVersion"]


def statements_of(role: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a role may, which is in one policy of its own; check that Lambda alone may take it on."""
    assert [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}] == role[
        "AssumeRolePolicyDocument"
    ]["Statement"]
    assert {"AssumeRolePolicyDocument", "Policies"} <= set(role) <= {"AssumeRolePolicyDocument", "Policies", "Tags"}
    (policy,) = role["Policies"]
    statements: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return statements


def test_the_role_may_query_its_table_and_write_its_log(package: Packager) -> None:
    """And may do nothing else; only Lambda may take it on."""
    assert [
        {"Effect": "Allow", "Action": "dynamodb:Query", "Resource": {"Fn::GetAtt": ["VisitsTable", "Arn"]}},
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": {"Fn::GetAtt": ["GetVisitsLogGroup", "Arn"]},
        },
    ] == statements_of(package("dev").resource("GetVisitsRole"))


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


@pytest.mark.parametrize("stage", STAGES)
def test_no_role_has_a_wildcard_but_for_the_objects_of_the_inbox(package: Packager, stage: str) -> None:
    """Every statement of every role allows named actions on named resources."""
    statements = list(allowed(package(stage)))

    assert all("*" not in action for statement in statements for action in listed(statement["Action"]))
    assert ["${Inbox.Arn}/incoming/*", "${Inbox.Arn}/rejected/*"] == sorted(
        text for statement in statements for text in texts(statement["Resource"]) if "*" in text
    )
    # NotAction, NotResource and managed policies would allow more than they name.
    assert {frozenset({"Effect", "Action", "Resource"})} == {frozenset(statement) for statement in statements}
    assert "ManagedPolic" not in json.dumps(package(stage).template)


def test_every_function_has_a_role_of_its_own(package: Packager) -> None:
    """What one may do is no business of the other's."""
    resources = package("dev").template["Resources"].values()
    roles = [
        resource["Properties"]["Role"]["Fn::GetAtt"][0]
        for resource in resources
        if resource["Type"] == "AWS::Lambda::Function"
    ]

    assert ["GetVisitsRole", "IngestFileRole"] == sorted(roles)


@pytest.mark.parametrize("logical_id", ["VisitsTable", "FilesTable"])
def test_the_tables_are_those_that_the_command_line_creates(
    package: Packager, table: VisitsTable, files: FilesTable, logical_id: str
) -> None:
    """`cli.py create-table` and the stack agree on keys and capacity."""
    declared = package("dev").resource(logical_id)
    name = {"VisitsTable": table, "FilesTable": files}[logical_id].name
    created = boto3.client("dynamodb", region_name=local_cloud.REGION).describe_table(TableName=name)["Table"]

    assert declared["AttributeDefinitions"] == created["AttributeDefinitions"]
    assert declared["KeySchema"] == created["KeySchema"]
    assert declared["BillingMode"] == created["BillingModeSummary"]["BillingMode"]


def test_the_package_holds_the_modules_and_what_they_import(package: Packager) -> None:
    """Lambda's runtime has boto3; the command line stays here; it is within its budget of 3 MB."""
    path = package("dev").folder / "visits.zip"
    with zipfile.ZipFile(path) as archive:
        tops = {Path(name).parts[0] for name in archive.namelist() if archive.getinfo(name).file_size > 1}

    modules = [
        "converter",
        "handler",
        "http_utils",
        "ingestion",
        "plan",
        "repository",
        "series",
        "visit_files",
        "visits",
    ]
    assert {
        *(f"{module}.py" for module in modules),
        *("aws_lambda_powertools", "jmespath", "typing_extensions.py"),
        # What comes with them: jmespath's command, and the list that they were installed from.
        *("bin", "requirements.txt"),
    } == {top for top in tops if not top.endswith(".dist-info")}
    assert path.stat().st_size <= MAX_PACKAGE_BYTES


def allowed(packaged: Package) -> Iterator[dict[str, Any]]:
    """Yield every statement of what the stack's roles may do."""
    for resource in packaged.template["Resources"].values():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::IAM::Role":
            for policy in properties["Policies"]:
                yield from policy["PolicyDocument"]["Statement"]
        elif resource["Type"].startswith("AWS::IAM::"):
            yield from properties["PolicyDocument"]["Statement"]


def listed(one_or_more: str | list[str]) -> list[str]:
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


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
