"""The contract read plainly, day by day: what every answer is compared with. It shares no code with the service."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

type Number = int | float

FIRST, LAST = date.min, date.max
DAY = timedelta(1)


@dataclass(frozen=True)
class Stored:
    """What the table holds: counts by event and day; days of `all` whose files were all taken back have count 0."""

    counts: Mapping[str, Mapping[date, Number]]
    taken_back: frozenset[date] = frozenset()

    def count(self, event_id: str, day: date) -> Number | None:
        """Return an item's count, None where there is none; a day of `all` that was taken back is none."""
        if event_id == "all" and day in self.taken_back:
            return None
        return self.counts.get(event_id, {}).get(day)

    def days(self, event_id: str) -> list[date]:
        """Return the days that have an item."""
        return [day for day in sorted(self.counts.get(event_id, {})) if self.count(event_id, day) is not None]

    @cached_property
    def has_all(self) -> bool:
        """Whether a day was loaded at all."""
        return bool(self.days("all"))

    def is_loaded(self, day: date) -> bool:
        """Return whether a day counts as loaded: `all` has it, or there is no `all`."""
        return not self.has_all or self.count("all", day) is not None


@dataclass(frozen=True)
class Wanted:
    """A request for series, understood."""

    event_ids: Sequence[str]
    today: date = date(2020, 3, 1)
    start: date | None = None
    end: date | None = None
    last: int | None = None
    fill: bool = False
    interval: str = "day"
    compare: str | None = None
    descending: bool = False


@dataclass(frozen=True)
class Row:
    """One row; `previous` counts where there is a comparison."""

    day: date
    event_id: str
    count: Number | None
    previous: Number | None = None


def first_of(interval: str, day: date) -> date:
    """Return the first day of the interval that a day is in."""
    match interval:
        case "week":
            return date.fromordinal(day.toordinal() - day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)
        case _:
            return day


def before(interval: str, first: date) -> date | None:
    """Return the first day of the interval before the one that begins on `first`; None before the calendar."""
    return first_of(interval, first - DAY) if first > FIRST else None


def days_of(interval: str, first: date) -> Iterator[date]:
    """Yield the days of the interval that begins on `first`."""
    day = first
    while first_of(interval, day) == first:
        yield day
        if day == LAST:
            return
        day += DAY


def a_year_before(interval: str, first: date) -> date | None:
    """Return the first day of the same interval a year before."""
    if interval == "week":
        return first - timedelta(364) if first.toordinal() > 364 else None
    if first.year == 1:
        return None
    return first.replace(year=first.year - 1, day=28 if (first.month, first.day) == (2, 29) else first.day)


def span(start: date, end: date) -> list[date]:
    """Return the days from `start` to `end`."""
    return [date.fromordinal(n) for n in range(start.toordinal(), end.toordinal() + 1)]


def add_up(counts: Sequence[Number]) -> Number:
    """Return a sum as JSON has it: whole numbers as int."""
    if all(isinstance(count, int) for count in counts):
        return sum(counts)
    total = math.fsum(counts)
    return int(total) if total.is_integer() else total


def resolve(stored: Stored, wanted: Wanted) -> tuple[date | None, date | None] | None:
    """Return both ends of the range; None where `last` finds no day."""
    if wanted.last is None:
        return wanted.start, wanted.end
    tomorrow = wanted.today + DAY
    newest = [day for day in stored.days("all") if day <= tomorrow] or [
        day for event_id in wanted.event_ids for day in stored.days(event_id) if day <= tomorrow
    ]
    if not newest:
        return None
    end = max(newest)
    interval = "day" if wanted.interval == "total" else wanted.interval
    start = first_of(interval, end)
    for _ in range(wanted.last - 1):
        earlier = before(interval, start)
        if earlier is None:
            break
        start = earlier
    return start, end


def rows_of(stored: Stored, wanted: Wanted) -> list[Row]:
    """Return every row that the request asks for, in order."""
    ends = resolve(stored, wanted)
    if ends is None:
        return []
    start, end = ends
    fill = wanted.fill or wanted.compare is not None
    latest = end or (wanted.today + DAY if fill else LAST)
    items = {
        event_id: [day for day in stored.days(event_id) if (start or FIRST) <= day <= latest]
        for event_id in wanted.event_ids
    }
    every = sorted(day for days in items.values() for day in days)
    if not every and not (fill and start and end):
        return []
    first, last = start or every[0], end or every[-1]
    if first > last:
        return []
    if wanted.interval == "total":
        groups = {first: span(first, last)}
    else:
        groups = {}
        for day in span(first, last):
            groups.setdefault(first_of(wanted.interval, day), []).append(day)
    compared = compared_days(wanted, groups, first, last) if wanted.compare else {}
    rows = []
    for group in sorted(groups, reverse=wanted.descending):
        for event_id in wanted.event_ids:
            if fill:
                previous = filled(stored, event_id, compared[group]) if wanted.compare else None
                rows.append(Row(group, event_id, filled(stored, event_id, groups[group]), previous))
            else:
                counts = [count for day in groups[group] if (count := stored.count(event_id, day)) is not None]
                if counts:
                    rows.append(Row(group, event_id, add_up(counts)))
    return rows


def compared_days(
    wanted: Wanted, groups: Mapping[date, Sequence[date]], first: date, last: date
) -> dict[date, Sequence[date]]:
    """Return by interval the days that it is compared with, none before the calendar."""
    if wanted.interval == "total":
        if wanted.compare == "year":
            ends = [a_year_before("day", day) for day in (first, last)]
        else:
            length = (last - first).days + 1
            ends = [day - timedelta(length) if day.toordinal() > length else None for day in (first, last)]
        return {first: span(ends[0] or FIRST, ends[1]) if ends[1] else []}
    if wanted.compare == "year":
        found = {group: a_year_before(wanted.interval, group) for group in groups}
    else:
        found = {}
        earlier: date | None = min(groups)
        for _ in groups:
            earlier = before(wanted.interval, earlier) if earlier else None
            found[sorted(groups)[-1 - len(found)]] = earlier
    return {group: list(days_of(wanted.interval, day)) if day else [] for group, day in found.items()}


def filled(stored: Stored, event_id: str, days: Sequence[date]) -> Number | None:
    """Return the visits of some days: 0 where one was loaded, None where none was; None for no day at all."""
    total = add_up([stored.count(event_id, day) or 0 for day in days])
    if total:
        return total
    return 0 if any(stored.is_loaded(day) for day in days) else None


def day_text(day: date, *, iso: bool) -> str:
    """Return a day as CSV has it."""
    return day.isoformat() if iso else day.isoformat().replace("-", "")


def as_json(rows: Sequence[Row], *, compare: bool, iso: bool) -> object:
    """Return rows as the JSON answer, parsed."""
    found = []
    for row in rows:
        day: object = day_text(row.day, iso=True) if iso else int(day_text(row.day, iso=False))
        one: dict[str, object] = {"EventCount": row.count, "EventDay": day, "EventId": row.event_id}
        found.append(one | {"PreviousCount": row.previous} if compare else one)
    return found


def as_csv(rows: Sequence[Row], *, compare: bool, iso: bool) -> str:
    """Return rows as the CSV answer."""
    lines = ["EventId,EventDay,EventCount" + (",PreviousCount" if compare else "")]
    for row in rows:
        cells = [row.event_id, day_text(row.day, iso=iso), row.count, *([row.previous] if compare else [])]
        lines.append(",".join("" if cell is None else str(cell) for cell in cells))
    return "\n".join([*lines, ""])


def as_wide_csv(rows: Sequence[Row], event_ids: Sequence[str], *, iso: bool) -> str:
    """Return rows as the CSV answer with a column an event."""
    lines = [",".join(["EventDay", *event_ids])]
    for day in dict.fromkeys(row.day for row in rows):
        counts = {row.event_id: row.count for row in rows if row.day == day}
        cells = [counts.get(event_id) for event_id in event_ids]
        lines.append(",".join([day_text(day, iso=iso), *("" if cell is None else str(cell) for cell in cells)]))
    return "\n".join([*lines, ""])


def events_of(stored: Stored, first: date, last: date, *, descending: bool) -> list[tuple[str, Number, date, date]]:
    """Return the events that have an item on a loaded day of a range: id, visits, first and last day, in order."""
    days = [day for day in span(first, last) if stored.is_loaded(day)]
    found = []
    for event_id in stored.counts:
        with_item = [day for day in days if stored.count(event_id, day) is not None]
        if event_id != "all" and with_item:
            visits = add_up([stored.count(event_id, day) or 0 for day in with_item])
            found.append((event_id, visits, with_item[0], with_item[-1]))
    return sorted(found, key=lambda row: (-row[1] if descending else row[1], row[0]))
