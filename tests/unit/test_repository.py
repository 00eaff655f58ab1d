"""What the repository asks of DynamoDB, and what it makes of the answers."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from databases import Reply, ScriptedDynamoDB, aws_error, boto3_at, cancelled, client_at, counts_of
from samples import BOOK_324
from settings import TABLE

from dynamodb import MAX_CALL_S, DynamoDBError, Throttled, Unavailable
from repository import BelowZero, VisitsTable
from series import Interval, Page, Selection
from visits import ALL_EVENTS


def item(day: int, count: str) -> dict[str, object]:
    return {"EventDay": {"N": str(day)}, "EventCount": {"N": count}}


def page(*items: dict[str, object], last: int | None = None) -> Reply:
    """Return one page of a Query's answer; `last` is the day at which the next goes on."""
    key = {"LastEvaluatedKey": {"EventId": {"S": "324"}, "EventDay": {"N": str(last)}}} if last else {}
    return Reply(body=json.dumps({"Items": items, "Count": len(items), **key}))


def first_page(
    table: VisitsTable, event_id: str, selection: Selection, time_left_s: Callable[[], float] = lambda: MAX_CALL_S
) -> Page:
    """Return the first page of a series, read from the table."""
    return selection.first_page(event_id, table.reader(time_left_s))


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

    assert [3] == list(first_page(scripted_table, "324", selection).rows.values())
    (request,) = scripted.requests
    assert asked == {name: request[name] for name in ("Limit", "ScanIndexForward") if name in request}


def test_the_limit_holds_over_dynamodbs_pages(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """What is left of it is asked of the next; when nothing is left, no more is asked."""
    scripted.replies = [
        page(item(20171001, "1"), item(20171002, "2"), last=20171002),
        page(item(20171003, "3"), last=20171003),
        page(item(20171004, "4"), last=20171004),
    ]

    found = first_page(scripted_table, "324", Selection(limit=3))

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

    rows = first_page(scripted_table, "324", OCTOBER).rows

    assert [(20171001, None), (20171002, 5), (20171003, 0), (20171004, None)] == list(rows.items())
    assert [("324", "20171001", "20171004", None), ("all", "20171001", "20171004", None)] == asked(scripted)


def test_an_open_range_asks_all_for_the_days_of_the_page_only(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable
) -> None:
    """The range ends with the series' own first and last day, or with the page."""
    scripted.replies = [page(item(20171002, "5"), item(20171004, "6"), item(20171009, "7")), page(item(20171002, "9"))]

    rows = first_page(scripted_table, "324", Selection(fill=True, limit=3)).rows

    assert {20171002: 5, 20171003: None, 20171004: 6} == rows
    assert [("324", None, None, 4), ("all", "20171002", "20171004", None)] == asked(scripted)


def test_where_there_is_no_gap_nothing_more_is_asked(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """An interval with a count has no need of `all`, whatever its other days are."""
    scripted.replies = [page(item(20171002, "5"), item(20171003, "0"))]

    assert {20171002: 5, 20171003: 0} == first_page(scripted_table, "324", Selection(fill=True)).rows
    assert {20171001: 5} == first_page(scripted_table, "324", OCTOBER._replace(interval=Interval.MONTH)).rows
    assert 2 == len(scripted.requests)


def test_gaps_of_all_are_days_not_loaded(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """It is its own answer to what was loaded."""
    scripted.replies = [page(item(20171002, "5"))]

    rows = first_page(scripted_table, ALL_EVENTS, OCTOBER).rows

    assert {20171001: None, 20171002: 5, 20171003: None, 20171004: None} == rows
    assert 1 == len(scripted.requests)


@pytest.mark.parametrize("event", ["324", ALL_EVENTS])
@pytest.mark.parametrize(("anything", "expected"), [(page(item(20180101, "1")), None), (page(), 0)])
def test_where_all_has_no_day_of_the_range_one_item_tells_whether_it_has_any(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable, event: str, anything: Reply, expected: int | None
) -> None:
    """None where other days were loaded, 0 where nothing ever was."""
    scripted.replies = [page()] * (1 if event == ALL_EVENTS else 2) + [anything]

    assert set(first_page(scripted_table, event, OCTOBER).rows.values()) == {expected}
    assert ("all", None, None, 1) == asked(scripted)[-1]
    assert len(asked(scripted)) == (2 if event == ALL_EVENTS else 3)


def test_a_total_without_a_count_asks_all_for_one_day(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """One loaded day is enough for a 0."""
    scripted.replies = [page(), page(item(20171003, "4"))]

    assert {20171001: 0} == first_page(scripted_table, "324", OCTOBER._replace(interval=Interval.TOTAL)).rows
    assert ("all", "20171001", "20171004", 1) == asked(scripted)[-1]


def test_no_further_query_is_begun_without_the_time_for_it(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable
) -> None:
    """A series with half of its gaps filled is no answer."""
    scripted.replies = [page()]
    left_s = iter([MAX_CALL_S, MAX_CALL_S, MAX_CALL_S - 0.1])

    with pytest.raises(Unavailable, match=r"9\.9 s left, too few for another"):
        first_page(scripted_table, "324", OCTOBER, lambda: next(left_s))

    assert 2 == len(scripted.requests)


def test_an_error_of_the_further_query_is_one_of_the_series(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable
) -> None:
    """Rows that might be wrong are not returned."""
    scripted.replies = [page(), aws_error("ThrottlingException")]

    with pytest.raises(Unavailable, match="ThrottlingException"):
        first_page(scripted_table, "324", OCTOBER)


@pytest.mark.parametrize("interval", [Interval.DAY, Interval.WEEK, Interval.MONTH])
@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("descending", [False, True])
def test_pages_read_from_a_table_make_up_the_whole_series(
    book_table: VisitsTable, interval: Interval, *, fill: bool, descending: bool
) -> None:
    """Of every size, in both orders."""
    book_table.add("325", 20171008, 4)
    wanted = Selection(fill=fill, interval=interval, descending=descending)
    whole = list(first_page(book_table, "324", wanted).rows.items())
    assert sum(BOOK_324.values()) == sum(count or 0 for _, count in whole)

    for limit in range(1, len(whole) + 2):
        rows: list[tuple[int, float | None]] = []
        following: Selection | None = wanted._replace(limit=limit)
        while following:
            found = first_page(book_table, "324", following)
            rows += found.rows.items()
            following = found.more
        assert whole == rows


def test_no_further_page_is_begun_without_the_time_for_it(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable
) -> None:
    """An answer in time, though an error, beats a function that is killed."""
    scripted.replies = [page(item(20171001, "3"), last=20171001)]

    left_s = iter([MAX_CALL_S, 2.5])

    with pytest.raises(Unavailable, match=r"2\.5 s left, too few for another"):
        first_page(scripted_table, "324", Selection(), lambda: next(left_s))

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
