"""API Gateway's events in, responses out."""

import base64
import gzip
import json
import re
from collections.abc import Mapping

import pytest
from event_files import Context as FakeContext

import http_utils
from http_utils import (
    Context,
    Event,
    Problem,
    Request,
    Response,
    entry_point,
    link,
    negotiate,
    read_parameter,
    read_request,
    represent,
    respond,
)


@pytest.mark.parametrize(
    ("event", "resource_id"),
    [
        ({"pathParameters": {"resourceId": "324"}, "rawPath": "/visits/1"}, "324"),
        ({"pathParameters": {"proxy": "path/to/resource"}, "path": "/path/to/resource/324"}, "324"),
        ({"pathParameters": None, "path": "/visits/324"}, "324"),
        ({"rawPath": "/visits/%33%32%34"}, "324"),
        ({"rawPath": "/visits/%C2%B2"}, "²"),
        ({"path": "/visits/324/"}, ""),
        ({"path": None}, ""),
        ({"rawPath": "//visits//324"}, "324"),
        ({}, ""),
    ],
)
def test_the_id_is_the_path_parameter_or_else_the_last_segment(event: Event, resource_id: str) -> None:
    """Greedy routes, as the book's, have no parameter of that name."""
    assert resource_id == read_request(event).resource_id


@pytest.mark.parametrize(
    ("event", "query"),
    [
        ({"rawQueryString": "a=1&a=2&b=%2B+x&c="}, {"a": ["1", "2"], "b": ["+ x"], "c": [""]}),
        ({"rawQueryString": "", "queryStringParameters": {"a": "1"}}, {}),
        (
            {"multiValueQueryStringParameters": {"a": ["1", "2"]}, "queryStringParameters": {"a": "2"}},
            {"a": ["1", "2"]},
        ),
        ({"multiValueQueryStringParameters": None, "queryStringParameters": {"a": "1"}}, {"a": ["1"]}),
        ({"queryStringParameters": None}, {}),
        ({"rawQueryString": None, "queryStringParameters": {"a": None, "b": "1"}}, {"b": ["1"]}),
        ({"multiValueQueryStringParameters": {"a": None, "b": [None, "1"], "c": [None]}}, {"b": ["1"]}),
        ({}, {}),
    ],
)
def test_the_query_has_every_value_that_was_given(event: Event, query: dict[str, list[str]]) -> None:
    """Both payload formats hide repetitions in `queryStringParameters`."""
    assert query == read_request(event).query


def test_a_parameter_is_parsed_where_it_is_given() -> None:
    """Names are told apart by case."""
    request = Request("324", {"limit": ["10"]})

    assert 10 == read_parameter(request, "limit", int)
    assert read_parameter(request, "Limit", int) is None


def test_a_repeated_parameter_is_a_problem() -> None:
    """Neither the first nor the last value is guessed at."""
    with pytest.raises(Problem, match=r"^limit is given 2 times, where one value is allowed$") as raised:
        read_parameter(Request("324", {"limit": ["10", "10"]}), "limit", int)

    assert (raised.value.status, raised.value.parameter) == (400, "limit")


def test_a_problem_is_rfc_9457_and_repeats_its_detail_as_message() -> None:
    """Readers of API Gateway's own errors look for `message`."""
    response = Problem(400, "limit 0 is below 1", parameter="limit", headers={"Retry-After": "1"}).response()

    assert 400 == response["statusCode"]
    assert {
        "Content-Type": "application/problem+json",
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "ETag, Link, Retry-After",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Retry-After": "1",
    } == response["headers"]
    assert {
        "title": "Bad Request",
        "status": 400,
        "detail": "limit 0 is below 1",
        "message": "limit 0 is below 1",
        "parameter": "limit",
    } == json.loads(str(response["body"]))


def test_any_page_may_read_any_answer() -> None:
    """CORS: the API knows no cookies."""
    assert {
        "statusCode": 200,
        "headers": {
            "Content-Type": "text/plain",
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": "ETag, Link, Retry-After",
            "X-Content-Type-Options": "nosniff",
        },
        "body": "hello",
        "isBase64Encoded": False,
    } == respond(200, "text/plain", "hello")


@pytest.mark.parametrize(
    "event",
    [
        {"rawPath": "/visits/324", "headers": {"accept": "text/csv", "if-none-match": '"a", "b"'}},
        {
            "path": "/visits/324",
            "headers": {"Accept": "text/csv", "If-None-Match": '"b"'},
            "multiValueHeaders": {"Accept": ["text/csv"], "If-None-Match": ['"a"', '"b"']},
        },
        {"path": "/visits/324", "headers": {"ACCEPT": "text/csv", "If-none-match": '"a", "b"'}},
    ],
)
def test_headers_are_known_by_their_name_in_lower_case(event: Event) -> None:
    """Both payload formats, repeated headers included."""
    assert {"accept": "text/csv", "if-none-match": '"a", "b"'} == read_request(event).headers


@pytest.mark.parametrize(
    ("event", "accepted"),
    [
        ({"version": "2.0", "headers": {"accept-encoding": "gzip"}}, {"accept-encoding": "gzip"}),
        ({"version": "1.0", "headers": {"Accept-Encoding": "gzip"}}, {"accept-encoding": "gzip"}),
        ({"headers": {"Accept-Encoding": "gzip"}}, {}),
    ],
)
def test_a_rest_api_is_sent_nothing_compressed(event: Event, accepted: dict[str, str]) -> None:
    """It hands base64 on undecoded unless it is set up for it; its events alone have no version."""
    assert accepted == read_request(event).headers


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ({"rawPath": "/visits/324", "requestContext": {"http": {"path": "/visits/324"}}}, "/visits/324"),
        ({"rawPath": "/dev/visits/324"}, "/dev/visits/324"),
        ({"path": "/visits/324", "requestContext": {"path": "/prod/visits/324"}}, "/prod/visits/324"),
        ({"path": "/visits/324"}, "/visits/324"),
        ({"pathParameters": {"resourceId": "324"}, "rawPath": "/visits/%33%32%34"}, "/visits/324"),
    ],
)
def test_the_path_is_the_clients_with_what_a_stage_or_a_domain_puts_in_front(event: Event, path: str) -> None:
    """Links lead there."""
    assert path == read_request(event).path


@pytest.mark.parametrize(
    ("path", "targets", "header"),
    [
        ("/visits/324", {"self": {}}, '</visits/324>; rel="self"'),
        (
            "/visits/324",
            {"self": {"limit": "2"}, "next": {"startDate": "20171003", "limit": "2"}},
            '</visits/324?limit=2>; rel="self", </visits/324?startDate=20171003&limit=2>; rel="next"',
        ),
        ('/a b/>; rel="evil/324', {"self": {}}, '</a%20b/%3E%3B%20rel%3D%22evil/324>; rel="self"'),
        (
            "/a\r\nSet-Cookie: b/324",
            {"self": {"a": "ü\r\n>"}},
            '</a%0D%0ASet-Cookie%3A%20b/324?a=%C3%BC%0D%0A%3E>; rel="self"',
        ),
    ],
)
def test_a_link_leads_to_the_same_path_with_another_query(
    path: str, targets: dict[str, dict[str, str]], header: str
) -> None:
    """Whatever the path holds, it ends neither the target nor the header."""
    assert header == link(Request("324", {}, path=path), targets)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("text/csv", "csv"),
        ("TEXT/CSV; charset=utf-8", "csv"),
        ("text/*", "csv"),
        ("application/json;q=0.5, text/csv", "csv"),
        ("application/json, text/csv;q=0.999", "json"),
        ("application/json;q=0.5, text/csv;q=0.501", "csv"),
        ("text/csv, application/json", "json"),
        ("*/*, text/csv", "csv"),
        ("*/*;q=0.8, text/csv;q=0.7", "json"),
        ("application/json;q=0, */*", "csv"),
        ("application/json;q=0, text/csv;q=0", "json"),
        ("text/csv;q=0, */*;q=0.1", "json"),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, image/webp, */*;q=0.8", "json"),
        ("application/json;q=0.9,text/plain", "json"),
        ("image/png", "json"),
        ("text/csv;q=2", "json"),
        ("text/csv;q=high, application/json;q=0.1", "json"),
        ("text/csv;header=present;q=0.9, application/json;q=0.8", "csv"),
        (";,;q=1,,q", "json"),
    ],
)
def test_accept_decides_by_weight_then_by_precision_then_ours_comes_first(accept: str | None, chosen: str) -> None:
    """RFC 9110, 12.5.1; what nobody accepts is answered all the same."""
    request = Request("324", {}, {} if accept is None else {"accept": accept})

    assert chosen == negotiate(request, {"json": "application/json", "csv": "text/csv; charset=utf-8"})


LONG = "0123456789" * 140
HEADERS = {"Cache-Control": "public, max-age=60", "Link": '</visits/324>; rel="self"'}


def answer(body: str, headers: Mapping[str, str] = HEADERS, **given: str) -> Response:
    """Return the answer to a GET with headers, of which `_` stands for `-`."""
    request = Request("324", {}, {name.replace("_", "-"): value for name, value in given.items()})
    return represent(request, "text/plain", body, headers)


def header(response: Response, name: str) -> str | None:
    headers = response["headers"]
    assert isinstance(headers, dict)
    value: str | None = headers.get(name)
    return value


@pytest.mark.parametrize(
    ("accept_encoding", "compressed"),
    [
        ("gzip", True),
        ("GZip", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("br, gzip", True),
        ("*", True),
        ("*;q=0.1", True),
        ("gzip, identity", True),
        ("identity;q=0.5, gzip;q=0.5", True),
        ("gzip;q=0.001", True),
        ("", False),
        ("br", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("identity, gzip;q=0.5", False),
        ("gzip;q=1.5", False),
    ],
)
def test_a_long_body_is_compressed_where_that_is_accepted_and_preferred(accept_encoding: str, compressed: bool) -> None:
    """By weight (RFC 9110, 12.5.3); decompressed it is the same."""
    response = answer(LONG, accept_encoding=accept_encoding)

    assert compressed == response["isBase64Encoded"] == (header(response, "Content-Encoding") == "gzip")
    body = str(response["body"])
    assert LONG == (gzip.decompress(base64.b64decode(body)).decode() if compressed else body)


def test_a_short_body_is_compressed_only_where_it_must_be() -> None:
    """1,400 bytes fit into a packet as they are."""
    assert not answer(LONG[1:], accept_encoding="gzip")["isBase64Encoded"]
    assert answer(LONG[1:], accept_encoding="gzip, identity;q=0")["isBase64Encoded"]
    assert answer(LONG[1:], accept_encoding="gzip, *;q=0")["isBase64Encoded"]


def test_the_entity_tag_is_of_the_text_and_what_else_makes_a_version() -> None:
    """It is weak, so that it may be the same compressed or not; headers alone do not change it."""
    request = Request("324", {})
    tag = header(represent(request, "text/plain", LONG, HEADERS, version="1"), "ETag")

    assert tag
    assert tag.startswith('W/"')
    compressed = Request("324", {}, {"accept-encoding": "gzip"})
    assert tag == header(represent(compressed, "text/plain", LONG, {}, version="1"), "ETag")
    assert tag != header(represent(request, "text/plain", f"{LONG}.", HEADERS, version="1"), "ETag")
    assert tag != header(represent(request, "text/plain", LONG, HEADERS, version="2"), "ETag")


def test_a_private_answer_is_kept_for_each_reader_apart() -> None:
    """A browser that was let see it with one key does not show it to who has another, or none."""
    private = answer(LONG, {**HEADERS, "Cache-Control": "private, max-age=60"})

    assert "Accept, Accept-Encoding" == header(answer(LONG), "Vary")
    assert "Accept, Accept-Encoding, Authorization" == header(private, "Vary")


@pytest.mark.parametrize("known", ["{weak}", "{strong}", '"a", {weak}', '"a,b" ,{strong}, W/"c"', "*", " * "])
def test_what_the_client_has_is_304(known: str) -> None:
    """Compared weakly (RFC 9110, 13.1.2), and answered with what a 200 would have told a cache."""
    full = answer(LONG, accept_encoding="gzip")
    weak = header(full, "ETag") or ""

    response = answer(LONG, if_none_match=known.format(weak=weak, strong=weak.removeprefix("W/")))

    assert (304, "", False) == (response["statusCode"], response["body"], response["isBase64Encoded"])
    for name in ("ETag", "Vary", "Cache-Control", "Link", "Access-Control-Allow-Origin", "Content-Type"):
        assert header(full, name) == header(response, name)
    assert header(response, "Content-Encoding") is None


@pytest.mark.parametrize("known", ["", '"a"', 'W/"a", "b"', "{bare}", '"*"', '"x{bare}"', '"{bare}'])
def test_what_the_client_does_not_have_is_200(known: str) -> None:
    """A tag is what stands in quotes, and all of that."""
    bare = (header(answer(LONG), "ETag") or "").removeprefix("W/").strip('"')

    assert 200 == answer(LONG, if_none_match=known.format(bare=bare))["statusCode"]


def echo(request: Request, context: Context) -> Response:
    """Answer with the request's path and the time that is left, or fail as the id says."""
    if request.resource_id == "problem":
        raise Problem(404, "no such thing")
    if request.resource_id == "bug":
        raise LookupError("secret")
    return respond(200, "text/plain", f"{request.path} {context.get_remaining_time_in_millis()}")


def test_an_entry_point_reads_the_event_and_answers() -> None:
    """A handler gets a request where Lambda hands in an event."""
    response = entry_point(echo)({"rawPath": "/visits/324"}, FakeContext())

    assert (200, "/visits/324 29000") == (response["statusCode"], response["body"])


def test_an_entry_point_answers_a_problem_as_such_and_any_other_error_as_500(caplog: pytest.LogCaptureFixture) -> None:
    """A 500 has the id of the request, under which the log has the stack, and says nothing of the error."""
    problem = entry_point(echo)({"rawPath": "/visits/problem"}, FakeContext())
    bug = entry_point(echo)({"rawPath": "/visits/bug"}, FakeContext())

    assert Problem(404, "no such thing").response() == problem
    detail = "The request failed for a reason of ours; its id is c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    assert Problem(500, detail).response() == bug
    assert "request c6af9ac6-7b61-11e6-9a41-93e8deadbeef failed" in caplog.text
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    "event",
    [
        {"version": "2.0", "requestContext": {"http": {"method": "HEAD"}}},
        {"httpMethod": "HEAD", "requestContext": {"httpMethod": "HEAD"}},
    ],
)
@pytest.mark.parametrize("resource_id", ["324", "problem", "bug"])
def test_head_is_answered_as_get_without_the_body(event: Event, resource_id: str) -> None:
    """Status and headers are the same, in both payload formats."""
    path = {"pathParameters": {"resourceId": resource_id}}
    head, get = (entry_point(echo)({**each, **path}, FakeContext()) for each in (event, {}))

    assert get["body"]
    assert {**get, "body": ""} == head


def test_a_gzipped_body_is_left_out_as_well() -> None:
    """Without a body there is nothing to decode."""

    @entry_point
    def answer_long(request: Request, _: Context) -> Response:
        return represent(request, "text/plain", "hello" * 1_000, {})

    event = {"version": "2.0", "headers": {"accept-encoding": "gzip"}}
    get = answer_long(event, FakeContext())
    head = answer_long({**event, "requestContext": {"http": {"method": "HEAD"}}}, FakeContext())

    assert get["isBase64Encoded"]
    assert {**get, "body": "", "isBase64Encoded": False} == head


@pytest.mark.parametrize(
    "event",
    [
        {"headers": {"accept": None, "if-none-match": "*"}},
        {"multiValueHeaders": {"Accept": None, "If-None-Match": [None, "*"]}},
    ],
)
def test_a_header_without_a_value_counts_as_not_given(event: Event) -> None:
    """A console's test event may have null there."""
    headers = read_request(event).headers

    assert ("", "*") == (headers.get("accept", ""), headers["if-none-match"])


@pytest.mark.parametrize("event", [{"rawPath": "/\ud800/324"}, {"pathParameters": {"resourceId": "\ud800"}}])
def test_a_path_that_is_no_text_is_not_found(event: Event) -> None:
    """A lone surrogate has no bytes that a link could be made of."""
    with pytest.raises(Problem, match="The path is not a Unicode text") as raised:
        read_request(event)

    assert 404 == raised.value.status


@pytest.mark.parametrize("path", ["//evil.example/visits/324", "/\\evil.example/324", "///a//b/324"])
def test_a_link_stays_on_this_host(path: str) -> None:
    """Two slashes at the beginning of a target would name a host."""
    header = link(read_request({"rawPath": path}), {"self": {}})

    assert re.match("</[^/\\\\]", header)


def test_long_headers_are_read_and_not_kept() -> None:
    """The cache of parsed headers does not grow with what clients send."""
    offers = {"json": "application/json", "csv": "text/csv"}
    before = http_utils._cached_weights.cache_info().currsize  # noqa: SLF001
    long = "text/csv, " + ", ".join(f"a/{n}" for n in range(1_000))

    assert "csv" == negotiate(Request("324", {}, {"accept": long}), offers)
    assert before == http_utils._cached_weights.cache_info().currsize  # noqa: SLF001
