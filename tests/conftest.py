"""What the tests share: no way to an AWS account, a table in memory, a DynamoDB that answers as told, a local cloud."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from stack import Stack
from werkzeug.serving import make_server

from connections import Server
from credentials import Credentials
from dynamodb import Client
from receipts import FilesTable, Receipt
from repository import VisitsTable
from series import Count, Reading
from tools import local_cloud, tables
from tools.local_cloud import LocalCloud, stage_params

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

STAGE = "test"
PLAIN_HTTP = {"tlsOnly": "false"}
"""The stage param without which a stage of any name but `local` turns away all that MiniStack can speak."""

TABLE = f"user-visits-{STAGE}"
FILES_TABLE = f"visit-files-{STAGE}"
EVENTS = Path(__file__).parent / "events"

_listening = socket.create_server(("127.0.0.1", 0))
MOTO = f"http://127.0.0.1:{_listening.getsockname()[1]}"
"""Where moto answers as DynamoDB, S3, SNS and SQS do, from memory, once the fixture `moto` has started it."""
MOTO_SOCKET = _listening.detach()

# The entry points read the environment when they are imported, as Lambda gives it: the test modules do that after this.
local_cloud.leave_aws()
os.environ |= {
    "AWS_ENDPOINT_URL": MOTO,
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": local_cloud.REGION,
    "STAGE": STAGE,
    "VISITS_TABLE": TABLE,
    "CACHE_CONTROL": "public, max-age=60",
    "FILES_TABLE": FILES_TABLE,
    "ALERTS_TOPIC_ARN": f"arn:aws:sns:{local_cloud.REGION}:123456789012:visits-alerts-{STAGE}",
    "MAX_FILE_BYTES": "1000000",
    "MAX_UNCOMPRESSED_BYTES": "10000000",
    "MAX_LINE_BYTES": "1000",
    "MAX_PAIRS": "1000",
}

ACCOUNT = "000000000000"
"""MiniStack's."""

THIRD_PARTY = f"arn:aws:iam::{ACCOUNT}:user/third-party"
"""Who may deliver files to the deployed stage."""

BOOK_324 = {
    20171001: 3,
    20171002: 5,
    20171010: 2,
    20171012: 10,
    20171013: 10,
    20171014: 6,
    20171016: 6,
    20171017: 2,
}
"""Event 324 as the book has it."""


def client_at(endpoint: str, kind: type[Client] = Client, **options: Any) -> Client:
    """Return a client of the DynamoDB at an address."""
    return kind(local_cloud.REGION, lambda: Credentials("test", "test"), Server(endpoint), **options)


def boto3_at(endpoint: str) -> DynamoDBClient:
    """Return boto3's client of the DynamoDB at an address, for what ours does not do."""
    session = boto3.Session("test", "test", region_name=local_cloud.REGION)
    return session.client("dynamodb", endpoint_url=endpoint)


def counts_of(table: VisitsTable, event_id: str, start: int | None = None, end: int | None = None) -> dict[int, Count]:
    """Return an event's visits by day, the oldest first."""
    return {day: count for part in table.pages(event_id, Reading(start, end)) for day, count in part.items()}


def every_receipt(endpoint: str, files: FilesTable) -> list[Receipt]:
    """Return all receipts, the last begun first."""
    return tables.every_receipt(boto3_at(endpoint), files)


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of moto, which runs in this process."""
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=True, fd=MOTO_SOCKET)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield MOTO
    server.shutdown()
    server.server_close()


@pytest.fixture
def table(moto: str) -> VisitsTable:
    """An empty table in memory, under the name that handler.py knows; nothing else is in memory."""
    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST")).close()
    visits = VisitsTable(client_at(moto), TABLE)
    tables.create(boto3_at(moto), visits)
    return visits


@pytest.fixture
def files(moto: str, table: VisitsTable) -> FilesTable:  # noqa: ARG001 - in the same DynamoDB
    """No receipts, in memory, beside `table`."""
    receipts = FilesTable(client_at(moto), FILES_TABLE)
    tables.create(boto3_at(moto), receipts)
    return receipts


@pytest.fixture
def book_table(table: VisitsTable) -> VisitsTable:
    """The table in memory with event 324 of the book."""
    for day, visits in BOOK_324.items():
        table.add("324", day, visits)
    return table


@dataclass(frozen=True)
class Reply:
    """What the scripted DynamoDB does with one request."""

    status: int = 200
    body: str | bytes = "{}"
    content_type: str = "application/x-amz-json-1.0"
    crc32: int | None = None
    cut: bool = False
    silent: bool = False


def aws_error(code: str, status: int = 400, **members: object) -> Reply:
    """Return DynamoDB's way to say an error."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "as told", **members}
    return Reply(status, json.dumps(body))


def cancelled(*codes: str) -> Reply:
    """Return the answer to a transaction that was cancelled for these reasons."""
    return aws_error("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


@dataclass
class ScriptedDynamoDB:
    """A server on loopback that answers DynamoDB calls with the replies given, the last of them for ever."""

    endpoint: str
    replies: list[Reply] = field(default_factory=list)
    requests: list[dict[str, object]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def next_reply(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@pytest.fixture
def scripted() -> Iterator[ScriptedDynamoDB]:
    """A DynamoDB of canned answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            dynamodb.requests.append(json.loads(body))
            reply = dynamodb.next_reply()
            if reply.silent:
                dynamodb.closing.wait()
                return
            data = reply.body.encode() if isinstance(reply.body, str) else reply.body
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(data)))
            if reply.crc32 is not None:
                self.send_header("x-amz-crc32", str(reply.crc32))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if reply.cut else data)

        def log_message(self, *_: object) -> None:
            """Keep the tests' output to the tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        dynamodb = ScriptedDynamoDB(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield dynamodb
        dynamodb.closing.set()
        server.shutdown()


@pytest.fixture
def scripted_table(scripted: ScriptedDynamoDB) -> VisitsTable:
    """A table in the DynamoDB of canned answers, asked once a call: the client's own retries would hide the answer."""
    return VisitsTable(client_at(scripted.endpoint, max_attempts=1), TABLE, sleep=lambda _: None)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> object:
        return json.loads(self.text())

    def text(self) -> str:
        body = gzip.decompress(self.body) if self.headers["Content-Encoding"] == "gzip" else self.body
        return body.decode()

    def links(self) -> dict[str, str]:
        """Return the targets of the `Link` header by their relation."""
        return {relation: target for target, relation in re.findall(r'<([^>]*)>; rel="(\w+)"', self.headers["Link"])}


def rows(answer: Answer) -> list[tuple[int, int | None]]:
    """Return a series as (day, count)."""
    assert 200 == answer.status
    assert "application/json" == answer.headers["Content-Type"]
    body: Any = answer.json()
    return [(row["EventDay"], row["EventCount"]) for row in body]


def calendar(first: date, count: int) -> list[int]:
    """Return `count` days from `first` on, as YYYYMMDD."""
    return [int(f"{first + timedelta(n):%Y%m%d}") for n in range(count)]


@dataclass(frozen=True)
class Api:
    """A deployed API, asked over HTTP."""

    url: str

    def get(self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Answer:
        parts = urlsplit(self.url)
        # The API is told by its Host; not every resolver knows that *.localhost is this machine.
        connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=60)
        try:
            connection.request(method, path, headers={"Host": parts.netloc, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Return a port that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find


@pytest.fixture
def unused_endpoint(free_port: Callable[[], int]) -> str:
    """An address that refuses connections."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="session")
def cloud(free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud of the tests' own, IAM enforced, with nothing on it."""
    with local_cloud.running(free_port(), tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="session")
def api(cloud: LocalCloud) -> Api:
    """This very serverless.yml, deployed with `sls deploy`; its table is empty."""
    # A bucket's policy may name none but who exists.
    cloud.client("iam").create_user(UserName=THIRD_PARTY.rpartition("/")[2])
    return Api(cloud.deploy(STAGE, thirdPartyArn=THIRD_PARTY, **PLAIN_HTTP))


@pytest.fixture(scope="session")
def cloud_table(cloud: LocalCloud, api: Api) -> VisitsTable:  # noqa: ARG001 - the table comes with the stack
    """The deployed stack's table, reached as root over HTTP."""
    return VisitsTable(client_at(cloud.endpoint), TABLE)


@pytest.fixture(scope="session")
def book_api(api: Api, cloud_table: VisitsTable) -> Api:
    """The deployed API with event 324 of the book; tests that write take other events, and days from 2018 on."""
    for day, visits in BOOK_324.items():
        cloud_table.add("324", day, visits)
    return api


@pytest.fixture(scope="session")
def stack(cloud: LocalCloud, api: Api) -> Stack:  # noqa: ARG001 - deployed with the API
    """The deployed stack as its outputs name it."""
    return Stack.of(cloud, STAGE)


@contextmanager
def configured(cloud: LocalCloud, function: str, **changes: str) -> Iterator[None]:
    """Change, for a while, environment variables of a deployed function."""
    functions = cloud.client("lambda")
    name = f"visits-{STAGE}-{function}"
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": {**variables, **changes}})
    try:
        yield
    finally:
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


@dataclass(frozen=True)
class Package:
    """What `sls package` leaves for a stage."""

    folder: Path

    @property
    def template(self) -> dict[str, Any]:
        template: dict[str, Any] = json.loads((self.folder / "cloudformation-template-update-stack.json").read_text())
        return template

    def resource(self, logical_id: str) -> dict[str, Any]:
        properties: dict[str, Any] = self.template["Resources"][logical_id]["Properties"]
        return properties


def listed(one_or_more: str | list[str]) -> list[str]:
    """Return a policy's actions as a list: one may stand alone."""
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


class Packager(Protocol):
    """What packages a stage."""

    def __call__(self, stage: str, **params: str) -> Package:
        """Return the package of a stage, its params changed as told."""
        ...


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Packager:
    """Package a stage, once, where every call to AWS would fail: no credentials, and an endpoint that refuses."""

    @cache
    def of_stage(stage: str, **params: str) -> Package:
        folder = tmp_path_factory.mktemp(stage)
        environment = {name: value for name, value in os.environ.items() if "AWS_ACCESS" not in name}
        environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{free_port()}"
        subprocess.run(
            ["sls", "package", "--stage", stage, "--package", str(folder), *stage_params(params)],
            cwd=local_cloud.PROJECT,
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Package(folder)

    return of_stage
