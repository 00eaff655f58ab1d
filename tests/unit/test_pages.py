"""The page as a document: whole in itself, locked by its headers; and the entry point that serves it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest
from event_files import Context

import handler
import pages
from http_utils import Response
from tools import local_cloud

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


class Parsed(HTMLParser):
    """What a document has inside, and what it refers to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self.attributes: list[tuple[str, str, str | None]] = []
        self._tag = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag in self.inside:
            self.inside[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._tag:
            self._tag = ""

    def handle_data(self, data: str) -> None:
        if self._tag in self.inside:
            self.inside[self._tag][-1] += data


PARSED = Parsed(pages.chart().html)
POLICY = {
    name: sources
    for name, _, sources in (
        directive.partition(" ") for directive in pages.chart().headers["Content-Security-Policy"].split("; ")
    )
}


def get(resource_id: str, query: str = "", headers: dict[str, str] | None = None) -> Response:
    """Return the handler's response to a request in payload format 2.0."""
    event = {
        "version": "2.0",
        "rawPath": f"/visits/{resource_id}/chart",
        "pathParameters": {"resourceId": resource_id},
        "rawQueryString": query,
        "headers": headers or {},
    }
    return pages.get_page(event, Context())


def headers_of(response: Response) -> dict[str, str]:
    headers = response["headers"]
    assert isinstance(headers, dict)
    return headers


@pytest.mark.parametrize(("tag", "directive"), [("script", "script-src"), ("style", "style-src")])
def test_the_policy_allows_what_is_inside_and_nothing_else(tag: str, directive: str) -> None:
    """By the hash of every script and style, as a browser takes it."""
    inside = PARSED.inside[tag]

    assert all(text.strip() for text in inside)
    hashes = [f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'" for text in inside]
    assert hashes == POLICY.pop(directive).split()


def test_the_policy_is_strict() -> None:
    """Nothing by default; from this host only what the API answers; no frame, no form's target, no other base."""
    strict = {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert strict.items() <= POLICY.items()
    assert strict.keys() | {"script-src", "style-src"} >= POLICY.keys()
    assert {
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
    }.items() <= pages.chart().headers.items()
    assert "geolocation=()" in pages.chart().headers["Permissions-Policy"]


def test_the_page_is_whole_in_itself() -> None:
    """No file beside it, no style or handler in an attribute, which the policy would forbid."""
    assert [] == [each for each in PARSED.attributes if each[1] in {"src", "srcset", "style"} or each[1][:2] == "on"]
    references = {value for tag, name, value in PARSED.attributes if name == "href" and tag != "a"}
    assert {"data"} == {str(reference).partition(":")[0] for reference in references}


def test_the_library_comes_with_its_licence() -> None:
    """Its notice, as npm ships it, and the release that package.json pins."""
    manifest = json.loads((local_cloud.PROJECT / "package.json").read_text())

    assert PARSED.inside["script"][0].startswith(
        f"/*! https://github.com/leeoniya/uPlot (v{manifest['dependencies']['uplot']}) */"
    )


def test_the_page_is_the_same_for_every_series() -> None:
    """Kept as long as a series may be, and not sent again where it is known."""
    first, second = get("324", "startDate=20171001", BROWSER), get("all")

    assert 200 == first["statusCode"]
    assert pages.chart().html == first["body"] == second["body"]
    headers = headers_of(first)
    assert ("text/html; charset=utf-8", "public, max-age=60") == (headers["Content-Type"], headers["Cache-Control"])
    assert pages.chart().headers.items() <= headers.items()
    known = get("7", headers={"if-none-match": headers["ETag"]})
    assert (304, "") == (known["statusCode"], known["body"])
    assert get("7", headers={"accept-encoding": "gzip"})["isBase64Encoded"] is True


@pytest.mark.parametrize(
    ("resource_id", "query", "status", "parameter"),
    [
        ("abc", "", 404, "resourceId"),
        ("324", "startDate=20171399", 400, "startDate"),
        ("324", "startDate=20171002&endDate=20171001", 400, "endDate"),
        ("324", "interval=hour", 400, "interval"),
        ("324", "fill=null", 400, "fill"),
        ("324", "order=up", 400, "order"),
        ("324", "limit=0", 400, "limit"),
        ("324", "format=html", 400, "format"),
        ("324", "interval=day&interval=week", 400, "interval"),
    ],
)
def test_what_makes_no_sense_is_a_page_to_a_browser_and_a_problem_to_a_program(
    resource_id: str, query: str, status: int, parameter: str
) -> None:
    """With the same status, and exactly what the series would be answered."""
    page, problem = get(resource_id, query, BROWSER), get(resource_id, query)
    series: Any = handler.get_visits(
        {"version": "2.0", "pathParameters": {"resourceId": resource_id}, "rawQueryString": query}, Context()
    )

    assert (status, pages.chart().html) == (page["statusCode"], page["body"])
    assert "no-store" == headers_of(page)["Cache-Control"]
    assert pages.chart().headers.items() <= headers_of(page).items()
    assert series == problem
    assert (status, parameter) == (problem["statusCode"], json.loads(str(problem["body"]))["parameter"])


def imported_by(module: str) -> set[str]:
    """Return the modules that a new process has after it has imported this one."""
    run = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"],
        env={**os.environ, "VISITS_TABLE": "any"},
        cwd=local_cloud.PROJECT,
        text=True,
        capture_output=True,
        check=True,
    )
    return set(run.stdout.split())


def test_the_page_cannot_reach_a_database() -> None:
    """Its entry point imports no client of DynamoDB."""
    assert not {"boto3", "botocore", "repository"} & imported_by("pages")


def test_the_api_starts_without_the_page() -> None:
    """The entry point of the counts does not import the page's."""
    assert "pages" not in imported_by("handler")
