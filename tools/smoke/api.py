"""Checks of a deployed API over HTTP: answers and their headers, who may ask, preflights.

A check takes the API and the stack and yields findings; CHECKS has it.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from keys import make_key
from tools.smoke.findings import Finding, attempt, expect, require
from tools.smoke.http import Api
from tools.smoke.stack import Stack

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse

type Check = Callable[[Api, Stack], Iterator[Finding]]

SERIES = "/visits/all?limit=1"
ROW = ["EventCount", "EventDay", "EventId"]
PAGE = "https://page.example"
"""An origin that is not the API's."""


def check_api(api: Api, stack: Stack) -> Iterator[Finding]:
    """Yield what is found of every answer that there is a check for."""
    for check in CHECKS:
        yield from attempt(check.__name__.strip("_").replace("_", " "), check(api, stack))


def _who_may_not_ask(api: Api, stack: Stack) -> Iterator[Finding]:
    for key, path, demanded in _routes(stack):
        status = {"NONE": 200, "AWS_IAM": 403, "JWT": 401, "CUSTOM": 401}[demanded]
        yield expect(
            f"{key}, unsigned and without token or key", status, api.ask(path, method=_method(key)).status_code
        )
        if demanded == "JWT":
            for what, token in (("nonsense for a token", "nonsense"), ("an unsigned token", _unsigned_token(stack))):
                answer = api.ask(path, {"Authorization": f"Bearer {token}"}, method=_method(key))
                yield expect(f"{key}, with {what}", 401, answer.status_code)
        if demanded == "CUSTOM":
            for what, wrong in (("nonsense for a key", "nonsense"), ("an unknown key", make_key())):
                answer = api.ask_with_key(path, wrong, method=_method(key))
                yield expect(f"{key}, with {what}", 403, answer.status_code)


def _who_may_ask(api: Api, stack: Stack) -> Iterator[Finding]:
    for key, path, demanded in _routes(stack):
        if demanded != "NONE":
            answer = api.ask_with_authorization(path, method=_method(key))
            yield expect(f"{key}, with authorization", 200, answer.status_code)


def _unsigned_token(stack: Stack) -> str:
    """Return a token that is right in everything but its signature: it says that it needs none."""
    (authorizer,) = stack.of_type("AWS::ApiGatewayV2::Authorizer")
    expected = authorizer.properties["JwtConfiguration"]
    now = int(time.time())
    claims = {"iss": expected["Issuer"], "aud": expected["Audience"][0], "sub": "smoke", "iat": now, "exp": now + 300}
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def _series(api: Api, stack: Stack) -> Iterator[Finding]:
    answer = api.ask_with_authorization(SERIES)
    body = _json(answer)
    rows = [[*row] if isinstance(row, dict) else row for row in body] if isinstance(body, list) else [body]
    link = answer.headers.get("Link", "")
    yield expect(
        f"GET {SERIES}",
        {
            "status": 200,
            "Content-Type": "application/json",
            "Cache-Control": _cache_control(stack),
            "rel=self": SERIES,
            "rows": [ROW][: len(rows)],
        },
        {
            "status": answer.status_code,
            **_headers(answer, "Content-Type", "Cache-Control"),
            # A custom domain may have put something in front of it.
            "rel=self": SERIES if f'{SERIES}>; rel="self"' in link else link,
            "rows": rows,
        },
    )
    vary = _names(answer.headers.get("Vary", "")) - {"origin"}
    private = {"authorization"} if api.demands != "NONE" else set()
    yield expect(f"GET {SERIES}: Vary", {"accept", "accept-encoding"} | private, vary)
    tag = answer.headers.get("ETag", "")
    yield require(f"GET {SERIES}: ETag", "a weak one", tag or None, met=bool(re.fullmatch(r'W/"[0-9a-f]+"', tag)))
    again = api.ask_with_authorization(SERIES, {"If-None-Match": tag})
    yield expect(f"GET {SERIES}, not changed", (304, tag), (again.status_code, again.headers.get("ETag")))


def _csv(api: Api, _: Stack) -> Iterator[Finding]:
    answer = api.ask_with_authorization(f"{SERIES}&format=csv")
    yield expect(
        f"GET {SERIES}&format=csv",
        {"status": 200, "Content-Type": "text/csv", "header": "EventId,EventDay,EventCount"},
        {
            "status": answer.status_code,
            "Content-Type": answer.headers.get("Content-Type", "").partition(";")[0],
            "header": answer.text.partition("\n")[0],
        },
    )


def _problems(api: Api, _: Stack) -> Iterator[Finding]:
    for path, status, parameter, detail in (
        ("/visits/all?startDate=20171399", 400, "startDate", "startDate '20171399' is not a calendar date (YYYYMMDD)"),
        ("/visits/abc", 404, "resourceId", "resourceId 'abc' is neither a number (ASCII digits) nor 'all'"),
    ):
        answer = api.ask_with_authorization(path)
        body = _json(answer)
        yield expect(
            f"GET {path}",
            {
                "status": status,
                "Content-Type": "application/problem+json",
                "Cache-Control": "no-store",
                "problem": (status, parameter, detail, detail),
            },
            {
                "status": answer.status_code,
                **_headers(answer, "Content-Type", "Cache-Control"),
                "problem": tuple(map(body.get, ("status", "parameter", "detail", "message")))
                if isinstance(body, dict)
                else body,
            },
        )


def _chart(api: Api, _: Stack) -> Iterator[Finding]:
    path = SERIES.replace("?", "/chart?")
    answer = api.ask(path)
    policy = answer.headers.get("Content-Security-Policy", "")
    yield expect(
        f"GET {path}",
        {"status": 200, "Content-Type": "text/html; charset=utf-8", "policy": "default-src 'none'"},
        {"status": answer.status_code, **_headers(answer, "Content-Type"), "policy": policy.partition(";")[0]},
    )


def _no_such_route(api: Api, _: Stack) -> Iterator[Finding]:
    answer = api.ask("/no-such-route")
    yield expect("GET /no-such-route", (404, {"message": "Not Found"}), (answer.status_code, _json(answer)))


def _any_page_may_read(api: Api, stack: Stack) -> Iterator[Finding]:
    answer = api.ask_with_authorization(SERIES, {"Origin": PAGE})
    cors = _cors(stack)
    yield expect(
        f"GET {SERIES} by a page of another origin",
        {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": _names(cors["ExposeHeaders"])},
        {
            **_headers(answer, "Access-Control-Allow-Origin"),
            "Access-Control-Expose-Headers": _names(answer.headers.get("Access-Control-Expose-Headers", "")),
        },
    )


def _preflight(api: Api, stack: Stack) -> Iterator[Finding]:
    cors = _cors(stack)
    lists = {"Access-Control-Allow-Methods": "AllowMethods", "Access-Control-Allow-Headers": "AllowHeaders"}
    for route, path, _ in _routes(stack):
        if _method(route) != "GET":
            continue  # a preflight is about a path, and HEAD has the same paths
        asked = {
            "Origin": PAGE,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": ",".join(sorted(_names(cors["AllowHeaders"]))),
        }
        answer = api.ask(path, asked, method="OPTIONS")
        yield expect(
            f"{route}, its preflight",
            {
                "status": "2xx",
                "Access-Control-Allow-Origin": "*",
                "Access-Control-Max-Age": str(cors["MaxAge"]),
                **{name: _names(cors[declared]) for name, declared in lists.items()},
            },
            {
                "status": "2xx" if 200 <= answer.status_code < 300 else answer.status_code,
                **_headers(answer, "Access-Control-Allow-Origin", "Access-Control-Max-Age"),
                # API Gateway may allow more than was asked for.
                **{name: _names(answer.headers.get(name, "")) & _names(cors[key]) for name, key in lists.items()},
            },
        )


CHECKS: tuple[Check, ...] = (
    _who_may_not_ask,
    _who_may_ask,
    _series,
    _csv,
    _problems,
    _chart,
    _no_such_route,
    _any_page_may_read,
    _preflight,
)


def _routes(stack: Stack) -> Iterator[tuple[str, str, str]]:
    """Yield the key of each route, a path that it takes, and what it demands."""
    for key, demanded in stack.routes().items():
        path = re.sub(r"{\w+}", "all", key.partition(" ")[2])
        yield key, f"{path}?limit=1", demanded


def _method(key: str) -> str:
    return key.partition(" ")[0]


def _headers(answer: AWSResponse, *names: str) -> dict[str, str | None]:
    return {name: answer.headers.get(name) for name in names}


def _json(answer: AWSResponse) -> Any:
    """Return the body, as text where it is not JSON."""
    try:
        return json.loads(answer.text)
    except ValueError:
        return answer.text


def _names(names: str | list[str]) -> set[str]:
    """Return a list of header or method names as a set, in lower case: API Gateway may write them in its own."""
    listed = names.split(",") if isinstance(names, str) else names
    return {name.strip().lower() for name in listed if name.strip()}


def _cors(stack: Stack) -> Mapping[str, Any]:
    (api,) = stack.of_type("AWS::ApiGatewayV2::Api")
    cors: Mapping[str, Any] = api.properties["CorsConfiguration"]
    return cors


def _cache_control(stack: Stack) -> str | None:
    """Return what the functions are told to answer."""
    variables = (
        f.properties.get("Environment", {}).get("Variables", {}) for f in stack.of_type("AWS::Lambda::Function")
    )
    return next((each["CACHE_CONTROL"] for each in variables if "CACHE_CONTROL" in each), None)
