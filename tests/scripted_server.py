"""Servers on loopback that do with each request what a test tells them, byte by byte."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

type Step = Callable[[socket.socket, bytes], bool]
"""What a server does with a request that came over a connection: returns whether it keeps that."""


def sends(data: bytes) -> Step:
    """Return the step that answers with these bytes, and goes on."""

    def step(sock: socket.socket, _: bytes) -> bool:
        sock.sendall(data)
        return True

    return step


def sends_and_closes(data: bytes) -> Step:
    """Return the step that answers with these bytes, and closes the connection in good order."""

    def step(sock: socket.socket, _: bytes) -> bool:
        sock.sendall(data)
        return False

    return step


def sends_and_resets(data: bytes) -> Step:
    """Return the step that answers with these bytes, and tears the connection down."""

    def step(sock: socket.socket, _: bytes) -> bool:
        sock.sendall(data)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    return step


def trickles(sock: socket.socket, _: bytes) -> bool:
    """Send a header that never ends, a byte at a time, until the client hangs up."""
    sock.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
    with suppress(OSError):
        while True:
            sock.sendall(b"a")
            time.sleep(0.01)
    return False


@dataclass
class Script:
    """A server on loopback that does with each request the next of its steps, the last of them for ever."""

    steps: list[Step]
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    idle: threading.Event = field(default_factory=threading.Event)
    """Set when a connection has ended."""

    def serve(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context:
                sock = context.wrap_socket(sock, server_side=True)
            self.connections += 1
            with sock:
                while request := sock.recv(65536):
                    self.requests.append(request)
                    step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
                    if not step(sock, request):
                        break
        self.idle.set()


@contextmanager
def serving(*steps: Step, context: ssl.SSLContext | None = None) -> Iterator[Script]:
    """Run a scripted server; each of its connections has a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        script = Script(list(steps), f"{'https' if context else 'http'}://127.0.0.1:{listening.getsockname()[1]}")

        def accept() -> None:
            with suppress(OSError):
                while True:
                    sock, _ = listening.accept()
                    threading.Thread(target=script.serve, args=(sock, context), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield script
        listening.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxying(answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> Iterator[Script]:
    """Run a proxy that answers each request for a tunnel so, and then passes on what comes from either side."""

    def tunnel(sock: socket.socket, request: bytes) -> bool:
        host, _, port = request.split()[1].decode().rpartition(":")
        sock.sendall(answer)
        if b" 200 " not in answer:
            return False
        with socket.create_connection((host, int(port))) as target:
            threading.Thread(target=pass_on, args=(target, sock), daemon=True).start()
            pass_on(sock, target)
        return False

    def pass_on(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)

    with serving(tunnel) as script:
        yield script
