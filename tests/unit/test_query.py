"""A query string is understood, and written back."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_utils import Problem, Request
from intervals import Interval
from query import (
    EVENTS_PARAMETERS,
    SERIES_PARAMETERS,
    EventsQuery,
    parse_day_or_relative,
    read_events_query,
    read_series_query,
    with_dates,
    write_events_query,
    write_series_query,
)
from selection import Selection
from visits import InvalidValue

TODAY = 20200331
PLAIN = Selection()


def request(query: str, ids: str = "324", payload: str = "2.0") -> Request:
    """Return a request with this query."""
    return Request(ids, parse_qs(query, keep_blank_values=True), payload=payload)


@pytest.mark.parametrize(
    ("query", "selection", "understood"),
    [
        ("", PLAIN, ""),
        ("startDate=2017-10-02", PLAIN._replace(start=20171002), "startDate=20171002"),
        ("endDate=00010101", PLAIN._replace(end=10101), "endDate=00010101"),
        (
            "startDate=today-1m&endDate=today",
            PLAIN._replace(start=20200229, end=TODAY),
            "startDate=20200229&endDate=20200331",
        ),
        ("fill=zero", Selection(fill=True, latest=20200401), "fill=zero"),
        (
            "interval=week&order=desc",
            PLAIN._replace(interval=Interval.WEEK, descending=True),
            "interval=week&order=desc",
        ),
        ("interval=quarter", PLAIN._replace(interval=Interval.QUARTER), "interval=quarter"),
        ("interval=total", PLAIN._replace(interval=Interval.TOTAL), "interval=total"),
        ("limit=10000&order=asc&interval=day&format=json&layout=long&days=number", PLAIN, ""),
        ("utm_source=mail&key=secret&_=1&from=2017&full=yes&list=1", PLAIN, ""),
        (
            "format=csv&limit=5&order=desc&interval=month&fill=zero&endDate=20171231&startDate=20170101",
            Selection(20170101, 20171231, True, Interval.MONTH, True, 5, latest=20200401),
            "startDate=20170101&endDate=20171231&fill=zero&interval=month&order=desc&limit=5&format=csv",
        ),
        (
            "startDate=20170101&endDate=20171231&fill=zero&compare=previous",
            Selection(20170101, 20171231, fill=True, compare="previous", latest=20200401),
            "startDate=20170101&endDate=20171231&compare=previous",
        ),
        (
            "startDate=20170101&endDate=20171231&compare=60",
            Selection(20170101, 20171231, fill=True, compare=60, latest=20200401),
            "startDate=20170101&endDate=20171231&compare=60",
        ),
        ("layout=wide&format=csv&limit=1", PLAIN._replace(wide=True, limit=1), "limit=1&format=csv&layout=wide"),
    ],
)
def test_a_query_is_understood_and_written_back_without_defaults(
    query: str, selection: Selection, understood: str
) -> None:
    """Asked again as it is written back, a query is understood the same; unknown parameters are ignored."""
    found = read_series_query(request(query), TODAY)

    assert selection == found.selection
    assert understood == urlencode(write_series_query(found))
    assert found._replace(is_relative=False) == read_series_query(request(understood), TODAY)


def test_days_format_and_events_are_understood() -> None:
    """What `Accept` asks for needs no parameter in a link."""
    found = read_series_query(request("days=iso", "318,324,all"), TODAY, "csv")

    assert (("318", "324", "all"), "csv", True) == (found.event_ids, found.form, found.iso)
    assert {"days": "iso"} == write_series_query(found, "csv")
    assert {"format": "csv", "days": "iso"} == write_series_query(found)


def test_the_last_days_come_to_dates() -> None:
    """They end with the newest day; as long as there is none, the query stays as it is."""
    query = read_series_query(request("last=3&interval=month"), TODAY)

    found = with_dates(query, lambda _: [[{20200314: 1}]])
    assert {"startDate": "20200101", "endDate": "20200314", "interval": "month"} == write_series_query(found)
    assert query == with_dates(query, lambda wanted: [[] for _ in wanted])
    assert {"last": "3", "interval": "month"} == write_series_query(query)
    assert found == with_dates(found, lambda _: [])


@pytest.mark.parametrize(
    ("text", "today", "day"),
    [
        ("20171002", TODAY, 20171002),
        ("today", TODAY, 20200331),
        ("yesterday", TODAY, 20200330),
        ("today-0d", TODAY, 20200331),
        ("today-31d", TODAY, 20200229),
        ("yesterday-30d", TODAY, 20200229),
        ("today-007d", TODAY, 20200324),
        ("today-2w", TODAY, 20200317),
        ("today-1m", TODAY, 20200229),
        ("today-13m", TODAY, 20190228),
        ("yesterday-1m", TODAY, 20200229),
        ("today-1m", 20210330, 20210228),
        ("today-1m", 20210131, 20201231),
        ("today-4m", 20200229, 20191029),
        ("today-1y", 20200229, 20190228),
        ("today-4y", 20200229, 20160229),
        ("today-12m", 20200229, 20190228),
        ("yesterday", 20210101, 20201231),
        ("today-2019y", TODAY, 10331),
    ],
)
def test_a_day_can_be_relative_to_the_current_one(text: str, today: int, day: int) -> None:
    """A month or year goes back on the calendar, to the last day of a month that is too short."""
    assert day == parse_day_or_relative(text, today)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        *(
            (text, "is not a calendar date (YYYYMMDD)")
            for text in ("tomorrow", "today+1d", "today 1d", "Today", "today-d")
        ),
        *(
            (text, "is not a calendar date (YYYYMMDD)")
            for text in ("today-1", "today-1h", "today-1.5d", "-1d", "today-\u0661d")
        ),
        *(
            (text, "is before the year 1")
            for text in ("today-2020y", "today-999999d", "today-999999m", "yesterday-24243m")
        ),
    ],
)
def test_what_is_no_relative_day_is_refused(text: str, rule: str) -> None:
    """Neither a guess nor a day before the calendar."""
    with pytest.raises(InvalidValue) as raised:
        parse_day_or_relative(text, TODAY)

    assert rule == raised.value.rule


@pytest.mark.parametrize(
    ("query", "is_relative"), [("startDate=today", True), ("endDate=yesterday", True), ("", False)]
)
def test_a_query_says_whether_it_depends_on_the_current_day(query: str, *, is_relative: bool) -> None:
    """So do both kinds of query."""
    assert is_relative == read_series_query(request(query), TODAY).is_relative
    assert is_relative == read_events_query(request(query), TODAY).is_relative


INTERVALS = "day, week, month, quarter, year or total"

PROBLEMS = [
    ("startDate=20171399", "startDate", "startDate '20171399' is not a calendar date (YYYYMMDD)"),
    ("endDate=", "endDate", "endDate '' is not a calendar date (YYYYMMDD)"),
    ("startDate=00010102&endDate=00010101", "endDate", "endDate 00010101 is before startDate 00010102"),
    ("startDate=today&endDate=yesterday", "endDate", "endDate 20200330 is before startDate 20200331"),
    ("last=0", "last", "last '0' is not a whole number from 1 to 10,000"),
    ("last=3&endDate=20171001", "last", "last 3 cannot be given together with endDate"),
    ("last=3&startDate=20171001", "last", "last 3 cannot be given together with startDate"),
    ("fill=none", "fill", "fill 'none' is not zero"),
    ("fill=", "fill", "fill '' is not zero"),
    ("interval=hour", "interval", f"interval 'hour' is not {INTERVALS}"),
    ("interval=Day", "interval", f"interval 'Day' is not {INTERVALS}"),
    ("compare=last&last=3", "compare", "compare 'last' is not previous or year"),
    ("compare=0&last=3", "compare", "compare '0' is not previous or year"),
    ("compare=year", "compare", "compare needs a range with two ends: startDate and endDate, or last"),
    (
        "compare=previous&startDate=20170101",
        "compare",
        "compare needs a range with two ends: startDate and endDate, or last",
    ),
    ("order=up", "order", "order 'up' is not asc or desc"),
    ("limit=0", "limit", "limit '0' is not a whole number from 1 to 10,000"),
    ("limit=10001", "limit", "limit '10001' is not a whole number from 1 to 10,000"),
    ("limit=-1", "limit", "limit '-1' is not a whole number from 1 to 10,000"),
    ("limit=1.5", "limit", "limit '1.5' is not a whole number from 1 to 10,000"),
    ("limit=", "limit", "limit '' is not a whole number from 1 to 10,000"),
    ("limit=005", "limit", "limit '005' is not a whole number from 1 to 10,000 in plain digits"),
    ("format=xml", "format", "format 'xml' is not json or csv"),
    ("layout=tall&format=csv", "layout", "layout 'tall' is not long or wide"),
    ("layout=wide", "layout", "layout 'wide' is one of format=csv"),
    ("layout=wide&format=csv&last=1&compare=year", "layout", "layout 'wide' has no column for compare"),
    ("days=text", "days", "days 'text' is not number or iso"),
    ("offset=5", "offset", "offset is not a parameter of this address, but of /visits"),
    *(
        (f"{name}=a&{name}=a", name, f"{name} is given 2 times, where one value is allowed")
        for name in SERIES_PARAMETERS
    ),
]


@pytest.mark.parametrize(("query", "parameter", "detail"), PROBLEMS)
def test_a_parameter_that_breaks_a_rule_is_named_with_value_and_rule(query: str, parameter: str, detail: str) -> None:
    """Malformed, empty, repeated, out of range, or against another."""
    with pytest.raises(Problem) as raised:
        read_series_query(request(query), TODAY)

    assert (400, detail, parameter) == (raised.value.status, raised.value.detail, raised.value.parameter)


FIFTY_ONE = ",".join(map(str, range(51)))


@pytest.mark.parametrize(
    ("ids", "query", "status", "parameter", "detail"),
    [
        ("abc", "", 404, "resourceId", "resourceId 'abc' is neither a number (ASCII digits) nor 'all'"),
        ("324,abc", "", 404, "resourceId", "resourceId 'abc' is neither a number (ASCII digits) nor 'all'"),
        ("324,", "", 404, "resourceId", "resourceId '' is neither a number (ASCII digits) nor 'all'"),
        ("324, 318", "", 404, "resourceId", "resourceId ' 318' is neither a number (ASCII digits) nor 'all'"),
        ("324,318,324", "", 400, "resourceId", "resourceId '324' is given twice"),
        (FIFTY_ONE, "", 400, "resourceId", "resourceId has 51 ids, where at most 50 are allowed"),
        ("1,2,3", "limit=2", 400, "limit", "limit 2 is less than the 3 events, whose rows of a day are on one page"),
    ],
)
def test_ids_that_break_a_rule_are_named(ids: str, query: str, status: int, parameter: str, detail: str) -> None:
    """What can be no event is not found; a repeated id, or too many, is a mistake."""
    with pytest.raises(Problem) as raised:
        read_series_query(request(query, ids), TODAY)

    assert (status, detail, parameter) == (raised.value.status, raised.value.detail, raised.value.parameter)


def test_a_page_of_one_row_a_day_needs_no_row_for_each_event() -> None:
    """The events of a day share a row of wide CSV."""
    assert 1 == read_series_query(request("limit=1&layout=wide&format=csv", "1,2,3"), TODAY).selection.limit
    assert 50 == len(read_series_query(request("", FIFTY_ONE.removeprefix("0,")), TODAY).event_ids)


@pytest.mark.parametrize(("name", "right"), [("startdate", "startDate"), ("intervall", "interval"), ("day", "days")])
def test_a_slip_of_a_name_is_refused_and_the_right_one_named(name: str, right: str) -> None:
    """An answer to another question than was asked would be worse than an error; payload 1.0 ignores it."""
    with pytest.raises(Problem) as raised:
        read_series_query(request(f"{name}=20171001"), TODAY)

    assert (400, f"{name} is not a parameter; {right} is", right) == (
        raised.value.status,
        raised.value.detail,
        raised.value.parameter,
    )
    assert PLAIN == read_series_query(request(f"{name}=20171001", payload="1.0"), TODAY).selection


def test_looking_for_slips_is_bounded() -> None:
    """Of the unknown names of a query, 20 are looked at."""
    unknown = "&".join(f"x{n}=1" for n in range(20))

    assert PLAIN == read_series_query(request(f"{unknown}&startdate=1"), TODAY).selection


@pytest.mark.parametrize(
    ("query", "found", "understood"),
    [
        ("", EventsQuery(last=30), ""),
        ("last=7", EventsQuery(last=7), "last=7"),
        ("startDate=20200101", EventsQuery(20200101), "startDate=20200101"),
        ("endDate=today", EventsQuery(None, TODAY), "endDate=20200331"),
        (
            "days=iso&offset=20&limit=10&order=asc&format=csv&endDate=20200131&startDate=20200101",
            EventsQuery(20200101, 20200131, None, False, 10, 20, "csv", True),
            "startDate=20200101&endDate=20200131&order=asc&limit=10&offset=20&format=csv&days=iso",
        ),
        ("order=desc&limit=100&offset=0&format=json&days=number&last=30", EventsQuery(last=30), ""),
    ],
)
def test_a_query_for_events_is_understood_and_written_back(query: str, found: EventsQuery, understood: str) -> None:
    """By default it is the 30 days up to the newest, a hundred events, the most visited first."""
    assert found == read_events_query(request(query), TODAY)._replace(is_relative=False)
    assert understood == urlencode(write_events_query(found))


@pytest.mark.parametrize(
    ("query", "parameter", "detail"),
    [
        ("last=367", "last", "last '367' is not a whole number from 1 to 366"),
        ("offset=-1", "offset", "offset '-1' is not a whole number from 0 to 10,000,000"),
        ("offset=+1", "offset", "offset ' 1' is not a whole number from 0 to 10,000,000"),
        ("offset=%2B1", "offset", "offset '+1' is not a whole number from 0 to 10,000,000 in plain digits"),
        ("limit=0", "limit", "limit '0' is not a whole number from 1 to 10,000"),
        ("format=svg", "format", "format 'svg' is not json or csv"),
        ("interval=week", "interval", "interval is not a parameter of this address, but of /visits/{resourceId}"),
        ("off_set=1", "offset", "off_set is not a parameter; offset is"),
        *(
            (f"{name}=&{name}=", name, f"{name} is given 2 times, where one value is allowed")
            for name in EVENTS_PARAMETERS
        ),
    ],
)
def test_a_query_for_events_that_breaks_a_rule_is_named(query: str, parameter: str, detail: str) -> None:
    """As for series; what only series have is no parameter here."""
    with pytest.raises(Problem) as raised:
        read_events_query(request(query), TODAY)

    assert (400, detail, parameter) == (raised.value.status, raised.value.detail, raised.value.parameter)


def status_of(read: Callable[[Request, int], object], request: Request) -> int:
    try:
        read(request, TODAY)
    except Problem as problem:
        return problem.status
    return 200


@given(
    st.dictionaries(st.sampled_from(SERIES_PARAMETERS) | st.text(max_size=25), st.text(max_size=20), max_size=4),
    st.text(max_size=30),
)
def test_no_text_is_more_than_a_mistake(query: dict[str, str], ids: str) -> None:
    """Whatever is asked is understood, or is a Problem with a status of the asker's."""
    request = Request(ids, {name: [value] for name, value in query.items()})
    for read in (read_series_query, read_events_query):
        assert status_of(read, request) in {200, 400, 404}
