"""Which rows are asked for: the ends of a range, and what follows a page."""

from __future__ import annotations

import pytest

from intervals import Interval
from selection import Selection

FIRST = 1_01_01
DAY, WEEK, MONTH, QUARTER, YEAR, TOTAL = Interval


@pytest.mark.parametrize(
    ("interval", "last", "start"),
    [
        (DAY, 1, 20171017),
        (DAY, 30, 20170918),
        (WEEK, 1, 20171016),
        (WEEK, 2, 20171009),
        (MONTH, 3, 20170801),
        (QUARTER, 2, 20170701),
        (YEAR, 2, 20160101),
        (TOTAL, 30, 20170918),
        (YEAR, 10_000, FIRST),
    ],
)
def test_the_last_intervals_end_with_the_newest_day(interval: Interval, last: int, start: int) -> None:
    """The first of them is whole; of a total the days are counted."""
    assert Selection(start, 20171017, interval=interval) == Selection(interval=interval).ending(20171017, last)


@pytest.mark.parametrize(
    ("selection", "day", "following"),
    [
        (Selection(20171001), 20171031, Selection(20171101)),
        (Selection(descending=True), 20171101, Selection(end=20171031, descending=True)),
        (Selection(20171004, 20180131, interval=WEEK), 20171002, Selection(20171009, 20180131, interval=WEEK)),
        (Selection(interval=QUARTER), 20171001, Selection(20180101, interval=QUARTER)),
        (
            Selection(interval=QUARTER, descending=True),
            20171001,
            Selection(end=20170930, interval=QUARTER, descending=True),
        ),
    ],
)
def test_what_follows_a_row_begins_with_the_next_interval(selection: Selection, day: int, following: Selection) -> None:
    """The other end of the range stays where it is."""
    assert following == selection.following(day)


def test_previous_becomes_the_number_of_intervals_that_it_stands_for() -> None:
    """Of a total it is a number of days; other comparisons stay as they are."""
    wanted = Selection(20171004, 20171017, fill=True, compare="previous")

    assert [14, 3, 1, 14] == [
        wanted._replace(interval=interval).with_distance().compare for interval in (DAY, WEEK, QUARTER, TOTAL)
    ]
    assert "year" == wanted._replace(compare="year").with_distance().compare
    assert 7 == wanted._replace(compare=7).with_distance().compare
