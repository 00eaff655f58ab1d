"""Lambda entry point of the authorizer: with `auth: key`, API Gateway asks it before every route that has counts."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NotRequired, TypedDict

from dynamodb import connect
from keys import KeysTable, digest_of, is_well_formed

# Made while Lambda initialises, which has a whole CPU whatever the function's memory.
KEYS = KeysTable(connect(os.environ["AWS_REGION"]), os.environ["KEYS_TABLE"])

logger = logging.getLogger(__name__)


class Authorization(TypedDict):
    """API Gateway's simple response; `context` goes into the access log."""

    isAuthorized: bool
    context: NotRequired[Mapping[str, str]]


def authorize_reader(event: Mapping[str, Any], _context: object) -> Authorization:
    """Return whether the key that a request shows is one of the stage's and has not ended.

    API Gateway keeps the answer, yes or no, for the next requests with the same key: authorization.yml says how long.
    An error is no answer: API Gateway answers 500 then, and keeps nothing.
    """
    return _authorization(KEYS, _shown_key(event), datetime.now(UTC))


def _shown_key(event: Mapping[str, Any]) -> str:
    """Return what a request shows where authorization.yml looks for keys; in a header, it follows `Bearer`."""
    shown: str
    (shown,) = event["identitySource"]
    scheme, _, credentials = shown.partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else shown


def _authorization(table: KeysTable, shown: str, now: datetime) -> Authorization:
    if not is_well_formed(shown):
        return _refusal("it is malformed")
    key = table.get(digest_of(shown))
    if not key:
        return _refusal("it is unknown or revoked")
    if now >= key.expires_at:
        return _refusal(f"{key.name} ended {key.expires_at.isoformat()}")
    return {"isAuthorized": True, "context": {"reader": key.name}}


def _refusal(reason: str) -> Authorization:
    # No part of what was shown goes into the log: it may be the key of another stage, or one with a typing error.
    logger.info("a reader's key is refused: %s", reason)
    return {"isAuthorized": False}
