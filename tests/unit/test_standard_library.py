"""What the API's functions import: the standard library and the modules at the root, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from samples import BOOK_324
from scripted_server import sends, serving
from settings import ENVIRONMENT

from tools import local_cloud

PROGRAM = """
import importlib, json, sys
from types import SimpleNamespace

sys.path.insert(0, sys.argv[1])
module, function = sys.argv[2].split(".")
event = json.loads(sys.argv[3])
context = SimpleNamespace(aws_request_id="1", get_remaining_time_in_millis=lambda: 29_000)
answer = getattr(importlib.import_module(module), function)(event, context)
print(json.dumps({"answer": answer, "modules": sorted({name.partition(".")[0] for name in sys.modules})}))
"""
"""Imports an entry point as Lambda does, answers one event with it, and prints the answer and what was loaded."""


def answered(entry_point: str, event: dict[str, object], endpoint: str) -> tuple[dict[str, object], set[str]]:
    """Return what an entry point answers in an interpreter without installed packages, and what it has imported."""
    done = subprocess.run(
        # -I and -S: neither the environment nor site-packages adds to the path.
        [sys.executable, "-I", "-S", "-c", PROGRAM, local_cloud.PROJECT, entry_point, json.dumps(event)],
        env={**os.environ, **ENVIRONMENT, "AWS_ENDPOINT_URL": endpoint},
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    return found["answer"], set(found["modules"])


OWN = {path.stem for path in local_cloud.PROJECT.glob("*.py")}
REQUEST = {"version": "2.0", "rawPath": "/visits/324", "pathParameters": {"resourceId": "324"}, "headers": {}}


@pytest.mark.parametrize(
    ("entry_point", "event", "needs_not"),
    [
        ("handler.get_visits", REQUEST, {"ingestion", "converter", "pages", "sources", "visit_files"}),
        ("pages.get_page", {**REQUEST, "rawPath": "/visits/324/chart"}, {"dynamodb", "ssl", "handler", "ingestion"}),
        (
            "authorizer.authorize_reader",
            {"version": "2.0", "headers": {}, "identitySource": ["Bearer a"]},
            {"handler", "series", "ingestion", "converter"},
        ),
    ],
)
def test_an_entry_point_needs_no_package(entry_point: str, event: dict[str, object], needs_not: set[str]) -> None:
    """It answers, and loads neither a package nor another function's modules, which every cold start would pay for."""
    items = [{"EventDay": {"N": str(day)}, "EventCount": {"N": str(count)}} for day, count in BOOK_324.items()]
    body = json.dumps({"Items": items}).encode()
    with serving(sends(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)) as script:
        answer, modules = answered(entry_point, event, script.url)

    assert answer
    if entry_point == "handler.get_visits":
        rows = json.loads(str(answer["body"]))
        assert BOOK_324 == {row["EventDay"]: row["EventCount"] for row in rows}
    assert set() == modules - sys.stdlib_module_names - OWN - {"__main__"}
    assert set() == modules & needs_not
