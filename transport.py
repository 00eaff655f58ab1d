"""HTTP over connections that are kept: what lies below botocore's signing and retries and above the socket.

botocore sends by urllib3, which can do much that a JSON API does not ask for: proxies, redirects, streamed and encoded
bodies. That took a third of the time of a short call to DynamoDB. Figures: docs/performance.md.
"""

from __future__ import annotations

import select
import socket
import ssl
import weakref
from collections import defaultdict
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import get_cert_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from urllib.parse import SplitResult

    from botocore.awsrequest import AWSPreparedRequest

_PORTS = {"http": 80, "https": 443}


class Transport:
    """Sends requests that are signed already. Its errors are botocore's own, so botocore tries again after the same.

    A server's certificate is checked against `ca_bundle`, a file's name, or what botocore trusts.
    """

    def __init__(self, connect_timeout_s: float, read_timeout_s: float, ca_bundle: str | None = None) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._ca_bundle = ca_bundle
        self._context: ssl.SSLContext | None = None
        # By scheme and host. One in use is in nobody else's reach: taken out, and put back when its answer was read.
        self._idle: defaultdict[str, list[socket.socket]] = defaultdict(list)
        weakref.finalize(self, _close, self._idle)

    def send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
        """Return the answer to a request, read to its end; None where its body is a stream, which is left to botocore.

        A handler of botocore's event `before-send`. Raises ConnectTimeoutError, EndpointConnectionError, SSLError,
        ReadTimeoutError or ConnectionClosedError.
        """
        if not isinstance(request.body, bytes | bytearray):
            return None
        url = urlsplit(request.url)
        sock = self._connection(url)
        try:
            # In one piece: two would be two packets, and two calls of the system.
            sock.sendall(_head(request, url) + request.body)
            with HTTPResponse(sock, method=request.method) as answer:
                answer.begin()
                body = answer.read()
        except TimeoutError as error:
            sock.close()
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
        except (HTTPException, OSError) as error:
            sock.close()
            raise ConnectionClosedError(endpoint_url=request.url, request=request, error=error) from error
        if answer.will_close:
            sock.close()
        else:
            self._idle[url.scheme + url.netloc].append(sock)
        return AWSResponse(request.url, answer.status, cast("Any", answer.headers), _Body(body))

    def _connection(self, url: SplitResult) -> socket.socket:
        idle = self._idle[url.scheme + url.netloc]
        while idle:
            sock = idle.pop()
            if not _has_input(sock):
                return sock
            # Nothing was asked, so what has come can only be the end: Lambda may have been frozen for minutes.
            sock.close()
        return self._connect(url)

    def _connect(self, url: SplitResult) -> socket.socket:
        host, address = url.hostname or "", url.geturl()
        try:
            sock = socket.create_connection((host, url.port or _PORTS[url.scheme]), self._connect_timeout_s)
            # What is written goes out at once, and a connection on which nothing comes is tried now and then.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if url.scheme == "https":
                if self._context is None:
                    self._context = ssl.create_default_context(cafile=self._ca_bundle or get_cert_path(verify=True))
                sock = self._context.wrap_socket(sock, server_hostname=host)
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=address, error=error) from error
        except ssl.SSLError as error:
            raise SSLError(endpoint_url=address, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=address, error=error) from error
        sock.settimeout(self._read_timeout_s)
        return sock


class _Body(NamedTuple):
    """An answer's body, which was read, where botocore expects one to be read from."""

    data: bytes

    def stream(self) -> Iterator[bytes]:
        yield self.data


def _close(idle: Mapping[str, Sequence[socket.socket]]) -> None:
    for socks in idle.values():
        for sock in socks:
            sock.close()


def _head(request: AWSPreparedRequest, url: SplitResult) -> bytes:
    host = url.netloc.rpartition("@")[2].removesuffix(f":{_PORTS[url.scheme]}")
    target = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {host}", "Accept-Encoding: identity"]
    lines += [
        f"{name}: {value.decode('latin-1') if isinstance(value, bytes) else value}"
        for name, value in request.headers.items()
    ]
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1")


def _has_input(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
