"""What the tests of a deployed service share: its API asked over HTTP, and what is changed on the cloud for a while."""

from __future__ import annotations

import gzip
import http.client
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from settings import STAGE

from tools.local_cloud import LocalCloud

PLAIN_HTTP = {"tlsOnly": "false"}
"""The param that lets a stage take requests without TLS, as MiniStack serves plain HTTP."""

ACCOUNT = "000000000000"
"""MiniStack's account."""

THIRD_PARTY = f"arn:aws:iam::{ACCOUNT}:user/third-party"
"""The user who may deliver files to the deployed stage."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> object:
        return json.loads(self.text())

    def text(self) -> str:
        body = gzip.decompress(self.body) if self.headers["Content-Encoding"] == "gzip" else self.body
        return body.decode()

    def links(self) -> dict[str, str]:
        """Return the targets of the `Link` header by their relation."""
        return {relation: target for target, relation in re.findall(r'<([^>]*)>; rel="(\w+)"', self.headers["Link"])}


@dataclass(frozen=True)
class Api:
    """A deployed API, asked over HTTP."""

    url: str

    def get(self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Answer:
        parts = urlsplit(self.url)
        # MiniStack finds the API by the Host header; not every resolver knows that *.localhost is this machine.
        connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=60)
        try:
            connection.request(method, path, headers={"Host": parts.netloc, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()


def rows(answer: Answer) -> list[tuple[int, int | None]]:
    """Return a series as (day, count)."""
    assert 200 == answer.status
    assert "application/json" == answer.headers["Content-Type"]
    body: Any = answer.json()
    return [(row["EventDay"], row["EventCount"]) for row in body]


def pages(api: Api, path: str) -> Iterator[Answer]:
    """Yield an answer and the ones that `next` links lead to."""
    following: str | None = path
    while following:
        answer = api.get(following)
        yield answer
        following = answer.links().get("next")


@contextmanager
def configured(cloud: LocalCloud, function: str, *, stage: str = STAGE, **changes: str) -> Iterator[None]:
    """Change environment variables of a deployed function for a while."""
    functions = cloud.client("lambda")
    name = f"visits-{stage}-{function}"
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": {**variables, **changes}})
    try:
        yield
    finally:
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


@contextmanager
def authorized_by(cloud: LocalCloud, how: str) -> Iterator[None]:
    """Demand authorization of the API's callers for a while, by JWT, for which nobody has a token, or by AWS_IAM."""
    gateway = cloud.client("apigatewayv2")
    api_id = cloud.outputs(STAGE)["HttpApiId"]
    routes = {each["RouteKey"]: each["RouteId"] for each in gateway.get_routes(ApiId=api_id)["Items"]}
    route = routes["GET /visits/{resourceId}"]
    authorizer = gateway.create_authorizer(
        ApiId=api_id,
        AuthorizerType="JWT",
        Name="nobody",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": "https://127.0.0.1:1", "Audience": ["nobody"]},
    )["AuthorizerId"]
    by = {"AuthorizerId": authorizer} if how == "JWT" else {}
    gateway.update_route(ApiId=api_id, RouteId=route, AuthorizationType=how, **by)
    try:
        yield
    finally:
        gateway.update_route(ApiId=api_id, RouteId=route, AuthorizationType="NONE")
        gateway.delete_authorizer(ApiId=api_id, AuthorizerId=authorizer)


def inventory(cloud: LocalCloud) -> set[tuple[str, str]]:
    """Return kind and name of everything that a stack of ours can leave behind."""

    def every(service: str, operation: str, member: str) -> Iterator[Any]:
        for page in cloud.client(service).get_paginator(operation).paginate():
            yield from page.get(member, [])

    return (
        {("table", name) for name in every("dynamodb", "list_tables", "TableNames")}
        | {("function", each["FunctionName"]) for each in every("lambda", "list_functions", "Functions")}
        | {("role", each["RoleName"]) for each in every("iam", "list_roles", "Roles")}
        | {("log group", each["logGroupName"]) for each in every("logs", "describe_log_groups", "logGroups")}
        | {("api", each["ApiId"]) for each in every("apigatewayv2", "get_apis", "Items")}
        | {("topic", each["TopicArn"]) for each in every("sns", "list_topics", "Topics")}
        | {("queue", url) for url in every("sqs", "list_queues", "QueueUrls")}
        | {("alarm", each["AlarmName"]) for each in every("cloudwatch", "describe_alarms", "MetricAlarms")}
        | {("dashboard", each["DashboardName"]) for each in every("cloudwatch", "list_dashboards", "DashboardEntries")}
        | {("bucket", each["Name"]) for each in every("s3", "list_buckets", "Buckets")}
        | {
            ("stack", each["StackName"])
            for each in every("cloudformation", "list_stacks", "StackSummaries")
            if each["StackStatus"] != "DELETE_COMPLETE"
        }
    )
