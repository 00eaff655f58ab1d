"""API Gateway's events in, responses out: parameters, problems, negotiation, caching, links, compression.

Knows no visits and no database.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlencode

type Event = Mapping[str, Any]
"""API Gateway's proxy event, payload format 1.0 (REST) or 2.0 (HTTP)."""

type Response = dict[str, object]
"""API Gateway's proxy response, alike in both formats: `statusCode`, `headers`, `body`, `isBase64Encoded`."""

# On every answer: the API knows no cookies, so any page may read what anyone may.
_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag, Link, Retry-After",
}

_MIN_GZIP_BYTES = 1_400
"""What one packet on the wire holds: below it, compression saves nobody any time."""

_GZIP_LEVEL = 1
"""Of 9. Rows are much alike: the others save little and cost more."""

# https://www.rfc-editor.org/rfc/rfc9110#section-12.4.2
_WEIGHT = r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)"
_ENTITY_TAG = r'(?:W/)?("[^"]*")'


class Request(NamedTuple):
    """What an event asks for: the path's resource id, and the query's values by name; all decoded."""

    resource_id: str
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str] = {}
    """By name in lower case."""
    path: str = ""
    """As the client wrote it, a stage's name in front included; decoded."""


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
        headers = {"Cache-Control": "no-store", **self.headers}
        return respond(self.status, "application/problem+json", json.dumps(body) + "\n", headers)


def respond(status: int, content_type: str, body: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the proxy response that API Gateway turns into HTTP."""
    return {
        "statusCode": status,
        "headers": {"Content-Type": content_type, **_HEADERS, **(headers or {})},
        "body": body,
        "isBase64Encoded": False,
    }


def represent(request: Request, content_type: str, body: str, headers: Mapping[str, str]) -> Response:
    """Return the answer to a GET: 200 with the body, gzipped where accepted and worth it; or 304 without one.

    The entity tag is of the text and the headers, a weak one: it stays the same when compressed.
    """
    data = body.encode()
    digest = sha256(data)
    digest.update(repr(sorted(headers.items())).encode())
    tag = f'"{digest.hexdigest()[:24]}"'
    headers = {**headers, "ETag": f"W/{tag}", "Vary": "Accept, Accept-Encoding"}
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or tag in re.findall(_ENTITY_TAG, known):
        # With its content type: API Gateway would write one of its own, and caches take over what a 304 says.
        return respond(304, content_type, "", headers)
    if not _wants_gzip(request.headers.get("accept-encoding", ""), len(data)):
        return respond(200, content_type, body, headers)
    compressed = gzip.compress(data, _GZIP_LEVEL, mtime=0)
    response = respond(
        200, content_type, base64.b64encode(compressed).decode(), {**headers, "Content-Encoding": "gzip"}
    )
    return {**response, "isBase64Encoded": True}


def negotiate(request: Request, offers: Mapping[str, str]) -> str:
    """Return which of the offers, content types by name, `Accept` prefers; the first where it does not say.

    The highest weight wins, then what is named more precisely, then what is offered first (RFC 9110, 12.5.1).
    """
    weights = _weights(request.headers.get("accept", ""))

    def preference(name: str) -> tuple[float, int]:
        media_type = offers[name].partition(";")[0]
        ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
        return next(((weights[each], -n) for n, each in enumerate(ranges) if each in weights), (0, 0))

    best = max(offers, key=preference)
    return best if preference(best)[0] else next(iter(offers))


def link(request: Request, targets: Mapping[str, Mapping[str, str]]) -> str:
    """Return a `Link` header (RFC 8288) to the path of the request with other queries, by their relation."""
    path = quote(request.path)
    return ", ".join(
        f'<{path}{"?" if query else ""}{urlencode(query)}>; rel="{relation}"' for relation, query in targets.items()
    )


def read_request(event: Event) -> Request:
    """Return what an API Gateway event asks for.

    Without a path parameter `resourceId` (a greedy `{proxy+}` route) the id is the path's last segment.
    """
    # `path` lacks what a REST API's stage or a custom domain puts in front of it.
    path: str = event.get("rawPath") or (event.get("requestContext") or {}).get("path") or event.get("path") or ""
    parent, _, last = unquote(path).rpartition("/")
    resource_id = (event.get("pathParameters") or {}).get("resourceId")
    if resource_id is None:
        resource_id = last
    headers = _headers(event)
    if "version" not in event:
        # A REST API, whose events have none, sends base64 on as it is unless told otherwise; it can compress by itself.
        headers.pop("accept-encoding", None)
    return Request(resource_id, _query(event), headers, f"{parent}/{resource_id}")


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


def _headers(event: Event) -> dict[str, str]:
    # Payload 2.0 joins repeated headers with commas and writes names in lower case, 1.0 does neither.
    if many := event.get("multiValueHeaders"):
        return {name.lower(): ", ".join(values) for name, values in many.items()}
    return {name.lower(): value for name, value in (event.get("headers") or {}).items()}


@lru_cache
def _weights(header: str) -> Mapping[str, float]:
    """Return the members of an `Accept` or `Accept-Encoding` in lower case, each with its weight, 1 if not given."""
    weights: dict[str, float] = {}
    for member in header.lower().split(","):
        name, *parameters = (part.strip() for part in member.split(";"))
        given = [parameter for parameter in parameters if parameter.startswith("q=")]
        weight = re.fullmatch(_WEIGHT, given[0]) if given else None
        if name and (weight or not given):
            weights[name] = float(weight[1]) if weight else 1.0
    return weights


def _wants_gzip(accept_encoding: str, size: int) -> bool:
    weights = _weights(accept_encoding)
    others = weights.get("*")
    gzip_weight = weights.get("gzip", others or 0.0)
    identity_weight = weights.get("identity", others)
    if not gzip_weight or gzip_weight < weights.get("identity", 0.0):
        return False
    return size >= _MIN_GZIP_BYTES or identity_weight == 0
