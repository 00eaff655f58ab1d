"""A dropped file, from S3's event to counts, receipt, rejects, alert, metrics and log line."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import quote_plus

import boto3
import pytest
import urllib3
from botocore.exceptions import BotoCoreError, ClientError, IncompleteReadError
from botocore.response import StreamingBody
from databases import MOTO, counts_of, every_receipt
from reading import new_file
from settings import STAGE

import ingestion
from columns import Names
from converter import Converter, Report
from dynamodb import DynamoDBError
from lines import BadFile
from plan import digest
from receipts import FilesTable, Receipt
from repository import VisitsTable
from s3_events import Announced, NotAnS3Event
from sources import Settings
from tools import local_cloud
from visits import ALL_EVENTS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

BUCKET = "visits-inbox-test"
KEY = "incoming/visits.csv"
HEADER = "EventId,EventDay,EventCount\n"
GOOD = f"{HEADER}324,20171001,3\n324,20171001,4\n300,20171002,1\n"
BAD = f"{HEADER}324,20171001,3\nanna@example.com,20171001,1\n324,20179999,1\n324,20171001\n"
"""One good row and three bad ones."""

NO_ID = "is not a number (ASCII digits)"
NO_HEADER = (
    "has a header which has no EventId and no EventDay; there is 'no file of visits'; "
    "the `columns` of a source say what other names mean"
)

type Event = dict[str, list[dict[str, Any]]]


@dataclass
class Context:
    """What Lambda tells a function about itself."""

    function_name: str = "visits-test-ingestFile"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:visits-test-ingestFile"
    aws_request_id: str = "11111111-2222-3333-4444-555555555555"
    left_ms: int = 900_000

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms


def event_of(key: str, etag: str, size: int, version_id: str | None = None) -> Event:
    """Return the event that S3 sends: keys as in a form, an ETag without its quotes, a version if there are any."""
    entity: dict[str, object] = {"key": quote_plus(key, safe="/"), "size": size, "eTag": etag, "sequencer": "0055AED6"}
    if version_id:
        entity["versionId"] = version_id
    s3 = {"s3SchemaVersion": "1.0", "bucket": {"name": BUCKET, "arn": f"arn:aws:s3:::{BUCKET}"}, "object": entity}
    return {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3}]}


@dataclass(frozen=True)
class Inbox:
    """The inbox bucket, and the queue of someone who subscribed to the alerts."""

    s3: S3Client
    sqs: SQSClient
    queue_url: str

    def keep_versions(self) -> None:
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})

    def drop(self, content: str | bytes, key: str = KEY) -> Event:
        """Put a file into the bucket and return S3's event."""
        data = content.encode() if isinstance(content, str) else content
        answer = self.s3.put_object(Bucket=BUCKET, Key=key, Body=data)
        return event_of(key, answer["ETag"].strip('"'), len(data), answer.get("VersionId"))

    def alerts(self) -> list[tuple[str, str]]:
        """Return subject and message of the alerts since the last look."""
        alerts = []
        while messages := self.sqs.receive_message(QueueUrl=self.queue_url).get("Messages"):
            for message in messages:
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
                body = json.loads(message["Body"])
                alerts.append((body["Subject"], body["Message"]))
        return alerts

    def keys(self) -> list[str]:
        return [entity["Key"] for entity in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def text(self, key: str) -> str:
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()


@pytest.fixture
def inbox(table: VisitsTable) -> Inbox:  # noqa: ARG001 - in the same AWS
    """An empty inbox, in memory, and one subscriber of the alerts."""
    s3 = boto3.client("s3", region_name=local_cloud.REGION)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    sqs = boto3.client("sqs", region_name=local_cloud.REGION)
    queue_url = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns = boto3.client("sns", region_name=local_cloud.REGION)
    topic_arn = sns.create_topic(Name=f"visits-alerts-{STAGE}")["TopicArn"]
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn)
    return Inbox(s3, sqs, queue_url)


class Output(NamedTuple):
    """What the function printed: log lines and metrics."""

    log: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    text: str


@pytest.fixture
def deliver(
    inbox: Inbox,  # noqa: ARG001 - whatever is delivered is delivered there
    files: FilesTable,  # noqa: ARG001
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Event], Output]:
    """Call the function as Lambda does."""

    def call(event: Event) -> Output:
        log = io.StringIO()
        monkeypatch.setattr(ingestion.logger.registered_handler, "stream", log)
        capsys.readouterr()
        ingestion.ingest_file(event, Context())
        printed = capsys.readouterr()
        assert "" == printed.err
        log_lines = [json.loads(line) for line in log.getvalue().splitlines()]
        metrics = [json.loads(line) for line in printed.out.splitlines()]
        return Output(log_lines, metrics, log.getvalue() + printed.out)

    return call


@dataclass
class Intervention:
    """What GetObject answers instead, and how often it was asked."""

    error_code: str = ""
    error_message: str = "as told"
    bytes_sent: int | None = None
    calls: int = 0

    def before_call(self, **_: object) -> tuple[object, dict[str, object]] | None:
        self.calls += 1
        if not self.error_code:
            return None

        class Http:
            status_code = 400

        error = {"Code": self.error_code, "Message": self.error_message}
        return Http(), {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}

    def after_call(self, parsed: dict[str, Any], **_: object) -> None:
        if self.bytes_sent is not None and "Body" in parsed:
            data = parsed["Body"].read()
            parsed["Body"] = StreamingBody(io.BytesIO(data[: self.bytes_sent]), len(data))


@pytest.fixture
def intervention() -> Iterator[Intervention]:
    """Between the function and S3."""
    events = ingestion.ENVIRONMENT.s3.meta.events
    between = Intervention()
    handlers: dict[str, Any] = {"before-call": between.before_call, "after-call": between.after_call}
    for name, handler in handlers.items():
        events.register(f"{name}.s3.GetObject", handler)
    yield between
    for name, handler in handlers.items():
        events.unregister(f"{name}.s3.GetObject", handler)


def sums(table: VisitsTable) -> dict[tuple[str, int], int | float]:
    """Return every count, `all` included."""
    return {
        (event, day): count for event in ("300", "324", ALL_EVENTS) for day, count in counts_of(table, event).items()
    }


GOOD_SUMS = {
    ("300", 20171002): 1,
    ("324", 20171001): 7,
    (ALL_EVENTS, 20171001): 7,
    (ALL_EVENTS, 20171002): 1,
}


def receipt_of(files: FilesTable, key: str = KEY) -> Receipt:
    receipt = files.get(BUCKET, key)
    assert receipt is not None
    return receipt


def etag_of(content: str | bytes) -> str:
    return hashlib.md5(content.encode() if isinstance(content, str) else content).hexdigest()  # noqa: S324 - as S3 does


def refusal(key: str, reason: str, rows: str = "") -> tuple[str, str]:
    """Return the alert of a refused file that has no rejected rows, nor any that were read unless told so."""
    lines = [f"File: s3://{BUCKET}/{key}", f"Refused, nothing was applied: the file {reason}."]
    if rows:
        lines.insert(1, f"Rows: {rows}")
    return "Visits test: a file was refused", "\n".join(lines)


def metric_values(output: Output) -> list[dict[str, float]]:
    """Return each blob's values; EMF has them as numbers or lists of them."""
    return [
        {
            definition["Name"]: blob[definition["Name"]]
            if isinstance(blob[definition["Name"]], int | float)
            else sum(blob[definition["Name"]])
            for definition in blob["_aws"]["CloudWatchMetrics"][0]["Metrics"]
        }
        for blob in output.metrics
    ]


def counted(**values: int) -> dict[str, int]:
    return {"FilesIngested": 0, "FilesAlreadyIngested": 0, "FilesRefused": 0} | values


def test_a_dropped_file_is_counted_and_has_a_receipt(
    inbox: Inbox, table: VisitsTable, files: FilesTable, deliver: Callable[[Event], Output]
) -> None:
    """Each figure of it; a file without a bad row makes neither rejects nor an alert."""
    deliver(inbox.drop(GOOD))

    receipt = receipt_of(files)
    assert GOOD_SUMS == sums(table)
    assert receipt == Receipt(
        bucket=BUCKET,
        key=KEY,
        etag=etag_of(GOOD),
        status="done",
        began_at=receipt.began_at,
        ended_at=receipt.ended_at,
        reason="",
        digest=digest({("324", 20171001): 7, ("300", 20171002): 1}),
        chunk_size=99,
        chunks=1,
        chunks_applied=1,
        rows_read=3,
        rows_applied=3,
        rows_rejected=0,
        visits=8,
    )
    assert datetime.fromisoformat(receipt.began_at) <= datetime.fromisoformat(receipt.ended_at)
    assert "+00:00" == receipt.ended_at[-6:]
    assert [KEY] == inbox.keys()
    assert [] == inbox.alerts()


JSON_LINES = b"""\
{"EventId": 324, "EventDay": 20171001, "EventCount": 7}
{"EventId": "300", "EventDay": "2017-10-02"}
"""


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("incoming/visits.csv.gz", gzip.compress(GOOD.encode(), mtime=0)),
        ("incoming/VISITS.JSONL", JSON_LINES),
        ("incoming/a.csv/visits.ndjson.gz", gzip.compress(JSON_LINES, mtime=0)),
    ],
    ids=["csv.gz", "jsonl", "ndjson.gz"],
)
def test_a_key_tells_how_a_file_is_read(
    inbox: Inbox, table: VisitsTable, deliver: Callable[[Event], Output], key: str, content: bytes
) -> None:
    """Not the folder it is in, nor the type that the object may have."""
    deliver(inbox.drop(content, key))

    assert GOOD_SUMS == sums(table)


@pytest.mark.parametrize(
    "key",
    [
        "incoming/visits of may.csv",
        "incoming/a+b c.csv",
        "incoming/Zoë Ω 訪問 😀.csv",
        "incoming/100%.csv",
        "incoming/%2B%20+.csv",
        "incoming/a&b=c?d#e;'(f)!*.csv",
        "incoming/sub folder/a.csv",
    ],
)
def test_any_key_is_the_files_name_everywhere(
    inbox: Inbox, table: VisitsTable, files: FilesTable, deliver: Callable[[Event], Output], key: str
) -> None:
    """S3 sends keys encoded as in a form; receipt, rejects and alert have them as they are."""
    output = deliver(inbox.drop(BAD, key))

    assert {("324", 20171001): 3, (ALL_EVENTS, 20171001): 3} == sums(table)
    assert ("done", key) == (receipt_of(files, key).status, receipt_of(files, key).key)
    assert {key, f"rejected/{key}.jsonl"} == set(inbox.keys())
    ((_, message),) = inbox.alerts()
    assert [f"File: s3://{BUCKET}/{key}", f"Rejected rows: s3://{BUCKET}/rejected/{key}.jsonl"] == [
        message.splitlines()[0],
        message.splitlines()[-1],
    ]
    assert key == output.log[0]["file"]["key"]


def test_bad_rows_are_kept_beside_the_inbox_and_summed_up_in_an_alert(
    inbox: Inbox, table: VisitsTable, files: FilesTable, deliver: Callable[[Event], Output]
) -> None:
    """The good one counts; the alert says how many, which rules and where the rows are."""
    deliver(inbox.drop(BAD))

    receipt = receipt_of(files)
    assert {("324", 20171001): 3, (ALL_EVENTS, 20171001): 3} == sums(table)
    assert ("done", 4, 1, 3, 3) == (
        receipt.status,
        receipt.rows_read,
        receipt.rows_applied,
        receipt.rows_rejected,
        receipt.visits,
    )
    assert (
        f'{{"line": 3, "reason": "EventId \'anna@example.com\' {NO_ID}", "text": "anna@example.com,20171001,1"}}\n'
        '{"line": 4, "reason": "EventDay \'20179999\' is not a calendar date (YYYYMMDD)", "text": "324,20179999,1"}\n'
        '{"line": 5, "reason": "has 2 fields, the header has 3", "text": "324,20171001"}\n'
    ) == inbox.text(f"rejected/{KEY}.jsonl")
    ((subject, message),) = inbox.alerts()
    assert "Visits test: 3 rows of a file were rejected" == subject
    assert [
        f"File: s3://{BUCKET}/{KEY}",
        "Rows: 4 read, 1 applied, 3 rejected",
        f"- line 3: EventId {NO_ID}",
        "- line 4: EventDay is not a calendar date (YYYYMMDD)",
        "- line 5: has 2 fields, the header has 3",
        f"Rejected rows: s3://{BUCKET}/rejected/{KEY}.jsonl",
    ] == message.split("\n")


def test_no_value_of_a_row_is_told_to_anyone(inbox: Inbox, deliver: Callable[[Event], Output]) -> None:
    """A visitor's address that got into a row stands in the rejects and nowhere else."""
    bad_rows = [
        "anna@example.com,20171001,1",
        "324,anna@example.com,1",
        "324,2017-01-01Tanna@example.com,1",
        "324,20171001,anna@example.com",
        "anna@example.com",
        '"anna"@example.com,20171001,1',
    ]

    output = deliver(inbox.drop("\n".join([GOOD, *bad_rows])))

    ((subject, message),) = inbox.alerts()
    rejects = inbox.text(f"rejected/{KEY}.jsonl").splitlines()
    assert bad_rows == [json.loads(row)["text"] for row in rejects]
    told = subject + message + output.text
    assert (False, False) == ("anna" in told, "example" in told)


@pytest.mark.parametrize(
    ("key", "content"),
    [
        (KEY, "anna@example.com,20171001,1\n324,20171001,1\n"),
        (KEY, f"{HEADER}anna@example.com,20171001,1\n"),
        (KEY, f'{HEADER}324,20171001,1\n324,20171001,"anna@example.com\n'),
        (KEY, f"{HEADER}324,20171001,1\n{'anna@example.com' * 100}\n"),
        (KEY, f"{HEADER}324,20171001,1\nanna@example.com\xff\n".encode("latin-1")),
        ("incoming/visits.csv.gz", "anna@example.com,20171001,1\n"),
    ],
    ids=["no header", "no good row", "open quote", "long line", "latin-1", "no gzip"],
)
def test_no_value_of_a_refused_file_is_told_to_anyone(
    inbox: Inbox, files: FilesTable, deliver: Callable[[Event], Output], key: str, content: str | bytes
) -> None:
    """Nor do the receipt and its reason have one."""
    output = deliver(inbox.drop(content, key))

    ((subject, message),) = inbox.alerts()
    told = subject + message + output.text + str(receipt_of(files, key))
    assert "refused" == receipt_of(files, key).status
    # Of a gzip file that is none, the first two bytes would be too many.
    assert (False, False, False) == ("anna" in told, "example" in told, "b'an'" in told)


BACKSLASHES = "\\" * 500
"""Twice as many bytes in JSON."""


def test_after_ten_reasons_an_alert_says_how_many_more(inbox: Inbox, deliver: Callable[[Event], Output]) -> None:
    """Thousands of bad rows make no longer message; large rejects, held on disk, are uploaded whole."""
    deliver(inbox.drop(GOOD + f"{BACKSLASHES}\n" * 1111))

    ((subject, message),) = inbox.alerts()
    assert "Visits test: 1,111 rows of a file were rejected" == subject
    assert [
        f"File: s3://{BUCKET}/{KEY}",
        "Rows: 1,114 read, 3 applied, 1,111 rejected",
        *(f"- line {line}: has 1 field, the header has 3" for line in range(5, 15)),
        "- and 1,101 more",
        f"Rejected rows: s3://{BUCKET}/rejected/{KEY}.jsonl",
    ] == message.split("\n")
    rejects = inbox.text(f"rejected/{KEY}.jsonl").splitlines()
    assert [*range(5, 1116)] == [json.loads(row)["line"] for row in rejects]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("\n", "is empty"),
        (HEADER, "has no row"),
        ("no file of visits\n", NO_HEADER),
        (f"{GOOD}{'x' * 1001}\n", "has a line of more than 1,000 bytes, line 5"),
        (f'{GOOD}1,20171001,"{"x\n" * 600}"\n', "has a row of more than 1,000 bytes, line 5"),
        (gzip.compress(GOOD.encode())[:-1], "is not a whole gzip file"),
    ],
    ids=["empty", "header only", "no header", "long line", "long row", "gzip cut off"],
)
def test_a_file_that_cannot_be_trusted_is_refused_with_an_alert(
    inbox: Inbox,
    table: VisitsTable,
    files: FilesTable,
    deliver: Callable[[Event], Output],
    content: str | bytes,
    reason: str,
) -> None:
    """Nothing of it is counted, and the receipt says why."""
    deliver(inbox.drop(content))

    receipt = receipt_of(files)
    rows_read = 3 if "line 5" in reason else 0
    assert {} == sums(table)
    assert receipt == Receipt(
        BUCKET, KEY, etag_of(content), "refused", receipt.began_at, receipt.ended_at, reason, rows_read=rows_read
    )
    assert (receipt.began_at, True) == (receipt.ended_at, receipt.began_at.endswith("+00:00"))
    assert [KEY] == inbox.keys()
    read = f"{rows_read} read, 0 applied, 0 rejected" if rows_read else ""
    assert [refusal(KEY, reason, read)] == inbox.alerts()


def test_more_pairs_than_the_function_is_allowed_are_refused(
    inbox: Inbox, table: VisitsTable, deliver: Callable[[Event], Output]
) -> None:
    """The limits come from the environment."""
    deliver(inbox.drop(HEADER + "".join(f"{event},20171001,1\n" for event in range(1001))))

    assert {} == sums(table)
    assert [
        refusal(KEY, "has more than 1,000 different pairs of event and day", "1,001 read, 0 applied, 0 rejected")
    ] == inbox.alerts()


def test_a_gzip_bomb_is_refused(inbox: Inbox, table: VisitsTable, deliver: Callable[[Event], Output]) -> None:
    """However small it is in the bucket."""
    bomb = gzip.compress(HEADER.encode()) + gzip.compress(b"324,20171001,1\n" * 70_000) * 20

    key = "incoming/bomb.csv.gz"
    deliver(inbox.drop(bomb, key))

    assert {} == sums(table)
    ((subject, message),) = inbox.alerts()
    assert "Visits test: a file was refused" == subject
    assert "Refused, nothing was applied: the file has more than 10,000,000 bytes, uncompressed." in message


def test_the_bad_rows_of_a_refused_file_are_kept(inbox: Inbox, deliver: Callable[[Event], Output]) -> None:
    """They are why it was refused."""
    deliver(inbox.drop(f"{HEADER}x,20171001,1\n"))

    row = f'{{"line": 2, "reason": "EventId \'x\' {NO_ID}", "text": "x,20171001,1"}}\n'
    assert row == inbox.text(f"rejected/{KEY}.jsonl")
    ((subject, message),) = inbox.alerts()
    assert "Visits test: a file was refused" == subject
    assert [
        f"File: s3://{BUCKET}/{KEY}",
        "Rows: 1 read, 0 applied, 1 rejected",
        "Refused, nothing was applied: the file has not one good row.",
        f"- line 2: EventId {NO_ID}",
        f"Rejected rows: s3://{BUCKET}/rejected/{KEY}.jsonl",
    ] == message.split("\n")


def test_the_same_event_again_changes_nothing(
    inbox: Inbox, table: VisitsTable, files: FilesTable, deliver: Callable[[Event], Output]
) -> None:
    """S3 delivers at least once; people are told once."""
    event = inbox.drop(BAD)
    deliver(event)
    before = sums(table), receipt_of(files)
    told = len(inbox.alerts())

    output = deliver(event)

    assert before == (sums(table), receipt_of(files))
    assert (1, []) == (told, inbox.alerts())
    assert [counted(FilesAlreadyIngested=1)] == metric_values(output)
    assert ["file already ingested"] == [line["message"] for line in output.log]


def test_the_same_name_and_content_dropped_again_are_already_ingested(
    inbox: Inbox, table: VisitsTable, files: FilesTable, deliver: Callable[[Event], Output]
) -> None:
    """A partner who sends yesterday's file once more does no harm."""
    inbox.keep_versions()
    deliver(inbox.drop(GOOD))
    before = receipt_of(files)

    output = deliver(inbox.drop(GOOD))

    assert GOOD_SUMS == sums(table)
    assert before == receipt_of(files)
    assert [] == inbox.alerts()
    assert [counted(FilesAlreadyIngested=1)] == metric_values(output)


def test_the_same_name_with_other_content_is_refused(
    inbox: Inbox, table: VisitsTable, files: FilesTable, deliver: Callable[[Event], Output]
) -> None:
    """What of it was counted before cannot be told; counts and receipt stay, someone is told."""
    deliver(inbox.drop(GOOD))
    before = receipt_of(files)

    output = deliver(inbox.drop(f"{GOOD}324,20171003,1\n"))

    assert GOOD_SUMS == sums(table)
    assert before == receipt_of(files)
    reason = (
        f"has the name of a file of {before.began_at} with other content; deliver it under a name of its own"
    )  # fmt: skip
    assert [refusal(KEY, reason)] == inbox.alerts()
    assert [counted(FilesRefused=1, RowsRead=0, RowsRejected=0, VisitsCounted=0)] == metric_values(output)
    assert ["file refused"] == [line["message"] for line in output.log]


def test_bad_content_under_a_known_name_leaves_its_receipt(
    inbox: Inbox, table: VisitsTable, files: FilesTable, deliver: Callable[[Event], Output]
) -> None:
    """A refusal must not open the name for what was counted under it."""
    deliver(inbox.drop(GOOD))
    before = receipt_of(files)

    deliver(inbox.drop("no file of visits"))
    deliver(inbox.drop(GOOD))

    assert GOOD_SUMS == sums(table)
    assert before == receipt_of(files)
    assert [refusal(KEY, NO_HEADER)] == inbox.alerts()


def test_the_same_content_under_another_name_counts_again(
    inbox: Inbox, table: VisitsTable, deliver: Callable[[Event], Output]
) -> None:
    """A file is known by its name: two files may say the same."""
    deliver(inbox.drop(GOOD, "incoming/a.csv"))
    deliver(inbox.drop(GOOD, "incoming/b.csv"))

    assert {key: 2 * visits for key, visits in GOOD_SUMS.items()} == sums(table)


def test_a_refused_name_may_be_delivered_again(
    inbox: Inbox, table: VisitsTable, files: FilesTable, deliver: Callable[[Event], Output]
) -> None:
    """Nothing of it was counted, so the corrected file can be."""
    deliver(inbox.drop("no file of visits"))
    assert "refused" == receipt_of(files).status

    output = deliver(inbox.drop(GOOD))

    assert GOOD_SUMS == sums(table)
    assert ("done", etag_of(GOOD), "") == (
        receipt_of(files).status,
        receipt_of(files).etag,
        receipt_of(files).reason,
    )
    assert [refusal(KEY, NO_HEADER)] == inbox.alerts()
    assert [counted(FilesIngested=1, RowsRead=3, RowsRejected=0, VisitsCounted=8)] == metric_values(output)


def test_a_refusal_is_told_once(inbox: Inbox, files: FilesTable, deliver: Callable[[Event], Output]) -> None:
    """Though its event comes twice; the receipt has the time of the second."""
    event = inbox.drop("no file of visits")
    deliver(event)
    before = receipt_of(files)

    output = deliver(event)

    again = receipt_of(files)
    assert before == again._replace(began_at=before.began_at, ended_at=before.ended_at)
    assert before.began_at < again.began_at
    assert 1 == len(inbox.alerts())
    assert 1 == metric_values(output)[0]["FilesRefused"]


def test_the_version_that_an_event_announces_is_the_one_counted(
    inbox: Inbox, table: VisitsTable, files: FilesTable, deliver: Callable[[Event], Output]
) -> None:
    """Though a newer one is there by then, which its own event finds refused."""
    inbox.keep_versions()
    older = inbox.drop(GOOD)
    newer = inbox.drop(f"{HEADER}324,20171001,1000\n")

    deliver(older)
    assert [] == inbox.alerts()
    deliver(newer)

    assert GOOD_SUMS == sums(table)
    assert etag_of(GOOD) == receipt_of(files).etag
    assert 1 == len(inbox.alerts())


def test_a_version_is_counted_though_the_file_was_deleted(
    inbox: Inbox, table: VisitsTable, deliver: Callable[[Event], Output]
) -> None:
    """A bucket with versions keeps what was delivered."""
    inbox.keep_versions()
    event = inbox.drop(GOOD)
    inbox.s3.delete_object(Bucket=BUCKET, Key=KEY)

    deliver(event)

    assert GOOD_SUMS == sums(table)


def test_a_file_replaced_before_it_was_read_is_refused(
    inbox: Inbox, table: VisitsTable, files: FilesTable, deliver: Callable[[Event], Output]
) -> None:
    """Without versions its content is gone; what replaced it comes with an event of its own, and counts."""
    older = inbox.drop(f"{HEADER}324,20171001,1000\n")
    newer = inbox.drop(GOOD)

    deliver(older)
    assert {} == sums(table)
    assert "refused" == receipt_of(files).status
    assert [refusal(KEY, "was replaced before it could be read")] == inbox.alerts()
    deliver(newer)

    assert GOOD_SUMS == sums(table)
    assert "done" == receipt_of(files).status


def test_a_file_that_is_gone_is_raised(
    inbox: Inbox, table: VisitsTable, files: FilesTable, deliver: Callable[[Event], Output]
) -> None:
    """To a role that may not list, S3 says no more than AccessDenied: only a person can tell what became of it."""
    event = inbox.drop(GOOD)
    inbox.s3.delete_object(Bucket=BUCKET, Key=KEY)

    with pytest.raises(ClientError, match="NoSuchKey"):
        deliver(event)

    assert ({}, [], []) == (sums(table), every_receipt(MOTO, files), inbox.alerts())


@pytest.mark.parametrize(("size", "calls", "alerts"), [(1_000_000, 1, []), (1_000_001, 0, ["refused"])])
def test_a_file_announced_as_too_large_is_not_even_read(
    inbox: Inbox,
    files: FilesTable,
    deliver: Callable[[Event], Output],
    intervention: Intervention,
    size: int,
    calls: int,
    alerts: list[str],
) -> None:
    """The event has its size; just the limit is fine."""
    event = inbox.drop(GOOD)
    event["Records"][0]["s3"]["object"]["size"] = size

    deliver(event)

    assert calls == intervention.calls
    assert [refusal(KEY, "has more than 1,000,000 bytes") for _ in alerts] == inbox.alerts()
    assert ("refused" if alerts else "done") == receipt_of(files).status


def test_a_key_too_long_for_the_key_of_its_rejects_is_refused(
    inbox: Inbox, table: VisitsTable, files: FilesTable, deliver: Callable[[Event], Output], intervention: Intervention
) -> None:
    """In bytes, and before it is read: its bad rows could not be kept."""
    key = f"incoming/{'é' * 500}.csv"
    assert 1013 == len(key.encode())

    deliver(inbox.drop(BAD, key))

    assert 0 == intervention.calls
    assert {} == sums(table)
    assert ("refused", "has a name of more than 1,009 bytes") == (
        receipt_of(files, key).status,
        receipt_of(files, key).reason,
    )
    assert [refusal(key, "has a name of more than 1,009 bytes")] == inbox.alerts()


def test_the_longest_key_has_room_for_its_rejects(inbox: Inbox, deliver: Callable[[Event], Output]) -> None:
    """S3 takes 1,024 bytes."""
    key = f"incoming/{'é' * 498}.csv"
    assert 1009 == len(key.encode())

    deliver(inbox.drop(BAD, key))

    keys = inbox.keys()
    assert {key, f"rejected/{key}.jsonl"} == set(keys)
    assert [1024, 1009] == sorted((len(key.encode()) for key in keys), reverse=True)


def test_a_file_with_the_name_of_a_folder_is_a_file(
    inbox: Inbox, table: VisitsTable, deliver: Callable[[Event], Output]
) -> None:
    """What has content is not passed over."""
    deliver(inbox.drop(GOOD, "incoming/from partner/"))

    assert GOOD_SUMS == sums(table)


@pytest.mark.parametrize("key", ["incoming/from partner/", "incoming/_SUCCESS", "incoming/x_$folder$"])
def test_an_empty_object_is_passed_over(
    inbox: Inbox, files: FilesTable, deliver: Callable[[Event], Output], key: str
) -> None:
    """The console makes one for a folder, and programs mark with one that they are done."""
    output = deliver(inbox.drop("", key))

    assert [] == every_receipt(MOTO, files)
    assert [] == inbox.alerts()
    assert [("empty object passed over", key)] == [(line["message"], line["key"]) for line in output.log]
    assert [] == output.metrics


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (GOOD, {"FilesIngested": 1, "RowsRead": 3, "RowsRejected": 0, "VisitsCounted": 8}),
        (BAD, {"FilesIngested": 1, "RowsRead": 4, "RowsRejected": 3, "VisitsCounted": 3}),
        (f"{HEADER}x,1,1\n", {"FilesRefused": 1, "RowsRead": 1, "RowsRejected": 1, "VisitsCounted": 0}),
        ("\n", {"FilesRefused": 1, "RowsRead": 0, "RowsRejected": 0, "VisitsCounted": 0}),
    ],
    ids=["good", "bad rows", "no good row", "empty"],
)
def test_a_file_makes_one_blob_of_metrics(
    inbox: Inbox, deliver: Callable[[Event], Output], content: str, values: dict[str, int]
) -> None:
    """In CloudWatch's embedded format, under the namespace and dimension that alarms look for."""
    output = deliver(inbox.drop(content))

    (blob,) = output.metrics
    (directive,) = blob["_aws"]["CloudWatchMetrics"]
    (dimensions,) = directive["Dimensions"]
    assert "Visits" == directive["Namespace"]
    assert {"stage": STAGE} == {name: blob[name] for name in dimensions if name != "service"}
    assert {"Count"} == {definition["Unit"] for definition in directive["Metrics"]}
    assert [counted(**values)] == metric_values(output)


def test_a_file_makes_one_log_line_with_its_figures(
    inbox: Inbox, files: FilesTable, deliver: Callable[[Event], Output]
) -> None:
    """The receipt as it stands, and which call of the function it was."""
    output = deliver(inbox.drop(BAD))

    (line,) = output.log
    assert receipt_of(files)._asdict() == line["file"]
    assert {
        "level": "INFO",
        "message": "file ingested",
        "service": "file-converter",
        "function_name": Context().function_name,
        "function_request_id": Context().aws_request_id,
    } == {name: line[name] for name in ("level", "message", "service", "function_name", "function_request_id")}
    # Lambda takes a line whose time is not RFC 3339 for one of level INFO.
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00", line["timestamp"])


def test_each_file_of_an_event_has_its_own_metrics_and_line(
    inbox: Inbox, table: VisitsTable, deliver: Callable[[Event], Output]
) -> None:
    """S3 sends one, but its format takes several."""
    records = [record for key in ("incoming/a.csv", "incoming/b.csv") for record in inbox.drop(GOOD, key)["Records"]]

    output = deliver({"Records": records})

    assert {key: 2 * visits for key, visits in GOOD_SUMS.items()} == sums(table)
    assert ["incoming/a.csv", "incoming/b.csv"] == [line["file"]["key"] for line in output.log]
    assert [counted(FilesIngested=1, RowsRead=3, RowsRejected=0, VisitsCounted=8)] * 2 == metric_values(output)
    assert [STAGE, STAGE] == [blob["stage"] for blob in output.metrics]
    assert 1 == len({json.dumps(blob["_aws"]["CloudWatchMetrics"]) for blob in output.metrics})


@pytest.mark.parametrize("code", ["AccessDenied", "SlowDown", "InternalError", "NoSuchBucket"])
def test_any_other_error_of_s3_is_raised(
    inbox: Inbox,
    table: VisitsTable,
    files: FilesTable,
    deliver: Callable[[Event], Output],
    intervention: Intervention,
    code: str,
) -> None:
    """Lambda delivers the event again, and once the fault is mended the file counts."""
    event = inbox.drop(GOOD)
    intervention.error_code = code
    with pytest.raises(ClientError, match=code):
        deliver(event)
    assert ({}, [], []) == (sums(table), every_receipt(MOTO, files), inbox.alerts())

    intervention.error_code = ""
    deliver(event)

    assert GOOD_SUMS == sums(table)


@pytest.mark.parametrize(
    ("code", "message", "reason"),
    [
        ("InvalidObjectState", "", "it is in the storage class of an archive; deliver it in STANDARD"),
        ("InvalidRequest", "", "it is encrypted with a key of its sender (SSE-C); deliver it without"),
        ("KMS.DisabledException", "", "it is encrypted with a KMS key of its sender; deliver it without"),
        ("AccessDenied", "to perform: kms:Decrypt", "it is encrypted with a KMS key of its sender; deliver it without"),
    ],
)
def test_an_object_that_can_never_be_read_is_refused_with_the_reason(
    inbox: Inbox,
    table: VisitsTable,
    deliver: Callable[[Event], Output],
    intervention: Intervention,
    code: str,
    message: str,
    reason: str,
) -> None:
    """Once: it would fail however often it is tried."""
    event = inbox.drop(GOOD)
    intervention.error_code, intervention.error_message = code, message

    deliver(event)

    assert 1 == intervention.calls
    assert {} == sums(table)
    assert [refusal(KEY, f"cannot be read: {reason}")] == inbox.alerts()


@pytest.mark.usefixtures("table")
def test_a_missing_table_is_raised(inbox: Inbox) -> None:
    """Nobody takes the event for done."""
    with pytest.raises(DynamoDBError, match=r"on visit-files-test: ResourceNotFoundException"):
        ingestion.ingest_file(inbox.drop(GOOD), Context())


def test_an_alert_that_cannot_be_sent_is_raised_before_the_receipt_is_closed(
    inbox: Inbox, table: VisitsTable, files: FilesTable, deliver: Callable[[Event], Output]
) -> None:
    """A closed receipt would mean that nobody ever hears of the bad rows."""
    sns = boto3.client("sns", region_name=local_cloud.REGION)
    sns.delete_topic(TopicArn=f"arn:aws:sns:eu-west-1:123456789012:visits-alerts-{STAGE}")

    with pytest.raises(ClientError, match="NotFound"):
        deliver(inbox.drop(BAD))

    assert {} == sums(table)
    assert "applying" == receipt_of(files).status


@pytest.mark.parametrize("key", [KEY, "incoming/visits.csv.gz"])
@pytest.mark.parametrize("bytes_sent", [0, 1, 20, 1000, 1200])
def test_a_body_that_breaks_off_is_raised_and_nothing_written(
    inbox: Inbox,
    table: VisitsTable,
    files: FilesTable,
    deliver: Callable[[Event], Output],
    intervention: Intervention,
    key: str,
    bytes_sent: int,
) -> None:
    """It is no truncated file, whose rows would be lost for good: the next delivery counts all of it."""
    content = f"{HEADER}324,20171001,7\n300,20171002,1\n{'324,20171001,0\n' * 100}".encode()
    if key.endswith(".gz"):
        content = gzip.compress(content, compresslevel=0)
    event = inbox.drop(content, key)
    intervention.bytes_sent = bytes_sent
    with pytest.raises(IncompleteReadError):
        deliver(event)
    assert ({}, [], []) == (sums(table), every_receipt(MOTO, files), inbox.alerts())

    intervention.bytes_sent = None
    deliver(event)

    assert GOOD_SUMS == sums(table)


@pytest.fixture
def broken_s3(table: VisitsTable, files: FilesTable) -> Iterator[Callable[..., S3Client]]:  # noqa: ARG001 - in one AWS
    """Make an S3 on loopback that sends `data` under these headers, whatever it is asked for, and hangs up."""
    sent: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in sent["headers"].items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent["data"])

        def log_message(self, *_: object) -> None:
            """Keep the tests' output to the tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

        def client(data: bytes, headers: dict[str, str]) -> S3Client:
            sent.update(data=data, headers=headers)
            return boto3.client(
                "s3", region_name=local_cloud.REGION, endpoint_url=f"http://127.0.0.1:{server.server_port}"
            )

        yield client
        server.shutdown()


@pytest.mark.parametrize(("missing_bytes", "headers"), [(1, {}), (0, {"x-amz-checksum-crc32": "AAAAAA=="})])
def test_bytes_that_s3_did_not_mean_are_never_counted(
    table: VisitsTable,
    files: FilesTable,
    broken_s3: Callable[..., S3Client],
    missing_bytes: int,
    headers: dict[str, str],
) -> None:
    """Neither a connection that breaks off nor content that is not what its checksum says."""
    data = GOOD.encode()
    always = {"Content-Length": str(len(data)), "Last-Modified": "Wed, 25 Nov 2026 12:00:00 GMT"}
    s3 = broken_s3(data[: len(data) - missing_bytes], always | headers)
    announced = Announced(BUCKET, KEY, etag_of(data), None, len(data))

    with pytest.raises((BotoCoreError, urllib3.exceptions.HTTPError)):
        ingestion.ingest(announced, s3, ingestion.ENVIRONMENT.converter, {})

    assert ({}, []) == (sums(table), every_receipt(MOTO, files))


def test_a_source_says_what_the_files_of_its_folder_look_like(
    inbox: Inbox,
    table: VisitsTable,
    files: FilesTable,
    deliver: Callable[[Event], Output],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And no others'."""
    sources = {"bridge": Settings("bridge", Names({"EventDay": "ds", "EventCount": "y"}, "324"))}
    monkeypatch.setattr(ingestion, "ENVIRONMENT", replace(ingestion.ENVIRONMENT, sources=sources))
    text = "ds,y\n2017-10-01,7\n"

    deliver(inbox.drop(text, "incoming/bridge/a.csv"))
    deliver(inbox.drop(text, "incoming/bridge2/a.csv"))

    assert {("324", 20171001): 7, (ALL_EVENTS, 20171001): 7} == sums(table)
    assert "done" == receipt_of(files, "incoming/bridge/a.csv").status
    assert "refused" == receipt_of(files, "incoming/bridge2/a.csv").status


def test_a_file_without_counts_says_so_in_receipt_log_and_alert(
    inbox: Inbox, files: FilesTable, deliver: Callable[[Event], Output]
) -> None:
    """Each row was one visit, which may be meant or a mistake."""
    output = deliver(inbox.drop("EventId,EventDay\n324,20171001\n324,20179999\n"))

    assert "has no EventCount: each row was one visit" == receipt_of(files).reason
    assert ["has no EventCount: each row was one visit"] == [line["file"]["reason"] for line in output.log]
    ((_, message),) = inbox.alerts()
    assert "Note: the file has no EventCount: each row was one visit." in message.split("\n")


def test_a_day_later_than_the_one_after_delivery_is_a_bad_row(
    inbox: Inbox, table: VisitsTable, deliver: Callable[[Event], Output]
) -> None:
    """One slip of a year would be the newest day for years."""
    today = datetime.now(UTC)
    days = [f"{today + timedelta(days=n):%Y%m%d}" for n in (0, 1, 3)]

    deliver(inbox.drop(HEADER + "".join(f"324,{day},1\n" for day in days)))

    assert {int(day) for day in days[:2]} == set(counts_of(table, "324"))
    assert "EventDay is later than" in inbox.alerts()[0][1]


def test_a_file_with_too_many_bytes_of_bad_rows_is_refused(
    inbox: Inbox, files: FilesTable, deliver: Callable[[Event], Output]
) -> None:
    """They would fill the disk; those that came before are kept."""
    deliver(inbox.drop(GOOD + f"{'\x01' * 999}\n" * 340))

    assert ("refused", "has more than 2,000,000 bytes of bad rows") == (
        receipt_of(files).status,
        receipt_of(files).reason,
    )
    assert 1_900_000 < len(inbox.text(f"rejected/{KEY}.jsonl")) <= 2_000_000


@pytest.mark.parametrize("content", [BAD, "no file of visits"])
def test_a_key_writes_no_lines_of_an_alert(content: str) -> None:
    """What cannot be seen is escaped, one line a fact; moto serves no object whose key has a line end."""
    told: list[tuple[str, str]] = []

    class Topic:
        def publish(self, *, Subject: str, Message: str, **_: str) -> None:  # noqa: N803 - as boto3 has them
            told.append((Subject, Message))

    class Bucket:
        def put_object(self, **_: object) -> None:
            pass

    key = "incoming/a\x1b[31m\u202e.csv\nRows: 5 read, 5 applied, 0 rejected\n.csv"
    teller = ingestion.Teller(cast("S3Client", Bucket()), cast("SNSClient", Topic()), "topic", STAGE)
    with new_file() as file:
        with suppress(BadFile):
            file.read(key, io.BytesIO(content.encode()))
        teller.tell(Report(Receipt(BUCKET, key, "etag", "refused", "now", reason="is empty", rows_read=4), file))

    ((subject, message),) = told
    lines = message.split("\n")
    assert subject.isprintable()
    assert all(line.isprintable() for line in lines)
    shown = "incoming/a\\x1b[31m\\u202e.csv\\nRows: 5 read, 5 applied, 0 rejected\\n.csv"
    assert f"File: s3://{BUCKET}/{shown}" == lines[0]
    assert ["Rows: 4 read, 0 applied, 0 rejected", "Refused, nothing was applied: the file is empty."] == lines[1:3]


def test_what_is_no_event_of_s3_is_told_as_such() -> None:
    """It then waits in the queue of failed events."""
    with pytest.raises(NotAnS3Event, match=r"^it comes from 'aws:sns'; the bucket's own notifications are"):
        ingestion.ingest_file({"Records": [{"EventSource": "aws:sns", "Sns": {}}]}, Context())


@pytest.mark.parametrize(("left_ms", "goes_on"), [(60_001, True), (60_000, False)])
def test_a_run_goes_on_through_conflicts_while_it_has_a_minute_left(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, left_ms: int, goes_on: bool
) -> None:
    """The converter may wait for conflicts to pass until the last minute of the function's time."""
    asked: list[bool] = []

    def ingest(announced: object, s3: object, converter: Converter, sources: object) -> object:  # noqa: ARG001
        asked.append(converter.may_go_on())
        raise NotImplementedError

    monkeypatch.setattr(ingestion, "ingest", ingest)

    with pytest.raises(NotImplementedError):
        ingestion.ingest_file(inbox.drop(GOOD), Context(left_ms=left_ms))

    assert [goes_on] == asked
