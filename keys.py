"""The keys of readers who can neither sign nor log in, and their table, `visit-keys-<stage>`.

A key is `visits_`, 43 random letters and digits (256 bits) and 8 hexadecimal digits: the CRC-32 of what precedes them.
By the prefix, programs that search published text for secrets find it; by the checksum, a mistyped key is told from a
wrong one without a lookup. The table has each key's SHA-256, never the key.
"""

from __future__ import annotations

import re
import secrets
import string
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from zlib import crc32

from dynamodb import Cancelled, DynamoDBError, Item, Table
from visits import InvalidValue

_PREFIX = "visits_"
_CHARACTERS = string.ascii_letters + string.digits
_RANDOM_CHARACTERS = 43
"""62^43 is 2^256.03."""

_KEY = rf"({_PREFIX}[A-Za-z0-9]{{{_RANDOM_CHARACTERS}}})([0-9a-f]{{8}})"

_NAME = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,39}"
"""It is written into the access log as it is, so it has no quote and no line end; it is too short to be a key."""


class NameTaken(DynamoDBError):
    """A key of that name exists; nothing was written."""


class NoSuchKey(DynamoDBError):
    """No key has that name."""


class ReaderKey(NamedTuple):
    """What is stored of a key."""

    digest: str
    name: str
    created_at: datetime
    expires_at: datetime
    last_four: str
    """Its last four characters, by which its owner recognises it."""

    @classmethod
    def of(cls, key: str, name: str, created_at: datetime, days: int) -> ReaderKey:
        """Return what to store of a key that ends after so many days; times are UTC, in whole seconds."""
        created_at = created_at.astimezone(UTC).replace(microsecond=0)
        return cls(digest_of(key), name, created_at, created_at + timedelta(days), key[-4:])


def make_key() -> str:
    """Return a new key."""
    text = _PREFIX + "".join(secrets.choice(_CHARACTERS) for _ in range(_RANDOM_CHARACTERS))
    return text + _checksum(text)


def is_well_formed(text: str) -> bool:
    """Return whether prefix, length, characters and checksum are those of a key."""
    match = re.fullmatch(_KEY, text)
    return match is not None and match[2] == _checksum(match[1])


def digest_of(key: str) -> str:
    """Return a key's SHA-256 in hexadecimal digits, by which the table knows it.

    256 random bits need no salt and no slow hash. Only digests are ever compared, and nobody can choose a key by how
    its digest begins: the time that a lookup takes tells nothing of any key.
    """
    return sha256(key.encode()).hexdigest()


def parse_name(text: str) -> str:
    """Return the name of a key; raise InvalidValue where it cannot be one."""
    if not re.fullmatch(_NAME, text):
        raise InvalidValue(text, "is not a name (1 to 40 letters, digits, '.', '_', '@', '-'; first a letter or digit)")
    return text


class KeysTable(Table):
    """The readers' keys. Each has two items, written and deleted in one transaction, so that no two have one name.

    | KeyId | other attributes |
    | --- | --- |
    | the key's SHA-256 | Name, CreatedAt, ExpiresAt, LastFour |
    | `name:` and the name | Sha256: that of the key |

    No SHA-256 begins with `name:`, so no key finds the item of a name.
    """

    def get(self, digest: str) -> ReaderKey | None:
        """Return the key with that SHA-256; None where there is none, or none any more."""
        item = self._item(digest)
        return reader_key_of(item) if item else None

    def add(self, key: ReaderKey) -> None:
        """Store a key; raise NameTaken where there is one of that name, ended or not."""
        by_digest = {
            "KeyId": {"S": key.digest},
            "Name": {"S": key.name},
            "CreatedAt": {"S": key.created_at.isoformat()},
            "ExpiresAt": {"S": key.expires_at.isoformat()},
            "LastFour": {"S": key.last_four},
        }
        by_name = {"KeyId": {"S": _name_id(key.name)}, "Sha256": {"S": key.digest}}
        # Of two commands that add one name at the same time, the second finds the item of the first.
        if_absent = {"TableName": self.name, "ConditionExpression": "attribute_not_exists(KeyId)"}
        try:
            self._transact([{"Put": {**if_absent, "Item": item}} for item in (by_digest, by_name)])
        except Cancelled as cancelled:
            if cancelled.codes[1] != "ConditionalCheckFailed":
                raise
            raise NameTaken(f"{self.name} has a key named {key.name} already; revoke it first") from cancelled

    def revoke(self, name: str) -> None:
        """Delete the key of that name; raise NoSuchKey where there is none."""
        by_name = self._item(_name_id(name))
        if not by_name:
            raise NoSuchKey(f"{self.name} has no key named {name}")
        sha256_of_key = by_name["Sha256"]
        delete_key = {"TableName": self.name, "Key": {"KeyId": sha256_of_key}}
        # The name may be another key's by now: revoked and added again since it was read.
        delete_name = {
            "TableName": self.name,
            "Key": {"KeyId": {"S": _name_id(name)}},
            "ConditionExpression": "Sha256 = :sha256",
            "ExpressionAttributeValues": {":sha256": sha256_of_key},
        }
        try:
            self._transact([{"Delete": delete_key}, {"Delete": delete_name}])
        except Cancelled as cancelled:
            if cancelled.codes[1] != "ConditionalCheckFailed":
                raise
            raise NoSuchKey(f"another command has just revoked the key named {name}") from cancelled

    def _item(self, key_id: str) -> Item | None:
        # An eventually consistent read may find what was revoked a moment ago, and API Gateway would keep that answer.
        answer = self._call("GetItem", Key={"KeyId": {"S": key_id}}, ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item


def reader_key_of(item: Item) -> ReaderKey:
    """Return the key that an item has; raise DynamoDBError where that is not one of ours."""
    try:
        created_at, expires_at = (datetime.fromisoformat(item[name]["S"]) for name in ("CreatedAt", "ExpiresAt"))
        return ReaderKey(item["KeyId"]["S"], item["Name"]["S"], created_at, expires_at, item["LastFour"]["S"])
    except (KeyError, ValueError) as error:
        raise DynamoDBError(f"an item of the readers' keys is not one of ours: {error}") from error


def _checksum(text: str) -> str:
    return f"{crc32(text.encode()):08x}"


def _name_id(name: str) -> str:
    return f"name:{name}"
