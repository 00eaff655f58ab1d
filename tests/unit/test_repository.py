"""What the repository asks of DynamoDB, and what it makes of the answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zlib import crc32

import boto3
import pytest
from conftest import BOOK_324, FILES_TABLE, Reply, ScriptedDynamoDB, aws_error

from repository import (
    MAX_CALL_S,
    BelowZero,
    Cancelled,
    ConditionFailed,
    Denied,
    FenceMoved,
    FilesTable,
    NoTable,
    Receipt,
    RepositoryError,
    TableExists,
    Throttled,
    Unavailable,
    VisitsTable,
    connect,
)
from series import Interval, Selection
from tools import local_cloud
from visits import ALL_EVENTS, DayCount


def item(day: int, count: str) -> dict[str, object]:
    return {"EventDay": {"N": str(day)}, "EventCount": {"N": count}}


def page(*items: dict[str, object], last: int | None = None) -> Reply:
    """Return one page of a Query's answer; `last` is the day at which the next goes on."""
    key = {"LastEvaluatedKey": {"EventId": {"S": "324"}, "EventDay": {"N": str(last)}}} if last else {}
    return Reply(body=json.dumps({"Items": items, "Count": len(items), **key}))


def cancelled(*codes: str) -> Reply:
    """Return the answer to a transaction that was cancelled for these reasons."""
    return aws_error("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (None, None, list(BOOK_324)),
        (20171002, None, list(BOOK_324)[1:]),
        (20171003, None, list(BOOK_324)[2:]),
        (None, 20171012, list(BOOK_324)[:4]),
        (20171002, 20171012, list(BOOK_324)[1:4]),
        (20171012, 20171012, [20171012]),
        (20171018, None, []),
    ],
)
def test_a_query_returns_the_range_with_both_ends_oldest_first(
    book_table: VisitsTable, start: int | None, end: int | None, days: list[int]
) -> None:
    """Either end may be open."""
    book_table.add("325", 20171012, 99)

    assert [(day, BOOK_324[day]) for day in days] == list(book_table.query("324", start, end).items())


def test_every_page_is_followed(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """DynamoDB ends a page at 1 MB, an empty one included."""
    scripted.replies = [page(item(20171001, "3"), last=20171001), page(last=20171002), page(item(20171003, "4"))]

    assert [(20171001, 3), (20171003, 4)] == list(scripted_table.query("324").items())
    assert [
        None,
        {"EventId": {"S": "324"}, "EventDay": {"N": "20171001"}},
        {"EventId": {"S": "324"}, "EventDay": {"N": "20171002"}},
    ] == [request.get("ExclusiveStartKey") for request in scripted.requests]


@pytest.mark.parametrize(
    ("selection", "asked"),
    [
        (Selection(20171001, 20171031), {"Limit": 10_001}),
        (Selection(limit=5), {"Limit": 6}),
        (Selection(limit=5, descending=True), {"Limit": 6, "ScanIndexForward": False}),
        (Selection(interval=Interval.WEEK, limit=2), {"Limit": 15}),
        (Selection(interval=Interval.TOTAL), {}),
        (Selection(20171001, interval=Interval.TOTAL, descending=True), {}),
    ],
)
def test_a_plain_request_is_one_query_that_dynamodb_orders_and_limits(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable, selection: Selection, asked: dict[str, object]
) -> None:
    """Nothing is read that the rows, and whether there are more, do not need."""
    scripted.replies = [page(item(20171002, "3"))]

    assert [3] == list(scripted_table.series("324", selection).rows.values())
    (request,) = scripted.requests
    assert asked == {name: request[name] for name in ("Limit", "ScanIndexForward") if name in request}


def test_the_limit_holds_over_dynamodbs_pages(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """What is left of it is asked of the next; when nothing is left, no more is asked."""
    scripted.replies = [
        page(item(20171001, "1"), item(20171002, "2"), last=20171002),
        page(item(20171003, "3"), last=20171003),
        page(item(20171004, "4"), last=20171004),
    ]

    found = scripted_table.series("324", Selection(limit=3))

    assert {20171001: 1, 20171002: 2, 20171003: 3} == found.rows
    assert Selection(20171004, limit=3) == found.more
    assert [4, 2, 1] == [request["Limit"] for request in scripted.requests]


def asked(scripted: ScriptedDynamoDB) -> list[tuple[str, str | None, str | None, object]]:
    """Return of each Query whose series, from which day to which, and how many of its items."""
    found = []
    for request in scripted.requests:
        values = request["ExpressionAttributeValues"]
        assert isinstance(values, dict)
        bounds = (values.get(name, {}).get("N") for name in (":start", ":end"))
        found.append((values[":event"]["S"], *bounds, request.get("Limit")))
    return found


OCTOBER = Selection(20171001, 20171004, fill=True)


def test_gaps_are_filled_by_one_more_query_of_all_over_the_same_days(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable
) -> None:
    """A day that is in `all` is 0, one that is not is None."""
    scripted.replies = [page(item(20171002, "5")), page(item(20171002, "9"), item(20171003, "4"))]

    rows = scripted_table.series("324", OCTOBER).rows

    assert [(20171001, None), (20171002, 5), (20171003, 0), (20171004, None)] == list(rows.items())
    assert [("324", "20171001", "20171004", None), ("all", "20171001", "20171004", None)] == asked(scripted)


def test_an_open_range_asks_all_for_the_days_of_the_page_only(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable
) -> None:
    """The range ends with the series' own first and last day, or with the page."""
    scripted.replies = [page(item(20171002, "5"), item(20171004, "6"), item(20171009, "7")), page(item(20171002, "9"))]

    rows = scripted_table.series("324", Selection(fill=True, limit=3)).rows

    assert {20171002: 5, 20171003: None, 20171004: 6} == rows
    assert [("324", None, None, 4), ("all", "20171002", "20171004", None)] == asked(scripted)


def test_where_there_is_no_gap_nothing_more_is_asked(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """An interval with a count has no need of `all`, whatever its other days are."""
    scripted.replies = [page(item(20171002, "5"), item(20171003, "0"))]

    assert {20171002: 5, 20171003: 0} == scripted_table.series("324", Selection(fill=True)).rows
    assert {20171001: 5} == scripted_table.series("324", OCTOBER._replace(interval=Interval.MONTH)).rows
    assert 2 == len(scripted.requests)


def test_gaps_of_all_are_days_not_loaded(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """It is its own answer to what was loaded."""
    scripted.replies = [page(item(20171002, "5"))]

    rows = scripted_table.series(ALL_EVENTS, OCTOBER).rows

    assert {20171001: None, 20171002: 5, 20171003: None, 20171004: None} == rows
    assert 1 == len(scripted.requests)


@pytest.mark.parametrize("event", ["324", ALL_EVENTS])
@pytest.mark.parametrize(("anything", "expected"), [(page(item(20180101, "1")), None), (page(), 0)])
def test_where_all_has_no_day_of_the_range_one_item_tells_whether_it_has_any(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable, event: str, anything: Reply, expected: int | None
) -> None:
    """None where other days were loaded, 0 where nothing ever was."""
    scripted.replies = [page()] * (1 if event == ALL_EVENTS else 2) + [anything]

    assert set(scripted_table.series(event, OCTOBER).rows.values()) == {expected}
    assert ("all", None, None, 1) == asked(scripted)[-1]
    assert len(asked(scripted)) == (2 if event == ALL_EVENTS else 3)


def test_a_total_without_a_count_asks_all_for_one_day(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """One loaded day is enough for a 0."""
    scripted.replies = [page(), page(item(20171003, "4"))]

    assert {20171001: 0} == scripted_table.series("324", OCTOBER._replace(interval=Interval.TOTAL)).rows
    assert ("all", "20171001", "20171004", 1) == asked(scripted)[-1]


def test_no_further_query_is_begun_without_the_time_for_it(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable
) -> None:
    """A series with half of its gaps filled is no answer."""
    scripted.replies = [page()]
    left_s = iter([MAX_CALL_S, MAX_CALL_S - 0.1])

    with pytest.raises(Unavailable, match=r"11\.9 s left, too few to ask for more"):
        scripted_table.series("324", OCTOBER, lambda: next(left_s))

    assert 2 == len(scripted.requests)


def test_an_error_of_the_further_query_is_one_of_the_series(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable
) -> None:
    """Rows that might be wrong are not returned."""
    scripted.replies = [page(), aws_error("ThrottlingException")]

    with pytest.raises(Unavailable, match="ThrottlingException"):
        scripted_table.series("324", OCTOBER)


@pytest.mark.parametrize("interval", [Interval.DAY, Interval.WEEK, Interval.MONTH])
@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("descending", [False, True])
def test_pages_read_from_a_table_make_up_the_whole_series(
    book_table: VisitsTable, interval: Interval, *, fill: bool, descending: bool
) -> None:
    """Of every size, in both orders."""
    book_table.add("325", 20171008, 4)
    wanted = Selection(fill=fill, interval=interval, descending=descending)
    whole = list(book_table.series("324", wanted).rows.items())
    assert sum(BOOK_324.values()) == sum(count or 0 for _, count in whole)

    for limit in range(1, len(whole) + 2):
        rows: list[tuple[int, float | None]] = []
        following: Selection | None = wanted._replace(limit=limit)
        while following:
            found = book_table.series("324", following)
            rows += found.rows.items()
            following = found.more
        assert whole == rows


def test_no_further_page_is_begun_without_the_time_for_it(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable
) -> None:
    """An answer in time, though an error, beats a function that is killed."""
    scripted.replies = [page(item(20171001, "3"), last=20171001)]

    with pytest.raises(Unavailable, match=r"2\.5 s left, too few to ask for more"):
        scripted_table.series("324", Selection(), lambda: 2.5)

    assert 1 == len(scripted.requests)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [("3", 3), ("-3", -3), ("2.5", 2.5), ("3.0", 3), ("1E+3", 1000), ("9007199254740993", 9007199254740993)],
)
def test_whole_numbers_are_integers_and_fractions_floats(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable, stored: str, expected: float
) -> None:
    """Whole numbers keep every digit."""
    scripted.replies = [page(item(20171001, stored))]

    (count,) = scripted_table.query("324").values()

    assert (expected, type(expected)) == (count, type(count))


def test_only_days_and_counts_are_fetched(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """The id is known; whatever else an item holds is not ours."""
    scripted.replies = [page()]

    scripted_table.query("324", 20171001, 20171002)

    assert [
        {
            "TableName": "user-visits-test",
            "KeyConditionExpression": "EventId = :event AND EventDay BETWEEN :start AND :end",
            "ExpressionAttributeValues": {
                ":event": {"S": "324"},
                ":start": {"N": "20171001"},
                ":end": {"N": "20171002"},
            },
            "ProjectionExpression": "EventDay, EventCount",
        }
    ] == scripted.requests


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (aws_error("ThrottlingException"), Throttled),
        (aws_error("ProvisionedThroughputExceededException"), Throttled),
        (aws_error("RequestLimitExceeded"), Throttled),
        (aws_error("InternalServerError", 500), Unavailable),
        (Reply(503, "<html>Service Unavailable</html>", "text/html"), Unavailable),
        (Reply(body='{"Items": [], "Count": 0}', cut=True), Unavailable),
        (aws_error("AccessDeniedException"), Denied),
        (aws_error("UnrecognizedClientException"), Denied),
        (aws_error("ResourceNotFoundException"), NoTable),
        (aws_error("ValidationException"), RepositoryError),
        (Reply(400, "<html>Bad Request</html>", "text/html"), RepositoryError),
        (Reply(body="{}"), RepositoryError),
        (Reply(body="<html>hello</html>", content_type="text/html"), RepositoryError),
        (Reply(body="[]"), RepositoryError),
        (Reply(body="null"), RepositoryError),
        (Reply(body='"Items"'), RepositoryError),
        (Reply(body='{"Items": '), RepositoryError),
        (Reply(body=b'{"Items": [], "Count": "\xff"}'), RepositoryError),
        (Reply(400, body=b"\xff"), RepositoryError),
        (Reply(500, body=""), Unavailable),
        (Reply(body='{"Items": null}'), RepositoryError),
        (Reply(body='{"Items": "none"}'), RepositoryError),
        (Reply(body='{"Items": [null]}'), RepositoryError),
        (Reply(body='{"Items": [[]]}'), RepositoryError),
        (Reply(body='{"Items": [{"EventDay": null, "EventCount": {"N": "1"}}]}'), RepositoryError),
        (Reply(body='{"Items": [{"EventDay": {"N": null}, "EventCount": {"N": "1"}}]}'), RepositoryError),
        (Reply(body='{"Items": [{"EventDay": {"S": "20171001"}, "EventCount": {"N": "1"}}]}'), RepositoryError),
        (Reply(body='{"Items": [{"EventDay": {"N": "20171001"}}]}'), RepositoryError),
        (Reply(body='{"Items": [{"EventDay": {"N": "x"}, "EventCount": {"N": "1"}}]}'), RepositoryError),
        (Reply(body='{"Items": [{"EventDay": {"N": "1"}, "EventCount": {"N": "x"}}]}'), RepositoryError),
    ],
    ids=lambda value: ascii(value.body[:60]) if isinstance(value, Reply) else value.__name__,
)
def test_a_failed_query_is_one_of_the_repositorys_own_errors(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable, reply: Reply, kind: type[RepositoryError]
) -> None:
    """Never an empty or shortened series, never a foreign exception."""
    scripted.replies = [reply]

    with pytest.raises(RepositoryError) as raised:
        scripted_table.query("324")

    assert kind is type(raised.value)
    assert str(raised.value).startswith("Query on user-visits-test: ")


def test_an_unreachable_dynamodb_is_unavailable(monkeypatch: pytest.MonkeyPatch, unused_endpoint: str) -> None:
    """Nobody listens there."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", unused_endpoint)

    with pytest.raises(Unavailable, match="Could not connect"):
        VisitsTable(connect(local_cloud.REGION), "user-visits-test").query("324")


def test_a_silent_dynamodb_is_given_up_within_the_time_promised(
    scripted: ScriptedDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the client as the function has it: every attempt waits for its time-out."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", scripted.endpoint)
    scripted.replies = [Reply(silent=True)]
    began = time.monotonic()

    with pytest.raises(Unavailable, match="Read timeout"):
        VisitsTable(connect(local_cloud.REGION), "user-visits-test").query("324")

    assert 3 == len(scripted.requests)
    assert time.monotonic() - began < MAX_CALL_S


def test_the_client_waits_and_asks_again_no_longer_than_it_says() -> None:
    """The defaults, 60 s a try, would outlast the function."""
    config: Any = connect(local_cloud.REGION).meta.config

    assert (1, 2) == (config.connect_timeout, config.read_timeout)
    assert {"mode": "standard", "total_max_attempts": 3} == config.retries
    assert 3 * (1 + 2) + (1 + 2) == MAX_CALL_S


def test_throttling_that_passes_goes_unnoticed(scripted: ScriptedDynamoDB, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client asks three times."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", scripted.endpoint)
    scripted.replies = [aws_error("ThrottlingException"), aws_error("ThrottlingException"), page(item(20171001, "3"))]

    assert {20171001: 3} == VisitsTable(connect(local_cloud.REGION), "user-visits-test").query("324")


def test_an_answer_that_was_changed_on_its_way_is_asked_for_again(
    scripted: ScriptedDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB sends a checksum along, of the bytes as they are on the wire."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", scripted.endpoint)
    right = page(item(20171001, "3"))
    assert isinstance(right.body, str)
    scripted.replies = [replace(page(item(20171001, "4")), crc32=1), replace(right, crc32=crc32(right.body.encode()))]

    assert {20171001: 3} == VisitsTable(connect(local_cloud.REGION), "user-visits-test").query("324")
    assert 2 == len(scripted.requests)


def test_an_answer_that_ends_too_early_is_unavailable_with_the_client_of_the_function(
    scripted: ScriptedDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a series is none."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", scripted.endpoint)
    scripted.replies = [replace(page(item(20171001, "4")), cut=True)]

    with pytest.raises(Unavailable):
        VisitsTable(connect(local_cloud.REGION), "user-visits-test").query("324")


def test_counts_add_up_and_all_is_their_sum(table: VisitsTable) -> None:
    """The first count makes the item; events and days are told apart."""
    table.add("324", 20171001, 2)
    table.add("324", 20171001, 3)
    table.add("325", 20171001, 4)
    table.add("324", 20171002, 0)

    assert {20171001: 5, 20171002: 0} == table.query("324")
    assert {20171001: 4} == table.query("325")
    assert {20171001: 9, 20171002: 0} == table.query(ALL_EVENTS)


def test_a_correction_takes_away_what_was_counted(book_table: VisitsTable) -> None:
    """Down to zero, from the event and from `all`."""
    book_table.add("324", 20171001, -3)

    assert {20171001: 0} == book_table.query("324", end=20171001)
    assert {20171001: 0} == book_table.query(ALL_EVENTS, end=20171001)


@pytest.mark.parametrize(("day", "count"), [(20171001, -4), (20171003, -1)])
def test_a_correction_below_zero_changes_nothing(book_table: VisitsTable, day: int, count: int) -> None:
    """Nor where nothing was ever counted."""
    before = book_table.query("324"), book_table.query(ALL_EVENTS)

    with pytest.raises(BelowZero, match=rf"event 324 has fewer than {-count} visits on {day}; nothing was taken away"):
        book_table.add("324", day, count)

    assert (book_table.query("324"), book_table.query(ALL_EVENTS)) == before


def test_a_correction_does_not_need_the_series_all(table: VisitsTable) -> None:
    """Counts that came in past this service can be corrected, though `all` does not have them."""
    boto3.client("dynamodb", region_name=local_cloud.REGION).put_item(
        TableName=table.name,
        Item={"EventId": {"S": "324"}, "EventDay": {"N": "20171001"}, "EventCount": {"N": "3"}},
    )

    table.add("324", 20171001, -2)

    assert {20171001: 1} == table.query("324")


def test_conflicts_and_throttling_are_waited_out_with_one_token(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable
) -> None:
    """The token is what keeps an attempt that was applied unheard from being applied again."""
    scripted.replies = [
        cancelled("None", "TransactionConflict"),
        cancelled("ThrottlingError", "TransactionConflict"),
        Reply(),
    ]

    scripted_table.add("324", 20171001, 1)

    assert 3 == len(scripted.requests)
    assert 1 == len({request["ClientRequestToken"] for request in scripted.requests})


def test_throttling_of_a_transaction_is_waited_out_with_one_token(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable
) -> None:
    """It comes as a reason of a cancellation or as an error of its own."""
    scripted.replies = [aws_error("ThrottlingException"), aws_error("ProvisionedThroughputExceededException"), Reply()]

    scripted_table.add("324", 20171001, 1)

    assert 3 == len(scripted.requests)
    assert 1 == len({str(request["ClientRequestToken"]) for request in scripted.requests})


def test_two_additions_have_two_tokens(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """Else the second would not count."""
    scripted.replies = [Reply()]

    scripted_table.add("324", 20171001, 1)
    scripted_table.add("324", 20171001, 1)

    assert 2 == len({request["ClientRequestToken"] for request in scripted.requests})


def test_endless_conflict_is_unavailable(scripted: ScriptedDynamoDB, monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits grow, and end."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", scripted.endpoint)
    waits: list[float] = []
    table = VisitsTable(connect(local_cloud.REGION), "user-visits-test", sleep=waits.append)
    scripted.replies = [cancelled("None", "TransactionConflict")]

    with pytest.raises(Unavailable, match="turned away 8 times"):
        table.add("324", 20171001, 1)

    assert 8 == len(scripted.requests)
    assert all(0 <= wait <= limit for wait, limit in zip(waits, (0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2), strict=True))


def test_a_cancellation_for_any_other_reason_is_raised_at_once(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable
) -> None:
    """Asking again would not help."""
    scripted.replies = [cancelled("ValidationError", "TransactionConflict")]

    with pytest.raises(RepositoryError, match="TransactionCanceledException"):
        scripted_table.add("324", 20171001, 1)

    assert 1 == len(scripted.requests)


def test_a_table_is_created_once(table: VisitsTable, files: FilesTable) -> None:
    """An operator who mistypes a name learns it."""
    with pytest.raises(TableExists, match="CreateTable on user-visits-test"):
        table.create()
    with pytest.raises(TableExists, match="CreateTable on visit-files-test"):
        files.create()


@pytest.mark.parametrize(("variable", "value"), [("AWS_PROFILE", "nobody"), ("AWS_ENDPOINT_URL", "nowhere")])
def test_settings_that_make_no_sense_are_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """It names the value."""
    monkeypatch.setenv(variable, value)

    with pytest.raises(RepositoryError, match=value):
        connect(local_cloud.REGION)


CLAIM = Receipt(
    "inbox",
    "incoming/visits.csv",
    "e1",
    "applying",
    "2026-11-22T10:00:00.000+00:00",
    digest="d1",
    chunk_size=3,
    chunks=2,
    rows_read=5,
    rows_applied=4,
    rows_rejected=1,
    visits=10,
)
"""Of a file that CHUNKS are the plan of."""

CHUNKS = [
    [DayCount("324", 20171001, 1), DayCount("325", 20171001, 2), DayCount(ALL_EVENTS, 20171001, 3)],
    [DayCount("324", 20171002, 7), DayCount(ALL_EVENTS, 20171002, 7)],
]

STORED = {
    "Bucket": {"S": "inbox"},
    "Key": {"S": "incoming/visits.csv"},
    "ETag": {"S": "e1"},
    "Status": {"S": "applying"},
    "BeganAt": {"S": "2026-11-22T10:00:00.000+00:00"},
    "EndedAt": {"S": ""},
    "Reason": {"S": ""},
    "Digest": {"S": "d1"},
    "ChunkSize": {"N": "3"},
    "Chunks": {"N": "2"},
    "ChunksApplied": {"N": "0"},
    "RowsRead": {"N": "5"},
    "RowsApplied": {"N": "4"},
    "RowsRejected": {"N": "1"},
    "Visits": {"N": "10"},
}
"""CLAIM as DynamoDB has it."""

NOW = "2026-11-22T10:00:01.000+00:00"


@pytest.fixture
def scripted_files(scripted_table: VisitsTable) -> FilesTable:  # noqa: ARG001 - at the same endpoint
    """The receipts in the DynamoDB of canned answers, asked once a call."""
    return FilesTable(connect(local_cloud.REGION, max_attempts=1), FILES_TABLE, sleep=lambda _: None)


def counted(visits: VisitsTable) -> list[DayCount]:
    """Return what is in the table of the events that CHUNKS count."""
    events = ("324", "325", ALL_EVENTS)
    return [DayCount(event, day, count) for event in events for day, count in visits.query(event).items()]


def test_a_receipt_is_stored_as_ever(scripted: ScriptedDynamoDB, scripted_files: FilesTable) -> None:
    """The next version of the code has to find the fences of this one: attributes are neither renamed nor left out."""
    scripted.replies = [Reply()]

    scripted_files.claim(CLAIM)

    assert [STORED] == [request["Item"] for request in scripted.requests]


def test_a_new_file_is_claimed(files: FilesTable) -> None:
    """Its receipt is kept, under bucket and key."""
    assert files.claim(CLAIM) is None
    assert files.claim(CLAIM._replace(bucket="other")) is None
    assert files.claim(CLAIM._replace(key="incoming/other.csv")) is None

    assert CLAIM == files.get("inbox", "incoming/visits.csv")


@pytest.mark.parametrize("status", ["applying", "done"])
@pytest.mark.parametrize("etag", ["e1", "e2"])
def test_a_claimed_file_keeps_its_receipt(files: FilesTable, status: str, etag: str) -> None:
    """Whoever comes later is told what stands there, and changes nothing."""
    standing = CLAIM._replace(status=status, chunks_applied=1)
    files.claim(standing)

    assert standing == files.claim(CLAIM._replace(etag=etag, began_at=NOW))
    assert standing == files.get("inbox", "incoming/visits.csv")


def test_a_refused_file_can_be_claimed(files: FilesTable) -> None:
    """Nothing of it was applied, so its name is free for content that can be."""
    files.claim(Receipt("inbox", "incoming/visits.csv", "e0", "refused", NOW, NOW, "has no row"))

    assert files.claim(CLAIM) is None
    assert CLAIM == files.get("inbox", "incoming/visits.csv")


def test_a_claim_that_meets_another_returns_what_dynamodb_says_stands_there(
    scripted: ScriptedDynamoDB, scripted_files: FilesTable
) -> None:
    """The answer to the failed condition has it: there is no moment in between."""
    scripted.replies = [aws_error("ConditionalCheckFailedException", Item={**STORED, "ChunksApplied": {"N": "1"}})]

    assert CLAIM._replace(chunks_applied=1) == scripted_files.claim(CLAIM)
    assert ["ALL_OLD"] == [request["ReturnValuesOnConditionCheckFailure"] for request in scripted.requests]


def test_a_condition_that_nobody_expects_to_fail_is_an_error_of_ours(
    scripted: ScriptedDynamoDB, scripted_files: FilesTable
) -> None:
    """With what stands there."""
    scripted.replies = [aws_error("ConditionalCheckFailedException", Item=STORED)]

    with pytest.raises(ConditionFailed, match="GetItem on visit-files-test: ") as raised:
        scripted_files.get("inbox", "incoming/visits.csv")

    assert STORED == raised.value.item


def test_an_unknown_file_has_no_receipt(files: FilesTable) -> None:
    """Neither under its name elsewhere."""
    files.claim(CLAIM)

    assert files.get("other", "incoming/visits.csv") is None
    assert files.get("inbox", "visits.csv") is None


def test_a_receipt_is_read_as_it_stands_now(scripted: ScriptedDynamoDB, scripted_files: FilesTable) -> None:
    """An eventually consistent read could miss a chunk that was applied."""
    scripted.replies = [Reply(body=json.dumps({"Item": STORED}))]

    assert CLAIM == scripted_files.get("inbox", "incoming/visits.csv")
    assert [True] == [request["ConsistentRead"] for request in scripted.requests]


def test_every_receipt_is_listed_the_last_begun_first(files: FilesTable) -> None:
    """Whatever became of the file."""
    first = CLAIM._replace(key="incoming/b.csv", began_at="2026-11-21T10:00:00.000+00:00", status="done")
    second = CLAIM._replace(key="incoming/a.csv", began_at="2026-11-22T09:00:00.000+00:00")
    third = CLAIM._replace(key="incoming/c.csv", status="refused", reason="has no row")
    for receipt in (second, third, first):
        files.claim(receipt)

    assert [third, second, first] == files.every()


def test_every_page_of_receipts_is_followed(scripted: ScriptedDynamoDB, scripted_files: FilesTable) -> None:
    """DynamoDB ends a page at 1 MB."""
    place, further = ({"Bucket": STORED["Bucket"], "Key": {"S": key}} for key in ("incoming/m.csv", "incoming/n.csv"))
    other = {**STORED, "Key": {"S": "incoming/other.csv"}, "BeganAt": {"S": NOW}}
    scripted.replies = [
        Reply(body=json.dumps({"Items": [STORED], "LastEvaluatedKey": place})),
        Reply(body=json.dumps({"Items": [], "LastEvaluatedKey": further})),
        Reply(body=json.dumps({"Items": [other]})),
    ]

    assert [CLAIM._replace(key="incoming/other.csv", began_at=NOW), CLAIM] == scripted_files.every()
    assert [None, place, further] == [request.get("ExclusiveStartKey") for request in scripted.requests]


def test_a_chunk_moves_the_fence_by_one_with_its_additions(files: FilesTable, table: VisitsTable) -> None:
    """What stood in the table before is added to."""
    table.add("324", 20171001, 5)
    files.claim(CLAIM)

    after = files.apply(CLAIM, CHUNKS[0], table, NOW)

    assert CLAIM._replace(chunks_applied=1) == after
    assert after == files.get("inbox", "incoming/visits.csv")
    assert [("324", 20171001, 6), ("325", 20171001, 2), ("all", 20171001, 8)] == counted(table)


def test_the_last_chunk_closes_the_receipt(files: FilesTable, table: VisitsTable) -> None:
    """With the time it is given."""
    files.claim(CLAIM)

    after = files.apply(files.apply(CLAIM, CHUNKS[0], table, "too early"), CHUNKS[1], table, NOW)

    assert CLAIM._replace(chunks_applied=2, status="done", ended_at=NOW) == after
    assert after == files.get("inbox", "incoming/visits.csv")
    assert [
        ("324", 20171001, 1),
        ("324", 20171002, 7),
        ("325", 20171001, 2),
        ("all", 20171001, 3),
        ("all", 20171002, 7),
    ] == counted(table)


def test_a_chunk_is_applied_once(files: FilesTable, table: VisitsTable) -> None:
    """Who comes second learns that the fence has moved, and adds nothing."""
    files.claim(CLAIM)
    after = files.apply(CLAIM, CHUNKS[0], table, NOW)
    before = counted(table)

    with pytest.raises(FenceMoved, match=r"incoming/visits\.csv no longer stands at chunk 0"):
        files.apply(CLAIM, CHUNKS[0], table, NOW)

    assert before == counted(table)
    assert after == files.get("inbox", "incoming/visits.csv")


@pytest.mark.parametrize(
    "believed",
    [
        CLAIM._replace(chunks_applied=1),
        CLAIM._replace(digest="d2"),
        CLAIM._replace(key="incoming/never-claimed.csv"),
        CLAIM._replace(bucket="other"),
    ],
    ids=["ahead of the fence", "of another plan", "without a receipt", "in another bucket"],
)
def test_a_chunk_that_is_not_the_next_is_not_applied(files: FilesTable, table: VisitsTable, believed: Receipt) -> None:
    """The table and the receipts stay as they are."""
    files.claim(CLAIM)

    with pytest.raises(FenceMoved):
        files.apply(believed, CHUNKS[1], table, NOW)

    assert [] == counted(table)
    assert [CLAIM] == files.every()


@pytest.mark.parametrize(
    "codes",
    [
        ("TransactionConflict", "None", "None", "None"),
        ("None", "TransactionConflict", "None", "TransactionConflict"),
        ("None", "None", "ThrottlingError", "None"),
        ("ProvisionedThroughputExceeded", "None", "None", "None"),
    ],
)
def test_a_chunk_waits_conflicts_and_throttling_out_with_one_token(
    scripted: ScriptedDynamoDB, scripted_files: FilesTable, scripted_table: VisitsTable, codes: tuple[str, ...]
) -> None:
    """On the fence and on the items alike; it is one and the same transaction each time."""
    scripted.replies = [cancelled(*codes), cancelled(*codes), Reply()]

    assert CLAIM._replace(chunks_applied=1) == scripted_files.apply(CLAIM, CHUNKS[0], scripted_table, NOW)

    assert 3 == len(scripted.requests)
    assert [scripted.requests[0]] * 3 == scripted.requests
    assert scripted.requests[0]["ClientRequestToken"]


def test_two_chunks_have_two_tokens(
    scripted: ScriptedDynamoDB, scripted_files: FilesTable, scripted_table: VisitsTable
) -> None:
    """Else DynamoDB would take the second for the first again."""
    scripted.replies = [Reply()]

    scripted_files.apply(scripted_files.apply(CLAIM, CHUNKS[0], scripted_table, NOW), CHUNKS[1], scripted_table, NOW)

    assert 2 == len({request["ClientRequestToken"] for request in scripted.requests})


def test_a_moved_fence_counts_more_than_a_conflict(
    scripted: ScriptedDynamoDB, scripted_files: FilesTable, scripted_table: VisitsTable
) -> None:
    """To wait would be in vain: someone else has applied the chunk."""
    scripted.replies = [cancelled("ConditionalCheckFailed", "TransactionConflict", "None", "None")]

    with pytest.raises(FenceMoved):
        scripted_files.apply(CLAIM, CHUNKS[0], scripted_table, NOW)

    assert 1 == len(scripted.requests)


@pytest.mark.parametrize(
    "codes",
    [
        ("None", "ValidationError", "None", "None"),
        ("None", "ItemCollectionSizeLimitExceeded", "TransactionConflict", "None"),
        ("AccessDenied", "None", "None", "None"),
        ("None", "ConditionalCheckFailed", "None", "None"),
    ],
)
def test_a_chunk_cancelled_for_any_other_reason_is_an_error_with_the_reasons(
    scripted: ScriptedDynamoDB, scripted_files: FilesTable, scripted_table: VisitsTable, codes: tuple[str, ...]
) -> None:
    """Asking again would not help, and nothing is taken for applied."""
    scripted.replies = [cancelled(*codes)]

    with pytest.raises(Cancelled) as raised:
        scripted_files.apply(CLAIM, CHUNKS[0], scripted_table, NOW)

    assert list(codes) == list(raised.value.codes)
    assert 1 == len(scripted.requests)


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("GetItem", lambda files, _: files.get("inbox", "incoming/visits.csv")),
        ("Scan", lambda files, _: files.every()),
        ("PutItem", lambda files, _: files.claim(CLAIM)),
        ("TransactWriteItems", lambda files, visits: files.apply(CLAIM, CHUNKS[0], visits, NOW)),
        ("CreateTable", lambda files, _: files.create()),
    ],
    ids=["get", "every", "claim", "apply", "create"],
)
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (aws_error("ThrottlingException"), Throttled),
        (aws_error("InternalServerError", 500), Unavailable),
        (aws_error("TransactionInProgressException"), Unavailable),
        (Reply(cut=True), Unavailable),
        (aws_error("AccessDeniedException"), Denied),
        (aws_error("ResourceNotFoundException"), NoTable),
        (aws_error("ValidationException"), RepositoryError),
    ],
    ids=lambda value: ascii(value.body[:60]) if isinstance(value, Reply) else value.__name__,
)
def test_a_failed_call_for_receipts_is_one_of_the_repositorys_own_errors(
    scripted: ScriptedDynamoDB,
    scripted_files: FilesTable,
    scripted_table: VisitsTable,
    operation: str,
    call: Callable[[FilesTable, VisitsTable], object],
    reply: Reply,
    kind: type[RepositoryError],
) -> None:
    """It names operation and table; none of them is taken for `nothing there`."""
    scripted.replies = [reply]

    with pytest.raises(RepositoryError) as raised:
        call(scripted_files, scripted_table)

    assert kind is type(raised.value)
    assert str(raised.value).startswith(f"{operation} on visit-files-test: ")


@pytest.mark.parametrize(
    ("status", "done", "refused"), [("applying", False, False), ("done", True, False), ("refused", False, True)]
)
def test_a_receipt_says_how_its_file_stands(status: str, done: bool, refused: bool) -> None:
    """A file that is neither done nor refused is being applied, or waits for whoever goes on with it."""
    receipt = CLAIM._replace(status=status)

    assert (done, refused) == (receipt.done, receipt.refused)
