"""Calls to DynamoDB: what is tried again, and what becomes of every answer."""

from __future__ import annotations

import json
from dataclasses import replace
from zlib import crc32

import pytest
from databases import Reply, ScriptedDynamoDB, aws_error, client_at
from settings import TABLE

from dynamodb import Unavailable

QUERY = {"TableName": TABLE}
RIGHT = Reply(body=json.dumps({"Items": [], "Count": 7}))


def test_throttling_that_passes_goes_unnoticed(scripted: ScriptedDynamoDB) -> None:
    """The client asks three times."""
    scripted.replies = [aws_error("ThrottlingException"), aws_error("ThrottlingException"), RIGHT]

    assert 7 == client_at(scripted.endpoint, sleep=lambda _: None).call("Query", QUERY)["Count"]


def test_an_answer_that_was_changed_on_its_way_is_asked_for_again(scripted: ScriptedDynamoDB) -> None:
    """DynamoDB sends a checksum along, of the bytes as they are on the wire."""
    assert isinstance(RIGHT.body, str)
    scripted.replies = [
        replace(RIGHT, body='{"Count": 8}', crc32=1),
        replace(RIGHT, crc32=crc32(RIGHT.body.encode())),
    ]

    assert 7 == client_at(scripted.endpoint, sleep=lambda _: None).call("Query", QUERY)["Count"]
    assert 2 == len(scripted.requests)


def test_an_answer_that_ends_too_early_is_unavailable(scripted: ScriptedDynamoDB) -> None:
    """Half an answer is none."""
    scripted.replies = [replace(RIGHT, cut=True)]

    with pytest.raises(Unavailable):
        client_at(scripted.endpoint, sleep=lambda _: None).call("Query", QUERY)
