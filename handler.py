"""Lambda entry points of the counts: parse, ask, answer."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dynamodb import Unavailable, connect
from events import UnusableRange, find_days, rank_events
from http_utils import Context, Problem, Request, Response, entry_point, link, negotiate, represent
from intervals import day_of
from query import (
    SeriesQuery,
    read_events_query,
    read_series_query,
    with_dates,
    write_events_query,
    write_series_query,
)
from repository import MAX_PAGES, Budget, TooMuchToRead, VisitsTable
from representations import days_that_fit, events_that_fit, events_to_csv, events_to_json, to_csv, to_json, to_wide_csv
from series import Page, read_page

if TYPE_CHECKING:
    from series import Read

# Made while Lambda initialises: then the function has a whole CPU, whatever its memory.
TABLE = VisitsTable(connect(os.environ["AWS_REGION"]), os.environ["VISITS_TABLE"])

CACHE_CONTROL = os.environ["CACHE_CONTROL"]

CLOCK: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731

RETRY_AFTER_S = 5
"""DynamoDB splits hot partitions and replaces lost nodes within seconds to minutes, so ask again soon."""

CONTENT_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8; header=present"}
"""By the value of `format`; the first is the default."""


def _series_as_json(query: SeriesQuery, page: Page) -> str:
    return to_json(page, iso=query.iso)


def _series_as_csv(query: SeriesQuery, page: Page) -> str:
    if query.selection.wide:
        return to_wide_csv(page, query.event_ids, iso=query.iso)
    return to_csv(page, compare=query.selection.compare is not None, iso=query.iso)


SERIES_WRITERS: Mapping[str, Callable[[SeriesQuery, Page], str]] = {"json": _series_as_json, "csv": _series_as_csv}
EVENTS_WRITERS = {"json": events_to_json, "csv": events_to_csv}

SERIES_TYPES = {name: CONTENT_TYPES[name] for name in SERIES_WRITERS}
EVENTS_TYPES = {name: CONTENT_TYPES[name] for name in EVENTS_WRITERS}

logger = logging.getLogger(__name__)


@entry_point
def get_visits(request: Request, context: Context) -> Response:
    """Answer `GET /visits/{resourceId}`: the visits of events by day or longer interval, as openapi.yml describes."""
    now = CLOCK()
    accepted = negotiate(request, SERIES_TYPES)
    query = read_series_query(request, day_of(now), accepted)
    with _problems_of_reading():
        read = TABLE.reader(_budget(context))
        query = with_dates(query, read)
        page = Page({}) if query.last else _read_page(query, read)
    following = query._replace(selection=page.more) if page.more else None
    links = {"self": write_series_query(query, accepted)}
    if following:
        links["next"] = write_series_query(following, accepted)
    return represent(
        request,
        CONTENT_TYPES[query.form],
        SERIES_WRITERS[query.form](query, page),
        {"Cache-Control": _cache_control(now, query.is_relative), "Link": link(request, links)},
        version=str(following and write_series_query(following, query.form)),
    )


@entry_point
def list_visits(request: Request, context: Context) -> Response:
    """Answer `GET /visits`: which events were visited in a range, and how often, as openapi.yml describes."""
    now = CLOCK()
    accepted = negotiate(request, EVENTS_TYPES)
    query = read_events_query(request, day_of(now), accepted)
    with _problems_of_reading():
        budget = _budget(context)
        start, end, days = find_days(query.start, query.end, query.last, day_of(now), TABLE.reader(budget))
        rows = rank_events(days, TABLE.day_reader(budget), descending=query.descending)
    if query.last:
        query = query._replace(start=start, end=end, last=None)
    shown = rows[query.offset : query.offset + query.limit]
    shown = shown[: events_that_fit(shown)]
    offset = query.offset + len(shown)
    following = query._replace(offset=offset) if shown and offset < len(rows) else None
    links = {"self": write_events_query(query, accepted)}
    if following:
        links["next"] = write_events_query(following, accepted)
    return represent(
        request,
        CONTENT_TYPES[query.form],
        EVENTS_WRITERS[query.form](shown, iso=query.iso),
        {"Cache-Control": _cache_control(now, query.is_relative), "Link": link(request, links)},
        version=str(following and write_events_query(following, query.form)),
    )


def _read_page(query: SeriesQuery, read: Read) -> Page:
    """Return the rows of a query, `limit` at most, and not more than an answer has room for."""
    selection = query.selection
    if not selection.wide:
        return read_page(query.event_ids, selection, read)
    limit = min(selection.limit, days_that_fit(len(query.event_ids)))
    page = read_page(query.event_ids, selection._replace(limit=limit), read)
    return page._replace(more=page.more._replace(limit=selection.limit)) if page.more else page


@contextmanager
def _problems_of_reading() -> Iterator[None]:
    try:
        yield
    except UnusableRange as error:
        raise Problem(400, str(error), parameter="startDate") from error
    except TooMuchToRead as error:
        raise Problem(400, str(error)) from error
    except Unavailable as error:
        logger.warning("%s", error)
        detail = f"The counts cannot be read at the moment; try again in {RETRY_AFTER_S} seconds"
        raise Problem(503, detail, headers={"Retry-After": str(RETRY_AFTER_S)}) from error


def _budget(context: Context) -> Budget:
    return Budget(lambda: context.get_remaining_time_in_millis() / 1000, MAX_PAGES)


def _cache_control(now: datetime, is_relative: bool) -> str:
    """Return for how long an answer may be kept: one that depends on the current day, until the day is over."""
    if not is_relative:
        return CACHE_CONTROL
    left_s = 86_400 - (now.hour * 60 + now.minute) * 60 - now.second
    return re.sub(r"(?<=max-age=)[0-9]+", lambda age: str(min(int(age[0]), left_s)), CACHE_CONTROL)
