"""The calendar in intervals (days, weeks, months, quarters, years, all of it), and counts summed by them.

A day is a number, `YYYYMMDD`.
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

FIRST_DAY = 1_01_01
"""The calendar's first day, a Monday."""


class Interval(StrEnum):
    """What one row stands for; a week is ISO 8601's, from Monday on."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    TOTAL = "total"


MOST_DAYS = {Interval.DAY: 1, Interval.WEEK: 7, Interval.MONTH: 31, Interval.QUARTER: 92, Interval.YEAR: 366}
"""How long the longest interval is."""

_MONTHS = {Interval.MONTH: 1, Interval.QUARTER: 3, Interval.YEAR: 12}

_IN_A_YEAR = {Interval.WEEK: 52, Interval.MONTH: 12, Interval.QUARTER: 4, Interval.YEAR: 1}
"""How many intervals an interval lies after the same one of the year before."""


# Neighbouring intervals have neighbouring indexes: a day has its ordinal in `datetime`, the week that begins on the
# calendar's first day has 0, and months, quarters and years count from a year 0.


def day_of(moment: date) -> int:
    """Return the day of a date or date-time."""
    return moment.year * 10_000 + moment.month * 100 + moment.day


def index_of(interval: Interval, day: int) -> int:
    """Return the index of the interval that contains a day."""
    if interval is Interval.TOTAL:
        return 0
    year, month = day // 10_000, day // 100 % 100
    if months := _MONTHS.get(interval):
        return (year * 12 + month - 1) // months
    ordinal = date(year, month, day % 100).toordinal()
    return ordinal if interval is Interval.DAY else (ordinal - 1) // 7


def first_day(interval: Interval, index: int) -> int:
    """Return the first day of an interval; for an interval before the calendar, the calendar's first day."""
    return _day(_first_ordinal(interval, index))


def last_day(interval: Interval, index: int) -> int:
    """Return the last day of an interval; for an interval that goes beyond the calendar, the calendar's last day."""
    return _day(_first_ordinal(interval, index + 1) - 1)


def intervals_before(interval: Interval, day: int, count: int) -> int | None:
    """Return the first day of the interval that lies so many before the one of `day`; None before the calendar."""
    index = index_of(interval, day) - count
    return first_day(interval, index) if index >= index_of(interval, FIRST_DAY) else None


def year_before(interval: Interval, day: int) -> int | None:
    """Return the first day of the same interval a year before, None before the calendar.

    Of a day that is the same date (of 29 February the 28th), of a week the one 52 weeks before.
    """
    if count := _IN_A_YEAR.get(interval):
        return intervals_before(interval, day, count)
    if day < FIRST_DAY + 10_000:
        return None
    return day - 10_001 if day % 10_000 == 2_29 else day - 10_000


class Sums(NamedTuple):
    """Counts summed by interval."""

    by_interval: dict[int, Count]
    """By the first day of the interval, in the order read."""
    first: int | None
    """The day that was read first."""
    last: int | None
    """The day that was read last."""


def sum_up(interval: Interval, counts: Iterable[Counts], most: int | None) -> Sums:
    """Return the sums of counts by interval; of `most` intervals at most, where these are sums of several days."""
    if interval is Interval.DAY:
        days: dict[int, Count] = {}
        for part in counts:
            days.update(part)
        return Sums(days, next(iter(days), None), next(reversed(days), None))
    summands: dict[int, list[Count]] = {}
    first = last = None
    lowest = highest = 0
    for day, visits in chain.from_iterable(part.items() for part in counts):
        if not lowest <= day <= highest:
            if len(summands) == most:
                break
            index = index_of(interval, day)
            lowest, highest = first_day(interval, index), last_day(interval, index)
            of_interval = summands[lowest] = []
        of_interval.append(visits)
        first, last = first or day, day
    return Sums({day: add_up(visits) for day, visits in summands.items()}, first, last)


def add_up(counts: Sequence[Count]) -> Count:
    """Return the sum of counts, an int where it is whole."""
    total = sum(counts)
    if isinstance(total, int):
        return total
    # `fsum` rounds once, so the order of the counts does not change a sum of fractions.
    total = math.fsum(counts)
    return int(total) if total.is_integer() else total


def _first_ordinal(interval: Interval, index: int) -> int:
    if interval is Interval.TOTAL:
        return index * date.max.toordinal() + 1
    if interval is Interval.DAY:
        return index
    if interval is Interval.WEEK:
        return index * 7 + 1
    year, month = divmod(index * _MONTHS[interval], 12)
    if year > date.max.year:
        return date.max.toordinal() + 1
    return date(year, month + 1, 1).toordinal() if year >= 1 else 1


def _day(ordinal: int) -> int:
    return day_of(date.fromordinal(min(max(ordinal, 1), date.max.toordinal())))
