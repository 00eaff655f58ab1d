"""Lambda entry point of the counts: parse, ask, answer."""

from __future__ import annotations

import logging
import os

from dynamodb import Unavailable, connect
from http_utils import Context, Problem, Request, Response, entry_point, link, negotiate, represent
from query import read_format, read_selection, read_series_id, write_selection
from repository import VisitsTable
from visits import to_csv, to_json

# Made while Lambda initialises: then the function has a whole CPU, whatever its memory.
TABLE = VisitsTable(connect(os.environ["AWS_REGION"]), os.environ["VISITS_TABLE"])

CACHE_CONTROL = os.environ["CACHE_CONTROL"]

RETRY_AFTER_S = 5
"""DynamoDB splits hot partitions and replaces lost nodes within seconds to minutes, so ask again soon."""

CONTENT_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8; header=present"}
"""By the value of `format`; the first is the default."""

WRITERS = {"json": to_json, "csv": to_csv}

logger = logging.getLogger(__name__)


@entry_point
def get_visits(request: Request, context: Context) -> Response:
    """Answer `GET /visits/{resourceId}`: the event's visits by day or longer interval, as openapi.yml describes."""
    event_id = read_series_id(request)
    selection = read_selection(request)
    accepted = negotiate(request, CONTENT_TYPES)
    form = read_format(request) or accepted
    try:
        page = selection.first_page(event_id, TABLE.reader(lambda: context.get_remaining_time_in_millis() / 1000))
    except Unavailable as error:
        logger.warning("%s", error)
        detail = f"The counts cannot be read at the moment; try again in {RETRY_AFTER_S} seconds"
        raise Problem(503, detail, headers={"Retry-After": str(RETRY_AFTER_S)}) from error
    # A link leaves `format` out where the `Accept` of this request asks for the same.
    form_asked = {} if form == accepted else {"format": form}
    links = {"self": write_selection(selection) | form_asked}
    if page.more:
        links["next"] = write_selection(page.more) | form_asked
    headers = {"Cache-Control": CACHE_CONTROL, "Link": link(request, links)}
    return represent(request, CONTENT_TYPES[form], WRITERS[form](event_id, page.rows), headers)
