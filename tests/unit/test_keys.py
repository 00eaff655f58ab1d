"""Readers' keys: how they look, and what the table keeps of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from databases import MOTO, Reply, ScriptedDynamoDB, boto3_at, cancelled, client_at
from settings import KEYS_TABLE

from dynamodb import Cancelled, Client, DynamoDBError
from keys import KeysTable, NameTaken, NoSuchKey, ReaderKey, digest_of, is_well_formed, make_key, parse_name
from tools.tables import every_key
from visits import InvalidValue

NOW = datetime(2026, 11, 24, 10, 0, 0, 123456, UTC)


def test_a_key_can_be_found_by_programs_that_look_for_secrets() -> None:
    """It has a prefix of its own, and only characters that a URL, a shell and a spreadsheet leave as they are."""
    assert re.fullmatch(r"visits_[0-9A-Za-z]{43}[0-9a-f]{8}", make_key())


def test_no_two_keys_are_the_same() -> None:
    """Each has 43 characters of 62 at random: 256 bits, in which each of the 62 occurs."""
    keys = [make_key() for _ in range(1_000)]

    assert 1_000 == len(set(keys))
    assert 62 == len(set("".join(key[7:50] for key in keys)))
    assert 2**256 <= 62**43


def test_a_key_is_well_formed() -> None:
    """Every key that is made is."""
    assert all(is_well_formed(make_key()) for _ in range(100))


def mistyped(key: str) -> dict[str, str]:
    """Return a key as it comes out of hasty hands."""
    at = next(n for n in range(7, 50) if key[n] != key[n + 1])
    return {
        "a character too few": key[:-1],
        "a character too many": f"{key}0",
        "another character": f"{key[:20]}{'a' if key[20] != 'a' else 'b'}{key[21:]}",
        "two characters exchanged": f"{key[:at]}{key[at + 1]}{key[at]}{key[at + 2 :]}",
        "in upper case": key.upper(),
        "another checksum": f"{key[:-8]}{int(key[-8:], 16) ^ 1:08x}",
        "another prefix": f"events_{key[7:]}",
        "without its prefix": key[7:],
        "a line end": f"{key}\n",
        "a blank": f" {key}",
        "twice": key + key,
        "digits of another script": key[:-1] + "\N{ARABIC-INDIC DIGIT ONE}",
        "nothing": "",
        "a lone surrogate": "\ud800",
    }


@pytest.mark.parametrize("how", mistyped(make_key()))
def test_a_mistyped_key_is_told_without_a_lookup(how: str) -> None:
    """By its length, its characters, its prefix or its checksum."""
    assert not is_well_formed(mistyped(make_key())[how])


def test_a_key_is_known_by_its_sha_256() -> None:
    """In hexadecimal digits."""
    assert sha256(b"visits_x").hexdigest() == digest_of("visits_x")


def test_what_is_stored_of_a_key_does_not_tell_it() -> None:
    """Its digest, its name, its times in whole seconds of UTC, and its last four characters."""
    key = make_key()

    assert ReaderKey(
        digest_of(key),
        "grafana",
        datetime(2026, 11, 24, 10, 0, 0, 0, UTC),
        datetime(2026, 12, 24, 10, 0, 0, 0, UTC),
        key[-4:],
    ) == ReaderKey.of(key, "grafana", NOW, days=30)


@pytest.mark.parametrize("name", ["grafana", "a", "7", "finance.sheet-2_b", "anna@example.com", "x" * 40])
def test_a_name_is_taken_as_it_is(name: str) -> None:
    """It has letters, digits and four signs."""
    assert name == parse_name(name)


@pytest.mark.parametrize(
    "name", ["", "-x", "x" * 41, "a b", 'a"b', "a\n", "ä", "name:x", pytest.param(make_key(), id="a key")]
)
def test_a_name_that_could_break_a_line_of_the_log_or_be_a_key_is_refused(name: str) -> None:
    """The message says what a name may be."""
    with pytest.raises(InvalidValue, match="is not a name"):
        parse_name(name)


def stored(keys: KeysTable, name: str, days: int = 30) -> tuple[str, ReaderKey]:
    """Add a key; return it, and what is stored of it."""
    key = make_key()
    reader_key = ReaderKey.of(key, name, NOW, days)
    keys.add(reader_key)
    return key, reader_key


def test_a_key_is_found_by_its_digest(keys: KeysTable) -> None:
    """As it was added; another is not found."""
    key, reader_key = stored(keys, "grafana")

    assert reader_key == keys.get(digest_of(key))
    assert None is keys.get(digest_of(make_key()))


def test_a_name_is_not_found_as_a_key(keys: KeysTable) -> None:
    """Its item has a partition key that no digest can be."""
    stored(keys, "grafana")

    assert None is keys.get("grafana")
    with pytest.raises(DynamoDBError, match="not one of ours"):
        keys.get("name:grafana")


def stored_keys(keys: KeysTable) -> list[ReaderKey]:
    """Return every key of the table in memory, by name."""
    return every_key(boto3_at(MOTO), keys)


def test_every_key_is_listed_by_name(keys: KeysTable) -> None:
    """Each once, ended or not; the items of their names are not among them."""
    expected = [stored(keys, f"reader-{n}", days=n + 1)[1] for n in range(5)]

    assert expected == stored_keys(keys)


def test_two_keys_of_one_name_are_refused(keys: KeysTable) -> None:
    """The first stays as it is, and the second lets nobody in."""
    _, first = stored(keys, "grafana")

    with pytest.raises(NameTaken, match="has a key named grafana already; revoke it first"):
        stored(keys, "grafana")

    assert [first] == stored_keys(keys)


def test_of_two_commands_that_add_one_name_at_once_one_succeeds(keys: KeysTable) -> None:
    """Whichever comes first: the name's item is written in the key's own transaction."""

    def add(_: int) -> bool:
        try:
            stored(keys, "grafana")
        except NameTaken:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(add, range(8)))

    assert 1 == sum(added)
    assert 1 == len(stored_keys(keys))


def test_a_revoked_key_is_not_found_and_its_name_is_free(keys: KeysTable) -> None:
    """Nothing is left of it, and other keys stay."""
    key, _ = stored(keys, "grafana")
    _, other = stored(keys, "sheet")

    keys.revoke("grafana")

    assert None is keys.get(digest_of(key))
    assert [other] == stored_keys(keys)
    _, again = stored(keys, "grafana")
    assert [again, other] == stored_keys(keys)


def test_to_revoke_a_key_that_there_is_not_is_an_error(keys: KeysTable) -> None:
    """A mistyped name must not look like success."""
    with pytest.raises(NoSuchKey, match=f"{KEYS_TABLE} has no key named grafana"):
        keys.revoke("grafana")


class Interrupted(Client):
    """A client that does something once, after it has read an item."""

    then: Callable[[], None] | None = None

    def call(self, operation: str, request: Mapping[str, object]) -> dict[str, Any]:
        answer = super().call(operation, request)
        if operation == "GetItem" and self.then:
            then, self.then = self.then, None
            then()
        return answer


def test_a_name_revoked_and_added_again_meanwhile_keeps_its_new_key(keys: KeysTable) -> None:
    """The older command revokes only the key that it has seen, and says that another was faster."""
    stored(keys, "grafana")
    added: list[ReaderKey] = []

    def replace_key() -> None:
        keys.revoke("grafana")
        added.append(stored(keys, "grafana")[1])

    client = client_at(MOTO, Interrupted)
    assert isinstance(client, Interrupted)
    client.then = replace_key
    with pytest.raises(NoSuchKey, match="another command has just revoked the key named grafana"):
        KeysTable(client, KEYS_TABLE).revoke("grafana")

    assert added == stored_keys(keys)


def test_a_transaction_that_fails_for_another_reason_is_no_question_of_names(scripted: ScriptedDynamoDB) -> None:
    """It is raised as it is."""
    keys = KeysTable(client_at(scripted.endpoint), KEYS_TABLE)
    scripted.replies = [cancelled("ValidationError", "None")]
    with pytest.raises(Cancelled):
        stored(keys, "grafana")

    by_name = {"KeyId": {"S": "name:grafana"}, "Sha256": {"S": "0" * 64}}
    scripted.replies = [Reply(body=json.dumps({"Item": by_name})), cancelled("ValidationError", "None")]
    with pytest.raises(Cancelled):
        keys.revoke("grafana")


NOT_OURS = [{"ExpiresAt": None}, {"ExpiresAt": "never"}, {"Name": None}]


@pytest.mark.parametrize("changes", NOT_OURS)
def test_an_item_that_is_not_one_of_ours_is_an_error(keys: KeysTable, changes: Mapping[str, str | None]) -> None:
    """It lets nobody in, and the message names what is wrong with it."""
    time = NOW.isoformat()
    ours = {"KeyId": "0" * 64, "Name": "x", "CreatedAt": time, "ExpiresAt": time, "LastFour": "0000"}
    item = {name: {"S": text} for name, text in {**ours, **changes}.items() if text is not None}
    boto3_at(MOTO).put_item(TableName=keys.name, Item=item)

    with pytest.raises(DynamoDBError, match=f"is not one of ours: .*({'|'.join(changes)}|never)"):
        keys.get("0" * 64)
