"""API Gateway's preflights, which MiniStack does not answer, in front of a deployed API."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cloud import Api


@dataclass
class Gateway:
    """A stage's API as API Gateway would have it, and the methods that it was asked with."""

    url: str
    methods: set[str]


@contextmanager
def in_front_of(api: Api) -> Iterator[Gateway]:
    """Answer preflights, which MiniStack does not, and pass everything else on."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            gateway.methods.add(self.command)
            headers = {name: value for name, value in self.headers.items() if name != "Host"}
            answer = api.get(self.path, headers, self.command)
            self.answer(answer.status, dict(answer.headers), answer.body)

        do_HEAD = do_GET  # noqa: N815

        def do_OPTIONS(self) -> None:
            gateway.methods.add("OPTIONS")
            allowed = {
                "access-control-allow-origin": "*",
                "access-control-allow-methods": "GET,HEAD",
                "access-control-allow-headers": self.headers["Access-Control-Request-Headers"],
                "access-control-max-age": "86400",
            }
            self.answer(204, allowed if self.headers["Origin"] else {}, b"")

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body)), "Connection": "close"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the tests' output to the tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        gateway = Gateway(f"http://127.0.0.1:{server.server_port}", set())
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield gateway
        server.shutdown()
