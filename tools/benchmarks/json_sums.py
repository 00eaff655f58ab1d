"""The least that a list of events takes: the answers to its Queries read as JSON, and a dictionary of sums.

The answers are fetched beforehand.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Mapping
from typing import Any

from stub import LISTED_DAYS, LISTED_EVENTS, series

DAYS = list(series(LISTED_DAYS))
SPAN = {"FirstDay": DAYS[0], "LastDay": DAYS[-1]}


def _answer(day: int) -> bytes:
    query = {"TableName": os.environ["VISITS_TABLE"], "ExpressionAttributeValues": {":day": {"N": str(day)}}}
    headers = {"X-Amz-Target": "DynamoDB_20120810.Query"}
    request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], json.dumps(query).encode(), headers)
    with urllib.request.urlopen(request) as answered:
        body: bytes = answered.read()
        return body


ANSWERS = [*map(_answer, DAYS)]


def answer(event: Mapping[str, Any], context: object) -> dict[str, object]:  # noqa: ARG001 - Lambda gives it
    """Answer with the events that have the most visits, as the list does."""
    sums: dict[str, int] = {}
    for body in ANSWERS:
        for item in json.loads(body)["Items"]:
            event_id = item["EventId"]["S"]
            sums[event_id] = sums.get(event_id, 0) + int(item["EventCount"]["N"])
    first = sorted(sums, key=lambda event_id: (-sums[event_id], event_id))[:LISTED_EVENTS]
    return {"body": json.dumps([{"EventId": event_id, "EventCount": sums[event_id], **SPAN} for event_id in first])}
