"""Everything that talks to DynamoDB: the daily counts, `user-visits-<stage>`, and the receipts, `visit-files-<stage>`.

Foreign errors become `RepositoryError`s here and nowhere else.
"""

from __future__ import annotations

import math
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, NamedTuple, cast
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotocoreConnectionError
from botocore.parsers import ResponseParserError

import dynamodb_client
from series import Interval, Page, Reading, Selection
from visits import ALL_EVENTS, DayCount

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, QueryInputTypeDef, TransactWriteItemTypeDef

    from series import Count, Counts

# A Query is answered in milliseconds, a full page of 1 MB well within a second: what takes longer is lost.
CONNECT_TIMEOUT_S = 1
READ_TIMEOUT_S = 2
MAX_ATTEMPTS = 3

MAX_CALL_S = MAX_ATTEMPTS * (CONNECT_TIMEOUT_S + READ_TIMEOUT_S) + sum(2**n for n in range(MAX_ATTEMPTS - 1))
"""The longest that one call takes where nothing comes from DynamoDB: every attempt times out, and botocore's standard
retry mode sleeps up to 1, 2, … s in between. (An answer that trickles, a byte a second, would not time out.)"""

# Two writers that meet on a day's `all` cancel each other's transactions. Up to this long is waited before each attempt
# ("full jitter", https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
_BACKOFF_S = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0)

_PASSING_CANCELLATIONS = {"None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}


class RepositoryError(Exception):
    """The table did not do what it was asked: the message says which operation on which table, and why."""


class Unavailable(RepositoryError):
    """DynamoDB throttles, times out, breaks off or cannot be reached; the same call may succeed in a few seconds."""


class Throttled(Unavailable):
    """DynamoDB turned the call away, for throttling or conflicts, and has not done it."""


class Denied(RepositoryError):
    """The credentials are unknown or expired, or do not allow the operation."""


class NoTable(RepositoryError):
    """The table does not exist in this account and region."""


class TableExists(RepositoryError):
    """The table to be created exists already."""


class Cancelled(RepositoryError):
    """A transaction was cancelled as a whole; `codes` has DynamoDB's reason for each of its actions, or "None"."""

    def __init__(self, message: str, codes: Sequence[str]) -> None:
        super().__init__(message)
        self.codes = codes


class ConditionFailed(RepositoryError):
    """A write's condition was false; `item` is what stood there."""

    def __init__(self, message: str, item: Mapping[str, AttributeValueTypeDef]) -> None:
        super().__init__(message)
        self.item = item


class BelowZero(RepositoryError):
    """A negative correction would take more visits from a day than were counted; nothing was written."""


class FenceMoved(RepositoryError):
    """A chunk was not applied: someone else has brought the file further, or the plan is another one."""


# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html; any other is the base.
_KINDS = {
    "InternalServerError": Unavailable,
    "ProvisionedThroughputExceededException": Throttled,
    "RequestLimitExceeded": Throttled,
    "ServiceUnavailable": Unavailable,
    "ThrottlingException": Throttled,
    "TransactionInProgressException": Unavailable,
    "AccessDeniedException": Denied,
    "ExpiredTokenException": Denied,
    "IncompleteSignatureException": Denied,
    "InvalidSignatureException": Denied,
    "MissingAuthenticationTokenException": Denied,
    "UnrecognizedClientException": Denied,
    "ResourceNotFoundException": NoTable,
    "ResourceInUseException": TableExists,
}


def connect(region: str, max_attempts: int = MAX_ATTEMPTS) -> DynamoDBClient:
    """Return a client that gives a call up within MAX_CALL_S where nothing comes from DynamoDB, retries included.

    `AWS_ENDPOINT_URL` and the usual chain of credentials are honoured. Raises RepositoryError where the environment's
    AWS settings make no sense (an unknown profile, a malformed endpoint).
    """
    try:
        client = dynamodb_client.make(region, CONNECT_TIMEOUT_S, READ_TIMEOUT_S, max_attempts)
        urlsplit(client.meta.endpoint_url).port  # noqa: B018 - raises ValueError, as signing a request would
        return client
    except (BotoCoreError, ValueError) as error:
        raise RepositoryError(f"no client for DynamoDB: {error}") from error


class _Table:
    """A DynamoDB table: how it is made, its errors, and transactions that wait for their turn."""

    _KEYS: tuple[tuple[str, Literal["S", "N"]], tuple[str, Literal["S", "N"]]]
    """Name and type of the partition key and the sort key."""

    def __init__(self, client: DynamoDBClient, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.name = name
        self._client = client
        self._sleep = sleep

    def create(self) -> None:
        """Create the table as serverless.yml declares it, for a DynamoDB outside the stack; return when it is active.

        Raises TableExists.
        """
        (partition_key, _), (sort_key, _) = self._KEYS
        with self._own_errors("CreateTable"):
            self._client.create_table(
                TableName=self.name,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in self._KEYS],
                KeySchema=[
                    {"AttributeName": partition_key, "KeyType": "HASH"},
                    {"AttributeName": sort_key, "KeyType": "RANGE"},
                ],
            )
            self._client.get_waiter("table_exists").wait(TableName=self.name, WaiterConfig={"Delay": 1})

    def _transact(self, actions: Sequence[TransactWriteItemTypeDef]) -> None:
        """Do all actions or none; raise Cancelled, for a reason other than conflict or throttling, or as calls do."""
        # One token for all attempts: DynamoDB remembers it for 10 minutes, so that an attempt
        # which was applied but whose answer was lost is not applied again by the next.
        token = str(uuid.uuid4())
        for backoff_s in _BACKOFF_S:
            self._sleep(random.uniform(0, backoff_s))
            try:
                with self._own_errors("TransactWriteItems"):
                    self._client.transact_write_items(TransactItems=actions, ClientRequestToken=token)
                return
            except Cancelled as cancelled:
                if not _PASSING_CANCELLATIONS.issuperset(cancelled.codes):
                    raise
            except Throttled:
                continue
        raise Throttled(
            f"TransactWriteItems on {self.name}: turned away {len(_BACKOFF_S)} times, by conflicts or throttling"
        )

    @contextmanager
    def _own_errors(self, operation: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = error.response["Error"]["Code"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            message = f"{operation} on {self.name}: {code}: {error.response['Error']['Message']}"
            if code == "TransactionCanceledException":
                raise Cancelled(
                    message, [reason["Code"] for reason in error.response["CancellationReasons"]]
                ) from error
            if code == "ConditionalCheckFailedException":
                response = cast("Mapping[str, Mapping[str, AttributeValueTypeDef]]", error.response)
                raise ConditionFailed(message, response["Item"]) from error
            kind = Unavailable if status >= 500 else _KINDS.get(code, RepositoryError)
            raise kind(message) from error
        except (HTTPClientError, BotocoreConnectionError) as error:
            raise Unavailable(f"{operation} on {self.name}: {error}") from error
        except BotoCoreError as error:
            raise RepositoryError(f"{operation} on {self.name}: {error}") from error
        except (ResponseParserError, AttributeError, TypeError, UnicodeDecodeError) as error:
            # What botocore's parser stumbles with over an answer that is no JSON object, or not of DynamoDB's shape.
            raise RepositoryError(f"{operation} on {self.name}: the answer makes no sense: {error}") from error


class VisitsTable(_Table):
    """The daily counts: partition key `EventId`, sort key `EventDay`, `EventCount`."""

    _KEYS = (("EventId", "S"), ("EventDay", "N"))

    def series(self, event_id: str, selection: Selection, time_left_s: Callable[[], float] = lambda: math.inf) -> Page:
        """Return the first page of the rows of an event, or of `all`, that are selected.

        One Query, and one more of `all` over the page's days where gaps are to be filled and there are some. (A third,
        of one item, where `all` has no day there either: is that because nothing was ever loaded?)

        Follows every page of DynamoDB's, but begins no further one unless `time_left_s()` covers the longest call.
        Raises Unavailable, Denied, NoTable or RepositoryError; never returns part of what was asked for.
        """
        page = selection.page(self._pages(event_id, selection.reading(), time_left_s))
        if page.covered is None or not page.has_gaps:
            return page
        loaded: list[Counts] = []
        if event_id == ALL_EVENTS:
            began = any(visits is not None for visits in page.rows.values())
        else:
            self._check(time_left_s)
            days = Reading(*page.covered, limit=1 if selection.interval is Interval.TOTAL else None)
            loaded += self._pages(ALL_EVENTS, days, time_left_s)
            began = any(loaded)
        if not began:
            self._check(time_left_s)
            began = any(self._pages(ALL_EVENTS, Reading(limit=1)))
        return page.zeroed(selection.interval, loaded if began else None)

    def query(self, event_id: str, start: int | None = None, end: int | None = None) -> dict[int, Count]:
        """Return an event's visits by day, from day `start` to day `end` (`YYYYMMDD`, inclusive, None = open).

        Whole numbers are int, fractions float; the oldest day comes first. Raises as `series` does.
        """
        counts: dict[int, Count] = {}
        for page in self._pages(event_id, Reading(start, end)):
            counts |= page
        return counts

    def add(self, event_id: str, day: int, count: int) -> None:
        """Add `count`, which may be negative, to an event's day and to that day's `all`, both or neither.

        Raises BelowZero if fewer than `-count` visits were counted there. After Unavailable the count may have been
        added or not: the answer was lost, so read before adding again.
        """
        action = self.addition(DayCount(event_id, day, count))
        if count < 0:
            # Where there is no item the comparison is false. `all` is free of it: where counts came in past this
            # service it may hold less than the event does.
            action["Update"]["ConditionExpression"] = "EventCount >= :taken"
            values = action["Update"]["ExpressionAttributeValues"]
            action["Update"]["ExpressionAttributeValues"] = {**values, ":taken": {"N": str(-count)}}
        try:
            self._transact([action, self.addition(DayCount(ALL_EVENTS, day, count))])
        except Cancelled as cancelled:
            if cancelled.codes[0] != "ConditionalCheckFailed":
                raise
            raise BelowZero(
                f"{self.name}: event {event_id} has fewer than {-count:,} visits on {day}; nothing was taken away"
            ) from cancelled

    def addition(self, row: DayCount) -> TransactWriteItemTypeDef:
        """Return the action that adds a row's visits to its item, for a transaction with others."""
        return {
            "Update": {
                "TableName": self.name,
                "Key": {"EventId": {"S": row.event_id}, "EventDay": {"N": str(row.day)}},
                # ADD makes the item where there is none, from 0.
                "UpdateExpression": "ADD EventCount :count",
                "ExpressionAttributeValues": {":count": {"N": str(row.visits)}},
            }
        }

    def _pages(
        self, event_id: str, reading: Reading, time_left_s: Callable[[], float] = lambda: math.inf
    ) -> Iterator[dict[int, Count]]:
        """Yield the counts of an event as DynamoDB does: at most 1 MB in one answer."""
        request = self._query_input(event_id, reading.start, reading.end)
        if reading.descending:
            request["ScanIndexForward"] = False
        left = reading.limit
        while True:
            if left is not None:
                request["Limit"] = left
            with self._own_errors("Query"):
                page = self._client.query(**request)
            try:
                counts = _counts(page["Items"])
            except (LookupError, TypeError, ValueError, ArithmeticError) as error:
                raise RepositoryError(
                    f"Query on {self.name}: event {event_id} is stored or answered wrongly"
                ) from error
            yield counts
            if left is not None:
                left -= len(counts)
            if "LastEvaluatedKey" not in page or left == 0:
                return
            self._check(time_left_s)
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _check(self, time_left_s: Callable[[], float]) -> None:
        """Raise Unavailable unless there is time for another Query."""
        if (left_s := time_left_s()) < MAX_CALL_S:
            raise Unavailable(f"Query on {self.name}: {left_s:.1f} s left, too few to ask for more")

    def _query_input(self, event_id: str, start: int | None, end: int | None) -> QueryInputTypeDef:
        condition = "EventId = :event"
        values: dict[str, AttributeValueTypeDef] = {":event": {"S": event_id}}
        # A sort key takes one condition only: `>= AND <=` must be spelled BETWEEN.
        if start is not None and end is not None:
            condition += " AND EventDay BETWEEN :start AND :end"
        elif start is not None:
            condition += " AND EventDay >= :start"
        elif end is not None:
            condition += " AND EventDay <= :end"
        if start is not None:
            values[":start"] = {"N": str(start)}
        if end is not None:
            values[":end"] = {"N": str(end)}
        return {
            "TableName": self.name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ProjectionExpression": "EventDay, EventCount",
        }


class Receipt(NamedTuple):
    """What became, or is becoming, of one file. Times are ISO 8601, UTC."""

    bucket: str
    key: str
    etag: str
    status: str
    """`applying`, `done` or `refused`."""
    began_at: str
    ended_at: str = ""
    reason: str = ""
    """Why it was refused."""
    digest: str = ""
    """SHA-256 of the plan, see plan.py."""
    chunk_size: int = 0
    chunks: int = 0
    chunks_applied: int = 0
    rows_read: int = 0
    rows_applied: int = 0
    rows_rejected: int = 0
    visits: int = 0
    """The sum over the rows applied."""

    @property
    def done(self) -> bool:
        """Whether every chunk was applied."""
        return self.status == "done"

    @property
    def refused(self) -> bool:
        """Whether nothing was applied, and nothing will be."""
        return self.status == "refused"


class FilesTable(_Table):
    """The receipts, one a file: partition key `Bucket`, sort key `Key`. A receipt is the fence of its file.

    Each chunk is one transaction that moves `ChunksApplied` from n to n+1, on condition that it stands at n, together
    with the chunk's additions. So chunk n is applied once, by whoever comes first. Two deliveries of one file:

        A: claim (n = 0) | chunk 0 (n = 1) |                    | chunk 1: n is 2, cancelled | look: done
        B:               | claim: exists,  | look: n = 1        |                            |
                         | n = 0           | chunk 1 (n = 2),   |
                         |                 | status done        |

    A's chunk 1 would have counted a second time; its condition fails, and with it all of its additions. Where A dies
    instead, anywhere, n says what was applied: B goes on from there. Where an answer to A is lost, A's client sends the
    same transaction again with the same token; and if A dies of it, n again says what was applied.
    """

    _KEYS = (("Bucket", "S"), ("Key", "S"))

    def get(self, bucket: str, key: str) -> Receipt | None:
        """Return a file's receipt as it stands now, or None."""
        with self._own_errors("GetItem"):
            answer = self._client.get_item(TableName=self.name, Key=_file_key(bucket, key), ConsistentRead=True)
        return _receipt(answer["Item"]) if "Item" in answer else None

    def every(self) -> list[Receipt]:
        """Return all receipts, the last begun first."""
        receipts: list[Receipt] = []
        with self._own_errors("Scan"):
            for page in self._client.get_paginator("scan").paginate(TableName=self.name):
                receipts += [_receipt(item) for item in page["Items"]]
        return sorted(receipts, key=lambda receipt: receipt.began_at, reverse=True)

    def claim(self, receipt: Receipt) -> Receipt | None:
        """Write the first receipt of a file, or of one that was refused; else return the receipt that stands there."""
        try:
            with self._own_errors("PutItem"):
                self._client.put_item(
                    TableName=self.name,
                    Item=_receipt_item(receipt),
                    # No receipt yet: claimed. A refused one: nothing of it was applied, so this content may be.
                    # Any other: whoever wrote it may have applied chunks, and it must stay.
                    ConditionExpression="attribute_not_exists(#key) OR #status = :refused",
                    ExpressionAttributeNames={"#key": "Key", "#status": "Status"},
                    ExpressionAttributeValues={":refused": {"S": "refused"}},
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except ConditionFailed as failed:
            return _receipt(failed.item)
        return None

    def apply(self, receipt: Receipt, chunk: Sequence[DayCount], visits: VisitsTable, now: str) -> Receipt:
        """Apply the next chunk, once whoever else tries, and return the receipt after it; the last one closes it.

        Raises FenceMoved where another chunk than this is the next, and as every call.
        """
        after = receipt._replace(chunks_applied=receipt.chunks_applied + 1)
        if after.chunks_applied == after.chunks:
            after = after._replace(status="done", ended_at=now)
        fence: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self.name,
                "Key": _file_key(receipt.bucket, receipt.key),
                "UpdateExpression": "SET ChunksApplied = :after, #status = :status, EndedAt = :ended",
                # Stands at n: this chunk is the next. Has this digest: n counts the chunks of this very plan.
                "ConditionExpression": "ChunksApplied = :before AND Digest = :digest",
                "ExpressionAttributeNames": {"#status": "Status"},
                "ExpressionAttributeValues": {
                    ":before": _n(receipt.chunks_applied),
                    ":after": _n(after.chunks_applied),
                    ":digest": {"S": receipt.digest},
                    ":status": {"S": after.status},
                    ":ended": {"S": after.ended_at},
                },
            }
        }
        try:
            self._transact([fence, *(visits.addition(row) for row in chunk)])
        except Cancelled as cancelled:
            if cancelled.codes[0] != "ConditionalCheckFailed":
                raise
            raise FenceMoved(f"{receipt.key} no longer stands at chunk {receipt.chunks_applied:,}") from cancelled
        return after


# The attribute of each of a receipt's fields.
_ATTRIBUTES = {field: "ETag" if field == "etag" else field.title().replace("_", "") for field in Receipt._fields}


def _receipt_item(receipt: Receipt) -> dict[str, AttributeValueTypeDef]:
    return {
        _ATTRIBUTES[field]: _n(value) if isinstance(value, int) else {"S": value}
        for field, value in receipt._asdict().items()
    }


def _receipt(item: Mapping[str, AttributeValueTypeDef]) -> Receipt:
    values = (item[_ATTRIBUTES[field]] for field in Receipt._fields)
    try:
        return Receipt._make(int(value["N"]) if "N" in value else value["S"] for value in values)
    except KeyError as error:
        raise RepositoryError(f"a receipt without {error} is not one of ours") from error


def _file_key(bucket: str, key: str) -> dict[str, AttributeValueTypeDef]:
    return {"Bucket": {"S": bucket}, "Key": {"S": key}}


def _n(number: int) -> AttributeValueTypeDef:
    return {"N": str(number)}


def _counts(items: Sequence[Mapping[str, AttributeValueTypeDef]]) -> dict[int, Count]:
    """Return the counts of items by day; a fraction among them is rare."""
    try:
        return {int(item["EventDay"]["N"]): int(item["EventCount"]["N"]) for item in items}
    except ValueError:
        return {int(item["EventDay"]["N"]): _number(item["EventCount"]["N"]) for item in items}


def _number(text: str) -> int | float:
    """Return a DynamoDB number as JSON has it; DynamoDB writes whole numbers without a point or exponent, usually."""
    try:
        return int(text)
    except ValueError:
        number = Decimal(text)
        return int(number) if number == number.to_integral_value() else float(number)
