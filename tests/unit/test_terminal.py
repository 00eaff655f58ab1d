"""Bars for the terminal: how long they are, and what is told apart."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from samples import calendar

from events import EventRow
from intervals import Interval
from series import Page, Rows
from tools.terminal import ASCII, BLOCKS, draw, events_table, fitting_interval, series_table


def page_of(rows: Rows, event_id: str = "324") -> Page:
    """Return the page of one event."""
    return Page({event_id: rows}, rows)


ROWS = {20171012: 10, 20171013: 5, 20171014: 0, 20171015: None, 20171016: 1}


def test_a_day_is_a_line() -> None:
    """Its bar in eighths of a character; a day without visits has none, one that is not loaded says so."""
    assert [
        "Event 324, visits by day",
        "",
        "2017-10-12 Thu  10  ██████████████████████",
        "2017-10-13 Fri   5  ███████████",
        "2017-10-14 Sat   0",
        "2017-10-15 Sun      ░░░░░ not loaded ░░░░░",
        "2017-10-16 Mon   1  ██▎",
        "",
        "16 visits in 5 days, 4.0 a day on average; 1 not loaded",
    ] == list(draw("324", Interval.DAY, page_of(ROWS), 42))


def test_without_blocks_it_is_drawn_all_the_same() -> None:
    """In characters that every encoding has."""
    lines = list(draw("all", Interval.DAY, page_of(ROWS, "all"), 42, ASCII))

    assert "All events, visits by day" == lines[0]
    assert ["2017-10-12 Thu  10  " + "#" * 22, "2017-10-15 Sun      ..... not loaded ....."] == [lines[2], lines[5]]
    assert all(line.isascii() for line in lines)


@pytest.mark.parametrize(
    ("interval", "line", "words"),
    [
        (Interval.WEEK, "2017-10-02  7  ", "7 visits in 1 week"),
        (Interval.MONTH, "2017-10  7  ", "7 visits in 1 month"),
        (Interval.QUARTER, "2017-10  7  ", "7 visits in 1 quarter"),
        (Interval.YEAR, "2017  7  ", "7 visits in 1 year"),
        (Interval.TOTAL, "2017-10-02  7  ", "7 visits in 1 range"),
    ],
)
def test_a_longer_interval_is_named_by_its_first_day(interval: Interval, line: str, words: str) -> None:
    """As far as it has to be."""
    lines = list(draw("324", interval, page_of({20171002: 7}), 40))

    assert lines[2].startswith(line + "█")
    assert words == lines[-1]


def test_nothing_is_drawn_of_nothing() -> None:
    """But it is said."""
    assert ["Event 4711, visits by day", "", "", "0 visits in 0 days"] == list(draw("4711", Interval.DAY, Page({}), 80))


@given(
    st.dictionaries(st.sampled_from(calendar(date(999, 12, 1), 60)), st.none() | st.integers(0, 10**15)),
    st.integers(60, 200),
)
def test_no_line_is_wider_than_there_is_room(rows: dict[int, int | None], width: int) -> None:
    """And the longest bar takes all of it."""
    lines = list(draw("324", Interval.DAY, page_of(rows), width))[2:-2]

    assert all(len(line) <= width for line in lines)
    if any(rows.values()):
        assert width == max(map(len, lines))
    assert [bool(visits) for visits in rows.values()] == [not set(BLOCKS).isdisjoint(line) for line in lines]


@pytest.mark.parametrize(
    ("days", "interval"),
    [(0, "day"), (62, "day"), (63, "week"), (434, "week"), (435, "month"), (1860, "month"), (1861, "year")],
)
def test_a_longer_series_has_longer_intervals(days: int, interval: str) -> None:
    """So that it is taken in at a glance."""
    assert interval == fitting_interval(dict.fromkeys(calendar(date(2017, 1, 1), days)))


TWO = Page(
    {"324": {20171012: 10, 20171013: None}, "7": {20171012: 5, 20171013: 0}},
    [20171012, 20171013],
    {"324": {20171012: 2, 20171013: 3}, "7": {20171012: None, 20171013: 1}},
)


def test_several_events_and_what_they_are_compared_with_have_a_line_each() -> None:
    """They are named, drawn to one scale, and summed up each."""
    assert [
        "Events 324, 7, visits by day",
        "",
        "2017-10-12 Thu  324         10  ███████████████████████",
        "                324 before   2  ████▋",
        "                7            5  ███████████▌",
        "                7 before        ░░░░░ not loaded ░░░░░░",
        "2017-10-13 Fri  324             ░░░░░ not loaded ░░░░░░",
        "                324 before   3  ██████▉",
        "                7            0",
        "                7 before     1  ██▎",
        "",
        "324: 10 visits in 2 days; 1 not loaded",
        "324 before: 5 visits in 2 days, 2.5 a day on average",
        "7: 5 visits in 2 days, 2.5 a day on average",
        "7 before: 1 visit in 2 days; 1 not loaded",
    ] == list(draw("324,7", Interval.DAY, TWO, 55))


def test_one_event_is_compared_without_its_name() -> None:
    """The title has it."""
    page = Page({"7": {20171012: 5}}, [20171012], {"7": {20171012: 10}})

    assert [
        "2017-10-12 Thu  7        5  ███████",
        "                before  10  ██████████████",
    ] == list(draw("7", Interval.DAY, page, 42))[2:4]


def cells(table: Table) -> list[list[str]]:
    """Return a table by column: header, cells, footer."""
    return [[str(column.header), *map(str, column.cells), str(column.footer)] for column in table.columns]


def test_a_table_has_a_column_for_each_number_and_sums_below() -> None:
    """A day that is not loaded is an empty cell."""
    assert [
        ["EventDay", "20171012", "20171013", "2 days"],
        ["324", "10", "", "10"],
        ["324 before", "2", "3", "5"],
        ["7", "5", "0", "5"],
        ["7 before", "", "1", "1"],
    ] == cells(series_table("324,7", Interval.DAY, TWO))
    assert [["EventDay", "20171002", "1 range"], ["EventCount", "7,000", "7,000"]] == cells(
        series_table("324", Interval.TOTAL, page_of({20171002: 7000}))
    )
    assert [["EventDay", "0 weeks"], ["EventCount", "0"]] == cells(series_table("324", Interval.WEEK, Page({})))


def test_a_table_of_events_has_their_sum_below() -> None:
    """Numbers have separators, days eight digits."""
    assert [
        ["EventId", "7", "1 event"],
        ["EventCount", "7,000", "7,000"],
        ["FirstDay", "00010101", ""],
        ["LastDay", "20171002", ""],
    ] == cells(events_table([EventRow("7", 7000, 10101, 20171002)]))
