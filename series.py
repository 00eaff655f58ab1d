"""Which rows of a series are asked for, and how its counts become rows: intervals, gaps, pages. Pure; no HTTP, no AWS.

A day is a number, `YYYYMMDD`. Counts and rows are mappings from day to visits, in the order asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from enum import StrEnum
from itertools import chain
from typing import NamedTuple

type Count = int | float

type Counts = Mapping[int, Count]
"""Days that have a count, and their visits."""

type Rows = Mapping[int, Count | None]
"""First days of intervals, and the visits of each; None where no data has arrived for any of its days."""

MAX_ROWS = 10_000
"""Of one answer: some 600 kB of JSON."""


class Interval(StrEnum):
    """What one row stands for; a week is ISO 8601's, from Monday on."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"
    TOTAL = "total"


_MOST_DAYS = {Interval.DAY: 1, Interval.WEEK: 7, Interval.MONTH: 31, Interval.YEAR: 366}


class Reading(NamedTuple):
    """Counts to read: of days from `start` to `end`, inclusive, None = open, at most `limit` days, None = all."""

    start: int | None = None
    end: int | None = None
    descending: bool = False
    limit: int | None = None


class Selection(NamedTuple):
    """Rows that are asked for: of days from `start` to `end`, inclusive, None = open."""

    start: int | None = None
    end: int | None = None
    fill: bool = False
    """Whether every interval of the range has a row. An open end of the range is the first or last day with a count."""
    interval: Interval = Interval.DAY
    descending: bool = False
    limit: int = MAX_ROWS
    """Rows of a page, 1 or more."""

    def reading(self) -> Reading:
        """Return the counts that the first page needs, one more included where it tells that another page follows."""
        if self.interval is Interval.TOTAL:
            return Reading(self.start, self.end)
        near, far = self._ends()
        if self.fill and near is not None and far is not None:
            return Reading(*self._covered(near, far), self.descending)
        # So many days fill a page even where every day has a count.
        return Reading(self.start, self.end, self.descending, self.limit * _MOST_DAYS[self.interval] + 1)

    def page(self, counts: Iterable[Counts]) -> Page:
        """Return the first page of rows, made of the counts that `reading` asks for; they may come in parts."""
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
        """Return where the rows begin and where they end, in their order."""
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
        numbers = range(_number(self.interval, first), _number(self.interval, last) + 1)
        days = (_first_day(self.interval, number) for number in (reversed(numbers) if self.descending else numbers))
        rows = {day: sums.get(day) for day in days}
        more = far < first if self.descending else far > last
        return Page(rows, self._after(next(reversed(rows))) if more else None, covered)

    def _covered(self, near: int, far: int) -> tuple[int, int]:
        """Return the first and last day of a page without gaps that begins at `near` and ends at `far` or before."""
        number = _number(self.interval, near)
        if self.descending:
            return max(far, _first_day(self.interval, number - self.limit + 1)), near
        return near, min(far, _last_day(self.interval, number + self.limit - 1))

    def _after(self, day: int) -> Selection:
        """Return what is left of the selection after the row of `day`."""
        number = _number(self.interval, day)
        if self.descending:
            return self._replace(end=_last_day(self.interval, number - 1))
        return self._replace(start=_first_day(self.interval, number + 1))


class Page(NamedTuple):
    """Rows of one answer; and the selection of what follows, None at the end."""

    rows: Rows
    more: Selection | None = None
    covered: tuple[int, int] | None = None
    """The first and last day that the rows stand for, where each interval has one."""

    @property
    def has_gaps(self) -> bool:
        """Whether some row is None."""
        return None in self.rows.values()

    def zeroed(self, interval: Interval, loaded: Iterable[Counts] | None) -> Page:
        """Return the page with 0 for None in each row of which a day is among `loaded`; None = every day is."""
        if loaded is None or interval is Interval.TOTAL:
            known = set(self.rows) if loaded is None or any(loaded) else set()
        else:
            known = set(_summed(interval, loaded, len(self.rows)).sums)
        rows = {day: 0 if visits is None and day in known else visits for day, visits in self.rows.items()}
        return self._replace(rows=rows)


class _Summed(NamedTuple):
    sums: dict[int, Count]
    first: int | None
    """The day that came first, and the one that came last."""
    last: int | None


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
            number = _number(interval, day)
            lowest, highest = _first_day(interval, number), _last_day(interval, number)
            of_interval = summands[lowest] = []
        of_interval.append(visits)
        first, last = first or day, day
    return _Summed({day: _sum(visits) for day, visits in summands.items()}, first, last)


def _sum(counts: Sequence[Count]) -> Count:
    total = sum(counts)
    if isinstance(total, int):
        return total
    # Fractions are rounded once, so that their order does not matter.
    total = math.fsum(counts)
    return int(total) if total.is_integer() else total


# Intervals of a kind are numbered without a gap: days as `datetime` does, weeks and years so that those of 0001-01-01,
# a Monday, are 0 and 1, months from 12 on.


def _number(interval: Interval, day: int) -> int:
    year, month = day // 10_000, day // 100 % 100
    if interval is Interval.TOTAL:
        return 0
    if interval is Interval.YEAR:
        return year
    if interval is Interval.MONTH:
        return year * 12 + month - 1
    ordinal = date(year, month, day % 100).toordinal()
    return ordinal if interval is Interval.DAY else (ordinal - 1) // 7


def _first_day(interval: Interval, number: int) -> int:
    """Return the first day of an interval; the calendar's first for one that lies before it."""
    return _day(_first_ordinal(interval, number))


def _last_day(interval: Interval, number: int) -> int:
    """Return the last day of an interval; the calendar's last for one that reaches beyond it."""
    return _day(_first_ordinal(interval, number + 1) - 1)


def _first_ordinal(interval: Interval, number: int) -> int:
    if interval is Interval.TOTAL:
        return number * date.max.toordinal() + 1
    if interval is Interval.DAY:
        return number
    if interval is Interval.WEEK:
        return number * 7 + 1
    year, month = (number, 0) if interval is Interval.YEAR else divmod(number, 12)
    if year > date.max.year:
        return date.max.toordinal() + 1
    return date(max(year, 1), month + 1, 1).toordinal() if year >= 1 else 1


def _day(ordinal: int) -> int:
    day = date.fromordinal(min(max(ordinal, 1), date.max.toordinal()))
    return day.year * 10_000 + day.month * 100 + day.day
