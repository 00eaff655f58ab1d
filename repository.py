"""Everything that talks to DynamoDB: the table of daily counts, `user-visits-<stage>`.

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
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotocoreConnectionError

from visits import ALL_EVENTS, DayCount

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, QueryInputTypeDef, TransactWriteItemTypeDef

# A Query is answered in milliseconds, a full page of 1 MB well within a second: what takes longer is lost.
CONNECT_TIMEOUT_S = 1
READ_TIMEOUT_S = 2
MAX_ATTEMPTS = 3

MAX_CALL_S = MAX_ATTEMPTS * (CONNECT_TIMEOUT_S + READ_TIMEOUT_S) + sum(2**n for n in range(MAX_ATTEMPTS - 1))
"""The longest that one call takes: every attempt times out, and botocore's standard retry mode sleeps
up to 1, 2, … s in between."""

MAX_TRANSACTION_ACTIONS = 100
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html"""

# Two writers that meet on a day's `all` cancel each other's transactions. Up to this long is waited before each attempt
# ("full jitter", https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
_BACKOFF_S = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0)

_PASSING_CANCELLATIONS = {"None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}


class RepositoryError(Exception):
    """The table did not do what it was asked: the message says which operation on which table, and why."""


class Unavailable(RepositoryError):
    """DynamoDB throttles, times out, breaks off or cannot be reached; the same call may succeed in a few seconds."""


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


class BelowZero(RepositoryError):
    """A negative correction would take more visits from a day than were counted; nothing was written."""


# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html; any other is the base.
_KINDS = {
    "InternalServerError": Unavailable,
    "ProvisionedThroughputExceededException": Unavailable,
    "RequestLimitExceeded": Unavailable,
    "ServiceUnavailable": Unavailable,
    "ThrottlingException": Unavailable,
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
    """Return a client whose every call ends within MAX_CALL_S, retries included.

    `AWS_ENDPOINT_URL` and the usual chain of credentials are honoured. Raises RepositoryError where the environment's
    AWS settings make no sense (an unknown profile, a malformed endpoint).
    """
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": max_attempts},
        tcp_keepalive=True,
    )
    try:
        return boto3.client("dynamodb", region_name=region, config=config)
    except (BotoCoreError, ValueError) as error:
        raise RepositoryError(f"no client for DynamoDB: {error}") from error


class VisitsTable:
    """The daily counts in one DynamoDB table: partition key `EventId`, sort key `EventDay`, `EventCount`."""

    def __init__(self, client: DynamoDBClient, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.name = name
        self._client = client
        self._sleep = sleep

    def query(
        self,
        event_id: str,
        start: int | None = None,
        end: int | None = None,
        time_left_s: Callable[[], float] = lambda: math.inf,
    ) -> list[DayCount]:
        """Return an event's counts from day `start` to day `end` (`YYYYMMDD`, inclusive, None = open), oldest first.

        Whole numbers are int, fractions float. Follows every page, but begins no further one unless `time_left_s()`
        covers the longest call. Raises Unavailable, Denied, NoTable or RepositoryError; never returns part of a series.
        """
        request = self._query_input(event_id, start, end)
        rows: list[DayCount] = []
        while True:
            with self._own_errors("Query"):
                page = self._client.query(**request)
            try:
                rows += [
                    DayCount(event_id, int(item["EventDay"]["N"]), _number(item["EventCount"]["N"]))
                    for item in page["Items"]
                ]
            except (KeyError, ValueError, ArithmeticError) as error:
                raise RepositoryError(
                    f"Query on {self.name}: event {event_id} is stored or answered wrongly"
                ) from error
            if "LastEvaluatedKey" not in page:
                return rows
            if (left_s := time_left_s()) < MAX_CALL_S:
                raise Unavailable(f"Query on {self.name}: {left_s:.1f} s left for the pages after {len(rows):,} rows")
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def add(self, event_id: str, day: int, count: int) -> None:
        """Add `count`, which may be negative, to an event's day and to that day's `all`, both or neither.

        Raises BelowZero if fewer than `-count` visits were counted there. After Unavailable the count may have been
        added or not: the answer was lost, so read before adding again.
        """
        self.add_together([DayCount(event_id, day, count), DayCount(ALL_EVENTS, day, count)])

    def add_together(self, rows: Sequence[DayCount]) -> None:
        """Add to at most MAX_TRANSACTION_ACTIONS different items in one transaction: all of them or none.

        The rows of `all` are the caller's to give, see `transactions`. Raises as `add` does.
        """
        actions = [self._add_action(row) for row in rows]
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
                if "ConditionalCheckFailed" in cancelled.codes:
                    row = rows[cancelled.codes.index("ConditionalCheckFailed")]
                    raise BelowZero(
                        f"{self.name}: event {row.event_id} has fewer than {-row.visits:,} visits on {row.day}; "
                        "nothing was taken away"
                    ) from cancelled
                if not _PASSING_CANCELLATIONS.issuperset(cancelled.codes):
                    raise
        raise Unavailable(
            f"TransactWriteItems on {self.name}: cancelled {len(_BACKOFF_S)} times by conflicts or throttling"
        )

    def create(self) -> None:
        """Create the table as serverless.yml declares it, for a DynamoDB outside the stack; return when it is active.

        Raises TableExists.
        """
        with self._own_errors("CreateTable"):
            self._client.create_table(
                TableName=self.name,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[
                    {"AttributeName": "EventId", "AttributeType": "S"},
                    {"AttributeName": "EventDay", "AttributeType": "N"},
                ],
                KeySchema=[
                    {"AttributeName": "EventId", "KeyType": "HASH"},
                    {"AttributeName": "EventDay", "KeyType": "RANGE"},
                ],
            )
            self._client.get_waiter("table_exists").wait(TableName=self.name, WaiterConfig={"Delay": 1})

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

    def _add_action(self, row: DayCount) -> TransactWriteItemTypeDef:
        action: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self.name,
                "Key": {"EventId": {"S": row.event_id}, "EventDay": {"N": str(row.day)}},
                # ADD makes the item where there is none, from 0.
                "UpdateExpression": "ADD EventCount :count",
                "ExpressionAttributeValues": {":count": {"N": str(row.visits)}},
            }
        }
        if row.visits < 0 and row.event_id != ALL_EVENTS:
            # Taking away needs an item that holds enough; with no item the comparison is false. `all` is free of it:
            # where counts came in past this service it may hold less than the event does.
            action["Update"]["ConditionExpression"] = "EventCount >= :taken"
            action["Update"]["ExpressionAttributeValues"] = {
                ":count": {"N": str(row.visits)},
                ":taken": {"N": str(-row.visits)},
            }
        return action

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
            kind = Unavailable if status >= 500 else _KINDS.get(code, RepositoryError)
            raise kind(message) from error
        except (HTTPClientError, BotocoreConnectionError) as error:
            raise Unavailable(f"{operation} on {self.name}: {error}") from error
        except BotoCoreError as error:
            raise RepositoryError(f"{operation} on {self.name}: {error}") from error


def transactions(
    counts: Mapping[tuple[str, int], int], max_actions: int = MAX_TRANSACTION_ACTIONS
) -> Iterator[list[DayCount]]:
    """Cut counts by (event, day) into transactions, oldest day first.

    Each carries the `all` of just its own rows: wherever a writer stops, `all` is the sum over the events.
    """
    rows: list[DayCount] = []
    totals: dict[int, int] = {}
    for event_id, day in sorted(counts, key=lambda key: (key[1], key[0])):
        if len(rows) + len(totals | {day: 0}) + 1 > max_actions:
            yield rows + [DayCount(ALL_EVENTS, *total) for total in totals.items()]
            rows, totals = [], {}
        count = counts[event_id, day]
        rows.append(DayCount(event_id, day, count))
        totals[day] = totals.get(day, 0) + count
    if rows:
        yield rows + [DayCount(ALL_EVENTS, *total) for total in totals.items()]


def _number(text: str) -> int | float:
    """Return a DynamoDB number as JSON has it; DynamoDB writes whole numbers without a point or exponent, usually."""
    try:
        return int(text)
    except ValueError:
        number = Decimal(text)
        return int(number) if number == number.to_integral_value() else float(number)
