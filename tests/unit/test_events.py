"""Which events were visited: the days that are read for it, and the order of the events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest

from events import EventRow, UnusableRange, find_days, rank_events
from intervals import Count, Counts
from series import Reading

TODAY = 20171016


class All:
    """The series `all`, and what was read of it."""

    def __init__(self, *days: int) -> None:
        self.days = sorted(days, reverse=True)
        self.readings: list[Reading] = []

    def read(self, wanted: Sequence[tuple[str, Reading]]) -> Sequence[Iterable[Counts]]:
        ((event_id, reading),) = wanted
        assert event_id == "all"
        self.readings.append(reading)
        days = [day for day in self.days if (reading.start or 0) <= day <= (reading.end or 99991231)]
        return [[{day: 1} for day in days[: reading.limit]]]


LOADED = (20170901, 20171001, 20171002, 20171014, 20991231)


@pytest.mark.parametrize(
    ("start", "end", "last", "found"),
    [
        (20171001, 20171010, None, (20171001, 20171010, [20171001, 20171002])),
        (20171001, 20171001, None, (20171001, 20171001, [20171001])),
        (20171003, 20171004, None, (20171003, 20171004, [])),
        (20171002, None, None, (20171002, 20171014, [20171002, 20171014])),
        (None, 20171002, None, (20170901, 20171002, [20170901, 20171001, 20171002])),
        (None, None, 1, (20171014, 20171014, [20171014])),
        (None, None, 30, (20170915, 20171014, [20171001, 20171002, 20171014])),
        (20171015, None, None, (20171015, 20171016, [])),
        (20171018, None, None, (20171018, 20171017, [])),
        (None, 20170101, None, (20170101, 20170101, [])),
        (20991230, 20991231, None, (20991230, 20991231, [20991231])),
    ],
)
def test_the_days_that_were_loaded_are_read(
    start: int | None, end: int | None, last: int | None, found: tuple[int, int, list[int]]
) -> None:
    """`all` says which they are, and which is the newest, by one reading of what a range can have at most."""
    every = All(*LOADED)

    assert found == find_days(start, end, last, TODAY, every.read)
    assert len(every.readings) <= (1 if found[2] else 2)
    assert all((reading.limit or 0) <= 367 for reading in every.readings)


@pytest.mark.parametrize(
    ("start", "end", "last", "found"),
    [
        (20171001, 20171003, None, (20171001, 20171003, [20171001, 20171002, 20171003])),
        (20171015, None, None, (20171015, 20171016, [20171015, 20171016])),
        (None, None, 2, (20171015, 20171016, [20171015, 20171016])),
        (20171017, None, None, (20171017, 20171016, [])),
    ],
)
def test_without_the_series_of_all_events_each_day_is_read(
    start: int | None, end: int | None, last: int | None, found: tuple[int, int, list[int]]
) -> None:
    """Then no day is known to be the newest, and today takes its place."""
    assert found == find_days(start, end, last, TODAY, All().read)


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [(20160101, 20170101, 367), (10101, 99991231, 3652059), (20160101, None, 653), (None, 20171014, 652)],
)
def test_a_range_of_more_than_366_days_is_refused(start: int | None, end: int | None, days: int) -> None:
    """The reason names the days that it came to."""
    with pytest.raises(UnusableRange, match=f"the range has {days:,} days, from .* where at most 366 are allowed"):
        find_days(start, end, None, TODAY, All(20160102, 20171014).read)

    assert 20160101 == find_days(20160101, 20161231, None, TODAY, All().read)[0]


def test_a_beginning_that_nothing_tells_is_refused() -> None:
    """Without `all` an open beginning could be any day."""
    with pytest.raises(UnusableRange, match="startDate is needed"):
        find_days(None, 20171014, None, TODAY, All().read)


def ranked(*days: Sequence[Mapping[str, Count]], descending: bool = True) -> list[EventRow]:
    """Return the events of days from 1 October 2017 on, each day given in parts."""
    return rank_events(range(20171001, 20171001 + len(days)), lambda _: days, descending=descending)


def test_events_are_ranked_by_their_visits_and_then_by_id_as_text() -> None:
    """The order of those with as many visits is the same in both directions."""
    days: list[list[Mapping[str, Count]]] = [[{"7": 1, "324": 2}, {"9": 5}], [], [{"10": 3, "324": 1, "0": 0}]]

    assert [
        EventRow("9", 5, 20171001, 20171001),
        EventRow("10", 3, 20171003, 20171003),
        EventRow("324", 3, 20171001, 20171003),
        EventRow("7", 1, 20171001, 20171001),
        EventRow("0", 0, 20171003, 20171003),
    ] == ranked(*days)
    assert ["0", "7", "10", "324", "9"] == [row.event_id for row in ranked(*days, descending=False)]
    assert [] == ranked()


def test_fractions_are_added_up_at_once() -> None:
    """Their order does not matter, as in a series; a whole sum is an integer."""
    rows = ranked(*([{"1": 0.1}] for _ in range(10)), [{"1": 10**15, "2": 0.5}])

    assert [EventRow("1", 10**15 + 1, 20171001, 20171011), EventRow("2", 0.5, 20171011, 20171011)] == rows
    assert [int, float] == [type(row.visits) for row in rows]
