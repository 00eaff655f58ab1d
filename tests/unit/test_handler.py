"""The HTTP entry point: how a query is understood, what is said of it, what it answers when things go wrong."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import logging
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

import pytest
from databases import Reply, ScriptedDynamoDB, aws_error
from event_files import Context
from hypothesis import given
from hypothesis import strategies as st
from memory import Memory
from reference import Stored
from settings import TABLE

import handler
from http_utils import Response
from query import SERIES_PARAMETERS
from repository import VisitsTable


def get(
    resource_id: str, query: str = "", context: Context | None = None, headers: dict[str, str] | None = None
) -> Response:
    """Return the handler's response to a request in payload format 2.0."""
    event = {
        "version": "2.0",
        "rawPath": f"/visits/{resource_id}",
        "pathParameters": {"resourceId": resource_id},
        "rawQueryString": query,
        "headers": headers or {},
    }
    return handler.get_visits(event, context or Context())


def get_list(query: str = "", context: Context | None = None, headers: dict[str, str] | None = None) -> Response:
    """Return the handler's response to a request for the list of events."""
    event = {"version": "2.0", "rawPath": "/visits", "rawQueryString": query, "headers": headers or {}}
    return handler.list_visits(event, context or Context())


def problem(response: Response) -> dict[str, object]:
    body: dict[str, object] = json.loads(str(response["body"]))
    return body


def header(response: Response, name: str) -> str | None:
    headers = response["headers"]
    assert isinstance(headers, dict)
    value: str | None = headers.get(name)
    return value


def links(response: Response) -> dict[str, str]:
    """Return the targets of a `Link` header by their relation."""
    parts = (part.split("; ") for part in (header(response, "Link") or "").split(", "))
    return {relation.removeprefix('rel="').rstrip('"'): target.strip("<>") for target, relation in parts}


def rows(response: Response) -> list[tuple[int, int | None]]:
    """Return a series as (day, count), whatever its format."""
    body = str(response["body"])
    if header(response, "Content-Type") == "application/json":
        return [(row["EventDay"], row["EventCount"]) for row in json.loads(body)]
    return [
        (int(row["EventDay"]), int(row["EventCount"]) if row["EventCount"] else None)
        for row in csv.DictReader(body.splitlines())
    ]


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table that the handler asks, for requests of which only the reading matters: it has no row."""
    monkeypatch.setattr(handler, "TABLE", VisitsTable(Memory(Stored({})), TABLE))


@given(st.text(max_size=50), st.text(max_size=50), st.sampled_from(SERIES_PARAMETERS))
def test_no_text_makes_the_handler_fail(resource_id: str, value: str, name: str) -> None:
    """Whatever is asked is answered, or named as a mistake of the asker's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "TABLE", VisitsTable(Memory(Stored({})), TABLE))

        assert get(resource_id, f"{name}={value}")["statusCode"] in {200, 400, 404}
        assert get("324", value)["statusCode"] in {200, 400}
        strange = dict.fromkeys(["accept", "accept-encoding", "if-none-match"], value)
        assert get("324", headers=strange)["statusCode"] in {200, 304}


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    ("accept", "query", "content_type", "understood"),
    [
        ("*/*", "", "application/json", ""),
        ("*/*", "format=csv", "text/csv; charset=utf-8; header=present", "?format=csv"),
        ("text/csv", "", "text/csv; charset=utf-8; header=present", ""),
        ("text/csv", "format=csv", "text/csv; charset=utf-8; header=present", ""),
        ("text/csv", "format=json", "application/json", "?format=json"),
        ("text/html,*/*;q=0.8", "", "application/json", ""),
        ("text/html", "", "application/json", ""),
    ],
)
def test_the_parameter_decides_over_accept_and_stands_in_links_where_it_has_to(
    accept: str, query: str, content_type: str, understood: str
) -> None:
    """A link followed with the same `Accept` gives the same format."""
    response = get("324", query, headers={"accept": accept})

    assert content_type == header(response, "Content-Type")
    assert {"self": f"/visits/324{understood}"} == links(response)


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    ("ids", "query", "status", "parameter", "detail"),
    [
        ("324", "startDate=20171399", 400, "startDate", "startDate '20171399' is not a calendar date (YYYYMMDD)"),
        ("324", "startdate=20171001", 400, "startDate", "startdate is not a parameter; startDate is"),
        ("324,x", "", 404, "resourceId", "resourceId 'x' is neither a number (ASCII digits) nor 'all'"),
    ],
)
def test_a_request_that_breaks_a_rule_is_a_problem_that_names_it(
    ids: str, query: str, status: int, parameter: str, detail: str
) -> None:
    """The body has the parameter, the value and the rule, and repeats the detail as API Gateway's errors have it."""
    response = get(ids, query)

    assert (status, "no-store") == (response["statusCode"], header(response, "Cache-Control"))
    assert {
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "message": detail,
        "parameter": parameter,
    } == problem(response)


@pytest.mark.usefixtures("book_table")
@pytest.mark.parametrize("query", ["", "order=desc", "order=desc&format=csv&startDate=20171002"])
def test_next_goes_on_where_a_page_ends(query: str) -> None:
    """To the last page, which has none; with nothing skipped or repeated."""
    found: list[tuple[int, int | None]] = []
    following = f"{query}&limit=3"
    while following:
        response = get("324", following)
        assert len(rows(response)) <= 3
        found += rows(response)
        following = urlsplit(links(response).get("next", "")).query

    assert rows(get("324", query)) == found


@pytest.mark.usefixtures("book_table")
def test_next_is_the_same_query_moved_past_the_last_row() -> None:
    """Its end stays where it was."""
    assert {
        "self": "/visits/324?endDate=20171016&limit=3",
        "next": "/visits/324?startDate=20171011&endDate=20171016&limit=3",
    } == links(get("324", "endDate=20171016&limit=3"))
    assert {
        "self": "/visits/324?startDate=20171001&order=desc&limit=3",
        "next": "/visits/324?startDate=20171001&endDate=20171013&order=desc&limit=3",
    } == links(get("324", "startDate=20171001&order=desc&limit=3"))
    assert ["self"] == list(links(get("324", "limit=8")))


def test_a_series_that_has_not_changed_is_304_and_one_with_a_new_count_200(book_table: VisitsTable) -> None:
    """Also where only what follows the page is new."""
    first = get("324", "limit=8")
    known = {"if-none-match": header(first, "ETag") or ""}

    unchanged = get("324", "limit=8", headers=known)
    assert (304, "") == (unchanged["statusCode"], unchanged["body"])
    assert unchanged["headers"] == first["headers"]

    book_table.add("324", 20171018, 1)
    changed = get("324", "limit=8", headers=known)
    assert (200, first["body"]) == (changed["statusCode"], changed["body"])
    assert ["self", "next"] == list(links(changed))

    book_table.add("324", 20171017, 1)
    again = get("324", "limit=8", headers={"if-none-match": header(changed, "ETag") or ""})
    assert 200 == again["statusCode"]


@pytest.mark.usefixtures("silent")
def test_an_answer_may_be_kept_as_long_as_the_stage_says() -> None:
    """And says by what it varies."""
    response = get("324")

    assert "public, max-age=60" == header(response, "Cache-Control")
    assert "Accept, Accept-Encoding" == header(response, "Vary")


def test_a_long_series_is_compressed_where_that_is_accepted(table: VisitsTable) -> None:
    """And is the same decompressed."""
    for day in range(20171001, 20171032):
        table.add("324", day, 1)
    plain, compressed = get("324"), get("324", headers={"accept-encoding": "br, gzip"})

    assert "gzip" == header(compressed, "Content-Encoding")
    assert plain["body"] == gzip.decompress(base64.b64decode(str(compressed["body"]))).decode()
    assert header(plain, "ETag") == header(compressed, "ETag")


def test_a_gap_is_null_where_no_data_has_arrived_and_0_where_some_has(book_table: VisitsTable) -> None:
    """In CSV, null is empty."""
    book_table.add("325", 20171003, 9)

    query = "startDate=20171001&endDate=20171004&fill=zero"
    assert [(20171001, 3), (20171002, 5), (20171003, 0), (20171004, None)] == rows(get("324", query))
    assert [
        "EventId,EventDay,EventCount",
        "324,20171001,3",
        "324,20171002,5",
        "324,20171003,0",
        "324,20171004,",
    ] == str(get("324", f"{query}&format=csv")["body"]).splitlines()


def test_an_id_longer_than_a_partition_key_is_not_found() -> None:
    """DynamoDB would refuse the query: no event can have it."""
    response = get("1" * 101)

    assert 404 == response["statusCode"]
    assert "(101 characters) is longer than 100 digits" in str(problem(response)["detail"])
    assert len(str(response["body"])) < 500


@pytest.fixture
def dynamodb(
    scripted: ScriptedDynamoDB, scripted_table: VisitsTable, monkeypatch: pytest.MonkeyPatch
) -> ScriptedDynamoDB:
    """The DynamoDB of canned answers, as the one that the handler asks."""
    monkeypatch.setattr(handler, "TABLE", scripted_table)
    return scripted


@pytest.mark.parametrize(
    "reply",
    [aws_error("ThrottlingException"), Reply(503, "<html></html>", "text/html"), Reply(body="{}....", cut=True)],
    ids=["throttled", "5xx", "cut"],
)
def test_a_dynamodb_in_trouble_is_503_with_retry_after(
    dynamodb: ScriptedDynamoDB, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    """The reason is logged, not told."""
    dynamodb.replies = [reply]

    response = get("324")

    assert 503 == response["statusCode"]
    assert {
        "Content-Type": "application/problem+json",
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "ETag, Link, Retry-After",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Retry-After": "5",
    } == response["headers"]
    assert {
        "title": "Service Unavailable",
        "status": 503,
        "detail": "The counts cannot be read at the moment; try again in 5 seconds",
        "message": "The counts cannot be read at the moment; try again in 5 seconds",
    } == problem(response)
    assert [("handler", logging.WARNING)] == [(record.name, record.levelno) for record in caplog.records]
    assert "Query on user-visits-test" in caplog.text


def test_nothing_is_read_without_the_time_for_it(dynamodb: ScriptedDynamoDB) -> None:
    """The function answers rather than being killed: 5 s are fewer than a call may take."""
    assert 503 == get("324", context=Context(left_ms=5_000))["statusCode"]
    assert [] == dynamodb.requests


@pytest.mark.parametrize(
    "reply", [aws_error("AccessDeniedException"), aws_error("ResourceNotFoundException"), Reply(body='{"Items": [{}]}')]
)
def test_anything_else_is_500_with_the_request_id_and_nothing_more(
    dynamodb: ScriptedDynamoDB, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    """The log has the stack and the same id."""
    dynamodb.replies = [reply]

    response = get("324")

    detail = "The request failed for a reason of ours; its id is c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    assert 500 == response["statusCode"]
    assert {"title": "Internal Server Error", "status": 500, "detail": detail, "message": detail} == problem(response)
    (record,) = caplog.records
    assert "request c6af9ac6-7b61-11e6-9a41-93e8deadbeef failed" == record.getMessage()
    assert record.exc_info
    assert "Traceback" in caplog.text


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    """Let the handler's clock stand at a moment."""
    monkeypatch.setattr(handler, "CLOCK", lambda: moment)


def test_an_answer_about_the_current_day_is_not_kept_beyond_it(
    monkeypatch: pytest.MonkeyPatch, book_table: VisitsTable
) -> None:
    """It may be kept until midnight, UTC. Its link has the dates that it came to, which may be kept as ever."""
    book_table.add("324", 20201231, 7)
    at(monkeypatch, datetime(2020, 12, 31, 23, 59, 30, tzinfo=UTC))

    relative = get("324", "startDate=today-1d&endDate=today")
    dates = get("324", urlsplit(links(relative)["self"]).query)

    assert {"self": "/visits/324?startDate=20201230&endDate=20201231"} == links(relative) == links(dates)
    assert ["public, max-age=30", "public, max-age=60"] == [header(each, "Cache-Control") for each in (relative, dates)]
    assert header(relative, "ETag") == header(dates, "ETag")
    assert "public, max-age=30" == header(get_list("endDate=today&startDate=today"), "Cache-Control")
    at(monkeypatch, datetime(2020, 12, 31, 12, 0, 0, tzinfo=UTC))
    assert "public, max-age=60" == header(get("324", "startDate=today"), "Cache-Control")
    at(monkeypatch, datetime(2021, 1, 1, 0, 0, 0, tzinfo=UTC))
    assert {"self": "/visits/324?startDate=20210101"} == links(get("324", "startDate=today"))


@pytest.mark.usefixtures("book_table")
@pytest.mark.parametrize(
    "queries",
    [
        ["startDate=20171002", "startDate=2017-10-02&interval=day", "days=number&startDate=20171002&format=json"],
        ["last=3", "startDate=2017-10-15&endDate=20171017", "endDate=20171017&utm_source=mail&startDate=20171015"],
        ["limit=3", "limit=3&order=asc"],
    ],
)
def test_the_same_answer_has_the_same_etag_however_it_was_asked(queries: list[str]) -> None:
    """By any writing of the query, through either kind of API, by HEAD, compressed, and by `Accept` or `format`."""
    tags = {header(get("324", query), "ETag") for query in queries}
    rest = handler.get_visits(
        {
            "path": "/visits/324",
            "pathParameters": {"resourceId": "324"},
            "queryStringParameters": dict(parse_qsl(queries[0])),
        },
        Context(),
    )
    tags.add(header(rest, "ETag"))
    tags.add(header(get("324", queries[0], headers={"accept-encoding": "gzip;q=1, identity;q=0"}), "ETag"))
    assert 1 == len(tags)

    csv_tags = {
        header(get("324", f"{queries[0]}&format=csv".replace("&format=json", "")), "ETag"),
        header(get("324", queries[0].replace("&format=json", ""), headers={"accept": "text/csv"}), "ETag"),
    }
    assert 1 == len(csv_tags)
    assert not tags & csv_tags


def test_several_events_are_answered_together(book_table: VisitsTable) -> None:
    """Rows are by day, then in the order of the ids; pages keep a day together."""
    book_table.add("318", 20171002, 4)

    response = get("318,324", "endDate=20171010&limit=3")

    assert [
        {"EventCount": 3, "EventDay": 20171001, "EventId": "324"},
        {"EventCount": 4, "EventDay": 20171002, "EventId": "318"},
        {"EventCount": 5, "EventDay": 20171002, "EventId": "324"},
    ] == json.loads(str(response["body"]))
    assert {
        "self": "/visits/318,324?endDate=20171010&limit=3",
        "next": "/visits/318,324?startDate=20171003&endDate=20171010&limit=3",
    } == links(response)
    assert (
        "EventDay,318,324\n20171001,,3\n20171002,4,5\n"
        == get("318,324", "endDate=20171002&format=csv&layout=wide")["body"]
    )


@pytest.mark.usefixtures("silent")
def test_where_nothing_was_loaded_the_last_days_are_none() -> None:
    """The link keeps asking for them, as there are no dates yet."""
    response = get("324", "last=30&fill=zero&format=csv&compare=year")

    assert "EventId,EventDay,EventCount,PreviousCount\n" == response["body"]
    assert {"self": "/visits/324?last=30&compare=year&format=csv"} == links(response)


def test_a_page_ends_before_it_is_too_long_for_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many columns leave room for fewer days; the rest follows, with `limit` as it was asked for."""
    ids = ",".join(map(str, range(50)))
    days = {date(2010, 1, 1) + timedelta(n): 10**20 for n in range(3_000)}
    monkeypatch.setattr(
        handler, "TABLE", VisitsTable(Memory(Stored(dict.fromkeys(ids.split(","), days)), 10_000), TABLE)
    )

    first = get(ids, "format=csv&layout=wide&limit=9000")
    assert len(json.dumps(first)) < 6_000_000
    assert f"/visits/{ids}?startDate=20150624&limit=9000&format=csv&layout=wide" == links(first)["next"]
    second = get(ids, urlsplit(links(first)["next"]).query)
    lines = [line for response in (first, second) for line in str(response["body"]).splitlines()[1:]]
    assert [f"{day:%Y%m%d}" for day in days] == [line.partition(",")[0] for line in lines]


LISTED = Stored(
    {
        "324": {date(2017, 10, 1): 3, date(2017, 10, 17): 41},
        "7": {date(2017, 10, 2): 44},
        "10": {date(2017, 10, 2): 44},
        "318": {date(2017, 10, 16): 0, date(2017, 9, 1): 5},
        "9" * 2048: {date(2017, 10, 3): 2.5},
        "all": {date(2017, 9, 1): 5, **{date(2017, 10, day): 1 for day in (1, 2, 3, 16, 17)}},
    }
)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five events, loaded on six days."""
    monkeypatch.setattr(handler, "TABLE", VisitsTable(Memory(LISTED), TABLE))
    at(monkeypatch, datetime(2017, 10, 20, 12, 0, tzinfo=UTC))


def listed_rows(response: Response) -> list[tuple[str, float, int, int]]:
    """Return the list as (id, visits, first day, last day)."""
    assert 200 == response["statusCode"], response["body"]
    return [
        tuple(row[name] for name in ("EventId", "EventCount", "FirstDay", "LastDay"))
        for row in json.loads(str(response["body"]))
    ]


@pytest.mark.usefixtures("listed")
def test_the_list_has_the_events_of_the_last_30_days_the_most_visited_first() -> None:
    """Events with as many visits are ordered by id, as text; one that fell to 0 is the last; `all` is none."""
    response = get_list()

    assert [
        ("10", 44, 20171002, 20171002),
        ("324", 44, 20171001, 20171017),
        ("7", 44, 20171002, 20171002),
        ("9" * 2048, 2.5, 20171003, 20171003),
        ("318", 0, 20171016, 20171016),
    ] == listed_rows(response)
    assert {"self": "/visits?startDate=20170918&endDate=20171017"} == links(response)
    assert response == get_list(urlsplit(links(response)["self"]).query)
    assert ["318", "9" * 2048, "10", "324", "7"] == [row[0] for row in listed_rows(get_list("order=asc"))]


@pytest.mark.usefixtures("listed")
def test_the_sums_of_the_list_are_those_of_the_series() -> None:
    """Both answer about the same range."""
    query = "startDate=20171001&endDate=20171016"
    totals = json.loads(str(get("10,318,324,7", f"{query}&interval=total")["body"]))

    assert {row["EventId"]: row["EventCount"] for row in totals} == {
        row[0]: row[1] for row in listed_rows(get_list(query)) if len(row[0]) < 10
    }


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("limit", [1, 2, 4, 5])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_the_list_is_paged_by_offset(limit: int, order: str) -> None:
    """Each event comes once, and the last page has no next."""
    whole = listed_rows(get_list(f"order={order}"))
    found = []
    following: str | None = f"order={order}&limit={limit}"
    while following is not None:
        response = get_list(following)
        found.append(listed_rows(response))
        assert "self" in links(response)
        following = urlsplit(links(response)["next"]).query if "next" in links(response) else None

    assert whole == [row for page in found for row in page]
    assert all(len(page) == limit for page in found[:-1])
    assert [] == listed_rows(get_list("offset=5"))
    assert ["self"] == list(links(get_list("offset=5")))


@pytest.mark.usefixtures("listed")
def test_the_list_is_csv_as_well_and_says_days_as_dates() -> None:
    """By `Accept` or `format`, as series are."""
    body = "EventId,EventCount,FirstDay,LastDay\n10,44,2017-10-02,2017-10-02\n"

    assert body == get_list("limit=1&days=iso", headers={"accept": "text/csv"})["body"]
    response = get_list("limit=1&days=iso&format=csv")
    assert body == response["body"]
    assert "text/csv; charset=utf-8; header=present" == header(response, "Content-Type")
    assert "/visits?startDate=20170918&endDate=20171017&limit=1&offset=1&format=csv&days=iso" == links(response)["next"]


@pytest.mark.usefixtures("listed")
def test_the_list_is_not_sent_again_where_it_is_known() -> None:
    """An answer has the same ETag however it was asked, and another one where more follows."""
    first = get_list("limit=5")
    tag = header(first, "ETag") or ""

    assert tag == header(get_list("limit=5&startDate=2017-09-18&endDate=20171017"), "ETag")
    assert (304, "") == ((known := get_list("limit=5", headers={"if-none-match": tag}))["statusCode"], known["body"])
    assert tag != header(get_list("limit=4"), "ETag")


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("query", "parameter", "detail"),
    [
        (
            "startDate=20160101&endDate=20170101",
            "startDate",
            "the range has 367 days, from 20160101 to 20170101, where at most 366 are allowed",
        ),
        ("last=367", "last", "last '367' is not a whole number from 1 to 366"),
        ("interval=week", "interval", "interval is not a parameter of this address, but of /visits/{resourceId}"),
    ],
)
def test_a_list_that_cannot_be_is_400(query: str, parameter: str, detail: str) -> None:
    """A range of 366 days can."""
    response = get_list(query)

    assert (400, parameter, detail) == (
        response["statusCode"],
        problem(response)["parameter"],
        problem(response)["detail"],
    )
    assert 200 == get_list("startDate=20160101&endDate=20161231")["statusCode"]
    assert 1 == len(listed_rows(get_list("startDate=20171017&endDate=20171017")))


def test_what_one_request_may_read_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound it is 400, which says what helps, for a list as for series; no part of it is answered."""
    days = {date(2017, 1, 1) + timedelta(n): 1 for n in range(366)}
    memory = Memory(Stored({"1": days, "2": days, "all": days}), page=1)
    monkeypatch.setattr(handler, "TABLE", VisitsTable(memory, TABLE))
    query = "startDate=20170101&endDate=20171231"

    for response in (get_list(query), get("1,2", query)):
        assert 400 == response["statusCode"]
        assert "The request reads more than 500 MB of counts; narrow its range" == problem(response)["detail"]
        assert "parameter" not in problem(response)
    assert memory.queries <= 2 * 500
    assert 200 == get("1", query)["statusCode"]


def test_a_list_of_a_dynamodb_in_trouble_is_503(dynamodb: ScriptedDynamoDB) -> None:
    """As a series is."""
    dynamodb.replies = [aws_error("ThrottlingException")]

    response = get_list()

    assert (503, "5") == (response["statusCode"], header(response, "Retry-After"))
