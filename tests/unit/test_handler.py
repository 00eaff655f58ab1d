"""The HTTP entry point: how a query is understood, what is said of it, what it answers when things go wrong."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import logging
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from databases import Reply, ScriptedDynamoDB, aws_error
from event_files import Context
from hypothesis import given
from hypothesis import strategies as st

import handler
from http_utils import Response
from repository import VisitsTable
from series import Count

PARAMETERS = ["startDate", "endDate", "fill", "interval", "order", "limit", "format"]


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


class Silent(VisitsTable):
    """A table without rows."""

    def __init__(self) -> None:
        """Do without a client."""

    def pages(self, *_: object) -> Iterator[dict[int, Count]]:
        return iter(())


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table that the handler asks, for requests of which only the reading matters."""
    monkeypatch.setattr(handler, "TABLE", Silent())


@given(st.text(max_size=50), st.text(max_size=50), st.sampled_from(PARAMETERS))
def test_no_text_makes_the_handler_fail(resource_id: str, value: str, name: str) -> None:
    """Whatever is asked is answered, or named as a mistake of the asker's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "TABLE", Silent())

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
    ("query", "parameter", "detail"),
    [
        ("startDate=20171399", "startDate", "startDate '20171399' is not a calendar date (YYYYMMDD)"),
        ("endDate=", "endDate", "endDate '' is not a calendar date (YYYYMMDD)"),
        ("startDate=00010102&endDate=00010101", "endDate", "endDate 00010101 is before startDate 00010102"),
        ("fill=none", "fill", "fill 'none' is not zero"),
        ("fill=", "fill", "fill '' is not zero"),
        ("interval=hour", "interval", "interval 'hour' is not day, week, month, year or total"),
        ("interval=Day", "interval", "interval 'Day' is not day, week, month, year or total"),
        ("order=up", "order", "order 'up' is not asc or desc"),
        ("limit=0", "limit", "limit '0' is not a whole number from 1 to 10,000"),
        ("limit=10001", "limit", "limit '10001' is not a whole number from 1 to 10,000"),
        ("limit=-1", "limit", "limit '-1' is not a whole number from 1 to 10,000"),
        ("limit=1.5", "limit", "limit '1.5' is not a whole number from 1 to 10,000"),
        ("limit=", "limit", "limit '' is not a whole number from 1 to 10,000"),
        ("format=xml", "format", "format 'xml' is not json or csv"),
        *((f"{name}=a&{name}=a", name, f"{name} is given 2 times, where one value is allowed") for name in PARAMETERS),
    ],
)
def test_a_query_that_makes_no_sense_is_400_and_names_the_parameter(query: str, parameter: str, detail: str) -> None:
    """Malformed, empty, repeated, out of range: with the value and the rule."""
    response = get("324", query)

    assert 400 == response["statusCode"]
    assert {
        "title": "Bad Request",
        "status": 400,
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
