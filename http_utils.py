"""API Gateway's events in, responses out: parameters, problems, negotiation, caching, links, compression.

Knows no visits and no database.
"""

from __future__ import annotations

import base64
import gzip
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, wraps
from hashlib import sha256
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs, quote, unquote, urlencode

type Event = Mapping[str, Any]
"""API Gateway's proxy event, payload format 1.0 (REST) or 2.0 (HTTP)."""

type Response = dict[str, object]
"""API Gateway's proxy response, alike in both formats: `statusCode`, `headers`, `body`, `isBase64Encoded`."""

# Every answer has these. The API uses no cookies, so a page of any origin may read an answer.
_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag, Link, Retry-After",
    "X-Content-Type-Options": "nosniff",
}

_MIN_GZIP_BYTES = 1_400
"""A body of this size fits into one packet, so compressing it would not make it arrive sooner."""

_GZIP_LEVEL = 1
"""The fastest of 9. Rows are much alike, so the higher levels save little more and cost much more."""

_MAX_CACHED_HEADER = 256
"""The longest header, in characters, whose parsed form is kept in memory; browsers send some 150."""

# https://www.rfc-editor.org/rfc/rfc9110#section-12.4.2
_WEIGHT = r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)"
_ENTITY_TAG = r'(?:W/)?("[^"]*")'


logger = logging.getLogger(__name__)


class Context(Protocol):
    """What Lambda says about an invocation, as far as it is used here."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left of the function's timeout."""
        ...


class Request(NamedTuple):
    """What an event asks for: the path's resource id, and the query's values by name, all decoded."""

    resource_id: str
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str] = {}
    """By name in lower case."""
    path: str = ""
    """As the client wrote it, decoded; the name of a REST API's stage in front is included."""
    payload: str = "2.0"
    """The format of the event: 1.0 (REST) or 2.0 (HTTP)."""


class Problem(Exception):
    """An answer that is an error: the status, a detail that names the value and the rule, the parameter to blame."""

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


def entry_point(answer: Callable[[Request, Context], Response]) -> Callable[[Event, Context], Response]:
    """Return a Lambda handler that answers a request, also where `answer` raises: a Problem as such, all else as 500.

    A HEAD request is answered as a GET, without the body.
    """

    @wraps(answer)
    def handle(event: Event, context: Context) -> Response:
        try:
            response = answer(read_request(event), context)
        except Problem as problem:
            response = problem.response()
        except Exception:
            logger.exception("request %s failed", context.aws_request_id)
            detail = f"The request failed for a reason of ours; its id is {context.aws_request_id}"
            response = Problem(500, detail).response()
        return {**response, "body": "", "isBase64Encoded": False} if _method(event) == "HEAD" else response

    return handle


def respond(status: int, content_type: str, body: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the proxy response that API Gateway turns into HTTP."""
    return {
        "statusCode": status,
        "headers": {"Content-Type": content_type, **_HEADERS, **(headers or {})},
        "body": body,
        "isBase64Encoded": False,
    }


def represent(
    request: Request, content_type: str, body: str, headers: Mapping[str, str], *, version: str = ""
) -> Response:
    """Return the answer to a GET: 200 with the body, gzipped where accepted and worth it, or 304 without a body.

    The entity tag is made of the text, and of `version`, which is what else makes an answer another one. It is a weak
    one, as it stays the same when the text is gzipped.
    """
    data = body.encode()
    digest = sha256(data)
    digest.update(version.encode())
    tag = f'"{digest.hexdigest()[:24]}"'
    # A browser's own cache must not show to one reader what another was let see.
    private = headers.get("Cache-Control", "").startswith("private")
    vary = "Accept, Accept-Encoding, Authorization" if private else "Accept, Accept-Encoding"
    headers = {**headers, "ETag": f"W/{tag}", "Vary": vary}
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or tag in re.findall(_ENTITY_TAG, known):
        # Without a content type, API Gateway adds one of its own, and caches store the headers of a 304.
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

    The highest weight wins, then the more precise range, then the earlier offer (RFC 9110, 12.5.1).
    """
    weights = _weights(request.headers.get("accept", ""))

    def preference(name: str) -> tuple[float, int]:
        media_type = offers[name].partition(";")[0]
        ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
        return next(((weights[each], -n) for n, each in enumerate(ranges) if each in weights), (0, 0))

    best = max(offers, key=preference)
    return best if preference(best)[0] else next(iter(offers))


def link(request: Request, targets: Mapping[str, Mapping[str, str]]) -> str:
    """Return a `Link` header (RFC 8288) with the request's path and each of the queries, by their relation."""
    path = quote(request.path, safe="/,")
    return ", ".join(
        f'<{path}{"?" if query else ""}{urlencode(query)}>; rel="{relation}"' for relation, query in targets.items()
    )


def read_request(event: Event) -> Request:
    """Return what an API Gateway event asks for; raise Problem (404) where its path is no Unicode text.

    Without a path parameter `resourceId` (a greedy `{proxy+}` route) the id is the path's last segment.
    """
    # `path` lacks the name of a REST API's stage and the path of a custom domain; `requestContext.path` has them.
    path: str = event.get("rawPath") or (event.get("requestContext") or {}).get("path") or event.get("path") or ""
    parent, _, last = unquote(path).rpartition("/")
    resource_id = (event.get("pathParameters") or {}).get("resourceId")
    if resource_id is None:
        resource_id = last
    headers = _headers(event)
    if "version" not in event:
        # A REST API, whose events have none, would pass our base64 on without decoding it. It can compress by itself.
        headers.pop("accept-encoding", None)
    # A link to `//visits/324` would lead to a host named `visits`.
    path = f"/{parent.lstrip('/')}/{resource_id}" if parent.strip("/") else f"/{resource_id}"
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise Problem(404, "The path is not a Unicode text") from error
    return Request(resource_id, _query(event), headers, path, event.get("version", "1.0"))


def read_parameter[T](request: Request, name: str, parse: Callable[[str], T]) -> T | None:
    """Return a query parameter's value, parsed, or None where it is not given.

    `parse` raises ValueError with a message that continues the parameter's name. Raises Problem (400) for that, and for
    a parameter that is given more than once.
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


def _method(event: Event) -> str:
    context = event.get("requestContext") or {}
    method: str = (context.get("http") or {}).get("method") or event.get("httpMethod") or "GET"
    return method


# A console's test event, or a proxy, may have null in the place of a value: it counts as not given.


def _query(event: Event) -> Mapping[str, Sequence[str]]:
    # Payload 2.0 joins repeated values with commas in queryStringParameters, and 1.0 keeps the last one:
    # only the raw query and the multi-value form show what was asked.
    if (raw := event.get("rawQueryString")) is not None:
        return parse_qs(raw, keep_blank_values=True)
    if many := event.get("multiValueQueryStringParameters"):
        return {name: given for name, values in many.items() if (given := _given(values))}
    return {name: [value] for name, value in (event.get("queryStringParameters") or {}).items() if value is not None}


def _headers(event: Event) -> dict[str, str]:
    # Payload 2.0 joins repeated headers with commas and writes names in lower case, 1.0 does neither.
    if many := event.get("multiValueHeaders"):
        return {name.lower(): ", ".join(_given(values)) for name, values in many.items()}
    return {name.lower(): value for name, value in (event.get("headers") or {}).items() if value is not None}


def _given(values: Sequence[str | None] | None) -> list[str]:
    return [value for value in values or () if value is not None]


def _weights(header: str) -> Mapping[str, float]:
    """Return the members of an `Accept` or `Accept-Encoding` in lower case, each with its weight, 1 if not given."""
    return _cached_weights(header) if len(header) <= _MAX_CACHED_HEADER else _parse_weights(header)


def _parse_weights(header: str) -> Mapping[str, float]:
    weights: dict[str, float] = {}
    for member in header.lower().split(","):
        name, *parameters = (part.strip() for part in member.split(";"))
        given = [parameter for parameter in parameters if parameter.startswith("q=")]
        weight = re.fullmatch(_WEIGHT, given[0]) if given else None
        if name and (weight or not given):
            weights[name] = float(weight[1]) if weight else 1.0
    return weights


_cached_weights = lru_cache(_parse_weights)


def _wants_gzip(accept_encoding: str, size: int) -> bool:
    weights = _weights(accept_encoding)
    others = weights.get("*")
    gzip_weight = weights.get("gzip", others or 0.0)
    identity_weight = weights.get("identity", others)
    if not gzip_weight or gzip_weight < weights.get("identity", 0.0):
        return False
    return size >= _MIN_GZIP_BYTES or identity_weight == 0
