"""Rows as text."""

from __future__ import annotations

import csv
import json
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import EventRow
from representations import (
    MAX_BYTES,
    days_that_fit,
    events_that_fit,
    events_to_csv,
    events_to_json,
    iso_day,
    to_csv,
    to_json,
    to_wide_csv,
)
from selection import MAX_ROWS
from series import Page
from visits import MAX_EVENT_ID_LENGTH, parse_day

days = st.dates().map(lambda day: day.year * 10_000 + day.month * 100 + day.day)
visits = st.integers(-(10**38), 10**38) | st.floats(allow_nan=False, allow_infinity=False)

TWO = Page(
    {"324": {20171001: 3, 20171002: None}, "007": {20171001: 2.5, 10101: 0}},
    [20171001, 20171002, 10101],
)
COMPARED = Page({"7": {20171001: 3, 20171002: None}}, [20171001, 20171002], {"7": {20171001: None, 20171002: 4}})
EVENTS = [EventRow("324", 44, 20171001, 20171017), EventRow("7", 0.5, 10101, 10101)]


@given(st.dictionaries(days, visits | st.none()))
def test_json_is_what_a_json_library_would_write(rows: dict[int, int | float | None]) -> None:
    """The keys stand in the contract's order; whole numbers are integers, fractions floats, None is null."""
    expected = [{"EventCount": count, "EventDay": day, "EventId": "324"} for day, count in rows.items()]

    assert json.dumps(expected) == json.dumps(json.loads(to_json(Page({"324": rows}, rows))))


def test_a_row_is_a_line() -> None:
    """Rows are by day, and within a day in the order of the events; an event without a row on a day has none."""
    assert [
        "[",
        '{"EventCount": 3, "EventDay": 20171001, "EventId": "324"},',
        '{"EventCount": 2.5, "EventDay": 20171001, "EventId": "007"},',
        '{"EventCount": null, "EventDay": 20171002, "EventId": "324"},',
        '{"EventCount": 0, "EventDay": 10101, "EventId": "007"}',
        "]",
    ] == to_json(TWO).splitlines()
    assert [
        "EventId,EventDay,EventCount",
        "324,20171001,3",
        "007,20171001,2.5",
        "324,20171002,",
        "007,00010101,0",
    ] == to_csv(TWO).splitlines()


def test_wide_csv_has_a_column_for_each_event() -> None:
    """A cell without a row is empty, as one that is None; an event without rows keeps its column."""
    assert [
        "EventDay,007,1,324",
        "20171001,2.5,,3",
        "20171002,,,",
        "00010101,0,,",
    ] == to_wide_csv(TWO, ["007", "1", "324"]).splitlines()


def test_a_comparison_is_one_more_number() -> None:
    """It comes after the other keys and columns."""
    assert [
        '{"EventCount": 3, "EventDay": 20171001, "EventId": "7", "PreviousCount": null},',
        '{"EventCount": null, "EventDay": 20171002, "EventId": "7", "PreviousCount": 4}',
    ] == to_json(COMPARED).splitlines()[1:-1]
    assert ["EventId,EventDay,EventCount,PreviousCount", "7,20171001,3,", "7,20171002,,4"] == to_csv(
        COMPARED, compare=True
    ).splitlines()


def test_days_can_be_dates() -> None:
    """In JSON they are strings then; the year 1 has four digits."""
    assert ["2017-10-01", "2017-10-01", "2017-10-02", "0001-01-01"] == [
        row["EventDay"] for row in json.loads(to_json(TWO, iso=True))
    ]
    assert ["324,2017-10-01,3", "7,0001-01-01"] == [to_csv(TWO, iso=True).splitlines()[1], f"7,{iso_day(10101)}"]
    assert "2017-10-01,3" == to_wide_csv(TWO, ["324"], iso=True).splitlines()[1]
    assert ["2017-10-01", "0001-01-01"] == [row["FirstDay"] for row in json.loads(events_to_json(EVENTS, iso=True))]
    assert "324,44,2017-10-01,2017-10-17" == events_to_csv(EVENTS, iso=True).splitlines()[1]


def test_csv_has_every_day_in_the_form_in_which_it_is_read() -> None:
    """Eight digits, in the year 1 as well."""
    line = to_csv(Page({"007": {1_01_01: 3}}, [1_01_01])).splitlines()[1]

    assert "007,00010101,3" == line
    assert 1_01_01 == parse_day(line.split(",")[1])


def test_events_have_their_sum_and_their_first_and_last_day() -> None:
    """JSON and CSV have the same, in the contract's order."""
    assert [
        '{"EventCount": 44, "EventId": "324", "FirstDay": 20171001, "LastDay": 20171017},',
        '{"EventCount": 0.5, "EventId": "7", "FirstDay": 10101, "LastDay": 10101}',
    ] == events_to_json(EVENTS).splitlines()[1:-1]
    assert [
        "EventId,EventCount,FirstDay,LastDay",
        "324,44,20171001,20171017",
        "7,0.5,00010101,00010101",
    ] == events_to_csv(EVENTS).splitlines()


def test_no_rows_are_an_empty_array_and_a_bare_header() -> None:
    """An event nobody visited is no error."""
    assert "[]\n" == to_json(Page({})) == to_json(Page({"324": {}})) == events_to_json([])
    assert "EventId,EventDay,EventCount\n" == to_csv(Page({}))
    assert "EventId,EventDay,EventCount,PreviousCount\n" == to_csv(Page({}), compare=True)
    assert "EventDay,324,7\n" == to_wide_csv(Page({}), ["324", "7"])
    assert "EventId,EventCount,FirstDay,LastDay\n" == events_to_csv([])


@pytest.mark.parametrize("count", [1, 20, 50])
def test_the_longest_answer_fits_into_what_lambda_sends(count: int) -> None:
    """With the longest ids and the largest counts, each quote and line end escaped, it is less than 6 MB."""
    ids = [f"{n:0{MAX_EVENT_ID_LENGTH}}" for n in range(count)]
    largest = 10**44
    days = min(days_that_fit(count), MAX_ROWS)
    rows = dict.fromkeys(range(20170000, 20170000 + days), largest)
    assert len(json.dumps(to_wide_csv(Page(dict.fromkeys(ids, rows), list(rows)), ids, iso=True))) < 6_000_000

    rows = dict.fromkeys(range(20170000, 20170000 + MAX_ROWS // count), largest)
    page = Page(dict.fromkeys(ids, rows), list(rows), dict.fromkeys(ids, rows))
    assert all(len(json.dumps(text)) < 6_000_000 for text in (to_json(page, iso=True), to_csv(page, compare=True)))


def test_few_columns_leave_room_for_all_rows() -> None:
    """Only with more than ten events a wide answer may have fewer days than `limit` allows."""
    assert days_that_fit(10) == MAX_ROWS > days_that_fit(11)


def test_as_many_events_are_listed_as_fit() -> None:
    """Long ids leave room for fewer."""
    rows = [EventRow("9" * 2048, 10**44, 10101, 10101)] * 10_000
    count = events_that_fit(rows)

    assert count == MAX_BYTES // 2348
    assert len(json.dumps(events_to_json(rows[:count], iso=True))) < 6_000_000
    assert 2 == events_that_fit(EVENTS)
    assert 10_000 == events_that_fit([EventRow("12345678", 1, 10101, 10101)] * 10_000)


def test_a_csv_reader_reads_what_is_written() -> None:
    """No value needs quotes."""
    rows = list(csv.DictReader(StringIO(to_csv(TWO))))

    assert {"EventId": "007", "EventDay": "20171001", "EventCount": "2.5"} == rows[1]
