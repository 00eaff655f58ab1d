"""Every answer about series is what a plain reading of the contract makes of the stored items."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from urllib.parse import urlencode, urlsplit

import pytest
from event_files import Context
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory import Memory
from reference import (
    DAY,
    Number,
    Row,
    Stored,
    Wanted,
    add_up,
    as_csv,
    as_json,
    as_wide_csv,
    events_of,
    rows_of,
)

import handler
from http_utils import Response
from repository import VisitsTable

INTERVALS = ["day", "week", "month", "quarter", "year", "total"]

TODAYS = [date(1, 3, 1), date(2015, 12, 31), date(2020, 2, 29), date(2021, 3, 31), date(9999, 12, 30)]
"""The calendar's ends, the end of a year with 53 ISO weeks, a leap day, a month's end after a short month."""

IDS = ["324", "318", "007", "7", "all"]

numbers = st.integers(0, 5) | st.sampled_from([0, 0.5, 0.1, 0.2, 10**15, 10**20])


def text(day: date) -> str:
    return f"{day.year:04}{day.month:02}{day.day:02}"


@st.composite
def stored(draw: st.DrawFn, today: date, ids: Sequence[str]) -> Stored:
    """Items of some events around a day, with `all` or without, some of its days taken back."""
    span = draw(st.sampled_from([10, 100, 800]))
    low, high = max(today.toordinal() - span, 1), min(today.toordinal() + 5, date.max.toordinal())
    days = st.integers(low, high).map(date.fromordinal)
    counts: dict[str, dict[date, Number]] = {
        event_id: draw(st.dictionaries(days, numbers, max_size=12)) for event_id in ids if event_id != "all"
    }
    if draw(st.booleans()):
        every = {day for each in counts.values() for day in each} | draw(st.sets(days, max_size=6))
        taken_back = frozenset(draw(st.sets(days, max_size=4)))
        for each in counts.values():
            each.update(dict.fromkeys(taken_back & each.keys(), 0))
        counts["all"] = {
            day: add_up([each.get(day, 0) for each in counts.values()]) for day in sorted(every | taken_back)
        }
        return Stored(counts, taken_back)
    return Stored(counts)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Stored, Wanted]:
    """What is stored, and what is asked for, whole."""
    today = draw(st.sampled_from(TODAYS))
    ids = draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=4, unique=True))
    near = st.integers(max(today.toordinal() - 120, 1), min(today.toordinal() + 3, date.max.toordinal())).map(
        date.fromordinal
    )
    start, end = draw(st.none() | near), draw(st.none() | near)
    if start and end and end < start:
        start, end = end, start
    last = draw(st.none() | st.integers(1, 12) | st.just(60)) if not (start or end) else None
    compare = draw(st.sampled_from([None, "previous", "year"])) if last or (start and end) else None
    wanted = Wanted(
        event_ids=ids,
        today=today,
        start=start,
        end=end,
        last=last,
        fill=draw(st.booleans()),
        compare=compare,
        descending=draw(st.booleans()),
    )
    return draw(stored(today, ids)), wanted


def parameters(wanted: Wanted) -> dict[str, str]:
    """Return the query that asks for the rows."""
    found = {
        "startDate": wanted.start and text(wanted.start),
        "endDate": wanted.end and text(wanted.end),
        "last": wanted.last and str(wanted.last),
        "fill": "zero" if wanted.fill else None,
        "interval": wanted.interval,
        "compare": wanted.compare,
        "order": "desc" if wanted.descending else "asc",
    }
    return {name: value for name, value in found.items() if value}


def ask(wanted: Wanted, query: Mapping[str, str] | str, headers: Mapping[str, str] | None = None) -> Response:
    event = {
        "version": "2.0",
        "rawPath": f"/visits/{','.join(wanted.event_ids)}",
        "rawQueryString": query if isinstance(query, str) else urlencode(query),
        "headers": headers or {},
    }
    return handler.get_visits(event, Context())


def body(response: Response) -> str:
    assert 200 == response["statusCode"], response["body"]
    return str(response["body"])


def header(response: Response, name: str) -> str:
    headers = response["headers"]
    assert isinstance(headers, dict)
    return str(headers[name])


def link(response: Response, relation: str) -> str | None:
    """Return the query that a link has."""
    for one in header(response, "Link").split(", <"):
        target, _, rest = one.strip("<").partition(">")
        if f'rel="{relation}"' in rest:
            return urlsplit(target).query
    return None


@pytest.fixture(scope="module", autouse=True)
def clock() -> None:
    """Let every test say which day it is."""


@pytest.mark.parametrize("interval", INTERVALS)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases(), page=st.integers(1, 5) | st.just(1_000), limit=st.integers(4, 9), iso=st.booleans())
def test_rows_are_what_a_plain_reading_makes_of_the_items(
    interval: str, case: tuple[Stored, Wanted], page: int, limit: int, iso: bool
) -> None:
    """Whole, page by page, as JSON, CSV and wide CSV, and again by the link to itself."""
    items, wanted = case
    wanted = replace(wanted, interval=interval)
    expected = rows_of(items, wanted)
    compare = wanted.compare is not None
    query = parameters(wanted) | ({"days": "iso"} if iso else {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "TABLE", VisitsTable(Memory(items, page), "visits"))
        patch.setattr(handler, "CLOCK", lambda: datetime.combine(wanted.today, datetime.min.time(), UTC))

        whole = ask(wanted, query)
        assert as_json(expected, compare=compare, iso=iso) == json.loads(body(whole))
        assert as_csv(expected, compare=compare, iso=iso) == body(ask(wanted, query | {"format": "csv"}))
        if not compare:
            wide = ask(wanted, query | {"format": "csv", "layout": "wide"})
            assert as_wide_csv(expected, wanted.event_ids, iso=iso) == body(wide)
        again = ask(wanted, link(whole, "self") or "")
        assert (whole["body"], whole["headers"]) == (again["body"], again["headers"])
        if expected:
            assert_pages(wanted, query | {"limit": str(limit)}, expected, iso=iso)


def assert_pages(wanted: Wanted, query: Mapping[str, str], expected: Sequence[Row], *, iso: bool) -> None:
    """Follow the links to all pages: each row comes once, no day is split, each page is as full as can be."""
    limit = int(query["limit"])
    following: str | None = urlencode(query)
    left = list(expected)
    while following is not None:
        response = ask(wanted, following)
        rows = json.loads(body(response))
        assert 0 < len(rows) <= limit
        shown, left = left[: len(rows)], left[len(rows) :]
        assert as_json(shown, compare=wanted.compare is not None, iso=iso) == rows
        if left:
            assert shown[-1].day != left[0].day
            assert len(rows) + sum(row.day == left[0].day for row in left) > limit
        following = link(response, "next")
        assert (following is None) == (not left)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.data(),
    today=st.sampled_from(TODAYS),
    page=st.integers(1, 5) | st.just(1_000),
    limit=st.integers(1, 3),
    descending=st.booleans(),
    iso=st.booleans(),
)
def test_the_list_is_what_a_plain_reading_makes_of_the_items(
    data: st.DataObject, today: date, page: int, limit: int, *, descending: bool, iso: bool
) -> None:
    """Whole, page by page, as JSON and CSV, and again by the link to itself; ranges by dates and by the newest day."""
    items = data.draw(stored(today, IDS))
    days = st.integers(max(today.toordinal() - 120, 1), min(today.toordinal() + 3, date.max.toordinal()))
    first, last = sorted(date.fromordinal(data.draw(days)) for _ in range(2))
    written: Callable[[date], object] = date.isoformat if iso else lambda day: int(text(day))
    query = {"startDate": text(first), "endDate": text(last)}
    if count := data.draw(st.none() | st.integers(1, 366)):
        query = {"last": str(count)}
        last = max((day for day in items.days("all") if day <= today + DAY), default=today)
        first = date.fromordinal(max(last.toordinal() - count + 1, 1))
    query |= {"order": "desc" if descending else "asc"} | ({"days": "iso"} if iso else {})
    expected = [
        {
            "EventCount": visits,
            "EventId": event_id,
            "FirstDay": written(begin),
            "LastDay": written(end),
        }
        for event_id, visits, begin, end in events_of(items, first, last, descending=descending)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "TABLE", VisitsTable(Memory(items, page), "visits"))
        patch.setattr(handler, "CLOCK", lambda: datetime.combine(today, datetime.min.time(), UTC))

        whole = ask_list(urlencode(query))
        assert expected == json.loads(body(whole))
        again = ask_list(link(whole, "self") or "")
        assert (whole["body"], whole["headers"]) == (again["body"], again["headers"])
        lines = [f"{row['EventId']},{row['EventCount']},{row['FirstDay']:0>8},{row['LastDay']:0>8}" for row in expected]
        csv = body(ask_list(urlencode(query | {"format": "csv"})))
        assert "\n".join(["EventId,EventCount,FirstDay,LastDay", *lines, ""]) == csv

        found = []
        following: str | None = urlencode(query | {"limit": str(limit)})
        while following is not None:
            response = ask_list(following)
            found += json.loads(body(response))
            following = link(response, "next")
            assert (following is None) == (len(found) == len(expected))
        assert expected == found


def ask_list(query: str) -> Response:
    event = {"version": "2.0", "rawPath": "/visits", "rawQueryString": query}
    return handler.list_visits(event, Context())
