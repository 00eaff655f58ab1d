"""The service as `sls deploy` puts it up on a local cloud with IAM enforced, asked over HTTP."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from conftest import BOOK_324, STAGE, TABLE, Answer, Api, ScriptedDynamoDB, aws_error

import local_cloud
from local_cloud import LocalCloud
from repository import Denied, VisitsTable

if TYPE_CHECKING:
    from collections.abc import Iterator


def rows(answer: Answer) -> list[tuple[int, int]]:
    """Return a series as (day, count)."""
    assert 200 == answer.status
    assert "application/json" == answer.headers["Content-Type"]
    body: Any = answer.json()
    return [(row["EventDay"], row["EventCount"]) for row in body]


def calendar(first: date, count: int) -> list[int]:
    """Return `count` days from `first` on, as YYYYMMDD."""
    return [int(f"{first + timedelta(n):%Y%m%d}") for n in range(count)]


def test_the_counts_of_the_book_from_a_day_on(book_api: Api) -> None:
    """Exactly those, oldest first, keys in order, readable by any page."""
    answer = book_api.get("/visits/324?startDate=20171002")

    assert 200 == answer.status
    assert "application/json" == answer.headers["Content-Type"]
    assert "*" == answer.headers["Access-Control-Allow-Origin"]
    expected = ",\n".join(
        f'{{"EventCount": {visits}, "EventDay": {day}, "EventId": "324"}}'
        for day, visits in BOOK_324.items()
        if day >= 20171002
    )
    assert f"[\n{expected}\n]\n" == answer.body.decode()


@pytest.mark.parametrize(
    ("path", "status", "parameter", "detail"),
    [
        ("324?startDate=20171399", 400, "startDate", "startDate '20171399' is not a calendar date (YYYYMMDD)"),
        ("324?startDate=abc", 400, "startDate", "startDate 'abc' is not a calendar date (YYYYMMDD)"),
        ("324?startDate=", 400, "startDate", "startDate '' is not a calendar date (YYYYMMDD)"),
        ("324?endDate=2017-02-29", 400, "endDate", "endDate '2017-02-29' is not a calendar date (YYYYMMDD)"),
        ("324?startDate=20171002&endDate=20171001", 400, "endDate", "endDate 20171001 is before startDate 20171002"),
        (
            "324?startDate=20171002&startDate=20171002",
            400,
            "startDate",
            "startDate is given 2 times, where one value is allowed",
        ),
        ("abc", 404, "resourceId", "resourceId 'abc' is neither a number (ASCII digits) nor 'all'"),
        ("%C2%B2", 404, "resourceId", "resourceId '²' is neither a number (ASCII digits) nor 'all'"),
        ("-1", 404, "resourceId", "resourceId '-1' is neither a number (ASCII digits) nor 'all'"),
    ],
)
def test_a_mistake_is_told_with_the_value_and_the_rule(
    api: Api, path: str, status: int, parameter: str, detail: str
) -> None:
    """As a problem of RFC 9457."""
    answer = api.get(f"/visits/{path}")

    assert status == answer.status
    assert "application/problem+json" == answer.headers["Content-Type"]
    assert "*" == answer.headers["Access-Control-Allow-Origin"]
    title = {400: "Bad Request", 404: "Not Found"}[status]
    assert {
        "title": title,
        "status": status,
        "detail": detail,
        "message": detail,
        "parameter": parameter,
    } == answer.json()


def test_an_event_nobody_visited_is_an_empty_series(api: Api) -> None:
    """No error: the id is well-formed, and its first visit may come tomorrow."""
    assert [] == rows(api.get("/visits/4711"))


def test_a_loaded_file_is_served_and_all_is_the_sum(cloud: LocalCloud, api: Api, tmp_path: Path) -> None:
    """Three years of four events, through the command line."""
    days = calendar(date(2019, 1, 1), 1000)
    counts = {(event, day): (day * event) % 997 for event in (2001, 2002, 2003, 2004) for day in days}
    file = tmp_path / "visits.csv"
    lines = [f"{event},{day},{count}\n" for (event, day), count in counts.items()]
    file.write_text("EventId,EventDay,EventCount\n" + "".join(lines))

    said = cloud.run("python", "cli.py", "load", str(file), "--stage", STAGE)

    assert f"visits.csv: {sum(counts.values()):,} visits in 4,000 rows\n" == said
    assert [(day, counts[2001, day]) for day in days] == rows(api.get("/visits/2001"))
    totals = [(day, sum(counts[event, day] for event in (2001, 2002, 2003, 2004))) for day in days]
    assert totals == rows(api.get(f"/visits/all?startDate={days[0]}&endDate={days[-1]}"))


def test_forty_thousand_rows_are_answered_whole(cloud: LocalCloud, api: Api, tmp_path: Path) -> None:
    """More than the 1 MB that one page of a Query holds."""
    days = calendar(date(2100, 1, 1), 40_000)
    file = tmp_path / "visits.csv"
    file.write_text("EventId,EventDay,EventCount\n" + "".join(f"3001,{day},{day % 9}\n" for day in days))
    cloud.run("python", "cli.py", "load", str(file), "--stage", STAGE)
    client = cloud.client("dynamodb")
    first_page = client.query(
        TableName=TABLE, KeyConditionExpression="EventId = :id", ExpressionAttributeValues={":id": {"S": "3001"}}
    )

    assert "LastEvaluatedKey" in first_page
    assert [(day, day % 9) for day in days] == rows(api.get("/visits/3001"))


def test_additions_at_once_all_count(cloud_table: VisitsTable, api: Api) -> None:
    """Eight writers on one day of two events: nothing is lost, and `all` is the sum."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: cloud_table.add(str(4001 + n % 2), 20180101, 1 + n % 3), range(60)))

    assert [(20180101, sum(1 + n % 3 for n in range(0, 60, 2)))] == rows(api.get("/visits/4001"))
    assert [(20180101, sum(1 + n % 3 for n in range(1, 60, 2)))] == rows(api.get("/visits/4002"))
    assert [(20180101, 120)] == rows(api.get("/visits/all?startDate=20180101&endDate=20180101"))


@contextmanager
def configured(cloud: LocalCloud, function: str, **changes: str) -> Iterator[None]:
    """Change, for a while, environment variables of a deployed function."""
    functions = cloud.client("lambda")
    name = f"visits-{STAGE}-{function}"
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": {**variables, **changes}})
    try:
        yield
    finally:
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


def unavailable(api: Api) -> None:
    began = time.monotonic()
    answer = api.get("/visits/324")
    took_s = time.monotonic() - began

    detail = "The counts cannot be read at the moment; try again in 5 seconds"
    assert 503 == answer.status
    assert "5" == answer.headers["Retry-After"]
    assert {"title": "Service Unavailable", "status": 503, "detail": detail, "message": detail} == answer.json()
    assert took_s < 29


def test_an_unreachable_dynamodb_is_503_within_the_functions_timeout(
    cloud: LocalCloud, book_api: Api, unused_endpoint: str
) -> None:
    """And when it is back, so are the counts."""
    with configured(cloud, "getVisits", AWS_ENDPOINT_URL=unused_endpoint):
        unavailable(book_api)

    assert list(BOOK_324.items()) == rows(book_api.get("/visits/324"))


def test_a_throttling_dynamodb_is_503_within_the_functions_timeout(
    cloud: LocalCloud, book_api: Api, scripted: ScriptedDynamoDB
) -> None:
    """The client asks three times before the function gives up."""
    scripted.replies = [aws_error("ThrottlingException")]
    with configured(cloud, "getVisits", AWS_ENDPOINT_URL=scripted.endpoint):
        unavailable(book_api)

    assert 3 == len(scripted.requests)


@pytest.mark.usefixtures("book_api")
def test_the_command_line_shows_progress_and_a_table_on_a_terminal(cloud: LocalCloud, tmp_path: Path) -> None:
    """With a real terminal on the other side."""
    file = tmp_path / "visits.csv"
    lines = [f"5001,{day},1\n" for day in calendar(date(2018, 3, 1), 200)]
    file.write_text("EventId,EventDay,EventCount\n" + "".join(lines))

    progress = on_terminal(cloud, "load", str(file))
    assert "visits.csv ━━" in progress
    assert "5/5" in progress
    table = on_terminal(cloud, "query", "324", "--end", "20171002")
    assert "│ 20171002 │          5 │" in table
    assert "│ 2 days   │          8 │" in table


def on_terminal(cloud: LocalCloud, *arguments: str) -> str:
    """Return what cli.py writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "cli.py", *arguments, "--stage", STAGE],
        cwd=local_cloud.PROJECT,
        env={**os.environ, **cloud.settings, "TERM": "dumb", "COLUMNS": "100"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    with suppress(OSError):  # Linux says so when the last writer is gone.
        while chunk := os.read(ours, 65536):
            written += chunk
    os.close(ours)
    assert 0 == process.wait(60), written.decode()
    return written.decode()


@pytest.mark.usefixtures("api")
def test_the_functions_role_reads_and_does_not_write(cloud: LocalCloud) -> None:
    """IAM is enforced here, as the same calls with the role's own credentials show."""
    stacks = cloud.client("cloudformation")
    role = stacks.describe_stack_resource(StackName=f"visits-{STAGE}", LogicalResourceId="GetVisitsRole")
    assumed = cloud.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::000000000000:role/{role['StackResourceDetail']['PhysicalResourceId']}",
        RoleSessionName="test",
    )["Credentials"]
    session = boto3.Session(
        assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"], local_cloud.REGION
    )
    table = VisitsTable(session.client("dynamodb", endpoint_url=cloud.endpoint), TABLE)

    assert [] == table.query("6001")
    with pytest.raises(Denied):
        table.add("6001", 20180101, 1)
    assert [] == table.query("6001")


def test_sls_remove_leaves_nothing_and_touches_no_other_stage(cloud: LocalCloud, book_api: Api) -> None:
    """A second stage comes and goes beside the first."""
    before = inventory(cloud)
    other = Api(cloud.deploy("other"))
    cloud.run("python", "cli.py", "add", "324", "20171018", "--stage", "other")
    cloud.run("python", "cli.py", "upload", str(local_cloud.SAMPLE), "--stage", "other")
    # A version under a version under a delete marker.
    s3 = cloud.client("s3")
    (inbox,) = [name for kind, name in inventory(cloud) - before if kind == "bucket" and "inbox" in name]
    s3.put_object(Bucket=inbox, Key="incoming/visits.csv", Body=b"")
    s3.delete_object(Bucket=inbox, Key="incoming/visits.csv")

    assert [*BOOK_324.items(), (20171018, 1)] == rows(other.get("/visits/324"))
    assert inventory(cloud) > before

    cloud.run("sls", "remove", "--stage", "other")

    assert before == inventory(cloud)
    assert 404 == other.get("/visits/324").status
    assert list(BOOK_324.items()) == rows(book_api.get("/visits/324"))


def inventory(cloud: LocalCloud) -> set[tuple[str, str]]:
    """Return kind and name of whatever a stack of ours can leave behind."""
    client = cloud.client
    return (
        {("table", name) for name in client("dynamodb").list_tables()["TableNames"]}
        | {("function", each["FunctionName"]) for each in client("lambda").list_functions()["Functions"]}
        | {("role", each["RoleName"]) for each in client("iam").list_roles()["Roles"]}
        | {("log group", each["logGroupName"]) for each in client("logs").describe_log_groups()["logGroups"]}
        | {("api", each["ApiId"]) for each in client("apigatewayv2").get_apis()["Items"]}
        | {("topic", each["TopicArn"]) for each in client("sns").list_topics()["Topics"]}
        | {("queue", url) for url in client("sqs").list_queues().get("QueueUrls", [])}
        | {("bucket", each["Name"]) for each in client("s3").list_buckets()["Buckets"]}
        | {
            ("stack", each["StackName"])
            for each in client("cloudformation").list_stacks()["StackSummaries"]
            if each["StackStatus"] != "DELETE_COMPLETE"
        }
    )
