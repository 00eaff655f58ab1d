"""Bars for the terminal: how long they are, and what is told apart."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import calendar

from series import Interval
from tools.terminal import ASCII, BLOCKS, draw, fitting_interval

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
    ] == list(draw("324", Interval.DAY, ROWS, 42))


def test_without_blocks_it_is_drawn_all_the_same() -> None:
    """In characters that every encoding has."""
    lines = list(draw("all", Interval.DAY, ROWS, 42, ASCII))

    assert "All events, visits by day" == lines[0]
    assert ["2017-10-12 Thu  10  " + "#" * 22, "2017-10-15 Sun      ..... not loaded ....."] == [lines[2], lines[5]]
    assert all(line.isascii() for line in lines)


@pytest.mark.parametrize(
    ("interval", "line", "words"),
    [
        (Interval.WEEK, "2017-10-02  7  ", "7 visits in 1 week"),
        (Interval.MONTH, "2017-10  7  ", "7 visits in 1 month"),
        (Interval.YEAR, "2017  7  ", "7 visits in 1 year"),
        (Interval.TOTAL, "2017-10-02  7  ", "7 visits in 1 range"),
    ],
)
def test_a_longer_interval_is_named_by_its_first_day(interval: Interval, line: str, words: str) -> None:
    """As far as it has to be."""
    lines = list(draw("324", interval, {20171002: 7}, 40))

    assert lines[2].startswith(line + "█")
    assert words == lines[-1]


def test_nothing_is_drawn_of_nothing() -> None:
    """But it is said."""
    assert ["Event 4711, visits by day", "", "", "0 visits in 0 days"] == list(draw("4711", Interval.DAY, {}, 80))


@given(
    st.dictionaries(st.sampled_from(calendar(date(999, 12, 1), 60)), st.none() | st.integers(0, 10**15)),
    st.integers(60, 200),
)
def test_no_line_is_wider_than_there_is_room(rows: dict[int, int | None], width: int) -> None:
    """And the longest bar takes all of it."""
    lines = list(draw("324", Interval.DAY, rows, width))[2:-2]

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
