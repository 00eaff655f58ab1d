"""S3's events: which objects they announce, what an event is that is none of S3's, and the event of an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote_plus, unquote_plus

_TEST_EVENT = "s3:TestEvent"
"""S3 sends one when notifications are set up; it announces nothing."""


class NotAnS3Event(ValueError):
    """An event that announces no object; the message says what it is instead."""


class Announced(NamedTuple):
    """An object as S3's event announces it."""

    bucket: str
    key: str
    etag: str
    version_id: str | None
    size: int


def announced_by(event: object) -> list[Announced]:
    """Return the objects that an event announces, or raise NotAnS3Event."""
    if not isinstance(event, Mapping):
        raise NotAnS3Event(f"it is no JSON object, but {type(event).__name__}")
    if event.get("Event") == _TEST_EVENT:
        return []
    if "detail-type" in event:
        raise NotAnS3Event("it is an event of EventBridge; the bucket's own notifications are what is understood")
    records = event.get("Records")
    if not isinstance(records, list) or not records:
        raise NotAnS3Event("it has no Records")
    return [_announced(record) for record in records]


def _announced(record: object) -> Announced:
    if not isinstance(record, Mapping):
        raise NotAnS3Event("it has a record that is no JSON object")
    origin = record.get("eventSource", record.get("EventSource", "aws:s3"))
    if origin != "aws:s3":
        raise NotAnS3Event(f"it comes from {str(origin)[:40]!r}; the bucket's own notifications are what is understood")
    match record.get("s3"):
        case {
            "bucket": {"name": str(bucket)},
            "object": {"key": str(key), "eTag": str(etag), "size": int(size), **others},
        } if not isinstance(size, bool):
            version_id = others.get("versionId")
            if version_id is None or isinstance(version_id, str):
                # Keys arrive as in a form: plus signs for spaces, the rest percent-encoded.
                return Announced(bucket, unquote_plus(key), etag, version_id, size)
    raise NotAnS3Event("it has a record that names no object with bucket, key, eTag and size")


def event_of(objects: Sequence[Announced]) -> dict[str, object]:
    """Return the event that announces these objects, as S3 would write it."""
    records = []
    for found in objects:
        entity: dict[str, object] = {"key": quote_plus(found.key, safe="/"), "size": found.size, "eTag": found.etag}
        if found.version_id is not None:
            entity["versionId"] = found.version_id
        records.append({"eventSource": "aws:s3", "s3": {"bucket": {"name": found.bucket}, "object": entity}})
    return {"Records": records}
