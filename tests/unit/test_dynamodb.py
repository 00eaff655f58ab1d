"""Calls to DynamoDB: what is sent, what is tried again and what is not, and what becomes of every answer."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from random import Random
from typing import Any
from zlib import crc32

import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.loaders import Loader
from scripted_server import Script, Step, sends, sends_and_closes, sends_and_resets, serving, trickles
from settings import STAGE

import dynamodb
from connections import Answer, Server
from credentials import Credentials
from dynamodb import (
    ATTEMPT_TIMEOUT_S,
    MAX_ATTEMPTS,
    MAX_CALL_S,
    Cancelled,
    Client,
    ConditionFailed,
    DynamoDBError,
    Table,
    Throttled,
    Unavailable,
    connect,
    endpoint,
)

REGION = "eu-west-1"
TOKEN = {"ClientRequestToken": STAGE}
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def says(body: object, status: int = 200, headers: Mapping[str, object] | None = None) -> bytes:
    """Return an answer as DynamoDB writes it."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} as told", f"Content-Length: {len(data)}", "Content-Type: application/x-amz-json-1.0"]
    lines += [f"{name}: {value}" for name, value in {"x-amz-crc32": crc32(data), **(headers or {})}.items()]
    return "\r\n".join([*lines, "\r\n"]).encode() + data


def fails(code: str, status: int = 400, headers: Mapping[str, object] | None = None, **members: object) -> bytes:
    """Return DynamoDB's way to say an error."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "as told", **members}
    return says(body, status, headers)


RIGHT = says({"Count": 7})


def client_of(script: Script, sleep: Callable[[float], None] = lambda _: None, **options: Any) -> Client:
    return Client(REGION, lambda: Credentials("AKID", "secret", "token"), Server(script.url), sleep=sleep, **options)


def test_a_call_is_a_signed_post_of_its_json() -> None:
    """The operation, the region, the time and the credentials are in the headers."""
    with serving(sends(RIGHT)) as script:
        answer = client_of(script, clock=NOW.timestamp).call("Query", {"TableName": "t", "Limit": 1})

    assert {"Count": 7} == answer
    (request,) = script.requests
    head, _, body = request.decode().partition("\r\n\r\n")
    line, *headers = head.split("\r\n")
    assert ("POST / HTTP/1.1", {"TableName": "t", "Limit": 1}) == (line, json.loads(body))
    found = dict(header.split(": ", 1) for header in headers)
    assert found.pop("authorization").startswith("AWS4-HMAC-SHA256 Credential=AKID/20261125/eu-west-1/dynamodb/aws4_")
    assert found == {
        "host": script.url.removeprefix("http://"),
        "content-type": "application/x-amz-json-1.0",
        "content-length": str(len(body)),
        "x-amz-target": "DynamoDB_20120810.Query",
        "x-amz-date": "20261125T120000Z",
        "x-amz-security-token": "token",
    }


THROTTLED = [
    fails("ThrottlingException"),
    fails("ProvisionedThroughputExceededException"),
    fails("RequestLimitExceeded"),
    fails("TransactionInProgressException"),
]
LOST = [
    fails("InternalServerError", 500),
    fails("ServiceUnavailable", 503),
    says(b"<html>Bad Gateway</html>", 502),
    says(b"", 500),
    says({"Count": 8}, headers={"x-amz-crc32": 1}),
    RIGHT[:-1],
    b"HTTP/1.1 200",
    b"",
    b"no HTTP at all\r\n\r\n",
]


@pytest.mark.parametrize("trouble", [*THROTTLED, *LOST], ids=lambda answer: ascii(answer[-60:]))
@pytest.mark.parametrize(
    ("operation", "request_"),
    [("Query", {}), ("GetItem", {}), ("PutItem", {}), ("DeleteItem", {}), ("TransactWriteItems", TOKEN)],
)
def test_trouble_that_passes_goes_unnoticed(operation: str, request_: dict[str, str], trouble: bytes) -> None:
    """What may be repeated is sent three times, each time the same."""
    waits: list[float] = []
    with serving(sends_and_closes(trouble), sends_and_closes(trouble), sends(RIGHT)) as script:
        assert {"Count": 7} == client_of(script, waits.append).call(operation, request_)

    assert 1 == len({request.partition(b"\r\n\r\n")[2] for request in script.requests})
    assert all(0 <= wait_s <= most_s for wait_s, most_s in zip(waits, (0.2, 0.8), strict=True))


@pytest.mark.parametrize("trouble", LOST, ids=lambda answer: ascii(answer[-60:]))
@pytest.mark.parametrize("operation", ["UpdateItem", "TransactWriteItems", "CreateTable"])
def test_what_must_not_be_done_twice_is_not_repeated(operation: str, trouble: bytes) -> None:
    """DynamoDB may have done it: without a token it would do it again."""
    with serving(sends_and_closes(trouble), sends(RIGHT)) as script, pytest.raises(Unavailable) as raised:
        client_of(script).call(operation, {})

    assert Unavailable is type(raised.value)
    assert 1 == len(script.requests)


@pytest.mark.parametrize("operation", ["Query", "UpdateItem"])
@pytest.mark.parametrize("trouble", THROTTLED, ids=lambda answer: ascii(answer[-60:]))
def test_what_was_turned_away_is_sent_again_whatever_it_is(operation: str, trouble: bytes) -> None:
    """DynamoDB has not done it. In the end the caller learns that."""
    with serving(sends(trouble)) as script, pytest.raises(Throttled, match=f"^{operation} on t: .*: as told$"):
        client_of(script).call(operation, {"TableName": "t"})

    assert MAX_ATTEMPTS == len(script.requests)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (fails("AccessDeniedException"), "Query on t: AccessDeniedException: as told"),
        (says({"__type": "a#ValidationException", "Message": "as told"}, 400), "Query on t: ValidationException: as"),
        (says({}, 400), "Query on t: None: None"),
        (says(b"<html>Bad Request</html>", 400), r"Query on t: the answer makes no sense \(HTTP 400\)"),
        (says(b"\xff", 400), r"Query on t: the answer makes no sense \(HTTP 400\)"),
        (says(b"", 307, {"Location": "http://127.0.0.1:1/"}), r"the answer makes no sense \(HTTP 307\)"),
        (says({"Count": 8}, 201), "Query on t: None: None"),
        (says(b""), r"Query on t: the answer makes no sense \(HTTP 200\)"),
        (says(b"<html>hello</html>"), "the answer makes no sense"),
        (says([]), "the answer makes no sense"),
        (says(None), "the answer makes no sense"),
        (says(b'{"Count": '), "the answer makes no sense"),
        (says(b'{"Count": "\xff"}'), "the answer makes no sense"),
    ],
)
def test_whatever_else_is_an_error_at_once(answer: bytes, message: str) -> None:
    """Asking again would not help."""
    with serving(sends(answer)) as script, pytest.raises(DynamoDBError, match=message) as raised:
        client_of(script).call("Query", {"TableName": "t"})

    assert DynamoDBError is type(raised.value)
    assert 1 == len(script.requests)


def test_a_failed_condition_says_what_stood_there() -> None:
    """Where the call did not ask for it, that is nothing."""
    failed, silent = fails("ConditionalCheckFailedException", Item={"a": {"S": "b"}}), "ConditionalCheckFailedException"
    for answer, item in ((failed, {"a": {"S": "b"}}), (fails(silent), {})):
        with serving(sends(answer)) as script, pytest.raises(ConditionFailed) as raised:
            client_of(script).call("PutItem", {"TableName": "t"})
        assert item == raised.value.item


def test_a_cancelled_transaction_says_why() -> None:
    """There is a reason for each of its actions."""
    reasons = [{"Code": "None"}, {"Code": "TransactionConflict", "Message": "as told"}]
    answer = fails("TransactionCanceledException", CancellationReasons=reasons)
    with serving(sends(answer)) as script, pytest.raises(Cancelled, match="TransactWriteItems: Trans") as raised:
        client_of(script).call("TransactWriteItems", TOKEN)
    assert ["None", "TransactionConflict"] == raised.value.codes


@pytest.mark.parametrize("members", [{}, {"CancellationReasons": None}, {"CancellationReasons": [{}]}])
def test_a_cancelled_transaction_without_reasons_is_an_error(members: dict[str, object]) -> None:
    """It must not be taken for one that may be tried again."""
    answer = says({"__type": "a#TransactionCanceledException", **members}, 400)
    with serving(sends(answer)) as script, pytest.raises(DynamoDBError, match=r"\(without reasons\)") as raised:
        client_of(script).call("TransactWriteItems", TOKEN)
    assert DynamoDBError is type(raised.value)


EXPIRED = "InvalidSignatureException"


@pytest.mark.parametrize("ahead_s", [-7200, 900])
def test_a_clock_that_is_wrong_is_put_right_once(ahead_s: int) -> None:
    """The answer has DynamoDB's time, and what is asked later is right from the start."""
    theirs = {"Date": format_datetime(NOW, usegmt=True)}
    with serving(sends(fails(EXPIRED, headers=theirs)), sends(RIGHT)) as script:
        client = client_of(script, clock=lambda: NOW.timestamp() + ahead_s)
        assert [7, 7] == [client.call("Query", {})["Count"] for _ in range(2)]

    ours = f"{datetime.fromtimestamp(NOW.timestamp() + ahead_s, UTC):%Y%m%dT%H%M%SZ}".encode()
    dates = [b"x-amz-date: " + date + b"\r\n" in request for request in script.requests for date in [ours]]
    assert [True, False, False] == dates
    assert b"x-amz-date: 20261125T120000Z\r\n" in script.requests[1]


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}])
def test_a_function_that_was_frozen_before_it_sent_signs_once_more(headers: dict[str, str]) -> None:
    """The signature expired on its way; the clock is right again, whatever the answer says of it."""
    with serving(sends(fails(EXPIRED, headers=headers)), sends(RIGHT)) as script:
        assert {"Count": 7} == client_of(script).call("Query", {})


def test_a_signature_that_is_wrong_twice_is_an_error() -> None:
    """So it is where the secret is."""
    with serving(sends(fails(EXPIRED))) as script, pytest.raises(DynamoDBError, match=EXPIRED):
        client_of(script).call("Query", {})
    assert 2 == len(script.requests)


def test_credentials_that_no_header_can_hold_are_an_error() -> None:
    """They are not sent."""
    with serving(sends(RIGHT)) as script, pytest.raises(DynamoDBError, match="a header has a line end in it"):
        Client(REGION, lambda: Credentials("AKID", "secret", "a\r\nb: c"), Server(script.url)).call("Query", {})
    assert [] == script.requests


def test_credentials_that_cannot_be_had_are_tried_for_again() -> None:
    """As DynamoDB itself is."""
    troubles = [ConnectionError("no credentials"), TimeoutError("none in time")]

    def credentials() -> Credentials:
        if troubles:
            raise troubles.pop()
        return Credentials("AKID", "secret")

    with serving(sends(RIGHT)) as script:
        assert {"Count": 7} == Client(REGION, credentials, Server(script.url), sleep=lambda _: None).call("Query", {})


class SilentServer(Server):
    """A server that says nothing: only how long each attempt may take is noted."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")
        self.attempts_s: list[float] = []

    def ask(self, *_: object, deadline: float, **__: object) -> Answer:
        self.attempts_s.append(deadline - time.monotonic())
        raise TimeoutError("no whole answer in time")


def test_a_call_takes_no_longer_than_it_says() -> None:
    """The deadlines of its attempts and the waits between them come to MAX_CALL_S at most."""
    waits: list[float] = []
    server = SilentServer()
    with pytest.raises(Unavailable, match="Query on t: no whole answer in time"):
        Client(REGION, lambda: Credentials("a", "b"), server, sleep=waits.append).call("Query", {"TableName": "t"})

    assert MAX_ATTEMPTS == len(server.attempts_s)
    assert max(server.attempts_s) <= ATTEMPT_TIMEOUT_S
    assert MAX_CALL_S == pytest.approx(MAX_ATTEMPTS * ATTEMPT_TIMEOUT_S + 0.2 + 0.8)
    assert sum(waits) <= 0.2 + 0.8


@pytest.mark.parametrize("step", [sends(b""), sends(RIGHT[:-1]), trickles], ids=["silent", "half", "trickling"])
def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch, step: Step) -> None:
    """Each attempt has its time, and a connection that was given up is not used again."""
    monkeypatch.setattr(dynamodb, "ATTEMPT_TIMEOUT_S", 0.1)
    with serving(step) as script, pytest.raises(Unavailable):
        client_of(script).call("Query", {})
    assert (MAX_ATTEMPTS, MAX_ATTEMPTS) == (script.connections, len(script.requests))


@pytest.mark.parametrize("seed", range(4))
def test_no_answer_is_ever_wrong_half_or_someone_elses(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Threads share a client of a server that does every kind of harm, anywhere in an answer, on any connection."""
    monkeypatch.setattr(dynamodb, "ATTEMPT_TIMEOUT_S", 0.2)
    random = Random(seed)

    def harm(sock: socket.socket, request: bytes) -> bool:
        asked = json.loads(request.partition(b"\r\n\r\n")[2])
        answer = bytearray(says({"Echo": asked, "Items": ["a" * 40] * random.randint(0, 20)}))
        anywhere = random.randrange(len(answer))
        kind = random.choice(["none"] * 6 + ["closes", "resets", "stops", "changes", "throttles", "fails", "speaks on"])
        if kind == "changes":
            answer[anywhere] ^= 1 << random.randrange(8)
        steps: dict[str, Step] = {
            "closes": sends_and_closes(bytes(answer[:anywhere])),
            "resets": sends_and_resets(bytes(answer[:anywhere])),
            "stops": sends(bytes(answer[:anywhere])),
            "throttles": sends(fails("ThrottlingException")),
            "fails": sends_and_closes(fails("InternalServerError", 500)),
            "speaks on": sends(bytes(answer) + says({"Echo": "nobody asked"})),
        }
        return steps.get(kind, sends(bytes(answer)))(sock, request)

    right: list[object] = []
    failed: list[object] = []
    wrong: list[object] = []

    def ask(thread: int) -> None:
        for number in range(50):
            request = {"Number": f"{thread}-{number}"}
            try:
                answer = client.call("Query", request)
            except DynamoDBError as error:
                failed.append(error)
            else:
                (right if answer["Echo"] == request and len(answer) == 2 else wrong).append(answer)

    with serving(harm) as script:
        client = client_of(script)
        threads = [threading.Thread(target=ask, args=(thread,)) for thread in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert [] == wrong
    assert 100 == len(right) + len(failed)
    assert len(failed) < len(right)


@pytest.mark.parametrize("fips", [False, True], ids=["", "FIPS"])
@pytest.mark.parametrize("dual_stack", [False, True], ids=["", "dual-stack"])
def test_it_asks_where_the_rules_of_aws_say(*, fips: bool, dual_stack: bool) -> None:
    """In every region of every partition; the rules come with botocore."""
    loader = Loader()
    partitions = loader.load_data("partitions")
    rules = EndpointProvider(loader.load_service_model("dynamodb", "endpoint-rule-set-1"), partitions)
    environment = {
        **({"AWS_USE_FIPS_ENDPOINT": "true"} if fips else {"AWS_USE_FIPS_ENDPOINT": "false"}),
        **({"AWS_USE_DUALSTACK_ENDPOINT": "TRUE"} if dual_stack else {}),
    }
    regions = [region for partition in partitions["partitions"] for region in partition["regions"]]
    regions = [region for region in regions if not region.endswith("-global")]
    assert len(regions) > 40

    expected = {
        region: rules.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual_stack).url for region in regions
    }
    assert expected == {region: endpoint(region, environment) for region in regions}


def test_the_environment_can_name_another_endpoint() -> None:
    """That of DynamoDB goes before that of all services, and both before the region's variants."""
    everything = {
        "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:2",
        "AWS_USE_FIPS_ENDPOINT": "true",
    }
    del_first = {name: url for name, url in everything.items() if name != "AWS_ENDPOINT_URL_DYNAMODB"}

    assert ["http://127.0.0.1:1", "http://127.0.0.1:2"] == [endpoint(REGION, each) for each in (everything, del_first)]


CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.mark.parametrize(
    ("region", "environment", "message"),
    [
        ("eu-west", {}, "no client for DynamoDB: 'eu-west' is no region"),
        ("eu-west-1.example.com/?", {}, "is no region"),
        (REGION, {"AWS_ENDPOINT_URL": "nowhere"}, "'nowhere' is not the address of a server"),
        (REGION, {"AWS_CA_BUNDLE": "/nowhere/bundle.pem"}, "No such file"),
        (REGION, {"AWS_ACCESS_KEY_ID": ""}, "the environment has no credentials"),
    ],
)
def test_settings_that_make_no_sense_are_an_error_of_ours(
    region: str, environment: dict[str, str], message: str
) -> None:
    """It names the value, when the function starts."""
    with pytest.raises(DynamoDBError, match=message):
        connect(region, {**CREDENTIALS, **environment})


def test_a_client_as_lambda_has_it_asks_with_the_roles_credentials() -> None:
    """Everything it needs is in the environment."""
    with serving(sends(RIGHT)) as script:
        client = connect(REGION, {**CREDENTIALS, "AWS_SESSION_TOKEN": "token", "AWS_ENDPOINT_URL": script.url})
        assert {"Count": 7} == client.call("Query", {})

    assert b"Credential=AKID/" in script.requests[0]
    assert b"x-amz-security-token: token" in script.requests[0]


def cancels(*codes: str) -> bytes:
    return fails("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


class Trying(Table):
    """A table on which one and the same transaction is tried."""

    def transact(self, may_go_on: Callable[[], bool] = lambda: False) -> None:
        self._transact([{"Update": {}}, {"Update": {}}], may_go_on)


@pytest.mark.parametrize(
    "answer",
    [
        cancels("None", "TransactionConflict"),
        cancels("ThrottlingError", "None"),
        cancels("ProvisionedThroughputExceeded", "TransactionConflict"),
        fails("ThrottlingException"),
        fails("TransactionInProgressException"),
    ],
    ids=ascii,
)
def test_a_transaction_waits_its_turn_with_one_token(answer: bytes) -> None:
    """The waits grow, and end; the token keeps an attempt that was applied unheard from being applied again."""
    waits: list[float] = []
    with serving(sends(answer)) as script, pytest.raises(Throttled, match=r"on t: turned away 8 times, by conflicts"):
        Trying(client_of(script, max_attempts=1), "t", waits.append).transact()

    assert 8 == len(script.requests)
    assert 1 == len({request.partition(b"\r\n\r\n")[2] for request in script.requests})
    assert all(0 <= wait <= most for wait, most in zip(waits, (0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2), strict=True))


def test_a_transaction_goes_on_as_long_as_it_may() -> None:
    """The waits grow no longer than 2 s. Its turn may come at last."""
    waits: list[float] = []
    with serving(*[sends(cancels("TransactionConflict", "None"))] * 30, sends(says({}))) as script:
        Trying(client_of(script), "t", waits.append).transact(lambda: len(waits) < 40)
        assert 31 == len(waits)

        script.steps[:] = [sends(cancels("TransactionConflict", "None"))]
        with pytest.raises(Throttled, match="turned away 9 times"):
            Trying(client_of(script), "t", waits.append).transact(lambda: len(waits) < 40)
    assert max(waits) <= 2


@pytest.mark.parametrize("answer", [cancels("ValidationError", "TransactionConflict"), fails("ValidationException")])
def test_a_transaction_that_fails_otherwise_is_not_tried_again(answer: bytes) -> None:
    """Waiting would not help."""
    with serving(sends(answer)) as script, pytest.raises(DynamoDBError):
        Trying(client_of(script), "t", lambda _: None).transact(lambda: True)
    assert 1 == len(script.requests)


def test_two_transactions_have_two_tokens() -> None:
    """DynamoDB would take the second for the first again."""
    with serving(sends(says({}))) as script:
        table = Trying(client_of(script), "t")
        table.transact()
        table.transact()
    assert 2 == len({request.partition(b"\r\n\r\n")[2] for request in script.requests})
