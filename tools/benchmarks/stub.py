"""A DynamoDB of canned bytes on loopback, in a process of its own, so that its work is not measured.

It speaks HTTP, and on another port TLS.

A Query of event "365" is answered by 365 days, and so is one of "100365"; one of a day by a thousand events; one of a
table that ends with "-slow" after 5 ms. Of other operations it is counted how often they were called.
"""

from __future__ import annotations

import json
import os
import socketserver
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

import botocore
import trustme

FIRST_DAY = date(1990, 1, 1)
EVENTS = 1_000
LISTED_DAYS = 30
LISTED_EVENTS = 100
"""What a list shows where nothing else is asked for."""
SLOW_S = 0.005
SAME_ROWS = 100_000
"""Events whose ids differ by a multiple of this have the same days."""


@cache
def series(rows: int) -> dict[int, int]:
    """Return `rows` days in a row, with counts of one to five digits."""
    days = (FIRST_DAY + timedelta(days=number) for number in range(rows))
    return {int(f"{day:%Y%m%d}"): 7**number % 99_991 for number, day in enumerate(days)}


@cache
def events(day: int) -> dict[str, int]:
    """Return a day's counts by event."""
    return {str(number): (number * 7_919 + day) % 9_973 for number in range(1, EVENTS + 1)}


@cache
def answer(rows: int, projected: bool) -> bytes:
    """Return a Query's whole HTTP answer as DynamoDB writes it; without a projection each item has its event, too."""
    event = {} if projected else {"EventId": {"S": str(rows)}}
    items = [{**event, "EventDay": {"N": str(day)}, "EventCount": {"N": str(n)}} for day, n in series(rows).items()]
    return _http({"Count": rows, "Items": items, "ScannedCount": rows})


@cache
def answer_of_day(day: int) -> bytes:
    """Return the HTTP answer to a Query of a day's events."""
    items = [{"EventId": {"S": event_id}, "EventCount": {"N": str(visits)}} for event_id, visits in events(day).items()]
    return _http({"Count": EVENTS, "Items": items, "ScannedCount": EVENTS})


@cache
def answer_of_all() -> bytes:
    """Return the HTTP answer to a Query of the newest days of `all`."""
    days = list(series(LISTED_DAYS))[::-1]
    items = [{"EventDay": {"N": str(day)}, "EventCount": {"N": "1"}, "Files": {"N": "1"}} for day in days]
    return _http({"Count": LISTED_DAYS, "Items": items, "ScannedCount": LISTED_DAYS})


def _http(body: object) -> bytes:
    data = json.dumps(body, separators=(",", ":")).encode()
    head = (
        "HTTP/1.1 200 OK\r\nServer: Server\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\n"
        f"Content-Type: application/x-amz-json-1.0\r\nContent-Length: {len(data)}\r\nConnection: keep-alive\r\n"
        f"x-amzn-RequestId: {'A' * 52}\r\nx-amz-crc32: {zlib.crc32(data)}\r\n\r\n"
    )
    return head.encode() + data


CALLS = Counter[str]()
LOCK = threading.Lock()


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while request := self.rfile.readline():
            headers = {}
            while line := self.rfile.readline().strip():
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            body = self.rfile.read(int(headers.get("content-length", 0)))
            self.wfile.write(self._answer(request, headers.get("x-amz-target", ""), body))

    def _answer(self, request: bytes, target: str, body: bytes) -> bytes:
        if request.startswith(b"GET "):
            with LOCK:
                calls = dict(CALLS)
                CALLS.clear()
            return _http(calls)
        operation = target.rpartition(".")[2]
        if operation == "Query":
            asked = json.loads(body)
            if asked.get("TableName", "").endswith("-slow"):
                time.sleep(SLOW_S)
            values = asked["ExpressionAttributeValues"]
            if ":day" in values:
                return answer_of_day(int(values[":day"]["N"]))
            # Low-level clients name the values by themselves, the resource numbers them.
            event = next(value["S"] for value in values.values() if "S" in value)
            if event == "all":
                return answer_of_all()
            return answer(int(event) % SAME_ROWS, "ProjectionExpression" in asked)
        with LOCK:
            CALLS[operation] += 1
        return _http({})


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


class Stub(NamedTuple):
    """Where the stub is."""

    endpoint: str
    tls_endpoint: str
    ca_bundle: Path
    """A file with the authority that its certificate is from."""


@contextmanager
def running(folder: Path) -> Iterator[Stub]:
    """Run the stub in a process of its own, with its certificate in a folder, and yield where it is."""
    authority = trustme.CA()
    certificate, ca_bundle = folder / "stub.pem", folder / "ca.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    # Beside the authorities that botocore trusts, as Lambda's system trusts as many: all are read at each cold start.
    ca_bundle.write_bytes(Path(botocore.__file__).with_name("cacert.pem").read_bytes())
    authority.cert_pem.write_to_path(ca_bundle, append=True)
    process = subprocess.Popen([sys.executable, Path(__file__), certificate], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield Stub(process.stdout.readline().strip(), process.stdout.readline().strip(), ca_bundle)
    finally:
        process.terminate()
        process.communicate()


def calls(endpoint: str) -> dict[str, int]:
    """Return how often each operation but Query was called since this was last asked."""
    with urllib.request.urlopen(endpoint) as answered:
        counted: dict[str, int] = json.load(answered)
        return counted


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):  # not on every system
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    with _Server(("127.0.0.1", 0), _Handler) as plain, _Server(("127.0.0.1", 0), _Handler) as tls:
        tls.socket = context.wrap_socket(tls.socket, server_side=True)
        print(f"http://127.0.0.1:{plain.server_address[1]}\nhttps://127.0.0.1:{tls.server_address[1]}", flush=True)
        threading.Thread(target=tls.serve_forever, daemon=True).start()
        plain.serve_forever()
