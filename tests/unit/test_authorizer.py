"""The authorizer: which keys let a reader in, and what the log has of the others."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from databases import Reply, ScriptedDynamoDB, aws_error, client_at
from settings import KEYS_TABLE

import authorizer
from authorizer import authorize_reader
from dynamodb import Unavailable
from keys import KeysTable, ReaderKey, digest_of, make_key

REFUSED = {"isAuthorized": False}


@pytest.fixture(autouse=True)
def _in_memory(keys: KeysTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authorizer asks the table in memory."""
    monkeypatch.setattr(authorizer, "KEYS", keys)


def event(shown: str) -> Mapping[str, object]:
    """Return what API Gateway sends (payload 2.0), as far as it is read."""
    return {"version": "2.0", "type": "REQUEST", "identitySource": [shown]}


def added(keys: KeysTable, name: str = "grafana", age: timedelta = timedelta(0), days: int = 30) -> str:
    """Return a key of the table that was made some time ago."""
    key = make_key()
    keys.add(ReaderKey.of(key, name, datetime.now(UTC) - age, days))
    return key


@pytest.mark.parametrize("scheme", ["", "Bearer ", "bearer ", "BEARER  "])
def test_a_key_of_the_table_lets_its_reader_in(keys: KeysTable, scheme: str) -> None:
    """As a parameter has it, or as a header has it; the access log gets the reader's name."""
    key = added(keys)

    assert {"isAuthorized": True, "context": {"reader": "grafana"}} == authorize_reader(event(f"{scheme}{key}"), None)


def test_a_key_lets_in_until_its_last_second(keys: KeysTable) -> None:
    """One that ends in seconds lets in, and one that has just ended does not."""
    ending = added(keys, "ending", timedelta(days=1) - timedelta(seconds=60), days=1)
    ended = added(keys, "ended", timedelta(days=1), days=1)

    assert authorize_reader(event(ending), None)["isAuthorized"]
    assert REFUSED == authorize_reader(event(ended), None)


def test_a_revoked_key_is_refused_at_once(keys: KeysTable) -> None:
    """By the authorizer itself: nothing is remembered here, and the read is consistent."""
    key = added(keys)
    assert authorize_reader(event(key), None)["isAuthorized"]

    keys.revoke("grafana")

    assert REFUSED == authorize_reader(event(key), None)


def test_a_malformed_key_is_refused_without_a_lookup(
    keys: KeysTable, scripted: ScriptedDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nonsense costs a run of the authorizer and no read; a well-formed key costs one read, which is consistent."""
    key = added(keys)
    monkeypatch.setattr(authorizer, "KEYS", KeysTable(client_at(scripted.endpoint), KEYS_TABLE))
    scripted.replies = [Reply()]

    nonsense = ["x", "Basic dXNlcjpwYXNz", f"Token {key}", f"{key},{key}", key[:-1], key.swapcase(), "name:grafana"]
    assert [REFUSED] * len(nonsense) == [authorize_reader(event(shown), None) for shown in nonsense]
    assert [] == scripted.requests

    assert REFUSED == authorize_reader(event(key), None)
    by_digest = {"KeyId": {"S": digest_of(key)}}
    assert [{"TableName": KEYS_TABLE, "Key": by_digest, "ConsistentRead": True}] == scripted.requests


def test_the_log_says_why_a_key_is_refused_and_nothing_of_the_key(
    keys: KeysTable, caplog: pytest.LogCaptureFixture
) -> None:
    """A reader whose key has ended is named; of what was shown, no four characters in a row are told."""
    caplog.set_level(logging.INFO)
    mistyped, unknown = make_key()[:-1], make_key()
    ended, good = added(keys, "sheet", timedelta(days=2), days=1), added(keys)

    for shown in (mistyped, unknown, ended, good):
        authorize_reader(event(f"Bearer {shown}"), None)

    told = [record.getMessage() for record in caplog.records if record.name == "authorizer"]
    assert ["it is malformed", "it is unknown or revoked"] == [each.rpartition(": ")[2] for each in told[:2]]
    assert "a reader's key is refused: sheet ended 20" in told[2]
    assert 3 == len(told)
    for key in (mistyped, unknown, ended, good):
        secret = key.removeprefix("visits_")
        assert not [secret[n : n + 4] for n in range(len(secret) - 3) if secret[n : n + 4] in caplog.text]


def test_where_dynamodb_does_not_answer_nobody_is_let_in(
    scripted: ScriptedDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function fails, which API Gateway answers with 500 and does not keep; the error has nothing of the key."""
    key = make_key()
    monkeypatch.setattr(authorizer, "KEYS", KeysTable(client_at(scripted.endpoint, max_attempts=1), KEYS_TABLE))
    scripted.replies = [aws_error("InternalServerError", 500)]

    with pytest.raises(Unavailable) as raised:
        authorize_reader(event(key), None)

    assert key not in str(raised.value)
