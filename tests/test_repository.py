"""What the repository asks of DynamoDB, and what it makes of the answers."""

from __future__ import annotations

import json
import math
import time
from collections import Counter

import pytest
from conftest import BOOK_324, Reply, ScriptedDynamoDB, aws_error
from hypothesis import given
from hypothesis import strategies as st

import local_cloud
from repository import (
    MAX_CALL_S,
    BelowZero,
    Denied,
    NoTable,
    RepositoryError,
    TableExists,
    Unavailable,
    VisitsTable,
    connect,
    transactions,
)
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

    assert [DayCount("324", day, BOOK_324[day]) for day in days] == book_table.query("324", start, end)


def test_every_page_is_followed(scripted: ScriptedDynamoDB, scripted_table: VisitsTable) -> None:
    """DynamoDB ends a page at 1 MB, an empty one included."""
    scripted.replies = [page(item(20171001, "3"), last=20171001), page(last=20171002), page(item(20171003, "4"))]

    assert [("324", 20171001, 3), ("324", 20171003, 4)] == scripted_table.query("324")
    assert [
        None,
        {"EventId": {"S": "324"}, "EventDay": {"N": "20171001"}},
        {"EventId": {"S": "324"}, "EventDay": {"N": "20171002"}},
    ] == [request.get("ExclusiveStartKey") for request in scripted.requests]


def test_no_further_page_is_begun_without_the_time_for_it(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable
) -> None:
    """An answer in time, though an error, beats a function that is killed."""
    scripted.replies = [page(item(20171001, "3"), last=20171001)]

    with pytest.raises(Unavailable, match=r"2\.5 s left for the pages after 1 rows"):
        scripted_table.query("324", time_left_s=lambda: 2.5)

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

    (row,) = scripted_table.query("324")

    assert (expected, type(expected)) == (row.visits, type(row.visits))


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
        (aws_error("ThrottlingException"), Unavailable),
        (aws_error("ProvisionedThroughputExceededException"), Unavailable),
        (aws_error("RequestLimitExceeded"), Unavailable),
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
        (Reply(body='{"Items": [{"EventDay": {"N": "20171001"}}]}'), RepositoryError),
        (Reply(body='{"Items": [{"EventDay": {"N": "x"}, "EventCount": {"N": "1"}}]}'), RepositoryError),
        (Reply(body='{"Items": [{"EventDay": {"N": "1"}, "EventCount": {"N": "x"}}]}'), RepositoryError),
    ],
    ids=lambda value: value.body[:60] if isinstance(value, Reply) else value.__name__,
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


def test_throttling_that_passes_goes_unnoticed(scripted: ScriptedDynamoDB, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client asks three times."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", scripted.endpoint)
    scripted.replies = [aws_error("ThrottlingException"), aws_error("ThrottlingException"), page(item(20171001, "3"))]

    assert [("324", 20171001, 3)] == VisitsTable(connect(local_cloud.REGION), "user-visits-test").query("324")


def test_counts_add_up_and_all_is_their_sum(table: VisitsTable) -> None:
    """The first count makes the item; events and days are told apart."""
    table.add("324", 20171001, 2)
    table.add("324", 20171001, 3)
    table.add("325", 20171001, 4)
    table.add("324", 20171002, 0)

    assert [("324", 20171001, 5), ("324", 20171002, 0)] == table.query("324")
    assert [("325", 20171001, 4)] == table.query("325")
    assert [("all", 20171001, 9), ("all", 20171002, 0)] == table.query(ALL_EVENTS)


def test_a_correction_takes_away_what_was_counted(book_table: VisitsTable) -> None:
    """Down to zero, from the event and from `all`."""
    book_table.add("324", 20171001, -3)

    assert [("324", 20171001, 0)] == book_table.query("324", end=20171001)
    assert [("all", 20171001, 0)] == book_table.query(ALL_EVENTS, end=20171001)


@pytest.mark.parametrize(("day", "count"), [(20171001, -4), (20171003, -1)])
def test_a_correction_below_zero_changes_nothing(book_table: VisitsTable, day: int, count: int) -> None:
    """Nor where nothing was ever counted."""
    before = book_table.query("324"), book_table.query(ALL_EVENTS)

    with pytest.raises(BelowZero, match=rf"event 324 has fewer than {-count} visits on {day}; nothing was taken away"):
        book_table.add("324", day, count)

    assert (book_table.query("324"), book_table.query(ALL_EVENTS)) == before


def test_a_correction_does_not_need_the_series_all(table: VisitsTable) -> None:
    """Counts that came in past this service can be corrected, though `all` does not have them."""
    table.add_together([DayCount("324", 20171001, 3)])

    table.add("324", 20171001, -2)

    assert [("324", 20171001, 1)] == table.query("324")


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

    with pytest.raises(Unavailable, match="cancelled 8 times"):
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


def test_a_table_is_created_once(table: VisitsTable) -> None:
    """An operator who mistypes a name learns it."""
    with pytest.raises(TableExists, match="CreateTable on user-visits-test"):
        table.create()


@pytest.mark.parametrize(("variable", "value"), [("AWS_PROFILE", "nobody"), ("AWS_ENDPOINT_URL", "nowhere")])
def test_settings_that_make_no_sense_are_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """It names the value."""
    monkeypatch.setenv(variable, value)

    with pytest.raises(RepositoryError, match=value):
        connect(local_cloud.REGION)


counts = st.dictionaries(
    st.tuples(st.integers(0, 30).map(str), st.integers(20171001, 20171020)), st.integers(0, 5), max_size=200
)


@given(counts, st.integers(2, 100))
def test_transactions_carry_every_count_once_and_keep_all_in_step(
    counts: dict[tuple[str, int], int], max_actions: int
) -> None:
    """Wherever a writer stops between two transactions, `all` is the sum over the events."""
    sums: Counter[tuple[str, int]] = Counter()
    for rows in transactions(counts, max_actions):
        assert 2 <= len(rows) <= max_actions
        assert len(rows) == len({(row.event_id, row.day) for row in rows})
        for row in rows:
            sums[row.event_id, row.day] += int(row.visits)
        for day in {row.day for row in rows}:
            events = sum(visits for (event_id, on), visits in sums.items() if on == day and event_id != ALL_EVENTS)
            assert events == sums[ALL_EVENTS, day]

    assert counts == {key: visits for key, visits in sums.items() if key[0] != ALL_EVENTS}


def test_transactions_waste_at_most_an_action() -> None:
    """A day's `all` costs an action in each transaction that touches the day."""
    by_day = {("1", 20171001 + n): 1 for n in range(30)}
    by_event = {(str(n), 20171001): 1 for n in range(990)}

    assert math.ceil(30 * 2 / 20) == len(list(transactions(by_day, 20)))
    assert 10 == len(list(transactions(by_event, 100)))
