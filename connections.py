"""Requests to one server, over connections that are kept, each within a time that no trickle of bytes outlasts."""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
import time
import weakref
from base64 import b64encode
from collections.abc import Mapping
from concurrent.futures import Future
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

CONNECT_TIMEOUT_S = 1
"""For a name's address, the way to it and the TLS handshake together, which take milliseconds within a region."""

MAX_BODY_BYTES = 16 * 1024 * 1024
"""DynamoDB ends an answer at 1 MB of data, which is some 3 MB of JSON."""

_MAX_HEAD_BYTES = 64 * 1024
_BUFFER_BYTES = 64 * 1024
_PORTS = {"http": 80, "https": 443}


class Answer(NamedTuple):
    """An answer that was read to its end; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Server:
    """The server at `url`, http or https; threads may ask it at the same time.

    Its certificate is checked against `ca_bundle`, a file's name, or else against what the system trusts. A `proxy`,
    `http://[user:password@]host[:port]`, is asked for a tunnel. Raises ValueError for a URL that has a path or no host.
    """

    def __init__(self, url: str, ca_bundle: str | None = None, proxy: str | None = None) -> None:
        self._address = _Address.of(url)
        self._proxy = _Address.of(proxy) if proxy else None
        if self._proxy and self._proxy.scheme != "http":
            raise ValueError("a proxy is asked over http, so its URL must begin with http://")
        self.host = self._address.netloc(default_port=_PORTS[self._address.scheme])
        """What a request's header `Host` has to be."""
        # Reading the certificates that the system trusts takes milliseconds: in Lambda, those of its initialisation.
        self._tls = ssl.create_default_context(cafile=ca_bundle) if self._address.scheme == "https" else None
        # A socket in use is removed, so no two requests share it; a list's append and pop are safe for threads.
        self._idle: list[socket.socket] = []
        weakref.finalize(self, _close_all, self._idle)

    def ask(
        self,
        line: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        deadline: float,
        repeatable: bool = True,
    ) -> Answer:
        """Return the answer to a request (`line`: method and target) by `deadline`, on the clock of `time.monotonic`.

        A kept connection may turn out to be closed when it is used: then a request that is `repeatable` is sent again
        at once, over a new one. Raises OSError where there is no answer, none in time, or not the whole of it, and
        ValueError for a header that would end its line.
        """
        if any("\r" in value or "\n" in value for value in headers.values()):
            raise ValueError("a header has a line end in it")
        lines = [f"{line} HTTP/1.1", *[f"{name}: {value}" for name, value in headers.items()]]
        request = "\r\n".join([*lines, f"content-length: {len(body)}", "\r\n"]).encode("latin-1") + body
        kept = self._kept()
        if kept:
            try:
                return self._exchange(kept, request, deadline)
            except TimeoutError:
                raise
            except OSError:
                if not repeatable:
                    raise
        return self._exchange(self._connect(deadline), request, deadline)

    def _exchange(self, sock: socket.socket, request: bytes, deadline: float) -> Answer:
        try:
            unsent = memoryview(request)
            while unsent:
                sock.settimeout(_left_s(deadline))
                unsent = unsent[sock.send(unsent) :]
            incoming = _Incoming(sock, deadline)
            version, status, headers = _read_head(incoming)
            answer = Answer(status, headers, _read_body(incoming, headers))
        except BaseException:
            sock.close()
            # What has ended this connection has most likely ended the others, too.
            _close_all(self._idle)
            raise
        if version == "1.1" and headers.get("connection", "").lower() != "close" and incoming.is_read:
            self._idle.append(sock)
        else:
            sock.close()
        return answer

    def _kept(self) -> socket.socket | None:
        while True:
            try:
                sock = self._idle.pop()
            except IndexError:
                return None
            # Readable before anything was sent: the server closed it. Lambda may have frozen the function for minutes.
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            if not poll.poll(0):
                return sock
            sock.close()

    def _connect(self, deadline: float) -> socket.socket:
        """Return a new connection; raise TimeoutError after CONNECT_TIMEOUT_S, or an OSError before.

        A thread of its own makes it: looking a name up takes no timeout, and is left behind where it takes too long.
        """
        within_s = min(CONNECT_TIMEOUT_S, _left_s(deadline))
        made: Future[socket.socket] = Future()

        def make() -> None:
            try:
                sock = self._open()
            except (OSError, ValueError) as error:  # ValueError: the name cannot be one
                if made.set_running_or_notify_cancel():
                    made.set_exception(ConnectionError(f"no connection to {self.host}: {error}"))
                return
            if made.set_running_or_notify_cancel():
                made.set_result(sock)
            else:
                sock.close()

        threading.Thread(target=make, name="connect", daemon=True).start()
        try:
            return made.result(within_s)
        except TimeoutError:
            if made.cancel():
                raise TimeoutError(f"no connection to {self.host} within {within_s:.1f} s") from None
            return made.result()  # It was made at the last moment.

    def _open(self) -> socket.socket:
        nearest = self._proxy or self._address
        sock = socket.create_connection((nearest.host, nearest.port), CONNECT_TIMEOUT_S)
        try:
            # What is written goes out at once, and a connection on which nothing comes is tried now and then.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._proxy:
                self._tunnel(sock, self._proxy)
            return self._tls.wrap_socket(sock, server_hostname=self._address.host) if self._tls else sock
        except BaseException:
            sock.close()
            raise

    def _tunnel(self, sock: socket.socket, proxy: _Address) -> None:
        target = self._address.netloc()
        head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
        if proxy.user:
            head += f"Proxy-Authorization: Basic {b64encode(proxy.user.encode()).decode()}\r\n"
        sock.sendall(f"{head}\r\n".encode("latin-1"))
        _, status, _ = _read_head(_Incoming(sock, time.monotonic() + CONNECT_TIMEOUT_S))
        if not 200 <= status < 300:
            raise ConnectionError(f"the proxy answers {status}")


class _Address(NamedTuple):
    """What a URL says of a server."""

    scheme: str
    host: str
    port: int
    user: str
    """With the password, `user:password`."""

    @classmethod
    def of(cls, url: str) -> _Address:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or parts.path not in {"", "/"} or parts.query:
            raise ValueError(f"{url!r} is not the address of a server (http://host:port or https://host:port)")
        user = unquote(parts.netloc.rpartition("@")[0])
        return cls(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme], user)

    def netloc(self, default_port: int | None = None) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == default_port else f"{host}:{self.port}"


class _Incoming:
    """What a server sends, until a deadline. Raises OSError where that passes or the connection ends before the end."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline
        self._unread = b""

    @property
    def is_read(self) -> bool:
        """Whether all that has come was read."""
        return not self._unread

    def up_to(self, end: bytes) -> str:
        """Return the text before `end`, which is read, too."""
        while (size := self._unread.find(end)) < 0:
            if len(self._unread) > _MAX_HEAD_BYTES:
                raise ConnectionError(f"the answer has more than {_MAX_HEAD_BYTES:,} bytes of headers")
            self._unread += self._receive()
        text = self._unread[:size].decode("latin-1")
        self._unread = self._unread[size + len(end) :]
        return text

    def exactly(self, size: int) -> bytes:
        """Return so many bytes."""
        parts = [self._unread[:size]]
        self._unread = self._unread[size:]
        missing = size - len(parts[0])
        while missing:
            parts.append(self._receive(min(missing, _BUFFER_BYTES)))
            missing -= len(parts[-1])
        return b"".join(parts)

    def _receive(self, most: int = _BUFFER_BYTES) -> bytes:
        self._sock.settimeout(_left_s(self._deadline))
        if received := self._sock.recv(most):
            return received
        raise ConnectionError("the answer breaks off")


def _read_head(incoming: _Incoming) -> tuple[str, int, dict[str, str]]:
    """Return the version, the status and the headers of an answer; interim answers (1xx) before it are skipped."""
    # http.client reads the same with the parser for e-mail, which takes a quarter of a one-row request's CPU time.
    while True:
        first, *lines = incoming.up_to(b"\r\n\r\n").split("\r\n")
        match = re.fullmatch(r"HTTP/(1\.[01]) ([1-5][0-9]{2})(?: .*)?", first)
        if not match:
            raise ConnectionError(f"what answers does not speak HTTP/1.1: {first[:40]!r}")
        if (status := int(match[2])) >= 200:
            break
    headers: dict[str, str] = {}
    for name, _, value in [line.partition(":") for line in lines]:
        known = headers.get(name.lower())
        headers[name.lower()] = value.strip() if known is None else f"{known}, {value.strip()}"
    return match[1], status, headers


def _read_body(incoming: _Incoming, headers: Mapping[str, str]) -> bytes:
    """Return the body of an answer, in one piece or in chunks (RFC 9112, 6 and 7)."""
    encoding = headers.get("transfer-encoding")
    if encoding is None:
        # Without a length it would end where the connection does, so a part of it would look like the whole.
        return incoming.exactly(_size(headers.get("content-length", ""), 10))
    if encoding.lower() != "chunked":
        raise ConnectionError(f"the answer is encoded as {encoding!r}")
    chunks, left = [], MAX_BODY_BYTES
    while size := _size(incoming.up_to(b"\r\n").partition(";")[0].strip(), 16, left):
        chunks.append(incoming.exactly(size))
        left -= size
        if incoming.exactly(2) != b"\r\n":
            raise ConnectionError("a chunk of the answer has another length than it says")
    while incoming.up_to(b"\r\n"):
        pass
    return b"".join(chunks)


def _size(text: str, base: int, most: int = MAX_BODY_BYTES) -> int:
    """Return a number of bytes."""
    try:
        size = int(text, base) if text.isalnum() else -1
    except ValueError:
        size = -1
    if not 0 <= size <= most:
        raise ConnectionError(f"the answer gives {text[:40]!r} as its length, not a number from 0 to {most:,}")
    return size


def _left_s(deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("no whole answer in time")
    return left_s


def _close_all(socks: list[socket.socket]) -> None:
    while True:
        try:
            socks.pop().close()
        except IndexError:
            return
