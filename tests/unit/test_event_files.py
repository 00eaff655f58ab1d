"""The event files are answered by the handler in this process."""

from __future__ import annotations

import json

import pytest
from event_files import CASES, EVENTS, Context, answered

import handler


def test_every_event_file_is_a_case() -> None:
    """Each event file has a case, and each case a file."""
    assert sorted(CASES) == sorted(file.stem for file in EVENTS.glob("*"))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("book_table")
def test_the_handler_answers(name: str) -> None:
    """The handler answers an event file as its case says."""
    event = json.loads((EVENTS / f"{name}.json").read_text())

    answer = handler.list_visits if event.get("routeKey") == "GET /visits" else handler.get_visits
    assert CASES[name] == answered(answer(event, Context()))
