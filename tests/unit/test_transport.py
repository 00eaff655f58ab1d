"""Connections that are kept, lost, refused, cut and encrypted."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from transport import Transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Answer: yes\r\n\r\n{}"


@dataclass
class Server:
    """A server that gives each request the next of its answers, and closes the connection where one is None."""

    answers: list[bytes | None]
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    closed: threading.Event = field(default_factory=threading.Event)

    def serve(self, listening: socket.socket, context: ssl.SSLContext | None) -> None:
        while self.answers:
            try:
                sock, _ = listening.accept()
                if context:
                    sock = context.wrap_socket(sock, server_side=True)
            except OSError:
                continue
            self.connections += 1
            with sock:
                while self.answers and (request := sock.recv(65536)):
                    self.requests.append(request)
                    answer = self.answers.pop(0)
                    if answer is None:
                        break
                    sock.sendall(answer)
                    if b"close" in answer:
                        break
            self.closed.set()


@contextmanager
def serving(*answers: bytes | None, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        server = Server(list(answers))
        server.url = f"{'https' if context else 'http'}://127.0.0.1:{listening.getsockname()[1]}"
        thread = threading.Thread(target=server.serve, args=(listening, context))
        thread.start()
        yield server
        server.answers.clear()
        thread.join()


def transport(ca_bundle: str | None = None, timeout_s: float = 5) -> Transport:
    return Transport(timeout_s, timeout_s, ca_bundle)


def send(sender: Transport, url: str, body: Any = b"asked") -> Any:
    return sender.send(AWSRequest("POST", url, {"X-Text": "a", "X-Bytes": b"b"}, body).prepare())


def test_a_request_goes_out_in_one_piece_and_its_answer_comes_back() -> None:
    """Headers, whether they are text or bytes, and body; the address with its query, the host with its port."""
    with serving(OK) as server:
        answer = send(transport(), f"{server.url}/a?b=c")

    assert (200, b"{}", "yes") == (answer.status_code, answer.content, answer.headers["x-answer"])
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")
    assert ("POST /a?b=c HTTP/1.1", b"asked") == (first, body)
    host = server.url.removeprefix("http://")
    assert {f"Host: {host}", "X-Text: a", "X-Bytes: b", "Content-Length: 5", "Accept-Encoding: identity"} == set(
        headers
    )


def test_a_connection_is_kept() -> None:
    """One for all requests, chunked answers included."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
    with serving(OK, chunked, OK) as server:
        sender = transport()
        contents = [send(sender, server.url).content for _ in range(3)]

    assert [b"{}"] * 3 == contents
    assert 1 == server.connections


def test_two_requests_at_a_time_have_two_connections() -> None:
    """An answer goes to who asked."""
    with serving(OK, OK) as first, serving(OK) as second:
        sender = transport()
        for url in (first.url, second.url, first.url):
            assert b"{}" == send(sender, url).content

        assert (1, 1) == (first.connections, second.connections)


def test_a_connection_that_was_closed_meanwhile_is_replaced_unnoticed() -> None:
    """DynamoDB closes idle ones, and Lambda freezes functions for minutes."""
    with serving(OK, None, OK) as server:
        sender = transport()
        send(sender, server.url)
        # The server hangs up on whoever asks next: here, on the kept connection's other end.
        (idle,) = sender._idle.values()  # noqa: SLF001 - nothing else shows which it is
        idle[0].sendall(b"anything")
        server.closed.wait(5)

        assert b"{}" == send(sender, server.url).content
        assert 2 == server.connections


def test_a_connection_that_the_answer_closes_is_not_kept() -> None:
    """The next request makes one of its own."""
    with serving(OK.replace(b"X-Answer: yes", b"Connection: close"), OK) as server:
        sender = transport()

        assert [b"{}", b"{}"] == [send(sender, server.url).content for _ in range(2)]
        assert 2 == server.connections


@pytest.mark.parametrize(
    "answer", [None, OK[:-1].replace(b"X-Answer", b"close"), b"HTTP/1.1 2", b"close this\r\n\r\n"], ids=repr
)
def test_an_answer_that_breaks_off_or_is_none_is_an_error(answer: bytes | None) -> None:
    """Botocore asks again after it."""
    with serving(answer) as server, pytest.raises(ConnectionClosedError):
        send(transport(), server.url)


def test_a_silent_server_is_given_up() -> None:
    """Within the time for an answer."""
    with serving(b"", OK) as server, pytest.raises(ReadTimeoutError):
        send(transport(timeout_s=0.1), server.url)


def test_where_nobody_listens_there_is_no_connection(unused_endpoint: str) -> None:
    """Nor where the name is nobody's."""
    for url in (unused_endpoint, "http://nobody.invalid"):
        with pytest.raises(EndpointConnectionError):
            send(transport(), url)


def test_a_connection_that_is_not_made_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the time for that."""

    def too_late(*_: object) -> socket.socket:
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", too_late)

    with pytest.raises(ConnectTimeoutError):
        send(transport(), "http://127.0.0.1:1")


def test_a_body_that_is_a_stream_is_left_to_botocore() -> None:
    """It may have to be rewound; nothing is sent."""
    assert send(transport(), "http://127.0.0.1:1", None) is None


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[ssl.SSLContext, str]]:
    """Make a certificate for an address, and what trusts it."""

    def make(address: str) -> tuple[ssl.SSLContext, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        path = tmp_path_factory.mktemp("tls") / "certificate.pem"
        pem, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
        path.write_bytes(
            certificate.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no_password)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context, str(path)

    return make


def test_a_server_is_known_by_its_certificate(certified: Callable[[str], tuple[ssl.SSLContext, str]]) -> None:
    """The bundle is what trusts it."""
    context, bundle = certified("127.0.0.1")
    with serving(OK, OK, context=context) as server:
        sender = transport(bundle)

        assert [b"{}", b"{}"] == [send(sender, server.url).content for _ in range(2)]
        assert 1 == server.connections


@pytest.mark.parametrize(("address", "trusted"), [("127.0.0.1", False), ("127.0.0.2", True)])
def test_no_other_server_is_spoken_to(
    certified: Callable[[str], tuple[ssl.SSLContext, str]], address: str, trusted: bool
) -> None:
    """Neither one whose certificate nobody vouches for, nor one with somebody else's."""
    context, bundle = certified(address)
    with serving(OK, context=context) as server, pytest.raises(SSLError):
        send(transport(bundle if trusted else None), server.url)
