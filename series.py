"""The rows of a series: intervals, gaps (0 or None), pages. Pure: the counts come from a function that is handed in.

A day is a number, `YYYYMMDD`. Counts and rows are mappings from day to visits, in the order asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from enum import StrEnum
from itertools import chain
from typing import NamedTuple

from visits import ALL_EVENTS

type Count = int | float

type Counts = Mapping[int, Count]
"""Days that have a count, and their visits."""

type Rows = Mapping[int, Count | None]
"""First days of intervals, and the visits of each; None where no data has arrived for any of its days."""

MAX_ROWS = 10_000
"""Rows of one answer: some 600 kB of JSON."""


class Interval(StrEnum):
    """What one row stands for; a week is ISO 8601's, from Monday on."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"
    TOTAL = "total"


_MOST_DAYS = {Interval.DAY: 1, Interval.WEEK: 7, Interval.MONTH: 31, Interval.YEAR: 366}


class Reading(NamedTuple):
    """The counts to read: the first `limit` (None = all) of the days from `start` to `end`, inclusive, None = open."""

    start: int | None = None
    end: int | None = None
    descending: bool = False
    limit: int | None = None


type Read = Callable[[str, Reading], Iterable[Counts]]
"""Yields the counts of an event, or of `all`, that a reading asks for; they may come in parts."""


class Selection(NamedTuple):
    """The rows that are asked for: of days from `start` to `end`, inclusive, None = open."""

    start: int | None = None
    end: int | None = None
    fill: bool = False
    """Whether every interval of the range has a row. An open end is the first or last day that has a count."""
    interval: Interval = Interval.DAY
    descending: bool = False
    limit: int = MAX_ROWS
    """Rows of a page, 1 or more."""

    def first_page(self, event_id: str, read: Read) -> Page:
        """Return the first page of the rows of an event, or of `all`.

        A row without a count is 0 if one of its days was loaded, which is when `all` has that day, and None if not.
        Where `all` has no day at all, counts came in without it: then each such row is 0.

        Reads once; twice if there are rows without a count; a third time, one day, if `all` has none of theirs.
        """
        page = self.page(read(event_id, self.reading()))
        if page.covered is None or None not in page.rows.values():
            return page
        if event_id == ALL_EVENTS:
            loaded: Sequence[Counts] = [{day: visits for day, visits in page.rows.items() if visits is not None}]
        else:
            limit = 1 if self.interval is Interval.TOTAL else None
            loaded = list(read(ALL_EVENTS, Reading(*page.covered, limit=limit)))
        if not any(loaded) and not any(read(ALL_EVENTS, Reading(limit=1))):
            return page.zeroed(self.interval, None)
        return page if event_id == ALL_EVENTS else page.zeroed(self.interval, loaded)

    def reading(self) -> Reading:
        """Return which counts the first page needs, one more included where it shows that another page follows."""
        if self.interval is Interval.TOTAL:
            return Reading(self.start, self.end)
        near, far = self._ends()
        if self.fill and near is not None and far is not None:
            return Reading(*self._covered(near, far), self.descending)
        # So many days fill a page even where every day has a count.
        return Reading(self.start, self.end, self.descending, self.limit * _MOST_DAYS[self.interval] + 1)

    def page(self, counts: Iterable[Counts]) -> Page:
        """Return the first page of rows, made of the counts that `reading` asks for; a row without a count is None."""
        if self.interval is Interval.TOTAL:
            return self._total(counts)
        sums, first, last = _summed(self.interval, counts, self.limit + 1)
        if self.fill:
            near, far = self._ends()
            near, far = near or first, far or last
            return self._filled(sums, near, far) if near and far else Page({})
        if len(sums) <= self.limit:
            return Page(sums)
        sums.popitem()
        return Page(sums, self._after(next(reversed(sums))))

    def _ends(self) -> tuple[int | None, int | None]:
        """Return the days at which the rows begin and end, in the order asked for."""
        return (self.end, self.start) if self.descending else (self.start, self.end)

    def _total(self, counts: Iterable[Counts]) -> Page:
        summed, first, last = _summed(self.interval, counts, 1)
        start, end = self.start or first, self.end or last
        if start and end and (summed or self.fill):
            (total,) = summed.values() or [None]
            return Page({start: total}, covered=(start, end))
        return Page({})

    def _filled(self, sums: Counts, near: int, far: int) -> Page:
        covered = first, last = self._covered(near, far)
        indexes = range(_index(self.interval, first), _index(self.interval, last) + 1)
        days = (_first_day(self.interval, index) for index in (reversed(indexes) if self.descending else indexes))
        rows = {day: sums.get(day) for day in days}
        more = far < first if self.descending else far > last
        return Page(rows, self._after(next(reversed(rows))) if more else None, covered)

    def _covered(self, near: int, far: int) -> tuple[int, int]:
        """Return the first and last day of a page without gaps that begins at `near` and ends at `far` or before."""
        index = _index(self.interval, near)
        if self.descending:
            return max(far, _first_day(self.interval, index - self.limit + 1)), near
        return near, min(far, _last_day(self.interval, index + self.limit - 1))

    def _after(self, day: int) -> Selection:
        """Return the selection of the rows that follow the row of `day`."""
        index = _index(self.interval, day)
        if self.descending:
            return self._replace(end=_last_day(self.interval, index - 1))
        return self._replace(start=_first_day(self.interval, index + 1))


class Page(NamedTuple):
    """The rows of one answer, and the selection of those that follow, None at the end."""

    rows: Rows
    more: Selection | None = None
    covered: tuple[int, int] | None = None
    """The first and last day that the rows stand for, where every interval of the range has a row."""

    def zeroed(self, interval: Interval, loaded: Iterable[Counts] | None) -> Page:
        """Return the page with 0 for None in rows that contain a loaded day; `loaded=None`: every day is loaded."""
        if loaded is None or interval is Interval.TOTAL:
            known = set(self.rows) if loaded is None or any(loaded) else set()
        else:
            known = set(_summed(interval, loaded, len(self.rows)).sums)
        rows = {day: 0 if visits is None and day in known else visits for day, visits in self.rows.items()}
        return self._replace(rows=rows)


class _Summed(NamedTuple):
    sums: dict[int, Count]
    first: int | None
    """The day that was read first."""
    last: int | None
    """The day that was read last."""


def _summed(interval: Interval, counts: Iterable[Counts], limit: int) -> _Summed:
    """Return the sums of counts by the first day of their interval, of `limit` intervals at most."""
    if interval is Interval.DAY:
        days: dict[int, Count] = {}
        for part in counts:
            days.update(part)
        return _Summed(days, next(iter(days), None), next(reversed(days), None))
    summands: dict[int, list[Count]] = {}
    first = last = None
    lowest = highest = 0
    for day, visits in chain.from_iterable(part.items() for part in counts):
        if not lowest <= day <= highest:
            if len(summands) == limit:
                break
            index = _index(interval, day)
            lowest, highest = _first_day(interval, index), _last_day(interval, index)
            of_interval = summands[lowest] = []
        of_interval.append(visits)
        first, last = first or day, day
    return _Summed({day: _sum(visits) for day, visits in summands.items()}, first, last)


def _sum(counts: Sequence[Count]) -> Count:
    total = sum(counts)
    if isinstance(total, int):
        return total
    # `fsum` rounds once, so the order of the counts does not change a sum of fractions.
    total = math.fsum(counts)
    return int(total) if total.is_integer() else total


# The index of an interval, without a gap between neighbours: a day's is its ordinal in `datetime`, a year's its number,
# the week's that begins on 0001-01-01 (a Monday) is 0, and that of January of the year 1 is 12.


def _index(interval: Interval, day: int) -> int:
    year, month = day // 10_000, day // 100 % 100
    if interval is Interval.TOTAL:
        return 0
    if interval is Interval.YEAR:
        return year
    if interval is Interval.MONTH:
        return year * 12 + month - 1
    ordinal = date(year, month, day % 100).toordinal()
    return ordinal if interval is Interval.DAY else (ordinal - 1) // 7


def _first_day(interval: Interval, index: int) -> int:
    """Return the first day of an interval; for an interval before the calendar, the calendar's first day."""
    return _day(_first_ordinal(interval, index))


def _last_day(interval: Interval, index: int) -> int:
    """Return the last day of an interval; for an interval that goes beyond the calendar, the calendar's last day."""
    return _day(_first_ordinal(interval, index + 1) - 1)


def _first_ordinal(interval: Interval, index: int) -> int:
    if interval is Interval.TOTAL:
        return index * date.max.toordinal() + 1
    if interval is Interval.DAY:
        return index
    if interval is Interval.WEEK:
        return index * 7 + 1
    year, month = (index, 0) if interval is Interval.YEAR else divmod(index, 12)
    if year > date.max.year:
        return date.max.toordinal() + 1
    return date(max(year, 1), month + 1, 1).toordinal() if year >= 1 else 1


def _day(ordinal: int) -> int:
    day = date.fromordinal(min(max(ordinal, 1), date.max.toordinal()))
    return day.year * 10_000 + day.month * 100 + day.day
