"""Lambda entry points of the HTTP API: parse, ask, answer."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Protocol

from http_utils import Event, Problem, Request, Response, read_parameter, read_request, respond
from repository import Unavailable, VisitsTable, connect
from visits import InvalidValue, parse_day, parse_series_id, to_json

RETRY_AFTER_S = 5
"""On-demand tables split hot partitions and lost nodes are replaced within seconds to minutes: ask again soon."""

logger = logging.getLogger(__name__)

# Made while Lambda initialises, which has a whole CPU whatever the function's memory.
TABLE = VisitsTable(connect(os.environ["AWS_REGION"]), os.environ["VISITS_TABLE"])


class Context(Protocol):
    """What Lambda tells an invocation about itself, as far as it is used here."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left of the function's timeout."""
        ...


def get_visits(event: Event, context: Context) -> Response:
    """Answer `GET /visits/{resourceId}`: the event's daily counts from `startDate` to `endDate`, oldest first."""
    try:
        return _visits(TABLE, read_request(event), lambda: context.get_remaining_time_in_millis() / 1000)
    except Problem as problem:
        return problem.response()
    except Exception:
        logger.exception("request %s failed", context.aws_request_id)
        detail = f"The request failed for a reason of ours; its id is {context.aws_request_id}"
        return Problem(500, detail).response()


def _visits(table: VisitsTable, request: Request, time_left_s: Callable[[], float]) -> Response:
    try:
        event_id = parse_series_id(request.resource_id)
    except InvalidValue as error:
        raise Problem(404, f"resourceId {error}", parameter="resourceId") from error
    start = read_parameter(request, "startDate", parse_day)
    end = read_parameter(request, "endDate", parse_day)
    if start is not None and end is not None and end < start:
        raise Problem(400, f"endDate {end} is before startDate {start}", parameter="endDate")
    try:
        rows = table.query(event_id, start, end, time_left_s)
    except Unavailable as error:
        logger.warning("%s", error)
        detail = f"The counts cannot be read at the moment; try again in {RETRY_AFTER_S} seconds"
        raise Problem(503, detail, headers={"Retry-After": str(RETRY_AFTER_S)}) from error
    return respond(200, "application/json", to_json(rows))
