"""API Gateway's events in, responses out: path, parameters, problems (RFC 9457). Knows no visits and no database."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

type Event = Mapping[str, Any]
"""API Gateway's proxy event, payload format 1.0 (REST) or 2.0 (HTTP)."""

type Response = dict[str, object]
"""API Gateway's proxy response, alike in both formats: `statusCode`, `headers`, `body`."""

# On every answer: the API knows no cookies, so any page may read what anyone may.
_HEADERS = {"Access-Control-Allow-Origin": "*"}


class Request(NamedTuple):
    """What an event asks for: the path's resource id, and the query's values by name; all decoded."""

    resource_id: str
    query: Mapping[str, Sequence[str]]


class Problem(Exception):
    """An answer other than 200: the status, a detail that names the value and the rule, the parameter to blame."""

    def __init__(
        self, status: int, detail: str, *, parameter: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.parameter = parameter
        self.headers = headers or {}

    def response(self) -> Response:
        """Return the answer as `application/problem+json` (RFC 9457).

        `message` repeats `detail`, because API Gateway's own errors have just `message`.
        """
        body: dict[str, object] = {
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "message": self.detail,
        }
        if self.parameter:
            body["parameter"] = self.parameter
        return respond(self.status, "application/problem+json", json.dumps(body) + "\n", self.headers)


def respond(status: int, content_type: str, body: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the proxy response that API Gateway turns into HTTP."""
    return {
        "statusCode": status,
        "headers": {"Content-Type": content_type, **_HEADERS, **(headers or {})},
        "body": body,
    }


def read_request(event: Event) -> Request:
    """Return what an API Gateway event asks for.

    Without a path parameter `resourceId` (a greedy `{proxy+}` route) the id is the path's last segment.
    """
    resource_id = (event.get("pathParameters") or {}).get("resourceId")
    if resource_id is None:
        path: str = event.get("rawPath") or event.get("path") or ""
        resource_id = unquote(path.rpartition("/")[2])
    return Request(resource_id, _query(event))


def read_parameter[T](request: Request, name: str, parse: Callable[[str], T]) -> T | None:
    """Return a query parameter's value, parsed, or None where it is not given.

    `parse` raises ValueError with a message that goes on after the parameter's name. Raises Problem (400) for that, and
    for a parameter that is given more than once.
    """
    values = request.query.get(name)
    if values is None:
        return None
    if len(values) > 1:
        raise Problem(400, f"{name} is given {len(values)} times, where one value is allowed", parameter=name)
    try:
        return parse(values[0])
    except ValueError as error:
        raise Problem(400, f"{name} {error}", parameter=name) from error


def _query(event: Event) -> Mapping[str, Sequence[str]]:
    # Payload 2.0 joins repeated values with commas in queryStringParameters, 1.0 keeps the last:
    # only the raw query and the multi-value form tell what was really asked.
    if "rawQueryString" in event:
        return parse_qs(event["rawQueryString"], keep_blank_values=True)
    if many := event.get("multiValueQueryStringParameters"):
        values: Mapping[str, Sequence[str]] = many
        return values
    return {name: [value] for name, value in (event.get("queryStringParameters") or {}).items()}
