"""The rows of series: gaps (0 or None), pages, comparison. Pure: the counts come from a function that is handed in.

A day is a number, `YYYYMMDD`. Counts and rows are mappings from day to visits, in the order asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Literal, NamedTuple

from intervals import (
    FIRST_DAY,
    MOST_DAYS,
    Count,
    Counts,
    Interval,
    first_day,
    index_of,
    intervals_before,
    last_day,
    sum_up,
    year_before,
)
from visits import ALL_EVENTS

type Rows = Mapping[int, Count | None]
"""First days of intervals, and the visits of each; None where no data has arrived for any of its days."""

MAX_ROWS = 10_000
"""Rows of one answer: some 600 kB of JSON."""


class Reading(NamedTuple):
    """The counts to read: the first `limit` (None = all) of the days from `start` to `end`, inclusive, None = open."""

    start: int | None = None
    end: int | None = None
    descending: bool = False
    limit: int | None = None


type Read = Callable[[Sequence[tuple[str, Reading]]], Sequence[Iterable[Counts]]]
"""Returns for each event (or `all`) the counts that its reading asks for; they may come in parts."""


class Selection(NamedTuple):
    """The rows that are asked for: of days from `start` to `end`, inclusive, None = open."""

    start: int | None = None
    end: int | None = None
    fill: bool = False
    """Whether every interval of the range has a row. An open end is the first or last day that has a count."""
    interval: Interval = Interval.DAY
    descending: bool = False
    limit: int = MAX_ROWS
    """Rows of a page, at least one for each event; where `wide`, days."""
    compare: Literal["previous", "year"] | int | None = None
    """What a row is compared with, which takes `fill` and both ends; a number: the row so many intervals before."""
    wide: bool = False
    """Whether all events of a day are in one row."""
    latest: int | None = None
    """With `fill`, the last day that an open end can be."""

    def ending(self, newest: int, last: int) -> Selection:
        """Return the selection of the `last` intervals up to the newest day; of a total, of as many days."""
        interval = self._counted_interval
        return self._replace(start=first_day(interval, index_of(interval, newest) - last + 1), end=newest)

    def following(self, day: int) -> Selection:
        """Return the selection of the rows that follow the row of `day`."""
        index = index_of(self.interval, day)
        if self.descending:
            return self._replace(end=last_day(self.interval, index - 1))
        return self._replace(start=first_day(self.interval, index + 1))

    def first_part(self, near: int, far: int, most: int) -> tuple[int, int]:
        """Return the first and last day of the first `most` intervals on the way from `near` to `far`."""
        index = index_of(self.interval, near)
        if self.descending:
            return max(far, first_day(self.interval, index - most + 1)), near
        return near, min(far, last_day(self.interval, index + most - 1))

    def with_distance(self) -> Selection:
        """Return the same selection, `previous` replaced by the number of intervals that it stands for.

        The number stays right where a range gets shorter, page by page.
        """
        if self.compare != "previous" or self.start is None or self.end is None:
            return self
        first, last = (index_of(self._counted_interval, day) for day in (self.start, self.end))
        return self._replace(compare=last - first + 1)

    def compared_with(self, day: int) -> int | None:
        """Return the first day of what the interval of `day` is compared with; None before the calendar."""
        if isinstance(self.compare, int):
            return intervals_before(self._counted_interval, day, self.compare)
        return year_before(self._counted_interval, day)

    @property
    def _counted_interval(self) -> Interval:
        return Interval.DAY if self.interval is Interval.TOTAL else self.interval


class Page(NamedTuple):
    """The rows of one answer, and the selection of those that follow, None at the end."""

    rows: Mapping[str, Rows]
    """By event, in the order asked for. Where gaps are not filled, an event may lack days that others have."""
    days: Collection[int] = ()
    """The days that some event has a row for, in the order asked for."""
    previous: Mapping[str, Rows] | None = None
    """By event and the row's own day, what the row is compared with."""
    more: Selection | None = None


def read_newest_day(event_ids: Sequence[str], latest: int | None, read: Read) -> int | None:
    """Return the newest day that was loaded, `latest` (None = open) at the latest; None where there is none.

    It is the newest of `all`. Where `all` has none, it is the newest day of the events.
    """
    newest = Reading(end=latest, descending=True, limit=1)
    for some in ([ALL_EVENTS], event_ids):
        parts = chain.from_iterable(read([(event_id, newest) for event_id in some]))
        if days := [day for counts in parts for day in counts]:
            return max(days)
    return None


def read_page(event_ids: Sequence[str], selection: Selection, read: Read) -> Page:
    """Return the first page of the rows of events.

    With `fill`, a row without visits is 0 if one of its days was loaded, which is when `all` has that day, and None if
    not. Where `all` has no day at all, counts came in without it, and each such row is 0.

    Calls `read` once; again, for `all`, if there are rows without visits; and a third time, for one day of `all`, if it
    has none of theirs.
    """
    if selection.interval is Interval.TOTAL:
        selection = selection._replace(descending=False)
    return _filled_page(event_ids, selection, read) if selection.fill else _plain_page(event_ids, selection, read)


def _plain_page(event_ids: Sequence[str], selection: Selection, read: Read) -> Page:
    reading = _reading(selection, selection.end, selection.limit)
    counts = read([(event_id, reading) for event_id in event_ids])
    sums = [sum_up(selection.interval, each, selection.limit + 1) for each in counts]
    found: dict[str, Counts] = {event_id: each.by_interval for event_id, each in zip(event_ids, sums, strict=True)}
    if selection.interval is Interval.TOTAL:
        first = min((each.first for each in sums if each.first), default=None)
        if first is None:
            return Page({})
        day = selection.start or first
        return Page({event_id: {day: total} for event_id, each in found.items() for total in each.values()}, [day])
    if len(found) == 1:
        days = list(found[event_ids[0]])
    else:
        days = sorted(set().union(*found.values()), reverse=selection.descending)
    shown = _whole_days(selection, days, found)
    if shown == len(days):
        return Page(found, days)
    days = days[:shown]
    rows = {event_id: {day: each[day] for day in days if day in each} for event_id, each in found.items()}
    return Page(rows, days, more=selection.following(days[-1]))


def _whole_days(selection: Selection, days: Sequence[int], found: Mapping[str, Counts]) -> int:
    """Return how many of the days have room on a page."""
    if selection.wide or len(found) == 1 or len(days) * len(found) <= selection.limit:
        return min(len(days), selection.limit)
    room = selection.limit
    for shown, day in enumerate(days):
        room -= sum(day in each for each in found.values())
        if room < 0:
            return shown
    return len(days)


class _Block(NamedTuple):
    """What the rows of a range without gaps are made of."""

    intervals: Mapping[int, int | None]
    """By the day of a row, the first day of the interval whose visits it has; None before the calendar."""
    covered: tuple[int, int] | None
    """The first and last day of these intervals."""
    sums: Mapping[str, Mapping[int, Count]]
    """By event and first day of an interval."""

    def rows(self) -> dict[str, Rows]:
        """Return the rows by event, None for those without visits.

        An item of 0 is no visit, either: where a file was taken back, such items are what is left of it.
        """
        return {
            event_id: {day: sums.get(first or 0) or None for day, first in self.intervals.items()}
            for event_id, sums in self.sums.items()
        }


def _filled_page(event_ids: Sequence[str], selection: Selection, read: Read) -> Page:
    selection = selection.with_distance()
    interval = selection.interval
    end = selection.end or selection.latest
    if selection.start and end and end < selection.start:
        return Page({})
    near, far = (selection.end, selection.start) if selection.descending else (selection.start, selection.end)
    most = selection.limit if selection.wide else selection.limit // len(event_ids)
    covered = selection.first_part(near, far, most) if near and far else None
    compared = _compared_range(selection, *covered) if covered and selection.compare else None
    readings = [Reading(*covered, selection.descending) if covered else _reading(selection, end, most)]
    readings += [Reading(*compared)] if compared else []
    counts = read([(event_id, reading) for reading in readings for event_id in event_ids])
    sums = [sum_up(interval, each, most + 1) for each in counts[: len(event_ids)]]

    nearest, farthest = (max, min) if selection.descending else (min, max)
    near = near or nearest((each.first for each in sums if each.first), default=None)
    far = far or farthest((each.last for each in sums if each.last), default=None)
    if not near or not far:
        return Page({})
    first, last = selection.first_part(near, far, most)
    indexes = range(index_of(interval, first), index_of(interval, last) + 1)
    intervals = [first_day(interval, index) for index in (reversed(indexes) if selection.descending else indexes)]
    days = [first] if interval is Interval.TOTAL else intervals

    by_event = zip(event_ids, (each.by_interval for each in sums), strict=True)
    blocks = [_Block(dict(zip(days, intervals, strict=True)), (first, last), dict(by_event))]
    if selection.compare:
        earlier = [sum_up(interval, each, None).by_interval for each in counts[len(event_ids) :]]
        before = intervals if interval is Interval.TOTAL and compared else map(selection.compared_with, days)
        by_event = zip(event_ids, earlier or [{} for _ in event_ids], strict=True)
        blocks.append(_Block(dict(zip(days, before, strict=True)), compared, dict(by_event)))
    rows, *previous = _without_gaps(interval, blocks, read)
    more = selection.following(days[-1]) if (far < first if selection.descending else far > last) else None
    return Page(rows, days, previous[0] if previous else None, more)


def _compared_range(selection: Selection, first: int, last: int) -> tuple[int, int] | None:
    """Return the first and last day of what the rows from `first` to `last` are compared with; None if before time."""
    end = selection.compared_with(last)
    if end is None:
        return None
    if selection.interval not in {Interval.DAY, Interval.TOTAL}:
        end = last_day(selection.interval, index_of(selection.interval, end))
    return selection.compared_with(first) or FIRST_DAY, end


def _without_gaps(interval: Interval, blocks: Sequence[_Block], read: Read) -> list[Mapping[str, Rows]]:
    """Return the rows of each block, with 0 for None in rows of which a day was loaded."""
    found: list[Mapping[str, Rows]] = [block.rows() for block in blocks]
    gaps = [
        n
        for n, by_event in enumerate(found)
        if blocks[n].covered and any(None in rows.values() for rows in by_event.values())
    ]
    if not gaps:
        return found
    if ALL_EVENTS in blocks[0].sums:
        loaded = [blocks[n].sums[ALL_EVENTS] for n in gaps]
    else:
        limit = 1 if interval is Interval.TOTAL else None
        ranges = [blocks[n].covered or (None, None) for n in gaps]
        counts = read([(ALL_EVENTS, Reading(first, last, limit=limit)) for first, last in ranges])
        loaded = [sum_up(interval, each, None).by_interval for each in counts]
    if not any(loaded) and not any(chain.from_iterable(read([(ALL_EVENTS, Reading(limit=1))]))):
        loaded = [dict.fromkeys(filter(None, blocks[n].intervals.values()), 0) for n in gaps]
    for n, known in zip(gaps, loaded, strict=True):
        intervals = blocks[n].intervals
        found[n] = {
            event_id: {day: 0 if visits is None and intervals[day] in known else visits for day, visits in rows.items()}
            for event_id, rows in found[n].items()
        }
    return found


def _reading(selection: Selection, end: int | None, most: int) -> Reading:
    """Return which counts `most` rows need, one more included where it shows that others follow."""
    if selection.interval is Interval.TOTAL:
        return Reading(selection.start, end)
    # So many days fill the rows even where every day has a count.
    return Reading(selection.start, end, selection.descending, most * MOST_DAYS[selection.interval] + 1)
