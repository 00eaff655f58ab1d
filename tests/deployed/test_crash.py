"""The file converter dies for real, at every step that touches AWS, and the event is delivered again."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from databases import client_at, counts_of, every_receipt
from deliver import Delivery, deliver
from stack import subscribe

from receipts import FilesTable, Receipt
from repository import VisitsTable
from tools import local_cloud, tables
from tools.local_cloud import LocalCloud

KEY = "incoming/crash/file.csv"
SOURCES = """
[crash]
columns = { EventId = "Number", EventDay = "Date", EventCount = "Visits" }
dates = "MM/DD/YYYY"
thousands = ","
"""
EVENTS, DAYS = ("7001", "7002"), range(20180101, 20180101 + 23)
ROWS = [
    f"{event};{1 + month:02}/{day % 100:02}/2018;1,00{1 + day % 7}\n"
    for event in EVENTS
    for month in (0, 2, 4)
    for day in DAYS
]
BAD_ROWS = ["7001;13/99/2018;1", "7001;01/01/2018;-1"]
FILE = "\n".join(["Number;Date;Visits", *BAD_ROWS, "".join(ROWS)])
"""Three chunks and two bad rows, in the dialect of a source."""

STEPS = [
    "GetObject",
    "PutItem",
    "TransactWriteItems",
    "TransactWriteItems",
    "PutObject",
    "Publish",
    "TransactWriteItems",
]
"""Read, claim, the chunks, and before the last of them the rejects and the alert."""


@dataclass(frozen=True)
class Site:
    """A bucket with the file in it, a topic and its subscriber; tables are made anew for each case."""

    cloud: LocalCloud
    event: object
    topic_arn: str
    queue_url: str
    sources: Path


@pytest.fixture(scope="module")
def site(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The converter's surroundings on the local cloud, without the function: the tests run it, to kill it."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="crash-inbox", CreateBucketConfiguration={"LocationConstraint": local_cloud.REGION})
    etag = s3.put_object(Bucket="crash-inbox", Key=KEY, Body=FILE)["ETag"].strip('"')
    topic_arn = cloud.client("sns").create_topic(Name="crash-alerts")["TopicArn"]
    queue_url = subscribe(cloud, topic_arn, "crash-alerts")
    entity = {"key": KEY, "size": len(FILE), "eTag": etag}
    event = {"Records": [{"s3": {"bucket": {"name": "crash-inbox"}, "object": entity}}]}
    sources = tmp_path_factory.mktemp("crash") / "sources.toml"
    sources.write_text(SOURCES)
    return Site(cloud, event, topic_arn, queue_url, sources)


type State = tuple[dict[tuple[str, int], int | float], list[Receipt]]


class Case:
    """Tables of its own, and deliveries of the one event to them."""

    def __init__(self, site: Site, name: str) -> None:
        self.site = site
        client = client_at(site.cloud.endpoint)
        self.visits = VisitsTable(client, f"crash-{name}")
        self.files = FilesTable(client, f"crash-{name}-files")
        for table in (self.visits, self.files):
            tables.create(site.cloud.client("dynamodb"), table)

    def deliver(self, when: str = "never", at: int = 0) -> Delivery:
        """Deliver the event in a process of its own."""
        settings = {
            **self.site.cloud.settings,
            "VISITS_TABLE": self.visits.name,
            "FILES_TABLE": self.files.name,
            "ALERTS_TOPIC_ARN": self.site.topic_arn,
            "MAX_LINE_BYTES": "65536",
            "SOURCES_FILE": str(self.site.sources),
        }
        return deliver(self.site.event, settings, when, at)

    def state(self) -> State:
        """Return every count, and the receipts without their times."""
        counts = {
            (event, day): count for event in (*EVENTS, "all") for day, count in counts_of(self.visits, event).items()
        }
        return counts, [
            receipt._replace(began_at="", ended_at="")
            for receipt in every_receipt(self.site.cloud.endpoint, self.files)
        ]


@pytest.fixture(scope="module")
def undisturbed(site: Site) -> Case:
    """The same file, delivered once to a process that nothing happens to."""
    case = Case(site, "undisturbed")
    assert Delivery(0, STEPS) == case.deliver()
    return case


def test_the_undisturbed_run_is_right(undisturbed: Case) -> None:
    """What the others are compared with is not wrong itself."""
    counts, (receipt,) = undisturbed.state()

    assert sum(int(row.rsplit(";", 1)[1].replace(",", "")) for row in ROWS) == sum(
        visits for (event, _), visits in counts.items() if event != "all"
    )
    assert counts["7001", 20180101] + counts["7002", 20180101] == counts["all", 20180101]
    assert 3 * 3 * len(DAYS) == len(counts)
    assert ("done", 3, 3, len(ROWS) + 2, len(ROWS), 2) == (
        receipt.status,
        receipt.chunks,
        receipt.chunks_applied,
        receipt.rows_read,
        receipt.rows_applied,
        receipt.rows_rejected,
    )


POINTS = [(when, at) for at in range(1, len(STEPS) + 1) for when in ("before", "inside", "after", "lost")]


class Outcome(NamedTuple):
    """What a case's tables hold after the disturbed delivery, and after the event was delivered again."""

    disturbed: State
    redelivered: State


@pytest.fixture(scope="module")
def outcomes(site: Site, undisturbed: Case) -> dict[tuple[str, int], Outcome]:  # noqa: ARG001 - its calls are right
    """Every point's outcome; two at a time, as the machine has two cores."""

    def outcome(point: tuple[str, int]) -> Outcome:
        when, at = point
        case = Case(site, f"{when}-{at}")
        assert (0 if when == "lost" else -signal.SIGKILL) == case.deliver(when, at).exit_code, point
        disturbed = case.state()
        assert 0 == case.deliver().exit_code, point
        return Outcome(disturbed, case.state())

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(POINTS, pool.map(outcome, POINTS), strict=True))


@pytest.mark.parametrize(("when", "at"), POINTS, ids=[f"{when}-{at}-{STEPS[at - 1]}" for when, at in POINTS])
def test_wherever_it_dies_a_second_delivery_completes_the_first(
    outcomes: dict[tuple[str, int], Outcome], undisturbed: Case, when: str, at: int
) -> None:
    """Every count and the receipt are as if nothing had happened; a lost answer needs no second delivery."""
    outcome = outcomes[when, at]

    # The last call closes the receipt: whoever died before it was done left something to do.
    complete = when == "lost" or (at == len(STEPS) and when != "before")
    assert complete == (undisturbed.state() == outcome.disturbed)
    assert undisturbed.state() == outcome.redelivered


def test_every_case_tells_people_of_its_bad_rows(outcomes: dict[tuple[str, int], Outcome], site: Site) -> None:
    """A death between the alert and the end repeats it; none loses it. The rejected rows are there to read."""
    sqs = site.cloud.client("sqs")
    alerts = 0
    while messages := sqs.receive_message(QueueUrl=site.queue_url, MaxNumberOfMessages=10).get("Messages"):
        alerts += len(messages)
        for message in messages:
            sqs.delete_message(QueueUrl=site.queue_url, ReceiptHandle=message["ReceiptHandle"])
    rejects = site.cloud.client("s3").get_object(Bucket="crash-inbox", Key=f"rejected/{KEY}.jsonl")["Body"].read()

    # Once for the undisturbed run and each case, and once more where the alert was sent and the last chunk was not.
    again = [("inside", 6), ("after", 6), ("lost", 6), ("before", 7)]
    assert 1 + len(outcomes) + len(again) == alerts
    assert BAD_ROWS == [json.loads(line)["text"] for line in rejects.splitlines()]
