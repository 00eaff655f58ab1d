"""The command line: what it prints, what it refuses, and with which exit code."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import click
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from command_line import Ended, ended, refused
from databases import MOTO, ScriptedDynamoDB, aws_error, counts_of, every_receipt

from converter import Converter, Source
from dynamodb import Unavailable
from lines import Limits
from plan import digest
from receipts import FilesTable, Receipt
from repository import VisitsTable
from s3_events import Announced, event_of
from tools import cli, delivery
from tools.local_cloud import REGION
from visits import DayCount

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

HEADER = "EventId,EventDay,EventCount\n"


@pytest.fixture(autouse=True)
def stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table in memory is that of the stage `test`."""
    monkeypatch.setenv("VISITS_STAGE", "test")


def visit_file(folder: Path, content: str | bytes, name: str = "visits.csv") -> Path:
    """Write a file to load or upload."""
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_add_counts_one_or_as_many_as_told(table: VisitsTable, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what it did."""
    cli.main(["add", "324", "20171001"])
    cli.main(["add", "324", "2017-10-01", "--count", "2"])
    cli.main(["add", "324", "20171001", "--count", "-1"])

    assert {20171001: 2} == counts_of(table, "324")
    assert {20171001: 2} == counts_of(table, "all")
    assert [
        "user-visits-test: +1 for event 324 on 20171001",
        "user-visits-test: +2 for event 324 on 20171001",
        "user-visits-test: -1 for event 324 on 20171001",
    ] == capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["add", "3x4", "20171001"], 2, "Invalid value for 'EVENT_ID': '3x4' is not a number (ASCII digits)"),
        (["add", "all", "20171001"], 2, "Invalid value for 'EVENT_ID': 'all' is not a number (ASCII digits)"),
        (["add", "324", "20171399"], 2, "Invalid value for 'DAY': '20171399' is not a calendar date (YYYYMMDD)"),
        (
            ["add", "324", "20171001", "--count", "0.5"],
            2,
            "Invalid value for '--count': '0.5' is not a whole number from -1,000,000,000,000 to 1,000,000,000,000",
        ),
        (
            ["add", "324", "20171001", "--count", "-2"],
            1,
            "user-visits-test: event 324 has fewer than 2 visits on 20171001; nothing was taken away",
        ),
        (
            ["query", "324", "--stage", "nowhere"],
            1,
            "Query on user-visits-nowhere: ResourceNotFoundException: Requested resource not found",
        ),
        (["load", "nothing.csv"], 2, "Invalid value for 'FILE': File 'nothing.csv' does not exist."),
        (["count"], 2, "No such command 'count'."),
        (["add", "324"], 2, "Missing argument 'DAY'."),
    ],
)
@pytest.mark.usefixtures("table")
def test_a_mistake_is_one_line_that_names_the_value_and_the_rule(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    """Exit code 2: asked wrongly; 1: not done."""
    assert (code, message) == refused(capsys, *arguments)


def test_an_addition_whose_fate_is_unknown_says_so(
    scripted: ScriptedDynamoDB, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Repeating it blindly might count it twice."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", scripted.endpoint)
    scripted.replies = [aws_error("InternalServerError", 500)]

    code, message = refused(capsys, "add", "324", "20171001")

    assert 1 == code
    assert message.endswith("added or not: query it before you repeat")


def test_load_counts_a_file(
    table: VisitsTable, files: FilesTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several rows of an event's day are summed; `all` follows; a receipt is kept."""
    file = visit_file(tmp_path, f"{HEADER}324,20171001,3\n324,20171001,4\n325,20171001,1\n324,20171002,5\n")

    cli.main(["load", str(file)])

    assert {20171001: 7, 20171002: 5} == counts_of(table, "324")
    assert {20171001: 8, 20171002: 5} == counts_of(table, "all")
    assert ("visits.csv: 13 visits in 4 rows\n", "") == capsys.readouterr()
    assert [("done", 4, 4, 0, 13)] == [
        (receipt.status, receipt.rows_read, receipt.rows_applied, receipt.rows_rejected, receipt.visits)
        for receipt in every_receipt(MOTO, files)
    ]
    assert not delivery.rejects_of(file).exists()


@pytest.mark.usefixtures("files")
def test_load_counts_nothing_of_a_file_that_was_loaded(
    table: VisitsTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says so; the folder makes no difference, only name and content do."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    cli.main(["load", str(visit_file(tmp_path, f"{HEADER}324,20171001,3\n"))])
    capsys.readouterr()

    cli.main(["load", str(visit_file(elsewhere, f"{HEADER}324,20171001,3\n"))])

    assert re.fullmatch(r"visits\.csv: already ingested 20\S+, nothing counted\n", capsys.readouterr().out)
    assert {20171001: 3} == counts_of(table, "324")
    assert {20171001: 3} == counts_of(table, "all")


@pytest.mark.parametrize(
    ("name", "content"), [("visits.csv", f"{HEADER}324,20171001,4\n"), ("more.csv", f"{HEADER}324,20171001,4\n")]
)
@pytest.mark.usefixtures("files")
def test_load_counts_other_content_or_another_name(
    table: VisitsTable, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    """Today's file may have yesterday's name."""
    cli.main(["load", str(visit_file(tmp_path, f"{HEADER}324,20171001,3\n"))])

    cli.main(["load", str(visit_file(tmp_path, content, name))])

    assert {20171001: 7} == counts_of(table, "324")
    assert f"{name}: 4 visits in 1 rows" == capsys.readouterr().out.splitlines()[-1]


@pytest.mark.usefixtures("files")
def test_load_sets_bad_rows_aside(table: VisitsTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Good ones count, bad ones lie beside the file with their reasons, and it is one line and exit code 1."""
    file = visit_file(tmp_path, f"{HEADER}324,20171001,3\n324,20171399,3\n324,20171002,-1\n325,20171001,4\n")
    rejects = tmp_path / "visits.csv.rejected.jsonl"

    failed = ended(capsys, "load", str(file))

    assert (
        Ended(
            1,
            ["visits.csv: 7 visits in 2 rows"],
            [f"error: 2 of 4 rows of visits.csv are rejected, see {rejects}"],
        )
        == failed
    )
    assert {20171001: 7} == counts_of(table, "all")
    assert [(3, "324,20171399,3"), (4, "324,20171002,-1")] == [
        (row["line"], row["text"]) for row in map(json.loads, rejects.read_text().splitlines())
    ]
    assert "'20171399' is not a calendar date (YYYYMMDD)" in rejects.read_text()


@pytest.mark.usefixtures("files")
def test_load_again_repeats_that_rows_were_rejected(
    table: VisitsTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever looks at the exit code alone must not take the file for counted in full."""
    file = visit_file(tmp_path, f"{HEADER}324,20171001,3\n324,20171399,3\n")
    ended(capsys, "load", str(file))

    failed = ended(capsys, "load", str(file))

    assert 1 == failed.code
    assert "nothing counted" in failed.out[0]
    assert "1 of 2 rows of visits.csv are rejected" in failed.err[0]
    assert {20171001: 3} == counts_of(table, "324")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (HEADER.encode(), "has no row"),
        (HEADER.encode() + b"324,20171399,3\n", "has not one good row"),
        (HEADER.encode() + b'324,20171001,3\n324,20171001,3,"\n', "has a quoted field that does not end, line 3"),
    ],
)
def test_load_counts_nothing_of_a_refused_file(
    table: VisitsTable,
    files: FilesTable,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    reason: str,
) -> None:
    """It is one line with the reason, however often, and the receipt has it too."""
    file = visit_file(tmp_path, content)

    for _ in range(2):
        assert (1, f"visits.csv {reason}; nothing of it is counted") == refused(capsys, "load", str(file))

    assert {} == counts_of(table, "all")
    assert [("refused", reason)] == [(receipt.status, receipt.reason) for receipt in every_receipt(MOTO, files)]


@pytest.mark.usefixtures("files")
def test_load_replaces_rejects_and_writes_through_no_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a folder that others write to, they choose where a link leads."""
    file = visit_file(tmp_path, f"{HEADER}324,20171001,3\n324,20171399,3\n")
    target, rejects = tmp_path / "target.txt", tmp_path / "visits.csv.rejected.jsonl"
    target.write_text("precious")
    rejects.symlink_to(target)

    ended(capsys, "load", str(file))

    assert "precious" == target.read_text()
    assert not rejects.is_symlink()
    assert 3 == json.loads(rejects.read_text())["line"]
    assert {"visits.csv", "target.txt", "visits.csv.rejected.jsonl"} == {found.name for found in tmp_path.iterdir()}


def test_load_of_a_file_whose_rejects_would_have_too_long_a_name_is_refused_at_once(
    table: VisitsTable, files: FilesTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its good rows would never count, as its bad ones could not be kept."""
    name = "n" * 245 + ".csv"
    file = visit_file(tmp_path, f"{HEADER}324,20171001,3\nx,20171001,3\n", name)

    assert (1, f"{name} has too long a name: that of its rejected rows would be longer") == refused(
        capsys, "load", str(file)
    )
    assert ({}, []) == (counts_of(table, "324"), every_receipt(MOTO, files))


SOURCES = '[bridge]\nevent = "3001"\ncolumns = { EventDay = "ds", EventCount = "y" }\n'


@pytest.mark.usefixtures("files")
def test_load_reads_a_file_as_its_source_says(
    table: VisitsTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the file of sources that is named, or by the project's."""
    sources = visit_file(tmp_path, SOURCES, "ours.toml")
    file = visit_file(tmp_path, "ds,y\n2017-10-01,7\n")

    cli.main(["load", str(file), "--source", "bridge", "--sources", str(sources)])

    assert {20171001: 7} == counts_of(table, "3001")
    assert "visits.csv: 7 visits in 1 rows\n" == capsys.readouterr().out
    code, message = refused(capsys, "load", str(file), "--source", "Bridge", "--sources", str(sources))
    assert (2, f"--source Bridge is not in {sources}, which has bridge") == (code, message)
    assert (2, "--source bridge is not in sources.toml, which has none") == refused(
        capsys, "load", str(file), "--source", "bridge"
    )


@pytest.mark.usefixtures("files")
def test_load_says_that_each_row_was_one_visit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be meant, or a column's name be wrong."""
    cli.main(["load", str(visit_file(tmp_path, "EventId,EventDay\n324,20171001\n"))])

    assert "visits.csv: 1 visits in 1 rows; it has no EventCount: each row was one visit\n" == capsys.readouterr().out


def test_a_load_that_was_begun_yesterday_is_read_as_it_was_then(
    table: VisitsTable, files: FilesTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day that was too late then may not be by now, and make another plan."""
    today = datetime.now(UTC)
    file = visit_file(tmp_path, f"{HEADER}324,20171001,3\n324,{today:%Y%m%d},3\n")
    etag = hashlib.sha256(file.read_bytes()).hexdigest()
    begun = Receipt(
        delivery.HERE,
        f"{etag}/visits.csv",
        etag,
        "applying",
        (today - timedelta(days=2)).isoformat(),
        digest=digest({("324", 20171001): 3}),
        chunk_size=99,
        chunks=1,
    )
    files.claim(begun)
    monkeypatch.setattr(delivery, "Converter", functools.partial(Converter, patience_s=0))

    cli.main(["load", str(file)])

    assert {20171001: 3} == counts_of(table, "324")


@pytest.mark.parametrize(
    ("interruption", "said"), [(KeyboardInterrupt(), "interrupted"), (Unavailable("no answer"), "no answer")]
)
@pytest.mark.parametrize("applied", [0, 1, 2])
@pytest.mark.usefixtures("files")
def test_a_load_that_was_interrupted_is_finished_by_the_next(
    table: VisitsTable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    interruption: BaseException,
    said: str,
    applied: int,
) -> None:
    """After any number of its three chunks, everything counts once."""
    file = visit_file(tmp_path, HEADER + "".join(f"{event},20171001,1\n" for event in range(250)))
    apply = FilesTable.apply

    def interrupted(
        self: FilesTable, receipt: Receipt, chunk: Sequence[DayCount], visits: VisitsTable, *others: Any
    ) -> Receipt:
        if receipt.chunks_applied == applied:
            raise interruption
        return apply(self, receipt, chunk, visits, *others)

    with monkeypatch.context() as patch:
        patch.setattr(FilesTable, "apply", interrupted)
        failed = ended(capsys, "load", str(file))
        assert (1, [], f"error: {said}") == (failed.code, failed.out, failed.err[-1])
    assert 98 * applied == sum(counts_of(table, "all").values())

    # Nobody else is at it.
    monkeypatch.setattr(delivery, "Converter", functools.partial(Converter, patience_s=0))
    cli.main(["load", str(file)])

    assert "visits.csv: 250 visits in 250 rows\n" == capsys.readouterr().out
    assert {20171001: 250} == counts_of(table, "all")
    assert [1] * 250 == [count for event in range(250) for count in counts_of(table, str(event)).values()]


@pytest.mark.usefixtures("files")
def test_load_shows_its_progress_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In chunks, on stderr: what is said on stdout stays one line."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    cli.main(["load", str(visit_file(tmp_path, HEADER + "".join(f"{n},20171001,1\n" for n in range(250))))])

    out, err = capsys.readouterr()
    assert "visits.csv: 250 visits in 250 rows\n" == out
    assert "3/3" in err


def test_load_without_a_table_of_receipts_counts_nothing(
    table: VisitsTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There would be no telling what was counted."""
    code, message = refused(capsys, "load", str(visit_file(tmp_path, f"{HEADER}324,20171001,3\n")))

    assert 1 == code
    assert message.startswith("GetItem on visit-files-test: ResourceNotFoundException")
    assert {} == counts_of(table, "all")


RECEIPTS = [
    Receipt("inbox", "incoming/a.csv", "e1", "refused", "2026-11-22T10:00:00.000+00:00", reason="has no row"),
    Receipt("inbox", "incoming/ä [b].csv", "e2", "applying", "2026-11-21T10:00:00.000+00:00", chunks=3),
    Receipt(
        delivery.HERE, "e3/a.csv", "e3", "done", "2026-11-20T10:00:00.000+00:00", rows_applied=1_000, visits=1_234_567
    ),
]
"""The last begun first."""


@pytest.fixture
def receipts(files: FilesTable) -> list[Receipt]:
    """What is in the table of receipts."""
    for receipt in reversed(RECEIPTS):
        files.claim(receipt)
    return RECEIPTS


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], RECEIPTS),
        (["a.csv"], [RECEIPTS[0], RECEIPTS[2]]),
        (["incoming/a.csv"], [RECEIPTS[0]]),
        (["ä [b].csv", "--json"], [RECEIPTS[1]]),
    ],
)
@pytest.mark.usefixtures("receipts")
def test_receipts_are_json_lines_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], arguments: list[str], expected: list[Receipt]
) -> None:
    """Of all files, or of those whose name ends as told, with every field, the last begun first."""
    cli.main(["receipts", *arguments])

    assert [receipt._asdict() for receipt in expected] == [
        json.loads(line) for line in capsys.readouterr().out.splitlines()
    ]


@pytest.mark.usefixtures("receipts")
def test_receipts_are_a_table_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless JSON is asked for."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")

    cli.main(["receipts"])

    printed = click.unstyle(capsys.readouterr().out)
    lines = [line.replace("│", " ").replace("┃", " ").split() for line in printed.splitlines()]
    assert ["File", "Status", "Begun", "Reason", "Read", "Applied", "Rejected", "Visits"] in lines
    assert [
        ["incoming/a.csv", "refused", RECEIPTS[0].began_at, "has", "no", "row", "0", "0", "0", "0"],
        ["incoming/ä", "[b].csv", "applying", RECEIPTS[1].began_at, "0", "0", "0", "0"],
        ["e3/a.csv", "done", RECEIPTS[2].began_at, "0", "1,000", "0", "1,234,567"],
    ] == [line for line in lines if any(receipt.began_at in line for receipt in RECEIPTS)]

    cli.main(["receipts", "a.csv", "--json"])

    assert [RECEIPTS[0]._asdict(), RECEIPTS[2]._asdict()] == [
        json.loads(line) for line in capsys.readouterr().out.splitlines()
    ]


@pytest.mark.usefixtures("receipts")
def test_receipts_of_an_unknown_file_are_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """A script must not take it for counted."""
    assert (1, "visit-files-test has no receipt of a file b") == refused(capsys, "receipts", "b")


@pytest.mark.usefixtures("files")
def test_where_no_file_came_yet_there_are_no_receipts(capsys: pytest.CaptureFixture[str]) -> None:
    """That is no error."""
    cli.main(["receipts"])

    assert ("", "") == capsys.readouterr()


class Clock:
    """Stands for the module `time`: time passes where somebody sleeps, and meanwhile `others` do something."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.others: Callable[[], object] = lambda: None

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.others()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The command line's time."""
    clock = Clock()
    monkeypatch.setattr(delivery, "time", clock)
    return clock


DESCRIBED = {
    "StackName": "visits-test",
    "CreationTime": datetime(2026, 11, 22, tzinfo=UTC),
    "StackStatus": "CREATE_COMPLETE",
}


def stub(monkeypatch: pytest.MonkeyPatch, stubbed: str) -> Stubber:
    """Give out one client of a service from now on, which checks what it is asked and answers as told."""
    client: Callable[..., Any] = boto3.client
    only = client(stubbed, region_name=REGION)
    stubber = Stubber(only)
    stubber.activate()
    monkeypatch.setattr(
        boto3, "client", lambda service, **options: only if service == stubbed else client(service, **options)
    )
    return stubber


@dataclass(frozen=True)
class Stack:
    """A deployed stack, in memory: its inbox, its queue, and what its function does with the events it is to get."""

    inbox: str
    queue_url: str
    s3: S3Client
    sqs: SQSClient
    functions: Stubber

    def content(self, key: str) -> bytes:
        """Return an object of the inbox."""
        return self.s3.get_object(Bucket=self.inbox, Key=key)["Body"].read()

    def fail(self, event: Mapping[str, object]) -> None:
        """Put an event into the queue, as Lambda does when it gives it up."""
        body = {"version": "1.0", "requestContext": {"condition": "RetriesExhausted"}, "requestPayload": event}
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=json.dumps(body))

    def expect(self, event: Mapping[str, object], error: str | None = None) -> None:
        """Expect an event at the function, once, and answer that it is done or failed."""
        payload = json.dumps({"errorMessage": error} if error else None).encode()
        answer: dict[str, object] = {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(payload), len(payload))}
        self.functions.add_response(
            "invoke",
            {**answer, "FunctionError": "Unhandled"} if error else answer,
            {"FunctionName": "visits-test-ingestFile", "Payload": json.dumps(event)},
        )

    @property
    def waiting(self) -> list[object]:
        """The events in the queue that a consumer would get now, taken."""
        events: list[object] = []
        while messages := self.sqs.receive_message(QueueUrl=self.queue_url).get("Messages"):
            events += [json.loads(message["Body"])["requestPayload"] for message in messages]
        return events


@pytest.fixture
def stack(files: FilesTable, monkeypatch: pytest.MonkeyPatch) -> Stack:  # noqa: ARG001 - in the same account
    """The stack `visits-test`; what CloudFormation and Lambda are asked is checked, and answered as told."""
    s3 = boto3.client("s3", region_name=REGION)
    sqs = boto3.client("sqs", region_name=REGION)
    s3.create_bucket(Bucket="inbox", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    stack = Stack(
        "inbox", sqs.create_queue(QueueName="failed-events")["QueueUrl"], s3, sqs, stub(monkeypatch, "lambda")
    )
    outputs = [
        {"OutputKey": "InboxName", "OutputValue": stack.inbox},
        {"OutputKey": "FailedEventsUrl", "OutputValue": stack.queue_url},
    ]
    cloudformation = stub(monkeypatch, "cloudformation")
    for _ in outputs:
        cloudformation.add_response(
            "describe_stacks", {"Stacks": [{**DESCRIBED, "Outputs": outputs}]}, {"StackName": "visits-test"}
        )
    return stack


@dataclass(frozen=True)
class Inbox:
    """The file converter behind the inbox: counts whatever lies there when it is called."""

    stack: Stack
    files: FilesTable
    visits: VisitsTable

    def convert(self, max_line_bytes: int = 1000) -> None:
        """Deliver every object of the inbox, once more."""
        converter = Converter(self.files, self.visits, lambda _: None, Limits(max_line_bytes=max_line_bytes))
        for found in self.stack.s3.list_objects_v2(Bucket=self.stack.inbox).get("Contents", []):
            source = Source(self.stack.inbox, found["Key"], found["ETag"].strip('"'))
            converter.convert(source, io.BytesIO(self.stack.content(found["Key"])))


@pytest.fixture
def inbox(stack: Stack, files: FilesTable, table: VisitsTable) -> Inbox:
    """The stack's converter, which does nothing until it is told."""
    return Inbox(stack, files, table)


@pytest.mark.parametrize(
    ("options", "key"),
    [([], "incoming/visits.csv"), (["--key", "2017/october 1.csv"], "incoming/2017/october 1.csv")],
)
def test_upload_drops_a_file_and_waits_for_its_receipt(
    inbox: Inbox,
    clock: Clock,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    key: str,
) -> None:
    """As long as there is none, or the file is being applied."""
    content = f"{HEADER}324,20171001,3\n325,20171001,4\n"

    def converter() -> None:
        if clock.now_s > 10:
            inbox.convert()

    clock.others = converter

    cli.main(["upload", str(visit_file(tmp_path, content)), *options])

    assert (f"{key}: 7 visits in 2 rows\n", "") == capsys.readouterr()
    assert content.encode() == inbox.stack.content(key)
    assert {20171001: 7} == counts_of(inbox.visits, "all")


def test_upload_puts_a_file_into_its_sources_folder(
    inbox: Inbox, clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There the file converter finds out what it looks like."""
    sources = visit_file(tmp_path, SOURCES, "ours.toml")
    clock.others = inbox.convert

    file = str(visit_file(tmp_path, f"{HEADER}324,20171001,3\n"))

    cli.main(["upload", file, "--source", "bridge", "--sources", str(sources), "--key", "2017/a.csv"])

    assert "incoming/bridge/2017/a.csv: 3 visits in 1 rows\n" == capsys.readouterr().out


def test_upload_waits_until_every_chunk_is_applied(
    inbox: Inbox, clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A receipt that is not closed is no end."""
    file = visit_file(tmp_path, f"{HEADER}324,20171001,3\n")
    etag = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    begun = Receipt("inbox", "incoming/visits.csv", etag, "applying", "2026-11-22T10:00:00.000+00:00", chunks=1)
    clock.others = lambda: inbox.files.claim(begun)

    code, message = refused(capsys, "upload", str(file), "--timeout", "5")

    assert 1 == code
    assert message.startswith("incoming/visits.csv is not done after 5 s")


def test_upload_says_where_rejected_rows_are(
    inbox: Inbox, clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside the inbox; exit code 1."""
    clock.others = inbox.convert

    failed = ended(capsys, "upload", str(visit_file(tmp_path, f"{HEADER}324,20171001,3\n324,20171399,1\n")))

    rejects = "s3://inbox/rejected/incoming/visits.csv.jsonl"
    assert (
        Ended(
            1,
            ["incoming/visits.csv: 3 visits in 1 rows"],
            [f"error: 1 of 2 rows of incoming/visits.csv are rejected, see {rejects}"],
        )
        == failed
    )


def test_upload_of_a_refused_file_is_one_line_with_the_reason(
    inbox: Inbox, clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1; nothing is counted."""
    clock.others = inbox.convert

    assert (1, "incoming/visits.csv has no row; nothing of it is counted") == refused(
        capsys, "upload", str(visit_file(tmp_path, HEADER))
    )
    assert {} == counts_of(inbox.visits, "all")


@pytest.mark.parametrize("status", ["applying", "done"])
@pytest.mark.usefixtures("clock")
def test_upload_of_other_content_under_a_known_name_is_refused_before_anything_is_sent(
    inbox: Inbox, tmp_path: Path, capsys: pytest.CaptureFixture[str], status: str
) -> None:
    """The converter would refuse it too, but with an alert."""
    inbox.files.claim(Receipt("inbox", "incoming/visits.csv", "e1", status, "2026-11-22T10:00:00.000+00:00"))

    code, message = refused(capsys, "upload", str(visit_file(tmp_path, f"{HEADER}324,20171001,3\n")))

    assert 1 == code
    assert (
        "incoming/visits.csv was delivered before, 2026-11-22T10:00:00.000+00:00, with other content; "
        "deliver it under another --key"
    ) == message
    assert 0 == inbox.stack.s3.list_objects_v2(Bucket="inbox")["KeyCount"]


def test_upload_of_what_is_counted_says_so_and_sends_nothing(
    inbox: Inbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To deliver it under another name would count it twice."""
    content = f"{HEADER}324,20171001,3\n"
    inbox.stack.s3.put_object(Bucket="inbox", Key="incoming/visits.csv", Body=content.encode())
    inbox.convert()
    receipt = inbox.files.get("inbox", "incoming/visits.csv")
    inbox.stack.s3.delete_object(Bucket="inbox", Key="incoming/visits.csv")
    assert receipt

    cli.main(["upload", str(visit_file(tmp_path, content))])

    assert f"incoming/visits.csv: already ingested {receipt.ended_at}, nothing counted\n" == capsys.readouterr().out
    assert 0 == inbox.stack.s3.list_objects_v2(Bucket="inbox")["KeyCount"]


def test_upload_of_what_was_begun_has_it_finished(
    inbox: Inbox, clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever began it died: the new delivery goes on."""
    content = f"{HEADER}324,20171001,3\n"
    etag = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
    begun = Receipt("inbox", "incoming/visits.csv", etag, "applying", "2026-11-22T10:00:00.000+00:00")
    inbox.files.claim(begun._replace(digest=digest({("324", 20171001): 3}), chunk_size=99, chunks=1, visits=3))
    clock.others = inbox.convert

    cli.main(["upload", str(visit_file(tmp_path, content))])

    assert capsys.readouterr().out.startswith("incoming/visits.csv: 3 visits in ")
    assert {20171001: 3} == counts_of(inbox.visits, "324")


@pytest.mark.usefixtures("stack")
def test_upload_to_the_name_of_a_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tools show such an object as a folder, not as a file."""
    assert (2, "--key a/ is the name of a folder") == refused(
        capsys, "upload", str(visit_file(tmp_path, HEADER)), "--key", "a/"
    )


def test_upload_under_the_name_of_a_refused_file_counts(
    inbox: Inbox, clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The receipt that stands there is the refused content's, so it is not taken for this one's."""
    inbox.stack.s3.put_object(Bucket="inbox", Key="incoming/visits.csv", Body=HEADER.encode())
    inbox.convert()
    clock.others = inbox.convert

    cli.main(["upload", str(visit_file(tmp_path, f"{HEADER}324,20171001,3\n"))])

    assert "incoming/visits.csv: 3 visits in 1 rows\n" == capsys.readouterr().out


def test_upload_of_refused_content_waits_for_what_becomes_of_it_now(
    inbox: Inbox, clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was over a limit may be within it by now: the old refusal must not be told of a file that counts."""
    content = f"{HEADER}324,20171001,3\n"
    inbox.stack.s3.put_object(Bucket="inbox", Key="incoming/visits.csv", Body=content.encode())
    inbox.convert(max_line_bytes=10)
    clock.others = inbox.convert

    cli.main(["upload", str(visit_file(tmp_path, content))])

    assert "incoming/visits.csv: 3 visits in 1 rows\n" == capsys.readouterr().out


def test_upload_gives_up_waiting_in_time_and_says_how_to_look_later(
    inbox: Inbox, clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file was dropped all the same."""
    content = f"{HEADER}324,20171001,3\n"

    assert (
        1,
        "incoming/visits.csv is not done after 0 s; see later with `receipts incoming/visits.csv`",
    ) == refused(capsys, "upload", str(visit_file(tmp_path, content)), "--timeout", "0")
    assert clock.now_s <= delivery.POLL_S
    assert content.encode() == inbox.stack.content("incoming/visits.csv")


@pytest.mark.parametrize("outputs", [[], [{"OutputKey": "HttpApiId", "OutputValue": "a1"}]])
@pytest.mark.parametrize("command", ["upload", "replay", "redeliver"])
@pytest.mark.usefixtures("files")
def test_a_stack_without_an_inbox_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    outputs: list[dict[str, str]],
) -> None:
    """One that was deployed before there was a file converter, say."""
    stubber = stub(monkeypatch, "cloudformation")
    stubber.add_response("describe_stacks", {"Stacks": [{**DESCRIBED, "Outputs": outputs}]})
    file = [str(visit_file(tmp_path, HEADER))] if command == "upload" else []

    code, message = refused(capsys, command, *file)

    assert 1 == code
    assert "visits-test" in message


@pytest.mark.parametrize("command", ["upload", "replay", "redeliver"])
@pytest.mark.usefixtures("files")
def test_a_stage_that_is_not_deployed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """It names the stack that was looked for."""
    stubber = stub(monkeypatch, "cloudformation")
    stubber.add_client_error("describe_stacks", "ValidationError", "Stack with id visits-nowhere does not exist")
    file = [str(visit_file(tmp_path, HEADER))] if command == "upload" else []

    code, message = refused(capsys, command, *file, "--stage", "nowhere")

    assert 1 == code
    assert message.endswith("Stack with id visits-nowhere does not exist")


def event(*keys: str, bucket: str = "inbox") -> dict[str, object]:
    """Return S3's event of objects."""
    return event_of([Announced(bucket, key, "abc", "v1", 7) for key in keys])


def test_replay_feeds_every_failed_event_to_the_function(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """And takes it from the queue; each in an invocation of its own."""
    events = [event("incoming/a.csv"), event("incoming/b.csv", "incoming/c.csv")]
    for failed in events:
        stack.fail(failed)
        stack.expect(failed)

    cli.main(["replay"])

    assert [
        "incoming/a.csv: replayed",
        "incoming/b.csv, incoming/c.csv: replayed",
        "2 events replayed",
    ] == capsys.readouterr().out.splitlines()
    stack.functions.assert_no_pending_responses()
    assert [] == stack.waiting


def test_replay_keeps_what_fails_again(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """It says why, goes on with the others, and leaves it in the queue for the next replay; exit code 1."""
    stack.fail(event("incoming/a.csv"))
    stack.expect(event("incoming/a.csv"), error="no table")
    stack.fail(event("incoming/b.csv"))
    stack.expect(event("incoming/b.csv"))

    failed = ended(capsys, "replay")

    assert (
        Ended(
            1,
            ["incoming/b.csv: replayed"],
            ["incoming/a.csv: failed again: no table", "error: 1 of 2 events failed again"],
        )
        == failed
    )
    assert [event("incoming/a.csv")] == stack.waiting


def test_replay_that_cannot_reach_the_function_keeps_the_event(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """It comes round again when its time in hiding is over."""
    stack.fail(event("incoming/a.csv"))
    stack.functions.add_client_error("invoke", "TooManyRequestsException", "Rate Exceeded.")

    code, message = refused(capsys, "replay")

    assert 1 == code
    assert message.endswith("Rate Exceeded.")
    counts = stack.sqs.get_queue_attributes(QueueUrl=stack.queue_url, AttributeNames=["All"])["Attributes"]
    assert 1 == int(counts["ApproximateNumberOfMessages"]) + int(counts["ApproximateNumberOfMessagesNotVisible"])


def strange_messages() -> list[str]:
    """Return what may be in the queue and is no event of the inbox."""
    payloads = [
        {"Records": [{"s3": {"object": {"key": 5}}}]},
        {"Records": []},
        {"Records": [{"EventSource": "aws:sns", "Sns": {}}]},
        {"Service": "Amazon S3", "Event": "s3:TestEvent"},
        event("incoming/a.csv", bucket="another"),
    ]
    return ["{}", "[]", "7", "x", "[" * 100_000, *(json.dumps({"requestPayload": payload}) for payload in payloads)]


def test_replay_leaves_what_is_no_event_of_the_inbox_and_goes_on(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody else's message: a line says what it is, and it stays for whoever looks into the queue."""
    bodies = strange_messages()
    for body in bodies:
        stack.sqs.send_message(QueueUrl=stack.queue_url, MessageBody=body)
    stack.fail(event("incoming/a.csv"))
    stack.expect(event("incoming/a.csv"))

    failed = ended(capsys, "replay")

    assert len(bodies) + 1 == len(failed.err)
    assert all(re.match(r"message \S+ is no event of inbox: it ", line) for line in failed.err[:-1])
    assert f"error: {len(bodies)} of {len(bodies) + 1} events failed again" == failed.err[-1]
    assert {
        "incoming/a.csv: replayed",
        f"{len(bodies)} messages left, which `--discard` takes out",
    } == set(failed.out)
    waiting = []
    while messages := stack.sqs.receive_message(QueueUrl=stack.queue_url).get("Messages"):
        waiting += [message["Body"] for message in messages]
    assert sorted(bodies) == sorted(waiting)


def test_replay_takes_out_what_is_no_event_of_the_inbox_where_it_is_told(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be there for two weeks; an event that fails again is kept."""
    for body in strange_messages():
        stack.sqs.send_message(QueueUrl=stack.queue_url, MessageBody=body)
    stack.fail(event("incoming/a.csv"))
    stack.expect(event("incoming/a.csv"), error="no table")

    failed = ended(capsys, "replay", "--discard")

    assert "error: 1 of 1 events failed again" == failed.err[-1]
    assert [f"{len(strange_messages())} messages discarded"] == failed.out
    assert [event("incoming/a.csv")] == stack.waiting


@pytest.mark.usefixtures("stack")
def test_replay_of_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty queue is the good case."""
    cli.main(["replay"])

    assert ("0 events replayed\n", "") == capsys.readouterr()


def announced(stack: Stack, key: str, content: str) -> dict[str, object]:
    """Put a version of an object into the inbox; return the event that S3 sends of it."""
    put = stack.s3.put_object(Bucket=stack.inbox, Key=key, Body=content.encode())
    return event_of([Announced(stack.inbox, key, put["ETag"].strip('"'), put["VersionId"], len(content))])


def test_redeliver_feeds_what_no_receipt_closes(inbox: Inbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The latest version of each file that was never begun or not ended; not what is counted, refused or elsewhere."""
    stack = inbox.stack
    stack.s3.put_bucket_versioning(Bucket="inbox", VersioningConfiguration={"Status": "Enabled"})
    announced(stack, "incoming/counted.csv", f"{HEADER}324,20171001,3\n")
    announced(stack, "incoming/refused.csv", HEADER)
    inbox.convert()
    begun = announced(stack, "incoming/begun.csv", f"{HEADER}324,20171001,4\n")
    inbox.files.claim(Receipt("inbox", "incoming/begun.csv", "e1", "applying", "2026-11-22T10:00:00.000+00:00"))
    announced(stack, "incoming/lost & found.csv", HEADER)
    lost = announced(stack, "incoming/lost & found.csv", f"{HEADER}324,20171001,5\n")
    announced(stack, "incoming/_SUCCESS", "")
    announced(stack, "incoming/deleted.csv", HEADER)
    stack.s3.delete_object(Bucket="inbox", Key="incoming/deleted.csv")
    announced(stack, "rejected/incoming/counted.csv.jsonl", "{}")
    stack.expect(begun)
    stack.expect(lost)

    cli.main(["redeliver"])

    assert [
        "incoming/begun.csv: delivered again",
        "incoming/lost & found.csv: delivered again",
        "2 files delivered again",
    ] == capsys.readouterr().out.splitlines()
    stack.functions.assert_no_pending_responses()


def test_redeliver_says_what_fails_and_goes_on(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """With the error; exit code 1."""
    stack.s3.put_bucket_versioning(Bucket="inbox", VersioningConfiguration={"Status": "Enabled"})
    stack.expect(announced(stack, "incoming/a.csv", HEADER), error="no table")
    stack.expect(announced(stack, "incoming/b.csv", HEADER))

    assert Ended(
        1,
        ["incoming/b.csv: delivered again"],
        ["incoming/a.csv: failed: no table", "error: 1 of 2 files failed"],
    ) == ended(capsys, "redeliver")


def test_create_table_leaves_what_exists(
    table: VisitsTable, files: FilesTable, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table of counts from before there were receipts gets its receipts."""
    cli.main(["create-table"])

    assert [f"{table.name}: exists already", f"{files.name}: exists already"] == capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("table")
def test_create_table_makes_tables_that_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of counts and of receipts; `--table` names them outside the stages."""
    outside = ["--table", "elsewhere"]

    cli.main(["create-table", *outside])
    assert ["elsewhere: created", "elsewhere-files: created"] == capsys.readouterr().out.splitlines()

    cli.main(["add", "324", "20171001", *outside])
    cli.main(["load", str(visit_file(tmp_path, f"{HEADER}324,20171001,3\n")), *outside])
    cli.main(["query", "324", *outside])
    assert capsys.readouterr().out.endswith(f"{HEADER}324,20171001,4\n")

    cli.main(["receipts", "visits.csv", *outside])
    assert "done" == json.loads(capsys.readouterr().out)["status"]


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_is_the_options_or_the_environments(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    """Tables of the same name in two regions are two."""
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    cli.main(["create-table", "--region", "us-east-1"])
    cli.main(["add", "324", "20171001", "--region", "us-east-1"])
    capsys.readouterr()

    cli.main(["query", "324"])
    assert HEADER == capsys.readouterr().out

    monkeypatch.setenv(variable, "us-east-1")
    cli.main(["query", "324"])
    assert f"{HEADER}324,20171001,1\n" == capsys.readouterr().out


HOSTILE = "incoming/a\x1b[31m\x9b\u202e\n.csv"
HOSTILE_SHOWN = "incoming/a\\x1b[31m\\x9b\\u202e\\n.csv"


def test_a_key_reaches_no_terminal_as_it_is(
    files: FilesTable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A third party chooses it, and might clear the screen or turn what is written; JSON stays JSON."""
    receipt = Receipt("inbox", HOSTILE, "e1", "refused", "2026-11-22T10:00:00.000+00:00", reason="is \x1b[2Jempty")
    files.claim(receipt)

    cli.main(["receipts"])
    printed = capsys.readouterr().out
    assert receipt._asdict() == json.loads(printed)
    assert printed.strip().isascii()

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "250")
    cli.main(["receipts"])
    printed = click.unstyle(capsys.readouterr().out)
    assert all(line.isprintable() for line in printed.splitlines())
    assert HOSTILE_SHOWN in printed
    assert "is \\x1b[2Jempty" in printed


def test_replay_shows_keys_and_errors_escaped(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """The function's error may repeat the key."""
    stack.fail(event(HOSTILE))
    stack.expect(event(HOSTILE), error="\x1b[2J")

    failed = ended(capsys, "replay")

    assert f"{HOSTILE_SHOWN}: failed again: \\x1b[2J" == failed.err[0]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
@pytest.mark.usefixtures("files")
def test_an_output_that_lacks_a_character_is_no_reason_to_fail(
    table: VisitsTable, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], encoding: str
) -> None:
    """The file is counted: a `?` stands for what cannot be written."""
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(encoding=encoding, errors="strict")

    cli.main(["load", str(visit_file(tmp_path, f"{HEADER}324,20171001,3\n", "zz-smile😀.csv"))])

    assert b"zz-smile?.csv: 3 visits in 1 rows\n" == capsysbinary.readouterr().out
    assert {20171001: 3} == counts_of(table, "324")
    cli.main(["receipts", "--json"])
    assert capsysbinary.readouterr().out.isascii()
