"""One call to DynamoDB: signed, sent and tried again by the standard library alone; transactions that wait their turn.

What goes wrong is a DynamoDBError; its subclasses are what callers tell apart.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zlib import crc32

from connections import Server
from credentials import Credentials, role_credentials
from signing import sign

MAX_ATTEMPTS = 3
ATTEMPT_TIMEOUT_S = 3
"""A Query is answered in milliseconds, a full page of 1 MB well within a second: what takes longer is lost."""

_BACKOFF_S = (0.2, 0.8)
"""The most that is waited before the second and the third attempt ("full jitter",
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/)."""

MAX_CALL_S = MAX_ATTEMPTS * ATTEMPT_TIMEOUT_S + sum(_BACKOFF_S)
"""The longest that one call takes, whatever comes from DynamoDB, or does not."""

# Not seeded: functions that were started from one snapshot would all wait alike.
_RANDOM = random.SystemRandom()

_CONFLICT_BACKOFF_S = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0)
"""The most that is waited before each attempt of a transaction: two that meet on a day's `all` cancel each other."""

_PASSING_CANCELLATIONS = {"None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}

_REPEATABLE = {"GetItem", "Query", "PutItem", "DeleteItem"}
"""Done twice they leave what they leave done once, as does what has a ClientRequestToken; others are not repeated. (The
condition of a write that was done unheard may find what that has written.)"""

type Item = Mapping[str, Mapping[str, str]]
"""An item as it is on the wire: `{"EventDay": {"N": "20171001"}}`."""


class DynamoDBError(Exception):
    """DynamoDB did not do what it was asked: the message says which operation on which table, and why."""


class Unavailable(DynamoDBError):
    """DynamoDB throttles, times out, breaks off or cannot be reached; the same call may succeed in a few seconds."""


class Throttled(Unavailable):
    """DynamoDB turned the call away, for throttling or conflicts, and has not done it (or has not finished it)."""


class Cancelled(DynamoDBError):
    """A transaction was cancelled as a whole; `codes` has DynamoDB's reason for each of its actions, or "None"."""

    def __init__(self, message: str, codes: Sequence[str]) -> None:
        super().__init__(message)
        self.codes = codes


class ConditionFailed(DynamoDBError):
    """A write's condition was false; `item` is what stood there, where the call asked for it."""

    def __init__(self, message: str, item: Item) -> None:
        super().__init__(message)
        self.item = item


class _WrongTime(DynamoDBError):
    """DynamoDB's clock and ours are minutes apart, or the function was frozen between signing and sending."""


# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html; any other is the base.
_ERRORS_BY_CODE = {
    "InvalidSignatureException": _WrongTime,
    "ProvisionedThroughputExceededException": Throttled,
    "RequestLimitExceeded": Throttled,
    "ThrottlingException": Throttled,
    # An earlier attempt of the same transaction, whose answer was lost, is not over.
    "TransactionInProgressException": Throttled,
}


class Client:
    """Calls DynamoDB's operations in a region; threads may share it.

    `credentials` is asked before each attempt. `server` is what answers; by default the region's own DynamoDB.
    """

    def __init__(
        self,
        region: str,
        credentials: Callable[[], Credentials],
        server: Server,
        *,
        max_attempts: int = MAX_ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._region = region
        self._credentials = credentials
        self._server = server
        self._max_attempts = max_attempts
        self._sleep = sleep
        self._clock = clock
        self._skew_s = 0.0
        """How far DynamoDB's clock is ahead of ours."""

    def call(self, operation: str, request: Mapping[str, object]) -> dict[str, Any]:
        """Return the answer to an operation, both as DynamoDB's JSON has them, within MAX_CALL_S.

        Raises Throttled, Unavailable, ConditionFailed, Cancelled or DynamoDBError. After Unavailable, unless it is
        Throttled, the operation may have been done or not.
        """
        body = json.dumps(request).encode()
        where = f"{operation} on {request['TableName']}" if "TableName" in request else operation
        repeatable = operation in _REPEATABLE or "ClientRequestToken" in request
        corrected = False
        attempt = 1
        while True:
            try:
                return self._attempt(operation, where, body, repeatable=repeatable)
            except _WrongTime:
                if corrected or attempt == self._max_attempts:
                    raise
                corrected = True
            except Unavailable as error:
                if attempt == self._max_attempts or not (repeatable or isinstance(error, Throttled)):
                    raise
                self._sleep(_RANDOM.uniform(0, _BACKOFF_S[attempt - 1]))
            attempt += 1

    def _attempt(self, operation: str, where: str, body: bytes, *, repeatable: bool) -> dict[str, Any]:
        deadline = time.monotonic() + ATTEMPT_TIMEOUT_S
        try:
            headers = sign(
                self._credentials(),
                self._region,
                "dynamodb",
                {
                    "host": self._server.host,
                    "content-type": "application/x-amz-json-1.0",
                    "x-amz-target": f"DynamoDB_20120810.{operation}",
                },
                body,
                time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock() + self._skew_s)),
            )
            answer = self._server.ask("POST /", headers, body, deadline=deadline, repeatable=repeatable)
        except OSError as error:
            raise Unavailable(f"{where}: {error}") from error
        except ValueError as error:
            raise DynamoDBError(f"{where}: {error}") from error
        checksum = answer.headers.get("x-amz-crc32")
        if checksum is not None and checksum != str(crc32(answer.body)):
            raise Unavailable(f"{where}: the answer was changed on its way")
        try:
            content = json.loads(answer.body)
        except ValueError:
            content = None
        if answer.status == 200 and isinstance(content, dict):
            return content
        failure = _error(where, answer.status, content)
        if isinstance(failure, _WrongTime):
            self._set_clock(answer.headers.get("date"))
        raise failure

    def _set_clock(self, date: str | None) -> None:
        from email.utils import parsedate_to_datetime  # Not above: it is rarely needed, and takes long to load.

        try:
            self._skew_s = parsedate_to_datetime(date or "").timestamp() - self._clock()
        except ValueError:
            return


def _error(where: str, status: int, content: object) -> DynamoDBError:
    if status == 200 or not isinstance(content, dict):
        kind = Unavailable if status >= 500 else DynamoDBError
        return kind(f"{where}: the answer makes no sense (HTTP {status})")
    code = str(content.get("__type")).rpartition("#")[2]
    message = f"{where}: {code}: {content.get('message', content.get('Message'))}"
    try:
        if code == "TransactionCanceledException":
            return Cancelled(message, [reason["Code"] for reason in content["CancellationReasons"]])
    except (LookupError, TypeError):
        return DynamoDBError(f"{message} (without reasons)")
    if code == "ConditionalCheckFailedException":
        return ConditionFailed(message, content.get("Item", {}))
    return _ERRORS_BY_CODE.get(code, Unavailable if status >= 500 else DynamoDBError)(message)


class Table:
    """A DynamoDB table, and transactions on it that wait their turn."""

    def __init__(self, client: Client, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.name = name
        self._client = client
        self._sleep = sleep

    def _call(self, operation: str, **request: object) -> dict[str, Any]:
        """Return the answer to an operation on this table. Raises as Client.call does."""
        return self._client.call(operation, {"TableName": self.name, **request})

    def _transact(self, actions: Sequence[object], may_go_on: Callable[[], bool] = lambda: False) -> None:
        """Do all actions or none, waiting for conflicts and throttling to pass.

        That takes up to 5 s, and as long after that as `may_go_on()` says so. Raises Throttled at its end, Cancelled
        for another reason, and as Client.call does.
        """
        # One token for all attempts: DynamoDB remembers it for 10 minutes, so that an attempt
        # which was applied but whose answer was lost is not applied again by the next.
        request = {"TransactItems": actions, "ClientRequestToken": str(uuid.uuid4())}
        attempts = 0
        while attempts < len(_CONFLICT_BACKOFF_S) or may_go_on():
            self._sleep(_RANDOM.uniform(0, _CONFLICT_BACKOFF_S[min(attempts, len(_CONFLICT_BACKOFF_S) - 1)]))
            attempts += 1
            try:
                self._client.call("TransactWriteItems", request)
                return
            except Cancelled as cancelled:
                if not _PASSING_CANCELLATIONS.issuperset(cancelled.codes):
                    raise
            except Throttled:
                continue
        raise Throttled(
            f"TransactWriteItems on {self.name}: turned away {attempts:,} times, by conflicts or throttling"
        )


def connect(region: str, environment: Mapping[str, str] = os.environ) -> Client:
    """Return a client as a Lambda function has it: its role's credentials, and the endpoint that its settings name.

    Raises DynamoDBError where the settings make no sense.
    """
    try:
        server = Server(endpoint(region, environment), environment.get("AWS_CA_BUNDLE"))
        return Client(region, role_credentials(environment), server)
    except (OSError, ValueError) as error:
        raise DynamoDBError(f"no client for DynamoDB: {error}") from error


# By how a region's name begins: the end of a host's name, and that of a host with IPv6 addresses, too.
_DOMAINS = {
    "cn-": ("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    "eusc-": ("amazonaws.eu", "api.amazonwebservices.eu"),
    "us-iso-": ("c2s.ic.gov", "api.aws.ic.gov"),
    "us-isob-": ("sc2s.sgov.gov", "api.aws.scloud"),
    "us-isof-": ("csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    "eu-isoe-": ("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    "": ("amazonaws.com", "api.aws"),
}


def endpoint(region: str, environment: Mapping[str, str]) -> str:
    """Return the URL of a region's DynamoDB, or what the environment names in its place.

    Raises ValueError for what cannot be a region.
    """
    if url := environment.get("AWS_ENDPOINT_URL_DYNAMODB") or environment.get("AWS_ENDPOINT_URL"):
        return url
    if not re.fullmatch(r"[a-z]+(-[a-z]+)+-[0-9]+", region):
        raise ValueError(f"{region!r} is no region")
    fips, dual_stack = (
        environment.get(f"AWS_USE_{name}_ENDPOINT", "").lower() == "true" for name in ("FIPS", "DUALSTACK")
    )
    # GovCloud's own hosts are FIPS', but for those with IPv6 addresses.
    service = "dynamodb-fips" if fips and (dual_stack or not region.startswith("us-gov-")) else "dynamodb"
    domains = next(domains for beginning, domains in _DOMAINS.items() if region.startswith(beginning))
    return f"https://{service}.{region}.{domains[dual_stack]}"
