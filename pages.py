"""Lambda entry point of the page that draws a series: page/chart.html with its styles and scripts inside.

The page is the same for every series: its script reads the address and asks the API for the counts. Nothing here can
reach DynamoDB.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from http_utils import Context, Problem, Request, Response, entry_point, negotiate, represent, respond
from intervals import day_of
from query import read_series_query

CACHE_CONTROL = os.environ["CACHE_CONTROL"]

CONTENT_TYPE = "text/html; charset=utf-8"

_PAGE = Path(__file__).parent / "page"

_STYLE = re.compile(r'<link rel="stylesheet" href="([^"]+)">')
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)
_SCRIPT = re.compile(r'<script src="([^"]+)"></script>')


class Document(NamedTuple):
    """HTML, and the headers that go with it."""

    html: str
    headers: Mapping[str, str]


@entry_point
def get_page(request: Request, _: Context) -> Response:
    """Answer `GET /visits/{resourceId}/chart`: the page that draws the series, with no count in it.

    Where a parameter breaks a rule, a browser gets the same page, which says so, and a program gets the problem; the
    status is the same.
    """
    document = chart()
    try:
        read_series_query(request, day_of(datetime.now(UTC)))
    except Problem as problem:
        if negotiate(request, {"problem": "application/problem+json", "page": CONTENT_TYPE}) == "problem":
            raise
        headers = {**document.headers, "Cache-Control": "no-store"}
        return respond(problem.status, CONTENT_TYPE, document.html, headers)
    headers = {**document.headers, "Cache-Control": CACHE_CONTROL}
    # A browser that gets a 304 keeps the policy that it has.
    return represent(request, CONTENT_TYPE, document.html, headers, version=headers["Content-Security-Policy"])


@cache
def chart() -> Document:
    """Return the page of a chart; made once, as it never changes."""
    styles, html = _inlined(_STYLE, "style", (_PAGE / "chart.html").read_text("utf-8"))
    scripts, html = _inlined(_SCRIPT, "script", html)
    policy = {
        "default-src": "'none'",
        "connect-src": "'self'",  # the API
        "img-src": "data:",  # the icon
        "script-src": scripts,
        "style-src": styles,
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    headers = {
        "Content-Security-Policy": "; ".join(f"{directive} {sources}" for directive, sources in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Referrer-Policy": "no-referrer",
    }
    return Document(html, headers)


def _joined(name: str, known: set[str] | None = None) -> str:
    """Return a module of page/ with those that it imports, each once, before those that import it, as one script.

    The modules import names, each from one line, so the names of all modules have to differ.
    """
    known = set() if known is None else known
    known.add(name)
    text = (_PAGE / name).read_text("utf-8")
    imported = [_joined(module, known) for module in _IMPORT.findall(text) if module not in known]
    return "".join([*imported, _EXPORT.sub("", _IMPORT.sub("", text))])


def _inlined(reference: re.Pattern[str], tag: str, html: str) -> tuple[str, str]:
    """Return the hashes of the files that are referred to, as a policy lists them, and the HTML with them inside."""
    hashes: list[str] = []

    def content(match: re.Match[str]) -> str:
        text = _joined(match[1])
        hashes.append(f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'")
        return f"<{tag}>{text}</{tag}>"

    inlined = reference.sub(content, html)
    return " ".join(hashes), inlined
