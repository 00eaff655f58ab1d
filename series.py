"""The rows of series: gaps (0 or None), pages, comparison. Pure: the counts come from a function that is handed in.

A day is a number, `YYYYMMDD`. Counts and rows are mappings from day to visits, in the order asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from intervals import (
    FIRST_DAY,
    MOST_DAYS,
    Count,
    Counts,
    Interval,
    Sums,
    first_day,
    index_of,
    last_day,
    sum_up,
)
from visits import ALL_EVENTS

if TYPE_CHECKING:
    from selection import Selection

type Rows = Mapping[int, Count | None]
"""First days of intervals, and the visits of each; None where no data has arrived for any of its days."""


class Reading(NamedTuple):
    """The counts to read: the first `limit` (None = all) of the days from `start` to `end`, inclusive, None = open."""

    start: int | None = None
    end: int | None = None
    descending: bool = False
    limit: int | None = None


type Read = Callable[[Sequence[tuple[str, Reading]]], Sequence[Iterable[Counts]]]
"""Returns for each event (or `all`) the counts that its reading asks for; they may come in parts."""


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
    end = selection.end or selection.latest
    if selection.start and end and end < selection.start:
        return Page({})
    most = selection.limit if selection.wide else selection.limit // len(event_ids)
    near, far = (selection.end, selection.start) if selection.descending else (selection.start, selection.end)
    covered = selection.first_part(near, far, most) if near and far else None
    compared = _compared_range(selection, *covered) if covered and selection.compare else None

    readings = [Reading(*covered, selection.descending) if covered else _reading(selection, end, most)]
    readings += [Reading(*compared)] if compared else []
    counts = read([(event_id, reading) for reading in readings for event_id in event_ids])
    sums = [sum_up(selection.interval, each, most + 1) for each in counts]
    now, before = sums[: len(event_ids)], sums[len(event_ids) :]

    # An open end is where the events' own days begin or end.
    nearest, farthest = (max, min) if selection.descending else (min, max)
    near = near or nearest((each.first for each in now if each.first), default=None)
    far = far or farthest((each.last for each in now if each.last), default=None)
    if not near or not far:
        return Page({})
    first, last = selection.first_part(near, far, most)
    intervals = _first_days(selection, first, last)
    days = [first] if selection.interval is Interval.TOTAL else intervals

    blocks = [_Block(dict(zip(days, intervals, strict=True)), (first, last), _by_event(event_ids, now))]
    if selection.compare:
        earlier = [selection.compared_with(day) for day in days]
        if selection.interval is Interval.TOTAL:
            earlier = [*intervals] if compared else [None]
        blocks.append(_Block(dict(zip(days, earlier, strict=True)), compared, _by_event(event_ids, before)))
    rows, *previous = _without_gaps(selection.interval, blocks, read)
    more = selection.following(days[-1]) if (far < first if selection.descending else far > last) else None
    return Page(rows, days, previous[0] if previous else None, more)


def _first_days(selection: Selection, first: int, last: int) -> list[int]:
    """Return the first day of each interval of a range, in the order asked for."""
    indexes = range(index_of(selection.interval, first), index_of(selection.interval, last) + 1)
    return [first_day(selection.interval, index) for index in (reversed(indexes) if selection.descending else indexes)]


def _by_event(event_ids: Sequence[str], sums: Sequence[Sums]) -> dict[str, Mapping[int, Count]]:
    """Return the sums of each event; none at all, where nothing was read."""
    found = [each.by_interval for each in sums] or [{} for _ in event_ids]
    return dict(zip(event_ids, found, strict=True))


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
