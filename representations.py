"""Rows as text: JSON and CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from events import EventRow
    from intervals import Count
    from series import Page, Rows

MAX_BYTES = 5_000_000
"""The longest answer before compression. Lambda sends at most 6 MB, in which each quote and line end is escaped."""

_MAX_CELL_BYTES = 50
"""The longest count in CSV, a sum of numbers of 38 digits, and a comma."""

_MAX_EVENT_BYTES = 300
"""The longest row of an event without its id: names, a count, days, an escape for each quote."""


def days_that_fit(events: int) -> int:
    """Return how many days a wide answer about so many events has room for, however large the counts are.

    A long answer has room for MAX_ROWS: a row has at most some 400 bytes, 100 of them an event's id.
    """
    return MAX_BYTES // (events * _MAX_CELL_BYTES)


def events_that_fit(rows: Sequence[EventRow]) -> int:
    """Return how many of the first rows an answer has room for."""
    room = MAX_BYTES
    for count, row in enumerate(rows):
        room -= len(row.event_id) + _MAX_EVENT_BYTES
        if room < 0:
            return count
    return len(rows)


def to_json(page: Page, *, iso: bool = False) -> str:
    """Return rows as a JSON array, one object a line."""
    return _json_array(_in_order(page, lambda event_id, rows: _json_objects(event_id, rows, page, iso=iso)))


def to_csv(page: Page, *, compare: bool = False, iso: bool = False) -> str:
    """Return rows as CSV with a header, one row a line."""
    header = "EventId,EventDay,EventCount,PreviousCount\n" if compare else "EventId,EventDay,EventCount\n"
    return "".join([header, *_in_order(page, lambda event_id, rows: _csv_lines(event_id, rows, page, iso=iso))])


def to_wide_csv(page: Page, event_ids: Sequence[str], *, iso: bool = False) -> str:
    """Return rows as CSV with a header, one day a line, one event a column."""
    write = iso_day if iso else _digits
    columns = [page.rows.get(event_id, {}) for event_id in event_ids]
    lines = [",".join([write(day), *(_csv(column.get(day)) for column in columns)]) for day in page.days]
    return "\n".join([",".join(["EventDay", *event_ids]), *lines, ""])


def events_to_json(rows: Iterable[EventRow], *, iso: bool = False) -> str:
    """Return events as a JSON array, one object a line."""
    write = (lambda day: f'"{iso_day(day)}"') if iso else str
    return _json_array(
        [
            f'{{"EventCount": {row.visits}, "EventId": "{row.event_id}", '
            f'"FirstDay": {write(row.first_day)}, "LastDay": {write(row.last_day)}}}'
            for row in rows
        ]
    )


def events_to_csv(rows: Iterable[EventRow], *, iso: bool = False) -> str:
    """Return events as CSV with a header, one event a line."""
    write = iso_day if iso else _digits
    lines = [f"{row.event_id},{row.visits},{write(row.first_day)},{write(row.last_day)}\n" for row in rows]
    return "".join(["EventId,EventCount,FirstDay,LastDay\n", *lines])


def iso_day(day: int) -> str:
    """Return a day as `2017-10-01`."""
    return f"{day // 10_000:04}-{day // 100 % 100:02}-{day % 100:02}"


def _digits(day: int) -> str:
    return f"{day:08}"


def _json_objects(event_id: str, rows: Rows, page: Page, *, iso: bool) -> list[str]:
    # An event's id needs no escaping (digits or `all`), and int and float print as JSON has them.
    begin, middle, end = '{"EventCount": ', ', "EventDay": ', f', "EventId": "{event_id}"}}'
    if not iso and page.previous is None:  # most requests, and the longest answers
        return [f"{begin}{'null' if visits is None else visits}{middle}{day}{end}" for day, visits in rows.items()]
    days = {day: f'"{iso_day(day)}"' if iso else str(day) for day in rows}
    ends = dict.fromkeys(rows, end)
    if page.previous is not None:
        ends = {day: f'{end[:-1]}, "PreviousCount": {_json(page.previous[event_id][day])}}}' for day in rows}
    return [f"{begin}{_json(visits)}{middle}{days[day]}{ends[day]}" for day, visits in rows.items()]


def _csv_lines(event_id: str, rows: Rows, page: Page, *, iso: bool) -> list[str]:
    write = iso_day if iso else _digits
    if page.previous is None:
        return [f"{event_id},{write(day)},{'' if visits is None else visits}\n" for day, visits in rows.items()]
    previous = page.previous[event_id]
    return [f"{event_id},{write(day)},{_csv(visits)},{_csv(previous[day])}\n" for day, visits in rows.items()]


def _in_order(page: Page, write: Callable[[str, Rows], Sequence[str]]) -> Sequence[str]:
    """Return the rows of all events, as they are written: by day, and within a day in the order of the events."""
    written = [write(event_id, rows) for event_id, rows in page.rows.items()]
    if len(written) == 1:
        return written[0]
    if all(len(texts) == len(page.days) for texts in written):
        return [*chain.from_iterable(zip(*written, strict=True))]
    columns = [dict(zip(rows, texts, strict=True)) for rows, texts in zip(page.rows.values(), written, strict=True)]
    return [column[day] for day in page.days for column in columns if day in column]


def _json_array(objects: Iterable[str]) -> str:
    text = ",\n".join(objects)
    return f"[\n{text}\n]\n" if text else "[]\n"


def _json(visits: Count | None) -> str:
    return "null" if visits is None else str(visits)


def _csv(visits: Count | None) -> str:
    return "" if visits is None else str(visits)
