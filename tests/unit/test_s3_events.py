"""S3's events, and those that are none."""

from __future__ import annotations

from typing import Any

import pytest

from s3_events import Announced, NotAnS3Event, announced_by, event_of

ENTITY = {"key": "incoming/a%2Bb+c%C3%A9.csv", "eTag": "abc", "size": 7, "versionId": "v1", "sequencer": "0055AED6"}


def record(entity: object = ENTITY, **more: object) -> dict[str, Any]:
    return {"eventSource": "aws:s3", "s3": {"bucket": {"name": "inbox"}, "object": entity}, **more}


def test_an_event_announces_objects_with_their_version() -> None:
    """Keys arrive as in a form."""
    unversioned = {"key": "b", "eTag": "def", "size": 0}

    assert [
        Announced("inbox", "incoming/a+b cé.csv", "abc", "v1", 7),
        Announced("inbox", "b", "def", None, 0),
    ] == announced_by({"Records": [record(), record(unversioned)]})


def test_a_record_need_not_say_that_it_is_of_s3() -> None:
    """The command line makes such."""
    bare = record()
    del bare["eventSource"]

    assert 1 == len(announced_by({"Records": [bare]}))


def test_s3s_test_event_announces_nothing() -> None:
    """S3 sends one when notifications are set up."""
    assert [] == announced_by({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "inbox"})


@pytest.mark.parametrize(
    ("event", "what"),
    [
        (None, "it is no JSON object, but NoneType"),
        ([], "it is no JSON object, but list"),
        ({}, "it has no Records"),
        ({"Records": []}, "it has no Records"),
        ({"Records": {"a": 1}}, "it has no Records"),
        ({"Records": [7]}, "it has a record that is no JSON object"),
        (
            {"version": "0", "detail-type": "Object Created", "source": "aws.s3", "detail": {}},
            "it is an event of EventBridge; the bucket's own notifications are what is understood",
        ),
        (
            {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "{}"}}]},
            "it comes from 'aws:sns'; the bucket's own notifications are what is understood",
        ),
        (
            {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
            "it comes from 'aws:sqs'; the bucket's own notifications are what is understood",
        ),
        *(
            ({"Records": [record(entity)]}, "it has a record that names no object with bucket, key, eTag and size")
            for entity in (
                None,
                {},
                {**ENTITY, "key": 5},
                {**ENTITY, "eTag": None},
                {**ENTITY, "size": "7"},
                {**ENTITY, "size": True},
                {**ENTITY, "versionId": 1},
            )
        ),
        (
            {"Records": [record(s3={"bucket": "inbox", "object": ENTITY})]},
            "it has a record that names no object with bucket, key, eTag and size",
        ),
        ({"Records": [record(), {"s3": []}]}, "it has a record that names no object with bucket, key, eTag and size"),
    ],
)
def test_what_is_no_event_of_s3_is_told_as_such(event: object, what: str) -> None:
    """With what it is instead, where that can be seen."""
    with pytest.raises(NotAnS3Event) as raised:
        announced_by(event)

    assert what == str(raised.value)


def test_the_event_of_objects_announces_them() -> None:
    """With a version or without one, whatever their keys."""
    objects = [Announced("inbox", "incoming/a+b cé%\n.csv", "abc", "v1", 7), Announced("inbox", "b", "def", None, 0)]

    assert objects == announced_by(event_of(objects))
