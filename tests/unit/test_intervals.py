"""Intervals of the calendar, and sums by them: one file of cases holds Python and page/ to the same rules.

`tests/unit/page/calendar.test.mjs` and `series.test.mjs` go through the same cases.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from intervals import Counts, Interval, add_up, first_day, index_of, intervals_before, last_day, sum_up, year_before
from selection import Selection
from series import Reading, read_page

CASES = json.loads((Path(__file__).parents[1] / "intervals.json").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES["firstDays"], ids=str)
def test_an_interval_is_known_by_its_first_day(case: dict[str, Any]) -> None:
    """Each day of an interval has its first calendar day, and sums bear that day."""
    interval = Interval(case["interval"])

    assert case["first"] == first_day(interval, index_of(interval, case["day"]))
    assert {case["first"]: 3} == sum_up(interval, [{case["day"]: 3}], None).by_interval


@pytest.mark.parametrize("case", CASES["sums"], ids=lambda case: case["why"])
def test_the_days_of_a_range_become_rows(case: dict[str, Any]) -> None:
    """Each interval of the range has a row with the sum of its counts, or without a count if there is none."""
    counts = {int(day): visits for day, visits in case["counts"].items()}
    selection = Selection(case["start"], case["end"], fill=True, interval=Interval(case["interval"]))
    # `all` has the days that the event has, and one elsewhere: what is not loaded stays without a count.
    loaded = dict.fromkeys(counts, 1) | {1_01_01: 1}

    def read(wanted: Sequence[tuple[str, Reading]]) -> Sequence[Sequence[Counts]]:
        return [
            [{day: visits for day, visits in found.items() if day >= (reading.start or 0)}]
            for event, reading in wanted
            for found in [counts if event == "324" else loaded]
        ]

    page = read_page(["324"], selection, read)

    assert dict(case["rows"]) == page.rows["324"]


@pytest.mark.parametrize(
    ("interval", "day", "first", "last"),
    [
        (Interval.QUARTER, 20200229, 20200101, 20200331),
        (Interval.QUARTER, 20201231, 20201001, 20201231),
        (Interval.QUARTER, 99991231, 99991001, 99991231),
        (Interval.WEEK, 99991231, 99991227, 99991231),
        (Interval.TOTAL, 20200229, 10101, 99991231),
    ],
)
def test_an_interval_has_a_first_and_a_last_day(interval: Interval, day: int, first: int, last: int) -> None:
    """Those that go beyond the calendar end with it."""
    index = index_of(interval, day)

    assert (first, last) == (first_day(interval, index), last_day(interval, index))


@pytest.mark.parametrize(
    ("interval", "day", "before", "a_year_before"),
    [
        (Interval.DAY, 20200301, 20200229, 20190301),
        (Interval.DAY, 20200229, 20200228, 20190228),
        (Interval.WEEK, 20210103, 20201221, 20191230),
        (Interval.MONTH, 20200131, 20191201, 20190101),
        (Interval.QUARTER, 20200229, 20191001, 20190101),
        (Interval.YEAR, 20200229, 20190101, 20190101),
        (Interval.DAY, 1_01_01, None, None),
        (Interval.WEEK, 1_01_07, None, None),
        (Interval.MONTH, 1_01_31, None, None),
        (Interval.QUARTER, 1_03_31, None, None),
        (Interval.YEAR, 1_12_31, None, None),
        (Interval.DAY, 1_12_31, 1_12_30, None),
        (Interval.DAY, 2_01_01, 1_12_31, 1_01_01),
    ],
)
def test_an_interval_has_one_before_it_and_one_a_year_before(
    interval: Interval, day: int, before: int | None, a_year_before: int | None
) -> None:
    """29 February has the 28th before it, a week the one 52 weeks before; before the calendar there is none."""
    assert (before, a_year_before) == (intervals_before(interval, day, 1), year_before(interval, day))


def test_a_sum_of_fractions_is_rounded_once_and_whole_where_it_can_be() -> None:
    """0.1 ten times is the integer 1, as DynamoDB's own numbers are."""
    assert (1, int) == ((total := add_up([0.1] * 10)), type(total))
    assert 0.5 == add_up([0.25, 0.25])
    assert 10**20 + 1 == add_up([10**20, 1])


def test_no_more_is_summed_than_was_asked_for() -> None:
    """The parts that follow are not read."""

    def parts() -> Any:
        yield {20171001: 1, 20171008: 2}
        yield {20171009: 3}
        raise AssertionError

    sums = sum_up(Interval.WEEK, parts(), 2)

    assert ({20170925: 1, 20171002: 2}, 20171001, 20171008) == sums
