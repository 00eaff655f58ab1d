"""API Gateway's events in, responses out."""

import json

import pytest

from http_utils import Event, Problem, Request, read_parameter, read_request, respond


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
        "headers": {"Content-Type": "text/plain", "Access-Control-Allow-Origin": "*"},
        "body": "hello",
    } == respond(200, "text/plain", "hello")
