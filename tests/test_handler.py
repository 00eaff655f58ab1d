"""The HTTP entry point: what it answers when things go wrong."""

from __future__ import annotations

import json
import logging

import pytest
from conftest import Reply, ScriptedDynamoDB, aws_error
from hypothesis import given
from hypothesis import strategies as st
from test_events import Context

import handler
from http_utils import Response
from repository import VisitsTable


def get(resource_id: str, query: str = "", context: Context | None = None) -> Response:
    """Return the handler's response to a request in payload format 2.0."""
    event = {"version": "2.0", "pathParameters": {"resourceId": resource_id}, "rawQueryString": query}
    return handler.get_visits(event, context or Context())


def problem(response: Response) -> dict[str, object]:
    body: dict[str, object] = json.loads(str(response["body"]))
    return body


class Silent(VisitsTable):
    """A table without rows, for requests that never get as far as DynamoDB."""

    def __init__(self) -> None:
        pass

    def query(self, *_: object) -> list[object]:  # type: ignore[override]
        return []


@given(st.text(max_size=50), st.text(max_size=50), st.sampled_from(["startDate", "endDate"]))
def test_no_text_makes_the_handler_fail(resource_id: str, value: str, name: str) -> None:
    """Whatever is asked is answered, or named as a mistake of the asker's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "TABLE", Silent())

        assert get(resource_id, f"{name}={value}")["statusCode"] in {200, 400, 404}
        assert get("324", value)["statusCode"] in {200, 400}


def test_an_id_longer_than_a_partition_key_is_not_found() -> None:
    """DynamoDB would refuse the query: no event can have it."""
    response = get("1" * 2049)

    assert 404 == response["statusCode"]
    assert "(2,049 characters) is longer than 2,048 digits" in str(problem(response)["detail"])
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


def test_the_functions_time_bounds_the_pages(dynamodb: ScriptedDynamoDB) -> None:
    """With 5 s left no further page is begun."""
    dynamodb.replies = [
        Reply(body='{"Items": [], "LastEvaluatedKey": {"EventId": {"S": "324"}, "EventDay": {"N": "20171001"}}}'),
        Reply(body='{"Items": []}'),
    ]

    assert 503 == get("324", context=Context(left_ms=5_000))["statusCode"]
    assert 1 == len(dynamodb.requests)


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
