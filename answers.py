"""An HTTP/1.1 answer, read from a socket to its end, within a time that no trickle of bytes outlasts."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping
from typing import NamedTuple

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 16 * 1024 * 1024
"""DynamoDB ends an answer at 1 MB of data, which is some 3 MB of JSON."""

_PIECE_BYTES = 256 * 1024
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-5][0-9]{2})(?: |$)")
_LENGTH = re.compile(r"[0-9]{1,9}")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")


class Answer(NamedTuple):
    """An answer that was read to its end; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Reading:
    """What a server sends. Every method raises OSError where that is no HTTP/1.1, too much, or ends too early."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline
        self._received = bytearray()
        self._closes = False

    @property
    def is_over(self) -> bool:
        """Whether the connection can take another request: nothing follows the answer, and the server keeps it."""
        return not self._closes and not self._received

    def answer(self) -> Answer:
        """Return the next answer."""
        status, headers = self.head()
        while status < 200:  # The answer is still to come.
            status, headers = self.head()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return Answer(status, headers, self._chunks())
        length = headers.get("content-length", "unknown")
        if not _LENGTH.fullmatch(length):
            raise ConnectionError(f"the answer's length is {length}")
        return Answer(status, headers, self._take(int(length)))

    def head(self) -> tuple[int, dict[str, str]]:
        """Return status and headers of the next answer, whose body is still to come."""
        first, *lines = self._take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status_line = _STATUS_LINE.match(first)
        if not status_line:
            raise ConnectionError("what answers does not speak HTTP/1.1")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            # Given twice it is a list: no length can be read out of one.
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self._closes = status_line[1] == "0" or headers.get("connection", "").lower() == "close"
        return int(status_line[2]), headers

    def _chunks(self) -> bytes:
        body = b""
        while size := self._chunk_size():
            body += self._take(size)
            if self._take_until(b"\r\n"):
                raise ConnectionError("a piece of the answer is longer than it says")
            if len(body) > MAX_BODY_BYTES:
                raise ConnectionError(f"the answer is longer than {MAX_BODY_BYTES:,} bytes")
        while self._take_until(b"\r\n"):  # headers that come after the body
            pass
        return body

    def _chunk_size(self) -> int:
        size = self._take_until(b"\r\n").partition(b";")[0]
        if not _CHUNK_SIZE.fullmatch(size):
            raise ConnectionError("the answer comes in pieces of no length")
        return int(size, 16)

    def _take(self, length: int) -> bytes:
        if length > MAX_BODY_BYTES:
            raise ConnectionError(f"the answer is longer than {MAX_BODY_BYTES:,} bytes")
        while len(self._received) < length:
            self._receive()
        taken = bytes(self._received[:length])
        del self._received[:length]
        return taken

    def _take_until(self, end: bytes) -> bytes:
        while (at := self._received.find(end)) < 0:
            if len(self._received) > MAX_HEAD_BYTES:
                raise ConnectionError(f"the answer has a line or head of more than {MAX_HEAD_BYTES:,} bytes")
            self._receive()
        taken = bytes(self._received[:at])
        del self._received[: at + len(end)]
        return taken

    def _receive(self) -> None:
        self._sock.settimeout(left_s(self._deadline))
        piece = self._sock.recv(_PIECE_BYTES)
        if not piece:
            raise ConnectionError("the connection ended before the answer did")
        self._received += piece


def left_s(deadline: float) -> float:
    """Return the seconds to a deadline on the clock of `time.monotonic`; raise TimeoutError where it has passed."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("no whole answer in time")
    return seconds
