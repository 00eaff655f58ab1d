"""The file converter as `sls deploy` puts it up: from a dropped file to served counts, and to people where it fails."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cloud import Api, configured, rows
from databases import client_at, counts_of
from settings import FILES_TABLE, STAGE, TABLE
from stack import HEADER, Stack, subscribe, wait_for

from converter import Converter, Result, Source
from dynamodb import Client
from lines import Limits
from plan import cut
from receipts import FilesTable
from repository import VisitsTable


@pytest.fixture(scope="module")
def alerts(stack: Stack) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Subscribe to the alerts; return a function that waits for the alert of a file."""
    sqs = stack.cloud.client("sqs")
    url = subscribe(stack.cloud, stack.topic_arn, "test-subscriber")
    received: list[dict[str, Any]] = []

    def about(key: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
                received.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return next((alert for alert in received if f"/{key}\n" in alert["Message"]), None)

        return wait_for(look)

    yield about
    sqs.delete_queue(QueueUrl=url)


@pytest.mark.parametrize("name", ["plain.csv", "with spaces + plus & 100%.csv", "Besuche-für-Öl_訪問.csv"])
def test_a_dropped_file_is_served(stack: Stack, api: Api, name: str) -> None:
    """A file is counted whatever its name is, although S3 encodes names in its events."""
    event = str(8000 + len(name))
    key = f"incoming/{name}"
    stack.drop(key, f"{HEADER}{event},20180101,3\n{event},2018-01-02,4\n{event},20180101,5\n")

    receipt = stack.receipt(key)

    assert ("done", 3, 3, 0, 12) == (
        receipt.status,
        receipt.rows_read,
        receipt.rows_applied,
        receipt.rows_rejected,
        receipt.visits,
    )
    assert [(20180101, 8), (20180102, 4)] == rows(api.get(f"/visits/{event}"))


def test_bad_rows_are_kept_and_a_subscriber_is_told(
    stack: Stack, api: Api, alerts: Callable[[str], dict[str, Any]]
) -> None:
    """Bad rows are kept and reported, and the good rows of the file count."""
    key = "incoming/some bad rows.csv"
    stack.drop(key, f"{HEADER}8101,20180101,3\n8101,20181399,4\njane@example.com,20180101,1\n8101,20180102,5\n")

    alert = alerts(key)
    assert f"Visits {STAGE}: 2 rows of a file were rejected" == alert["Subject"]
    assert [
        f"File: s3://{stack.inbox}/{key}",
        "Rows: 4 read, 2 applied, 2 rejected",
        "- line 3: EventDay is not a calendar date (YYYYMMDD)",
        "- line 4: EventId is not a number (ASCII digits)",
        f"Rejected rows: s3://{stack.inbox}/rejected/{key}.jsonl",
    ] == alert["Message"].splitlines()
    body = stack.cloud.client("s3").get_object(Bucket=stack.inbox, Key=f"rejected/{key}.jsonl")["Body"].read()
    assert [
        {
            "line": 3,
            "reason": "EventDay '20181399' is not a calendar date (YYYYMMDD)",
            "text": "8101,20181399,4",
        },
        {
            "line": 4,
            "reason": "EventId 'jane@example.com' is not a number (ASCII digits)",
            "text": "jane@example.com,20180101,1",
        },
    ] == [json.loads(line) for line in body.splitlines()]
    assert stack.receipt(key).done
    assert [(20180101, 3), (20180102, 5)] == rows(api.get("/visits/8101"))


def test_a_refused_file_counts_nothing_and_a_subscriber_is_told(
    stack: Stack, api: Api, alerts: Callable[[str], dict[str, Any]]
) -> None:
    """A file that cannot be trusted, here one without a header, counts nothing and is reported."""
    stack.drop("incoming/no header.csv", "8201,20180101,3\n")

    alert = alerts("incoming/no header.csv")

    assert f"Visits {STAGE}: a file was refused" == alert["Subject"]
    assert "nothing was applied: the file has a header which has no EventId and no EventDay" in alert["Message"]
    assert stack.receipt("incoming/no header.csv").refused
    assert [] == rows(api.get("/visits/8201"))


def test_other_content_under_a_known_name_is_refused_and_a_subscriber_is_told(
    stack: Stack, api: Api, alerts: Callable[[str], dict[str, Any]]
) -> None:
    """A second file of the same name is refused and reported, and the first stays counted."""
    key = "incoming/twice.csv"
    stack.drop(key, f"{HEADER}8301,20180101,3\n")
    receipt = stack.receipt(key)

    stack.drop(key, f"{HEADER}8301,20180101,4\n")

    assert "with other content; deliver it under a name of its own" in alerts(key)["Message"]
    assert receipt == stack.receipt(key)
    assert [(20180101, 3)] == rows(api.get("/visits/8301"))


def test_a_file_that_fails_for_good_waits_in_the_queue_and_is_replayed(stack: Stack, api: Api) -> None:
    """An event that fails three times is kept, and the operator replays it once the cause is mended."""
    key = "incoming/unlucky.csv"
    sqs = stack.cloud.client("sqs")

    def failed() -> dict[str, Any] | None:
        # The message becomes visible again at once.
        answer = sqs.receive_message(QueueUrl=stack.failed_events_url, VisibilityTimeout=0)
        return next(iter(answer.get("Messages", [])), None)

    with configured(stack.cloud, "ingestFile", FILES_TABLE="no-such-table"):
        stack.drop(key, f"{HEADER}8401,20180101,3\n")
        event = json.loads(wait_for(failed)["Body"])
        assert key == event["requestPayload"]["Records"][0]["s3"]["object"]["key"]
        assert 3 == event["requestContext"]["approximateInvokeCount"]
        with pytest.raises(Exception, match="1 of 1 events failed again"):
            stack.cloud.run("visits", "replay", "--stage", STAGE)
    assert [] == rows(api.get("/visits/8401"))

    assert f"{key}: replayed\n1 events replayed\n" == stack.cloud.run("visits", "replay", "--stage", STAGE)

    assert stack.receipt(key).done
    assert [(20180101, 3)] == rows(api.get("/visits/8401"))
    assert failed() is None


def test_one_event_five_times_at_once_counts_once(stack: Stack, api: Api) -> None:
    """Five functions that get one event at the same time count its file once."""
    content = HEADER + "".join(f"8501,{day},2\n" for day in range(20180101, 20180129)) * 10
    content += "".join(f"{event},19810201,1\n" for event in range(85000, 85200))
    key = "incoming/five times.csv"
    event = stack.drop(key, content)
    functions = stack.cloud.client("lambda")

    def invoke(_: int) -> dict[str, Any]:
        answer: dict[str, Any] = functions.invoke(FunctionName=f"visits-{STAGE}-ingestFile", Payload=event)
        return answer

    with ThreadPoolExecutor(5) as pool:
        assert not [answer for answer in pool.map(invoke, range(5)) if "FunctionError" in answer]

    assert stack.receipt(key).done
    assert [(day, 20) for day in range(20180101, 20180129)] == rows(api.get("/visits/8501"))
    assert [(19810201, 200)] == rows(api.get("/visits/all?startDate=19810201&endDate=19810201"))


def converted_at_once(stack: Stack, sources: list[tuple[Source, str]]) -> tuple[list[Result], Counter[str]]:
    """Convert files at once, each with a client of its own; return the results and every call made."""
    calls: Counter[str] = Counter()

    class Noting(Client):
        def call(self, operation: str, request: Mapping[str, object]) -> dict[str, Any]:
            calls[operation] += 1
            return super().call(operation, request)

    def convert(source_content: tuple[Source, str]) -> Result:
        source, content = source_content
        client = client_at(stack.cloud.endpoint, Noting)
        files, visits = FilesTable(client, FILES_TABLE), VisitsTable(client, TABLE)
        return Converter(files, visits, lambda _: None, Limits()).convert(source, io.BytesIO(content.encode()))[0]

    with ThreadPoolExecutor(len(sources)) as pool:
        return list(pool.map(convert, sources)), calls


def test_duplicates_watch_instead_of_racing(stack: Stack, cloud_table: VisitsTable) -> None:
    """Five deliveries at once: a claim each, the transactions of one, and a look every second or two by the others.

    On a machine that stands still for as long, another may take over: then a few transactions are cancelled.
    """
    counts = {("8601", 20180101 + day + 100 * month): 1 for month in range(12) for day in range(28)}
    content = HEADER + "".join(f"{event},{day},1\n" for event, day in counts)
    source = Source(stack.inbox, "incoming/watched.csv", "etag")

    results, calls = converted_at_once(stack, [(source, content)] * 5)

    chunks = len(cut(counts, 99))
    assert Counter({Result.INGESTED: 1, Result.ALREADY_INGESTED: 4}) == Counter(results)
    assert [1] * len(counts) == list(counts_of(cloud_table, "8601").values())
    assert 5 == calls["PutItem"]
    assert chunks <= calls["TransactWriteItems"] <= chunks + 4
    print(f"five deliveries of one file of {chunks} chunks: {dict(calls)}")


def test_two_files_that_meet_on_every_item_both_count(stack: Stack, cloud_table: VisitsTable) -> None:
    """Two files that cancel each other's transactions wait, go on and are both counted."""
    counts = {("8701", 20190101 + day + 100 * month): 1 for month in range(12) for day in range(28)}
    content = HEADER + "".join(f"{event},{day},1\n" for event, day in counts)
    sources = [(Source(stack.inbox, f"incoming/meets-{n}.csv", f"etag {n}"), content) for n in range(2)]

    results, calls = converted_at_once(stack, sources)

    chunks = len(cut(counts, 99))
    assert [Result.INGESTED] * 2 == results
    assert [2] * len(counts) == list(counts_of(cloud_table, "8701").values())
    # Each transaction may have to wait for its turn, but not many times.
    assert 2 * chunks <= calls["TransactWriteItems"] <= 4 * chunks
    print(f"two files of {chunks} chunks on the same items: {dict(calls)}")


def test_a_file_of_seven_hundred_thousand_rows_is_served(stack: Stack, api: Api, tmp_path: Path) -> None:
    """A file of 10 MB is counted by the function and served."""
    days = [20180301 + n % 28 for n in range(700_000)]
    file = tmp_path / "large.csv"
    file.write_text(HEADER + "".join(f"{8801 + n % 40},{day},{n % 10}\n" for n, day in enumerate(days)))
    expected: Counter[int] = Counter()
    for n, day in enumerate(days):
        if n % 40 == 0:
            expected[day] += n % 10

    said = stack.cloud.run("visits", "upload", str(file), "--stage", STAGE)

    assert f"incoming/large.csv: {sum(n % 10 for n in range(700_000)):,} visits in 700,000 rows\n" == said
    assert sorted(expected.items()) == rows(api.get("/visits/8801"))
    receipt = stack.receipt("incoming/large.csv")
    assert (700_000, 700_000) == (receipt.rows_read, receipt.rows_applied)
