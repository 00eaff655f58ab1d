"""The template that `sls package` makes of serverless.yml, without an account or a network."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest

import local_cloud
from repository import MAX_CALL_S, VisitsTable

STAGES = ["local", "dev", "staging", "prod", "anyones-own"]


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
        "GetVisitsLambdaFunction": "AWS::Lambda::Function",
        "GetVisitsLambdaPermissionHttpApi": "AWS::Lambda::Permission",
        "GetVisitsLogGroup": "AWS::Logs::LogGroup",
        "GetVisitsRole": "AWS::IAM::Role",
        "HttpApi": "AWS::ApiGatewayV2::Api",
        "HttpApiIntegrationGetVisits": "AWS::ApiGatewayV2::Integration",
        "HttpApiRouteGetVisitsResourceidVar": "AWS::ApiGatewayV2::Route",
        "HttpApiStage": "AWS::ApiGatewayV2::Stage",
        "ServerlessDeploymentBucket": "AWS::S3::Bucket",
        "ServerlessDeploymentBucketPolicy": "AWS::S3::BucketPolicy",
        "VisitsTable": "AWS::DynamoDB::Table",
    } == {name: resource["Type"] for name, resource in package("dev").template["Resources"].items()}


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_names_of_its_own(package: Packager, stage: str) -> None:
    """Two stages in one account do not meet."""
    packaged = package(stage)
    function = packaged.resource("GetVisitsLambdaFunction")

    assert f"user-visits-{stage}" == packaged.resource("VisitsTable")["TableName"]
    assert f"visits-{stage}-getVisits" == function["FunctionName"]
    assert f"/aws/lambda/visits-{stage}-getVisits" == packaged.resource("GetVisitsLogGroup")["LogGroupName"]
    assert {"VISITS_TABLE": f"user-visits-{stage}"} == function["Environment"]["Variables"]


def test_stages_differ_in_what_params_say_and_in_nothing_else(package: Packager) -> None:
    """Retention of logs, and the stage's name."""

    def normal(stage: str) -> str:
        resources = package(stage).template["Resources"]
        resources["GetVisitsLogGroup"]["Properties"].pop("RetentionInDays")
        resources["GetVisitsLambdaFunction"]["Properties"]["Code"].pop("S3Key")
        return json.dumps(resources, sort_keys=True).replace(stage, "<stage>")

    assert [1, 14, 14, 90, 14] == [package(stage).resource("GetVisitsLogGroup")["RetentionInDays"] for stage in STAGES]
    assert 1 == len({normal(stage) for stage in STAGES})


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


def test_the_route_leads_to_the_function(package: Packager) -> None:
    """Payload format 2.0, no authorization yet."""
    dev = package("dev")

    assert "GET /visits/{resourceId}" == dev.resource("HttpApiRouteGetVisitsResourceidVar")["RouteKey"]
    assert "2.0" == dev.resource("HttpApiIntegrationGetVisits")["PayloadFormatVersion"]


def test_the_role_may_query_its_table_and_write_its_log(package: Packager) -> None:
    """And may do nothing else; only Lambda may take it on."""
    role = package("dev").resource("GetVisitsRole")

    assert [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}] == role[
        "AssumeRolePolicyDocument"
    ]["Statement"]
    assert {"AssumeRolePolicyDocument", "Policies"} <= set(role) <= {"AssumeRolePolicyDocument", "Policies", "Tags"}
    (policy,) = role["Policies"]
    assert [
        {"Effect": "Allow", "Action": "dynamodb:Query", "Resource": {"Fn::GetAtt": ["VisitsTable", "Arn"]}},
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": {"Fn::GetAtt": ["GetVisitsLogGroup", "Arn"]},
        },
    ] == policy["PolicyDocument"]["Statement"]


def test_the_table_is_the_one_that_the_command_line_creates(package: Packager, table: VisitsTable) -> None:
    """`cli.py create-table` and the stack agree on keys and capacity."""
    declared = package("dev").resource("VisitsTable")
    created = boto3.client("dynamodb", region_name=local_cloud.REGION).describe_table(TableName=table.name)["Table"]

    assert declared["AttributeDefinitions"] == created["AttributeDefinitions"]
    assert declared["KeySchema"] == created["KeySchema"]
    assert declared["BillingMode"] == created["BillingModeSummary"]["BillingMode"]


def test_the_package_holds_the_modules_and_nothing_else(package: Packager) -> None:
    """Lambda's runtime has boto3."""
    with zipfile.ZipFile(package("dev").folder / "visits.zip") as archive:
        names = {name for name in archive.namelist() if name.endswith(".py") or archive.getinfo(name).file_size > 1}

    assert {"handler.py", "http_utils.py", "repository.py", "visits.py"} == names
