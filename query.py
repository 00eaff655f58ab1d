"""A query string understood as a selection of rows, and written back. No AWS."""

from __future__ import annotations

from http_utils import Problem, Request, read_parameter
from series import MAX_ROWS, Interval, Selection
from visits import InvalidValue, parse_choice, parse_day, parse_series_id, parse_whole_number

FORMATS = ("json", "csv")
"""The values of `format`."""


def read_series_id(request: Request) -> str:
    """Return the id of the series that the path names; raise Problem (404) if it cannot be one."""
    try:
        return parse_series_id(request.resource_id)
    except InvalidValue as error:
        raise Problem(404, f"resourceId {error}", parameter="resourceId") from error


def read_format(request: Request) -> str | None:
    """Return the value of `format`, None where it is not given; raise Problem (400)."""
    return read_parameter(request, "format", lambda text: parse_choice(text, *FORMATS))


def read_selection(request: Request) -> Selection:
    """Return the rows that the query asks for; raise Problem (400) where a parameter breaks a rule."""
    start = read_parameter(request, "startDate", parse_day)
    end = read_parameter(request, "endDate", parse_day)
    if start is not None and end is not None and end < start:
        raise Problem(400, f"endDate {end:08} is before startDate {start:08}", parameter="endDate")
    fill = read_parameter(request, "fill", lambda text: parse_choice(text, "zero"))
    interval = read_parameter(request, "interval", lambda text: Interval(parse_choice(text, *Interval)))
    order = read_parameter(request, "order", lambda text: parse_choice(text, "asc", "desc"))
    limit = read_parameter(request, "limit", lambda text: parse_whole_number(text, 1, MAX_ROWS))
    return Selection(start, end, fill == "zero", interval or Interval.DAY, order == "desc", limit or MAX_ROWS)


def write_selection(selection: Selection) -> dict[str, str]:
    """Return the query that asks for a selection, defaults left out; the inverse of `read_selection`."""
    query = {
        "startDate": selection.start and f"{selection.start:08}",
        "endDate": selection.end and f"{selection.end:08}",
        "fill": selection.fill and "zero",
        "interval": selection.interval is not Interval.DAY and selection.interval.value,
        "order": selection.descending and "desc",
        "limit": selection.limit != MAX_ROWS and str(selection.limit),
    }
    return {name: text for name, text in query.items() if text}
