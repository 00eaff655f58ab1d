"""The event files, tests/events/*.json, each with the answer that it gets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from samples import BOOK_324

EVENTS = Path(__file__).parent / "events"

EVERY_DAY = [{"EventCount": visits, "EventDay": day, "EventId": "324"} for day, visits in BOOK_324.items()]

CASES: dict[str, tuple[int, object]] = {
    "book": (200, EVERY_DAY),
    "rest-every-day": (200, EVERY_DAY),
    "rest-from-day": (200, EVERY_DAY[4:]),
    "rest-repeated": (400, "startDate is given 2 times, where one value is allowed"),
    "http-every-day": (200, EVERY_DAY),
    "http-from-day": (200, EVERY_DAY[4:]),
    "http-range": (200, EVERY_DAY[1:4]),
    "http-all-events": (200, [{"EventCount": 3, "EventDay": 20171001, "EventId": "all"}]),
    "http-unknown-event": (200, []),
    "http-several": (
        200,
        [
            {"EventCount": count, "EventDay": day, "EventId": event_id}
            for day, counts in (("2017-10-16", (0, 6)), ("2017-10-17", (0, 2)))
            for event_id, count in zip(("7", "324"), counts, strict=True)
        ],
    ),
    "http-list": (200, [{"EventCount": 44, "EventId": "324", "FirstDay": 20171001, "LastDay": 20171017}]),
    "http-slip": (400, "startdate is not a parameter; startDate is"),
    "http-not-a-date": (400, "startDate '20171399' is not a calendar date (YYYYMMDD)"),
    "http-empty-date": (400, "startDate '' is not a calendar date (YYYYMMDD)"),
    "http-repeated": (400, "startDate is given 2 times, where one value is allowed"),
    "http-end-before-start": (400, "endDate 20171012 is before startDate 20171013"),
    "http-not-a-number": (404, "resourceId 'abc' is neither a number (ASCII digits) nor 'all'"),
    "http-superscript": (404, "resourceId '²' is neither a number (ASCII digits) nor 'all'"),
}
"""Each file's status, and its rows or its problem's detail."""


@dataclass
class Context:
    """A Lambda context with enough time left."""

    aws_request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    left_ms: int = 29_000

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms


def answered(response: object) -> tuple[int, object]:
    """Return a proxy response's status, and its rows or its problem's detail."""
    assert isinstance(response, dict)
    body = json.loads(response["body"])
    return response["statusCode"], body if response["statusCode"] == 200 else body["detail"]
