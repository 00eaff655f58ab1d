"""Which events were visited in a range of days, and how often. Pure: the counts come from functions handed in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from intervals import Count, Interval, add_up, first_day, index_of
from series import Read, Reading
from visits import ALL_EVENTS

MAX_DAYS = 366
"""The most days of a range, as each takes a Query: a leap year."""

type ReadDays = Callable[[Sequence[int]], Iterable[Iterable[Mapping[str, Count]]]]
"""Returns for each day the visits by event, `all` left out; they may come in parts."""


class EventRow(NamedTuple):
    """How often an event was visited in a range, and the first and the last day (`YYYYMMDD`) that has a count of it."""

    event_id: str
    visits: Count
    first_day: int
    last_day: int


class UnusableRange(ValueError):
    """The range has too many days, or no beginning; the message says which."""


def find_days(
    start: int | None, end: int | None, last: int | None, today: int, read: Read
) -> tuple[int, int, Sequence[int]]:
    """Return the first and the last day of a range, and those of its days that were loaded, the oldest first.

    The range is `start` to `end`, or the `last` days up to the newest that was loaded, tomorrow at the latest. An open
    end is the newest day, an open start the first that was loaded. Where `all` has no day, each day counts as loaded,
    and today is the newest. Raises UnusableRange.
    """
    if start and end:
        _check_length(start, end)
    tomorrow = first_day(Interval.DAY, index_of(Interval.DAY, today) + 1)
    if start and not end and start > tomorrow:
        return start, tomorrow, []
    wanted = Reading(start, end or tomorrow, descending=True, limit=last or MAX_DAYS + 1)
    loaded = _days_of_all(wanted, read)
    is_known = bool(loaded) or bool(_days_of_all(Reading(limit=1), read))
    end = end or (loaded[0] if loaded else today)
    if last:
        start = first_day(Interval.DAY, index_of(Interval.DAY, end) - last + 1)
    elif not start:
        if not is_known:
            raise UnusableRange(
                "startDate is needed: without the series of all events, no day is known to be the first"
            )
        start = loaded[-1] if loaded else end
    _check_length(start, end)
    if is_known:
        return start, end, [day for day in reversed(loaded) if day >= start]
    first, last_index = index_of(Interval.DAY, start), index_of(Interval.DAY, end)
    return start, end, [first_day(Interval.DAY, index) for index in range(first, last_index + 1)]


def rank_events(days: Sequence[int], read_days: ReadDays, *, descending: bool) -> list[EventRow]:
    """Return the events that have a count on one of the days, by their visits; those with as many by id, as text."""
    sums: dict[str, Count] = {}
    spans: dict[str, list[int]] = {}
    fractions: dict[str, list[Count]] = {}
    for day, parts in zip(days, read_days(days), strict=True):
        for event_id, visits in chain.from_iterable(part.items() for part in parts):
            if visits.__class__ is float:
                fractions.setdefault(event_id, []).append(visits)
                visits = 0
            if event_id in sums:
                sums[event_id] += visits
                spans[event_id][1] = day
            else:
                sums[event_id] = visits
                spans[event_id] = [day, day]
    for event_id, counts in fractions.items():
        # Added up at once, so that their order does not matter.
        sums[event_id] = add_up([sums[event_id], *counts])
    event_ids = sorted(sums)
    event_ids.sort(key=sums.__getitem__, reverse=descending)  # leaves those with as many visits as they are
    return [EventRow(event_id, sums[event_id], *spans[event_id]) for event_id in event_ids]


def _days_of_all(reading: Reading, read: Read) -> list[int]:
    return [day for counts in read([(ALL_EVENTS, reading)]) for part in counts for day in part]


def _check_length(start: int, end: int) -> None:
    length = index_of(Interval.DAY, end) - index_of(Interval.DAY, start) + 1
    if length > MAX_DAYS:
        raise UnusableRange(
            f"the range has {length:,} days, from {start:08} to {end:08}, where at most {MAX_DAYS} are allowed"
        )
