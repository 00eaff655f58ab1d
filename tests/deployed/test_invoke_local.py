"""`sls invoke local` answers an event file as the handler does."""

from __future__ import annotations

import json

import pytest
from event_files import CASES, answered
from settings import STAGE

from tools.local_cloud import LocalCloud


@pytest.mark.parametrize(
    ("function", "name"), [("getVisits", "book"), ("getVisits", "http-not-a-date"), ("listVisits", "http-list")]
)
@pytest.mark.usefixtures("book_api")
def test_sls_invoke_local_answers(cloud: LocalCloud, function: str, name: str) -> None:
    """`sls invoke local` runs the handler on an event file, with the local cloud's table."""
    output = cloud.run("sls", "invoke", "local", "--stage", STAGE, "-f", function, "-p", f"tests/events/{name}.json")

    assert CASES[name] == answered(json.loads(output))
