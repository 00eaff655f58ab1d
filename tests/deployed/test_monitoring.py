"""Who is told, and what they look at: alarms and dashboard of monitoring.yml, packaged and on the local cloud."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cloud import Api
from packages import Package, Packager
from settings import STAGE
from stack import subscribe, wait_for

import ingestion
from tools import local_cloud
from tools.local_cloud import LocalCloud

OPERATIONS = (local_cloud.PROJECT / "docs" / "operations.md").read_text()
ALARMS = OPERATIONS.partition("## Alarms")[2].partition("\n## ")[0]


def alarms(package: Package) -> dict[str, dict[str, Any]]:
    """Return the properties of a stage's alarms by their logical id."""
    return {
        name: resource["Properties"]
        for name, resource in package.template["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }


def test_what_matters_is_watched(package: Packager) -> None:
    """Each alarm's metric, of what, and from which value on."""
    api = {"ApiId": {"Ref": "HttpApi"}, "Stage": "$default"}
    get_visits, list_visits, get_page, authorize_reader, ingest_file = (
        {"FunctionName": {"Ref": f"{name}LambdaFunction"}}
        for name in ("GetVisits", "ListVisits", "GetPage", "AuthorizeReader", "IngestFile")
    )
    counts, receipts = ({"TableName": {"Ref": name}} for name in ("VisitsTable", "FilesTable"))
    index = {**counts, "GlobalSecondaryIndexName": "EventsByDay"}
    files = {"service": "file-converter", "stage": "dev"}
    queue = {"QueueName": {"Fn::GetAtt": ["FailedEvents", "QueueName"]}}

    assert {
        "ServerErrorsAlarm": ("AWS/ApiGateway", "5xx", "Average", api, 0.01),
        "LatencyAlarm": ("AWS/ApiGateway", "Latency", "p99", api, 2000),
        "GetVisitsErrorsAlarm": ("AWS/Lambda", "Errors", "Sum", get_visits, 0),
        "GetVisitsThrottlesAlarm": ("AWS/Lambda", "Throttles", "Sum", get_visits, 0),
        "ListVisitsErrorsAlarm": ("AWS/Lambda", "Errors", "Sum", list_visits, 0),
        "ListVisitsThrottlesAlarm": ("AWS/Lambda", "Throttles", "Sum", list_visits, 0),
        "GetPageErrorsAlarm": ("AWS/Lambda", "Errors", "Sum", get_page, 0),
        "GetPageThrottlesAlarm": ("AWS/Lambda", "Throttles", "Sum", get_page, 0),
        "AuthorizeReaderErrorsAlarm": ("AWS/Lambda", "Errors", "Sum", authorize_reader, 0),
        "AuthorizeReaderThrottlesAlarm": ("AWS/Lambda", "Throttles", "Sum", authorize_reader, 0),
        "IngestFileErrorsAlarm": ("AWS/Lambda", "Errors", "Sum", ingest_file, 0),
        "IngestFileThrottlesAlarm": ("AWS/Lambda", "Throttles", "Sum", ingest_file, 0),
        "CountsReadThrottlesAlarm": ("AWS/DynamoDB", "ReadThrottleEvents", "Sum", counts, 0),
        "CountsWriteThrottlesAlarm": ("AWS/DynamoDB", "WriteThrottleEvents", "Sum", counts, 0),
        "IndexReadThrottlesAlarm": ("AWS/DynamoDB", "ReadThrottleEvents", "Sum", index, 0),
        "IndexWriteThrottlesAlarm": ("AWS/DynamoDB", "WriteThrottleEvents", "Sum", index, 0),
        "ReceiptsThrottlesAlarm": ("AWS/DynamoDB", "WriteThrottleEvents", "Sum", receipts, 0),
        "FailedEventsAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", queue, 0),
        "UndeliveredEventsAlarm": ("AWS/Lambda", "DestinationDeliveryFailures", "Sum", ingest_file, 0),
        "RejectedRowsAlarm": ("Visits", "RowsRejected", "Sum", files, 0),
        "RefusedFilesAlarm": ("Visits", "FilesRefused", "Sum", files, 0),
    } == {
        name: (
            alarm["Namespace"],
            alarm["MetricName"],
            alarm.get("Statistic") or alarm["ExtendedStatistic"],
            {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]},
            alarm["Threshold"],
        )
        for name, alarm in alarms(package("dev")).items()
    }


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_every_alarm_tells_the_topic_and_says_what_to_do_first(package: Packager, stage: str) -> None:
    """When it goes off and when it is over; a silent metric is a good one."""
    topic = [{"Ref": "AlertsTopic"}]

    for alarm in alarms(package(stage)).values():
        assert (topic, topic) == (alarm["AlarmActions"], alarm["OKActions"])
        assert ("GreaterThanThreshold", "notBreaching") == (alarm["ComparisonOperator"], alarm["TreatMissingData"])
        assert re.search(r"[.;:] First (look|read|compare)", alarm["AlarmDescription"])
        assert alarm["AlarmName"].startswith(f"visits-{stage}-")


def test_every_alarm_has_a_line_in_operations_md(package: Packager) -> None:
    """By its name, without the stage's; and no line tells of an alarm that is not there."""
    names = [alarm["AlarmName"].removeprefix("visits-dev-") for alarm in alarms(package("dev")).values()]

    assert sorted(names) == sorted(re.findall(r"^\| `([a-z-]+)` \|", ALARMS, re.MULTILINE))


def test_the_converters_metrics_are_the_ones_that_are_watched(package: Packager) -> None:
    """An alarm on other dimensions would never hear of them."""
    watched = alarms(package("dev"))["RejectedRowsAlarm"]
    dimensions = {dimension["Name"] for dimension in watched["Dimensions"]}

    assert watched["Namespace"] == ingestion.metrics.namespace
    assert dimensions == {"service", *ingestion.metrics.default_dimensions}
    assert {"Name": "service", "Value": ingestion.metrics.service} in watched["Dimensions"]


def test_the_dashboard_shows_the_alarms_and_every_metric_that_they_watch(package: Packager) -> None:
    """Each widget in a place of its own."""
    dev = package("dev")
    body = json.loads(dev.resource("Dashboard")["DashboardBody"]["Fn::Sub"])
    widgets = {widget["properties"]["title"]: widget for widget in body["widgets"]}

    assert {f"${{{name}.Arn}}" for name in alarms(dev)} == set(widgets["Alarms"]["properties"]["alarms"])
    text = json.dumps(body)
    assert all(alarm["MetricName"] in text for alarm in alarms(dev).values())
    cells = [
        (widget["x"] + column, widget["y"] + row)
        for widget in widgets.values()
        for column in range(widget["width"])
        for row in range(widget["height"])
    ]
    assert len(set(cells)) == len(cells)
    assert 24 > max(column for column, _ in cells)


@pytest.mark.usefixtures("api")
def test_the_dashboard_names_what_is_deployed(cloud: LocalCloud) -> None:
    """Nothing in it is left to fill in."""
    body = cloud.client("cloudwatch").get_dashboard(DashboardName=f"visits-{STAGE}-{local_cloud.REGION}")[
        "DashboardBody"
    ]

    assert "${" not in body
    assert cloud.outputs(STAGE)["HttpApiId"] in body
    assert f"user-visits-{STAGE}" in body
    json.loads(body)


@pytest.fixture(scope="module")
def told(cloud: LocalCloud, api: Api) -> Callable[[], list[dict[str, Any]]]:  # noqa: ARG001 - deployed with the API
    """A subscriber to the topic; returns what alarms have told it so far, so often as it is asked."""
    sqs = cloud.client("sqs")
    url = subscribe(cloud, cloud.outputs(STAGE)["AlertsTopicArn"], "test-alarms")
    messages: list[dict[str, Any]] = []

    def receive() -> list[dict[str, Any]]:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            body = json.loads(json.loads(message["Body"])["Message"])
            messages.append(body)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return messages

    return receive


def test_an_alarm_that_goes_off_reaches_a_subscriber(
    cloud: LocalCloud, told: Callable[[], list[dict[str, Any]]], package: Packager
) -> None:
    """Every one, over its own metric: a value beyond the threshold in each period that counts."""
    cloudwatch = cloud.client("cloudwatch")
    deployed = cloudwatch.describe_alarms(AlarmNamePrefix=f"visits-{STAGE}-")["MetricAlarms"]
    assert len(alarms(package("dev"))) == len(deployed)

    now = datetime.now(UTC).timestamp()
    for alarm in deployed:
        # Other tests may have set it off.
        cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="a test begins")
        cloudwatch.put_metric_data(
            Namespace=alarm["Namespace"],
            MetricData=[
                {
                    "MetricName": alarm["MetricName"],
                    "Dimensions": alarm["Dimensions"],
                    "Timestamp": now - period * alarm["Period"],
                    "Value": alarm["Threshold"] + 1,
                }
                for period in range(alarm["EvaluationPeriods"])
            ],
        )

    def every_alarm() -> set[str] | None:
        names = {message["AlarmName"] for message in told() if message["NewStateValue"] == "ALARM"}
        return names if len(names) == len(deployed) else None

    assert {alarm["AlarmName"] for alarm in deployed} == wait_for(every_alarm)
