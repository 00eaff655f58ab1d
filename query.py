"""Query strings understood, and written back: of a series of counts, and of the list of events. No AWS."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal, NamedTuple

from events import MAX_DAYS
from http_utils import Problem, Request, read_parameter
from intervals import Interval, first_day, index_of, intervals_before, last_day
from selection import MAX_ROWS, Selection
from series import Read, read_newest_day
from slips import MAX_SLIPS, right_name
from visits import InvalidValue, parse_choice, parse_day, parse_series_id, parse_whole_number

MAX_EVENTS = 50
"""In one request: an answer may take two Queries for each, ten at once."""

DEFAULT_LAST = 30
DEFAULT_LIMIT = 100
MAX_OFFSET = 10_000_000

FORMATS = ("json", "csv")
"""The values of `format`."""

SERIES_PARAMETERS = (
    *("startDate", "endDate", "last", "fill", "interval", "compare"),
    *("order", "limit", "format", "layout", "days"),
)
EVENTS_PARAMETERS = ("startDate", "endDate", "last", "order", "limit", "offset", "format", "days")

_RELATIVE_DAY = r"(today|yesterday)(?:-([0-9]{1,6})([dwmy]))?"
_DAYS = {"d": 1, "w": 7}
_MONTHS = {"m": 1, "y": 12}


class SeriesQuery(NamedTuple):
    """What `GET /visits/{resourceId}` asks for."""

    event_ids: tuple[str, ...]
    selection: Selection
    last: int | None = None
    """So many intervals up to the newest day, in the place of the selection's ends."""
    form: str = FORMATS[0]
    iso: bool = False
    """Whether days are written as `2017-10-01`."""
    is_relative: bool = False
    """Whether the selection depends on the current day."""


class EventsQuery(NamedTuple):
    """What `GET /visits` asks for."""

    start: int | None = None
    end: int | None = None
    last: int | None = None
    """So many days up to the newest, in the place of start and end."""
    descending: bool = True
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    form: str = FORMATS[0]
    iso: bool = False
    is_relative: bool = False


def read_series_query(request: Request, today: int, accepted: str = FORMATS[0]) -> SeriesQuery:
    """Return what a request for series asks for; `accepted` is the format that its `Accept` asks for.

    Raises Problem: 404 where the path names what can be no series, 400 where a parameter breaks a rule.
    """
    event_ids = _read_ids(request)
    _refuse_slips(request, SERIES_PARAMETERS, EVENTS_PARAMETERS, "/visits")
    start, end, last = _read_range(request, today, MAX_ROWS)
    fill = _read_choice(request, "fill", "zero")
    interval = Interval(_read_choice(request, "interval", *Interval) or Interval.DAY)
    compare = read_parameter(request, "compare", _parse_compare)
    if compare is not None and last is None and (start is None or end is None):
        raise Problem(400, "compare needs a range with two ends: startDate and endDate, or last", parameter="compare")
    descending = _read_choice(request, "order", "asc", "desc") == "desc"
    limit = _read_number(request, "limit", 1, MAX_ROWS) or MAX_ROWS
    form = _read_choice(request, "format", *FORMATS) or accepted
    wide = _read_choice(request, "layout", "long", "wide") == "wide"
    if wide and form != "csv":
        raise Problem(400, "layout 'wide' is one of format=csv", parameter="layout")
    if wide and compare is not None:
        raise Problem(400, "layout 'wide' has no column for compare", parameter="layout")
    if limit < len(event_ids) and not wide:
        detail = f"limit {limit} is less than the {len(event_ids)} events, whose rows of a day are on one page"
        raise Problem(400, detail, parameter="limit")
    iso = _read_choice(request, "days", "number", "iso") == "iso"
    filled = fill is not None or compare is not None
    # Where it matters how far the data reaches, that is tomorrow at the latest: a slip of a year is no newest day.
    latest = first_day(Interval.DAY, index_of(Interval.DAY, today) + 1) if filled or last else None
    selection = Selection(start, end, filled, interval, descending, limit, compare, wide, latest)
    return SeriesQuery(event_ids, selection, last, form, iso, _is_relative(request))


def with_dates(query: SeriesQuery, read: Read) -> SeriesQuery:
    """Return the query with the dates that `last` came to; as it is, if no day was loaded."""
    selection = query.selection
    if query.last is None:
        return query
    newest = read_newest_day(query.event_ids, selection.latest, read)
    return query._replace(selection=selection.ending(newest, query.last), last=None) if newest else query


def write_series_query(query: SeriesQuery, accepted: str = FORMATS[0]) -> dict[str, str]:
    """Return the parameters that ask for the same, defaults left out; the inverse of `read_series_query`."""
    selection = query.selection
    return _given(
        startDate=selection.start and f"{selection.start:08}",
        endDate=selection.end and f"{selection.end:08}",
        last=query.last and str(query.last),
        fill=selection.fill and selection.compare is None and "zero",
        interval=selection.interval is not Interval.DAY and selection.interval.value,
        compare=selection.compare is not None and str(selection.compare),
        order=selection.descending and "desc",
        limit=selection.limit != MAX_ROWS and str(selection.limit),
        format=query.form != accepted and query.form,
        layout=selection.wide and "wide",
        days=query.iso and "iso",
    )


def read_events_query(request: Request, today: int, accepted: str = FORMATS[0]) -> EventsQuery:
    """Return what a request for the list of events asks for; raise Problem (400) where a parameter breaks a rule."""
    _refuse_slips(request, EVENTS_PARAMETERS, SERIES_PARAMETERS, "/visits/{resourceId}")
    start, end, last = _read_range(request, today, MAX_DAYS)
    if start is None and end is None:
        last = last or DEFAULT_LAST
    descending = _read_choice(request, "order", "asc", "desc") != "asc"
    limit = _read_number(request, "limit", 1, MAX_ROWS) or DEFAULT_LIMIT
    offset = _read_number(request, "offset", 0, MAX_OFFSET) or 0
    form = _read_choice(request, "format", *FORMATS) or accepted
    iso = _read_choice(request, "days", "number", "iso") == "iso"
    return EventsQuery(start, end, last, descending, limit, offset, form, iso, _is_relative(request))


def write_events_query(query: EventsQuery, accepted: str = FORMATS[0]) -> dict[str, str]:
    """Return the parameters that ask for the same, defaults left out; the inverse of `read_events_query`."""
    return _given(
        startDate=query.start and f"{query.start:08}",
        endDate=query.end and f"{query.end:08}",
        last=query.last and query.last != DEFAULT_LAST and str(query.last),
        order=not query.descending and "asc",
        limit=query.limit != DEFAULT_LIMIT and str(query.limit),
        offset=query.offset and str(query.offset),
        format=query.form != accepted and query.form,
        days=query.iso and "iso",
    )


def parse_day_or_relative(text: str, today: int) -> int:
    """Return the day as a number, of a day as `parse_day` reads it or of one like `today` or `yesterday-3m`.

    `-N` goes back so many days, weeks, months or years (d, w, m, y); a month that is too short gives its last day.
    Raises InvalidValue.
    """
    match = re.fullmatch(_RELATIVE_DAY, text) if text[:1].isalpha() else None
    if not match:
        return parse_day(text)
    day: int | None = today if match[1] == "today" else intervals_before(Interval.DAY, today, 1)
    count, unit = int(match[2] or 0), match[3] or "d"
    if day and unit in _DAYS:
        day = intervals_before(Interval.DAY, day, count * _DAYS[unit])
    elif day:
        month = intervals_before(Interval.MONTH, day, count * _MONTHS[unit])
        day = month and min(month + day % 100 - 1, last_day(Interval.MONTH, index_of(Interval.MONTH, month)))
    if not day:
        raise InvalidValue(text, "is before the year 1")
    return day


def _read_ids(request: Request) -> tuple[str, ...]:
    event_ids = request.resource_id.split(",")
    try:
        found = tuple(map(parse_series_id, event_ids))
    except InvalidValue as error:
        raise Problem(404, f"resourceId {error}", parameter="resourceId") from error
    if len(found) > MAX_EVENTS:
        detail = f"resourceId has {len(found)} ids, where at most {MAX_EVENTS} are allowed"
        raise Problem(400, detail, parameter="resourceId")
    if len(set(found)) < len(found):
        twice = next(event_id for n, event_id in enumerate(found) if event_id in found[:n])
        raise Problem(400, f"resourceId {InvalidValue(twice, 'is given twice')}", parameter="resourceId")
    return found


def _read_range(request: Request, today: int, most: int) -> tuple[int | None, int | None, int | None]:
    """Return `startDate`, `endDate` and `last`; `last` is `most` at most."""
    start, end = _read_day(request, "startDate", today), _read_day(request, "endDate", today)
    if start is not None and end is not None and end < start:
        raise Problem(400, f"endDate {end:08} is before startDate {start:08}", parameter="endDate")
    last = _read_number(request, "last", 1, most)
    if last is not None and (start is not None or end is not None):
        other = "endDate" if start is None else "startDate"
        raise Problem(400, f"last {last} cannot be given together with {other}", parameter="last")
    return start, end, last


def _is_relative(request: Request) -> bool:
    """Return whether a day that was read depends on the current one."""
    return any(request.query[name][0][0].isalpha() for name in ("startDate", "endDate") if name in request.query)


def _read_day(request: Request, name: str, today: int) -> int | None:
    if name not in request.query:
        return None
    return read_parameter(request, name, lambda text: parse_day_or_relative(text, today))


def _read_choice(request: Request, name: str, *choices: str) -> str | None:
    if name not in request.query:
        return None
    return read_parameter(request, name, lambda text: parse_choice(text, *choices))


def _read_number(request: Request, name: str, minimum: int, maximum: int) -> int | None:
    if name not in request.query:
        return None
    return read_parameter(request, name, lambda text: _parse_plain_number(text, minimum, maximum))


def _parse_plain_number(text: str, minimum: int, maximum: int) -> int:
    number = parse_whole_number(text, minimum, maximum)
    if text != str(number):
        raise InvalidValue(text, f"is not a whole number from {minimum:,} to {maximum:,} in plain digits")
    return number


def _parse_compare(text: str) -> Literal["previous", "year"] | int:
    if text == "previous":
        return "previous"
    if text == "year":
        return "year"
    # `previous` in the link to a next page, where the range is shorter than it was.
    if re.fullmatch("[1-9][0-9]{0,6}", text):
        return int(text)
    raise InvalidValue(text, "is not previous or year")


def _given(**parameters: str | int | bool | None) -> dict[str, str]:
    return {name: str(text) for name, text in parameters.items() if text}


def _refuse_slips(request: Request, names: Collection[str], others: Collection[str], path: str) -> None:
    """Raise Problem (400) for a name that is nearly one of ours, or one of ours at another path.

    Ignored, as unknown names are, it would give another answer than was asked for. Payload 1.0 stays as the book's
    service was: there it is ignored.
    """
    if request.payload == "1.0":
        return
    unknown = [name for name in request.query if name not in names]
    for name in unknown[:MAX_SLIPS]:
        if name in others:
            raise Problem(400, f"{name} is not a parameter of this address, but of {path}", parameter=name)
        if right := right_name(name, names):
            raise Problem(400, f"{name} is not a parameter; {right} is", parameter=right)
