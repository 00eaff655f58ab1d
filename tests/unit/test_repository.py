"""What the repository asks of DynamoDB, and what it makes of the answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest
from databases import Reply, ScriptedDynamoDB, aws_error, boto3_at, cancelled, client_at, counts_of
from samples import BOOK_324
from settings import TABLE

import repository
from dynamodb import MAX_CALL_S, Client, DynamoDBError, Throttled, Unavailable
from repository import SLOW_PAGES, BelowZero, Budget, TooMuchToRead, VisitsTable
from series import Reading
from visits import ALL_EVENTS


def item(day: int, count: str, files: str | None = None) -> dict[str, object]:
    return {"EventDay": {"N": str(day)}, "EventCount": {"N": count}, **({"Files": {"N": files}} if files else {})}


def page(*items: dict[str, object], last: int | None = None) -> Reply:
    """Return one page of a Query's answer; `last` is the day at which the next goes on."""
    key = {"LastEvaluatedKey": {"EventId": {"S": "324"}, "EventDay": {"N": str(last)}}} if last else {}
    return Reply(body=json.dumps({"Items": items, "Count": len(items), **key}))


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

    assert [(day, BOOK_324[day]) for day in days] == list(counts_of(book_table, "324", start, end).items())


def test_every_page_is_followed(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """DynamoDB ends a page at 1 MB, an empty one included."""
    scripted.replies = [page(item(20171001, "3"), last=20171001), page(last=20171002), page(item(20171003, "4"))]

    assert [(20171001, 3), (20171003, 4)] == list(counts_of(scripted_table, "324").items())
    assert [
        None,
        {"EventId": {"S": "324"}, "EventDay": {"N": "20171001"}},
        {"EventId": {"S": "324"}, "EventDay": {"N": "20171002"}},
    ] == [request.get("ExclusiveStartKey") for request in scripted.requests]


@pytest.mark.parametrize(
    ("reading", "asked"),
    [
        (Reading(20171001, 20171031), {}),
        (Reading(limit=6), {"Limit": 6}),
        (Reading(descending=True, limit=6), {"Limit": 6, "ScanIndexForward": False}),
    ],
)
def test_a_reading_is_one_query_that_dynamodb_orders_and_limits(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable, reading: Reading, asked: dict[str, object]
) -> None:
    """Nothing is read that was not asked for."""
    scripted.replies = [page(item(20171002, "3"))]

    assert [{20171002: 3}] == list(scripted_table.pages("324", reading))
    (request,) = scripted.requests
    assert asked == {name: request[name] for name in ("Limit", "ScanIndexForward") if name in request}


def test_the_limit_holds_over_dynamodbs_pages(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """What is left of it is asked of the next page; when nothing is left, no more is asked."""
    scripted.replies = [
        page(item(20171001, "1"), item(20171002, "2"), last=20171002),
        page(item(20171003, "3"), last=20171003),
        page(item(20171004, "4"), last=20171004),
    ]

    assert [{20171001: 1, 20171002: 2}, {20171003: 3}, {20171004: 4}] == list(
        scripted_table.pages("324", Reading(limit=4))
    )
    assert [4, 2, 1] == [request["Limit"] for request in scripted.requests]


def test_a_day_of_all_is_left_out_where_all_its_files_were_taken_back(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable
) -> None:
    """Its item has no file and no visit; one without `Files`, or with visits, counts as loaded."""
    scripted.replies = [
        page(
            item(20171001, "0", files="0"),
            item(20171002, "0", files="1"),
            item(20171003, "0"),
            item(20171004, "2", files="0"),
            item(20171005, "2.5", files="0"),
            item(20171006, "0.0", files="0"),
        )
    ]
    kept = {20171002: 0, 20171003: 0, 20171004: 2, 20171005: 2.5}

    assert kept == counts_of(scripted_table, ALL_EVENTS)
    assert {20171001: 0, **kept, 20171006: 0} == counts_of(scripted_table, "324")
    assert ["EventDay, EventCount, Files", "EventDay, EventCount"] == [
        request["ProjectionExpression"] for request in scripted.requests
    ]


def test_days_that_are_left_out_make_the_next_page_longer(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable
) -> None:
    """A hundred days that were taken back do not take a hundred Queries; not more is returned than was asked for."""
    scripted.replies = [
        page(item(20171009, "0", files="0"), last=20171009),
        page(item(20171008, "0", files="0"), item(20171007, "0", files="0"), last=20171007),
        page(*(item(20171000 + day, "3", files="1") for day in (6, 5, 4, 3)), last=20171003),
    ]

    assert [{}, {}, {20171006: 3}] == list(scripted_table.pages(ALL_EVENTS, Reading(descending=True, limit=1)))
    assert [1, 2, 4] == [request["Limit"] for request in scripted.requests]


@pytest.mark.parametrize("day", [0, 20170229, 20171301, 20171032, 100000101, -20171001])
@pytest.mark.parametrize("count", ["3", "2.5"])
def test_a_day_that_does_not_exist_is_an_error_whatever_is_asked(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable, day: int, count: str
) -> None:
    """Another program put it there; each time it is met it is one."""
    scripted.replies = [page(item(20171001, "1"), item(day, count))]

    for _ in range(2):
        with pytest.raises(DynamoDBError, match="event 324 is stored or answered wrongly"):
            counts_of(scripted_table, "324")


def test_known_days_are_forgotten_before_they_are_too_many(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function that has seen many days keeps few of them."""
    monkeypatch.setattr(repository, "_MAX_KNOWN_DAYS", 0)
    known = repository._known_days  # noqa: SLF001
    scripted.replies = [page(item(20991001, "1")), page(item(20991002, "1"))]
    counts_of(scripted_table, "324")
    assert 20991001 in known
    counts_of(scripted_table, "324")
    assert {20991002} == known


def event_item(event_id: str, count: str) -> dict[str, object]:
    return {"EventId": {"S": event_id}, "EventCount": {"N": count}}


def test_the_events_of_a_day_come_from_the_index(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """Every page is followed; `all` is no event."""
    scripted.replies = [
        page(event_item("007", "3"), event_item("all", "9"), last=20171001),
        page(last=20171001),
        page(event_item("7", "2.5")),
    ]

    assert [{"007": 3}, {}, {"7": 2.5}] == list(scripted_table.pages_of_day(20171001))
    request = scripted.requests[0]
    assert ("EventsByDay", "EventId, EventCount") == (request["IndexName"], request["ProjectionExpression"])
    assert {":day": {"N": "20171001"}} == request["ExpressionAttributeValues"]
    assert "Limit" not in request


@pytest.mark.parametrize("items", [[event_item("x", "3")], [event_item("\u0663", "3")], [{}], [event_item("7", "x")]])
def test_an_event_that_is_not_ours_is_an_error(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable, items: list[dict[str, object]]
) -> None:
    """An id that is no number would not be safe to write."""
    scripted.replies = [page(*items)]

    with pytest.raises(DynamoDBError, match="day 20171001 is stored or answered wrongly"):
        list(scripted_table.pages_of_day(20171001))


def test_the_index_is_read_as_declared(book_table: VisitsTable) -> None:
    """A table as it is deployed answers by day."""
    book_table.add("7", 20171001, 4)

    assert [{"324": 3, "7": 4}] == list(book_table.pages_of_day(20171001))


class Waiting(Client):
    """A client that answers when ten ask at the same time, or else fails."""

    def __init__(self, at_once: int) -> None:
        self.barrier = threading.Barrier(at_once)
        self.asked: list[str] = []
        self.threads: set[str] = set()

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        assert operation == "Query"
        self.barrier.wait(10)
        self.threads.add(threading.current_thread().name)
        event = next(iter(request["ExpressionAttributeValues"].values()))
        self.asked.append(event.get("S"))
        return {"Items": [item(20171001, event.get("S", "1"))]}


def test_several_events_are_read_at_once() -> None:
    """Ten Queries run at the same time, and no more; the answers come in the order asked for."""
    client = Waiting(10)

    found = VisitsTable(client, TABLE).reader(Budget())([(str(n), Reading()) for n in range(20)])
    assert [{20171001: n} for n in range(20)] == [counts for parts in found for counts in parts]
    assert 10 == len(client.threads)


def test_one_event_is_read_without_threads_and_as_it_is_used() -> None:
    """A plain request waits for nobody; what is not used is not read."""
    client = Waiting(1)
    (parts,) = VisitsTable(client, TABLE).reader(Budget())([("324", Reading())])

    assert [] == client.asked
    assert [{20171001: 324}] == list(parts)


class Failing(Client):
    """A client that fails for one event, once others are being asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.failed = threading.Event()

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        assert operation == "Query"
        self.asked += 1
        if request["ExpressionAttributeValues"][":event"]["S"] == "0":
            self.failed.set()
            raise Unavailable("broken")
        self.failed.wait(10)
        time.sleep(0.01)
        return {"Items": [], "LastEvaluatedKey": {"EventId": {"S": "1"}, "EventDay": {"N": "1"}}}


def test_an_answer_is_whole_or_an_error() -> None:
    """Where one read fails, the others begin no further Query, and are over when the error is raised."""
    client = Failing()
    read = VisitsTable(client, TABLE).reader(Budget())

    with pytest.raises(Unavailable, match="broken"):
        read([(str(n), Reading()) for n in range(30)])

    asked = client.asked
    assert asked < 50
    time.sleep(0.05)
    assert asked == client.asked


def test_no_query_is_begun_without_the_time_for_it(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """An answer in time, though an error, beats a function that is killed."""
    scripted.replies = [page(item(20171001, "3"), last=20171001)]
    left_s = iter([MAX_CALL_S, 2.5])

    with pytest.raises(Unavailable, match=r"2\.5 s left, too few for another Query"):
        list(scripted_table.pages("324", Reading(), Budget(lambda: next(left_s))))

    assert 1 == len(scripted.requests)


def test_a_request_that_reads_too_much_is_told_so(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """By pages, or where the time was used for many pages, it asks for too much; no part of it is an answer."""
    scripted.replies = [page(item(20171001, "3"), last=20171001)]

    with pytest.raises(TooMuchToRead, match="reads more than 3 MB of counts; narrow its range"):
        list(scripted_table.pages("324", Reading(), Budget(pages=3)))
    assert 3 == len(scripted.requests)

    left_s = iter([MAX_CALL_S] * SLOW_PAGES + [0.0])
    with pytest.raises(TooMuchToRead, match="than there is time for; narrow its range"):
        list(scripted_table.pages("324", Reading(), Budget(lambda: next(left_s))))
    assert 3 + SLOW_PAGES == len(scripted.requests)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [("3", 3), ("-3", -3), ("2.5", 2.5), ("3.0", 3), ("1E+3", 1000), ("9007199254740993", 9007199254740993)],
)
def test_whole_numbers_are_integers_and_fractions_floats(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable, stored: str, expected: float
) -> None:
    """Whole numbers keep every digit."""
    scripted.replies = [page(item(20171001, stored))]

    (count,) = counts_of(scripted_table, "324").values()

    assert (expected, type(expected)) == (count, type(count))


def test_only_days_and_counts_are_fetched(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """The id is known; whatever else an item holds is not ours."""
    scripted.replies = [page()]

    counts_of(scripted_table, "324", 20171001, 20171002)

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
        (aws_error("AccessDeniedException"), DynamoDBError),
        (aws_error("UnrecognizedClientException"), DynamoDBError),
        (aws_error("ResourceNotFoundException"), DynamoDBError),
        (aws_error("ValidationException"), DynamoDBError),
        (Reply(400, "<html>Bad Request</html>", "text/html"), DynamoDBError),
        (Reply(body="{}"), DynamoDBError),
        (Reply(body="<html>hello</html>", content_type="text/html"), DynamoDBError),
        (Reply(body="[]"), DynamoDBError),
        (Reply(body="null"), DynamoDBError),
        (Reply(body='"Items"'), DynamoDBError),
        (Reply(body='{"Items": '), DynamoDBError),
        (Reply(body=b'{"Items": [], "Count": "\xff"}'), DynamoDBError),
        (Reply(400, body=b"\xff"), DynamoDBError),
        (Reply(500, body=""), Unavailable),
        (Reply(body='{"Items": null}'), DynamoDBError),
        (Reply(body='{"Items": "none"}'), DynamoDBError),
        (Reply(body='{"Items": [null]}'), DynamoDBError),
        (Reply(body='{"Items": [[]]}'), DynamoDBError),
        (Reply(body='{"Items": [{"EventDay": null, "EventCount": {"N": "1"}}]}'), DynamoDBError),
        (Reply(body='{"Items": [{"EventDay": {"N": null}, "EventCount": {"N": "1"}}]}'), DynamoDBError),
        (Reply(body='{"Items": [{"EventDay": {"S": "20171001"}, "EventCount": {"N": "1"}}]}'), DynamoDBError),
        (Reply(body='{"Items": [{"EventDay": {"N": "20171001"}}]}'), DynamoDBError),
        (Reply(body='{"Items": [{"EventDay": {"N": "x"}, "EventCount": {"N": "1"}}]}'), DynamoDBError),
        (Reply(body='{"Items": [{"EventDay": {"N": "1"}, "EventCount": {"N": "x"}}]}'), DynamoDBError),
    ],
    ids=lambda value: ascii(value.body[:60]) if isinstance(value, Reply) else value.__name__,
)
def test_a_failed_query_is_one_of_the_repositorys_own_errors(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable, reply: Reply, kind: type[DynamoDBError]
) -> None:
    """Never an empty or shortened series, never a foreign exception."""
    scripted.replies = [reply]

    with pytest.raises(DynamoDBError) as raised:
        counts_of(scripted_table, "324")

    assert kind is type(raised.value)
    assert str(raised.value).startswith("Query on user-visits-test: ")


def test_counts_add_up_and_all_is_their_sum(table: VisitsTable) -> None:
    """The first count makes the item; events and days are told apart."""
    table.add("324", 20171001, 2)
    table.add("324", 20171001, 3)
    table.add("325", 20171001, 4)
    table.add("324", 20171002, 0)

    assert {20171001: 5, 20171002: 0} == counts_of(table, "324")
    assert {20171001: 4} == counts_of(table, "325")
    assert {20171001: 9, 20171002: 0} == counts_of(table, ALL_EVENTS)


def test_a_correction_takes_away_what_was_counted(book_table: VisitsTable) -> None:
    """Down to zero, from the event and from `all`."""
    book_table.add("324", 20171001, -3)

    assert {20171001: 0} == counts_of(book_table, "324", end=20171001)
    assert {20171001: 0} == counts_of(book_table, ALL_EVENTS, end=20171001)


@pytest.mark.parametrize(("day", "count"), [(20171001, -4), (20171003, -1)])
def test_a_correction_below_zero_changes_nothing(book_table: VisitsTable, day: int, count: int) -> None:
    """Nor where nothing was ever counted."""
    before = counts_of(book_table, "324"), counts_of(book_table, ALL_EVENTS)

    with pytest.raises(BelowZero, match=rf"event 324 has fewer than {-count} visits on {day}; nothing was taken away"):
        book_table.add("324", day, count)

    assert (counts_of(book_table, "324"), counts_of(book_table, ALL_EVENTS)) == before


def test_a_correction_does_not_need_the_series_all(moto: str, table: VisitsTable) -> None:
    """Counts that came in past this service can be corrected, though `all` does not have them."""
    boto3_at(moto).put_item(
        TableName=table.name,
        Item={"EventId": {"S": "324"}, "EventDay": {"N": "20171001"}, "EventCount": {"N": "3"}},
    )

    table.add("324", 20171001, -2)

    assert {20171001: 1} == counts_of(table, "324")


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


def test_endless_conflict_is_unavailable(scripted: ScriptedDynamoDB) -> None:
    """The waits grow, and end."""
    waits: list[float] = []
    table = VisitsTable(client_at(scripted.endpoint), TABLE, sleep=waits.append)
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

    with pytest.raises(DynamoDBError, match="TransactionCanceledException"):
        scripted_table.add("324", 20171001, 1)

    assert 1 == len(scripted.requests)
