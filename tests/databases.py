"""The DynamoDBs of the tests: moto's, in memory, and one of canned answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from connections import Server
from credentials import Credentials
from dynamodb import Client
from intervals import Count
from receipts import FilesTable, Receipt
from repository import VisitsTable
from series import Reading
from tools import local_cloud, tables

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_listening = socket.create_server(("127.0.0.1", 0))
MOTO = f"http://127.0.0.1:{_listening.getsockname()[1]}"
"""Where moto answers as DynamoDB, S3, SNS and SQS do, from memory, once `run_moto` has begun."""
_moto_socket = _listening.detach()


def client_at(endpoint: str, kind: type[Client] = Client, **options: Any) -> Client:
    """Return a client of the DynamoDB at an address."""
    return kind(local_cloud.REGION, lambda: Credentials("test", "test"), Server(endpoint), **options)


@cache
def boto3_at(endpoint: str) -> DynamoDBClient:
    """Return boto3's client of the DynamoDB at an address, for what ours does not do; to make one takes 0.05 s."""
    session = boto3.Session("test", "test", region_name=local_cloud.REGION)
    return session.client("dynamodb", endpoint_url=endpoint)


def counts_of(table: VisitsTable, event_id: str, start: int | None = None, end: int | None = None) -> dict[int, Count]:
    """Return an event's visits by day, the oldest first."""
    return {day: count for part in table.pages(event_id, Reading(start, end)) for day, count in part.items()}


def every_receipt(endpoint: str, files: FilesTable) -> list[Receipt]:
    """Return all receipts, the last begun first."""
    return tables.every_receipt(boto3_at(endpoint), files)


@contextmanager
def run_moto() -> Iterator[str]:
    """Run moto in this process; yield its address."""
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=True, fd=_moto_socket)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield MOTO
    server.shutdown()
    server.server_close()


@dataclass(frozen=True)
class Reply:
    """What the DynamoDB of canned answers does with one request."""

    status: int = 200
    body: str | bytes = "{}"
    content_type: str = "application/x-amz-json-1.0"
    crc32: int | None = None
    cut: bool = False
    silent: bool = False


def aws_error(code: str, status: int = 400, **members: object) -> Reply:
    """Return an error as DynamoDB answers it."""
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


@contextmanager
def run_scripted() -> Iterator[ScriptedDynamoDB]:
    """Run a DynamoDB of canned answers in this process; yield it."""

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
