"""Lambda entry points of the HTTP API: parse, ask, answer."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from http_utils import (
    Event,
    Problem,
    Request,
    Response,
    link,
    negotiate,
    read_parameter,
    read_request,
    represent,
    respond,
)
from series import MAX_ROWS, Interval, Selection
from visits import InvalidValue, parse_choice, parse_day, parse_series_id, parse_whole_number, to_csv, to_json

if TYPE_CHECKING or "VISITS_TABLE" in os.environ:  # getChart has none, and starts without DynamoDB's client
    from dynamodb import Unavailable, connect
    from repository import VisitsTable

    # Made while Lambda initialises, which has a whole CPU whatever the function's memory.
    TABLE = VisitsTable(connect(os.environ["AWS_REGION"]), os.environ["VISITS_TABLE"])

CACHE_CONTROL = os.environ["CACHE_CONTROL"]

RETRY_AFTER_S = 5
"""On-demand tables split hot partitions and lost nodes are replaced within seconds to minutes: ask again soon."""

CONTENT_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8; header=present"}
"""By the value of `format`; the first is the default."""

WRITERS = {"json": to_json, "csv": to_csv}

logger = logging.getLogger(__name__)


class Context(Protocol):
    """What Lambda tells an invocation about itself, as far as it is used here."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left of the function's timeout."""
        ...


def get_visits(event: Event, context: Context) -> Response:
    """Answer `GET /visits/{resourceId}`: the event's visits by day or longer interval, as openapi.yml describes."""
    return _answered(
        lambda: _visits(TABLE, read_request(event), lambda: context.get_remaining_time_in_millis() / 1000), context
    )


def get_chart(event: Event, context: Context) -> Response:
    """Answer `GET /visits/{resourceId}/chart`: the page that draws the series, with no count in it.

    Where the parameters make no sense, a browser gets the page all the same, which says why; the status tells programs.
    """
    return _answered(lambda: _chart(read_request(event)), context)


def _answered(answer: Callable[[], Response], context: Context) -> Response:
    try:
        return answer()
    except Problem as problem:
        return problem.response()
    except Exception:
        logger.exception("request %s failed", context.aws_request_id)
        detail = f"The request failed for a reason of ours; its id is {context.aws_request_id}"
        return Problem(500, detail).response()


def _chart(request: Request) -> Response:
    import chart  # not above: getVisits starts without it

    page = chart.page()
    try:
        _event_id(request)
        _selection(request)
        _format(request)
    except Problem as problem:
        if negotiate(request, {"problem": "application/problem+json", "page": chart.CONTENT_TYPE}) == "problem":
            raise
        return respond(problem.status, chart.CONTENT_TYPE, page.html, {**page.headers, "Cache-Control": "no-store"})
    return represent(request, chart.CONTENT_TYPE, page.html, {**page.headers, "Cache-Control": CACHE_CONTROL})


def _visits(table: VisitsTable, request: Request, time_left_s: Callable[[], float]) -> Response:
    event_id = _event_id(request)
    selection = _selection(request)
    accepted = negotiate(request, CONTENT_TYPES)
    form = _format(request) or accepted
    try:
        page = table.series(event_id, selection, time_left_s)
    except Unavailable as error:
        logger.warning("%s", error)
        detail = f"The counts cannot be read at the moment; try again in {RETRY_AFTER_S} seconds"
        raise Problem(503, detail, headers={"Retry-After": str(RETRY_AFTER_S)}) from error
    # What `Accept` asks for by itself needs no parameter.
    as_asked = {} if form == accepted else {"format": form}
    links = {"self": _query(selection) | as_asked}
    if page.more:
        links["next"] = _query(page.more) | as_asked
    headers = {"Cache-Control": CACHE_CONTROL, "Link": link(request, links)}
    return represent(request, CONTENT_TYPES[form], WRITERS[form](event_id, page.rows), headers)


def _event_id(request: Request) -> str:
    try:
        return parse_series_id(request.resource_id)
    except InvalidValue as error:
        raise Problem(404, f"resourceId {error}", parameter="resourceId") from error


def _format(request: Request) -> str | None:
    return read_parameter(request, "format", lambda text: parse_choice(text, *CONTENT_TYPES))


def _selection(request: Request) -> Selection:
    """Return what the query asks for; raise Problem where it makes no sense."""
    start = read_parameter(request, "startDate", parse_day)
    end = read_parameter(request, "endDate", parse_day)
    if start is not None and end is not None and end < start:
        raise Problem(400, f"endDate {end:08} is before startDate {start:08}", parameter="endDate")
    fill = read_parameter(request, "fill", lambda text: parse_choice(text, "zero"))
    interval = read_parameter(request, "interval", lambda text: Interval(parse_choice(text, *Interval)))
    order = read_parameter(request, "order", lambda text: parse_choice(text, "asc", "desc"))
    limit = read_parameter(request, "limit", lambda text: parse_whole_number(text, 1, MAX_ROWS))
    return Selection(start, end, fill == "zero", interval or Interval.DAY, order == "desc", limit or MAX_ROWS)


def _query(selection: Selection) -> dict[str, str]:
    """Return the query that asks for a selection, defaults left out; the inverse of `_selection`."""
    query = {
        "startDate": selection.start and f"{selection.start:08}",
        "endDate": selection.end and f"{selection.end:08}",
        "fill": selection.fill and "zero",
        "interval": selection.interval is not Interval.DAY and selection.interval.value,
        "order": selection.descending and "desc",
        "limit": selection.limit != MAX_ROWS and str(selection.limit),
    }
    return {name: text for name, text in query.items() if text}
