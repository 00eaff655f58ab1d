"""HTTP over connections that are kept, lost, cut, slow, encrypted and tunnelled."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from scripted_server import Step, proxying, sends, sends_and_closes, sends_and_resets, serving, trickles

from connections import MAX_BODY_BYTES, Answer, Server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Answer: yes\r\n\r\n{}"
LONG_S = 30
"""Never waited for: what takes so long has failed."""


def ask(server: Server, body: bytes = b"asked", within_s: float = LONG_S, *, repeatable: bool = True) -> Answer:
    headers = {"host": server.host, "x-text": "a"}
    return server.ask("POST /", headers, body, deadline=time.monotonic() + within_s, repeatable=repeatable)


def test_a_request_goes_out_and_its_answer_comes_back() -> None:
    """The request has the headers that it is given and its length; the answer's names are in lower case."""
    with serving(sends(OK)) as script:
        answer = ask(Server(script.url))

    assert (200, b"{}", "yes") == (answer.status, answer.body, answer.headers["x-answer"])
    host = script.url.removeprefix("http://")
    assert [
        f"POST / HTTP/1.1\r\nhost: {host}\r\nx-text: a\r\ncontent-length: 5\r\n\r\nasked".encode()
    ] == script.requests


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://dynamodb.eu-west-1.amazonaws.com", "dynamodb.eu-west-1.amazonaws.com"),
        ("https://example.com:443/", "example.com"),
        ("https://example.com:8443", "example.com:8443"),
        ("http://127.0.0.1:80", "127.0.0.1"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://user:password@EXAMPLE.com", "example.com"),
    ],
)
def test_the_host_is_named_as_http_has_it(url: str, host: str) -> None:
    """The scheme's own port is left out, and so are user and password."""
    assert host == Server(url).host


@pytest.mark.parametrize(
    "url", ["", "nowhere", "ftp://example.com", "http://", "https://example.com/path", "http://a?b=c", "http://a:b"]
)
def test_an_address_that_is_none_of_a_server_is_refused(url: str) -> None:
    """It would be asked at another place than its author meant."""
    with pytest.raises(ValueError, match=r"is not the address of a server|Port could not be cast"):
        Server(url)


@pytest.mark.parametrize("value", ["a\r\nx-evil: b", "a\nb", "a\rb", "☃"])
def test_no_header_can_end_its_line(value: str) -> None:
    """A token with a line end in it would begin a header of its own."""
    server = Server("http://127.0.0.1:1")

    with pytest.raises(ValueError, match=r"a header has a line end in it|codec can't encode"):
        server.ask("POST /", {"x-amz-security-token": value}, deadline=time.monotonic() + LONG_S)


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\n{\r\nA\r\n         }\r\n0\r\nX-Trailer: a\r\n\r\n"
)


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"{}"),
        (CHUNKED, b"{         }"),
        (b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\n" + OK, b"{}"),
        (b"HTTP/1.1 200 \r\nContent-Length:0\r\n\r\n", b""),
        (b"HTTP/1.1 200\r\nconnection: Keep-Alive\r\ncontent-length: 1\r\n\r\n1", b"1"),
    ],
    ids=["plain", "chunked", "interim", "empty", "bare"],
)
def test_an_answer_is_read_to_its_end_and_its_connection_kept(answer: bytes, body: bytes) -> None:
    """One connection serves all requests."""
    with serving(sends(answer)) as script:
        server = Server(script.url)

        assert [body] * 3 == [ask(server).body for _ in range(3)]
    assert 1 == script.connections


@pytest.mark.parametrize(
    "answer",
    [
        OK.replace(b"X-Answer: yes", b"Connection: close"),
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
    ids=["close", "HTTP/1.0"],
)
def test_a_connection_that_the_server_will_close_is_not_kept(answer: bytes) -> None:
    """The next request makes one of its own."""
    with serving(sends(answer), sends(OK)) as script:
        server = Server(script.url)

        assert [b"{}", b"{}"] == [ask(server).body for _ in range(2)]
    assert 2 == script.connections


def test_what_follows_an_answer_is_not_taken_for_the_next_one() -> None:
    """Whether it comes with the answer or after it."""
    uncalled_for = OK.replace(b"{}", b"[]")

    def speaks_on(sock: socket.socket, _: bytes) -> bool:
        sock.sendall(OK)
        asked.wait(LONG_S)
        sock.sendall(uncalled_for)
        spoken.set()
        return True

    asked, spoken = threading.Event(), threading.Event()
    with serving(sends(OK + uncalled_for), speaks_on, sends(OK)) as script:
        server = Server(script.url)
        assert [b"{}", b"{}"] == [ask(server).body for _ in range(2)]
        asked.set()
        spoken.wait(LONG_S)

        assert b"{}" == ask(server).body
    assert 3 == script.connections


def test_requests_at_a_time_have_a_connection_each() -> None:
    """The answers cannot be mixed up, and all of the connections are kept."""
    meeting = threading.Barrier(2)

    def meets(sock: socket.socket, request: bytes) -> bool:
        meeting.wait(LONG_S)
        return sends(OK)(sock, request)

    with serving(meets) as script:
        server = Server(script.url)
        for _ in range(2):
            threads = [threading.Thread(target=ask, args=(server,)) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert (2, 4) == (script.connections, len(script.requests))


def test_a_kept_connection_that_was_closed_is_found_before_it_is_used() -> None:
    """DynamoDB closes idle connections, and Lambda freezes functions for minutes."""
    with serving(sends_and_closes(OK), sends(OK)) as script:
        server = Server(script.url)
        ask(server)
        assert script.idle.wait(LONG_S)

        assert b"{}" == ask(server, repeatable=False).body
    assert (2, 2) == (script.connections, len(script.requests))


@pytest.mark.parametrize("ends", [sends_and_closes, sends_and_resets])
@pytest.mark.parametrize("answered", [b"", OK[:9], OK[:-1]])
def test_a_kept_connection_that_ends_when_it_is_used_is_replaced_at_once(
    ends: Callable[[bytes], Step], answered: bytes
) -> None:
    """A request that must not be repeated fails instead: the server may have done what it asks."""
    for repeatable in (True, False):
        with serving(sends(OK), ends(answered), sends(OK)) as script:
            server = Server(script.url)
            ask(server)

            if repeatable:
                assert b"{}" == ask(server).body
                assert (2, 3) == (script.connections, len(script.requests))
            else:
                with pytest.raises(OSError):  # noqa: PT011 - the kinds are the system's
                    ask(server, repeatable=False)
                assert 2 == len(script.requests)


@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept"])
@pytest.mark.parametrize("ends", [sends_and_closes, sends_and_resets])
@pytest.mark.parametrize("answer", [OK, CHUNKED], ids=["plain", "chunked"])
def test_an_answer_that_breaks_off_anywhere_is_none(
    ends: Callable[[bytes], Step], answer: bytes, *, kept: bool
) -> None:
    """A connection that ends at any byte gives no answer; its end after the last byte does no harm."""
    steps = [step for end in range(len(answer)) for step in ([sends(OK)] if kept else []) + [ends(answer[:end])]]
    with serving(*steps, ends(answer)) as script:
        server = Server(script.url)
        for end in range(len(answer)):
            if kept:
                ask(server)
            with pytest.raises(OSError):  # noqa: PT011
                ask(server, str(end).encode(), repeatable=False)

        with suppress(ConnectionResetError):  # The reset may overtake what was sent before it.
            assert 200 == ask(server).status


@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept"])
@pytest.mark.parametrize("answer", [b"", OK[:9], OK[:20], OK[:-1], CHUNKED[:60], CHUNKED[:-2]])
def test_an_answer_that_stops_coming_is_given_up_in_time(answer: bytes, *, kept: bool) -> None:
    """The deadline holds for a kept connection and a new one together."""
    with serving(*([sends(OK)] if kept else []), sends(answer)) as script:
        server = Server(script.url)
        if kept:
            ask(server)

        with pytest.raises(TimeoutError):
            ask(server, within_s=0.1)
        assert 1 == script.connections


def test_an_answer_that_trickles_is_given_up_in_time() -> None:
    """Each byte comes in time, the answer never."""
    with serving(trickles) as script, pytest.raises(TimeoutError, match=r"no whole answer in time|timed out"):
        ask(Server(script.url), within_s=0.2)


def test_a_server_that_reads_nothing_is_given_up_in_time() -> None:
    """Nothing bounds how long a request can lie in the buffers on its way but the deadline."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(f"http://127.0.0.1:{listening.getsockname()[1]}")

        with pytest.raises(TimeoutError):
            ask(server, b"a" * 50_000_000, within_s=0.2)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n\r\n",
        b"HTTP/2 200\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ntwo\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (MAX_BODY_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + (b"%x\r\n" % (MAX_BODY_BYTES // 2) + b"a" * (MAX_BODY_BYTES // 2) + b"\r\n") * 3,
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * (2 * 65536),
    ],
    ids=lambda answer: ascii(answer[:70]),
)
def test_what_is_no_answer_or_too_long_is_an_error(answer: bytes) -> None:
    """Nothing is guessed, and nothing fills the memory."""
    with serving(sends_and_closes(answer)) as script, pytest.raises(OSError):  # noqa: PT011
        ask(Server(script.url))


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    """Signed requests go nowhere else."""
    redirect = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with serving(sends(redirect)) as script:
        assert 307 == ask(Server(script.url)).status
    assert 1 == len(script.requests)


def test_where_nobody_listens_there_is_no_connection(unused_endpoint: str) -> None:
    """Neither is there one where the name is nobody's, or cannot be a name."""
    for url in (unused_endpoint, "http://nobody.invalid", f"http://{'a' * 64}.example"):
        with pytest.raises(ConnectionError, match="no connection to "):
            ask(Server(url))


def test_a_name_that_is_looked_up_for_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver takes no timeout; the connection that comes of it in the end is closed."""
    found, looked_up = threading.Event(), socket.getaddrinfo

    def slow(*arguments: object, **options: object) -> object:
        found.wait()
        return looked_up(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with serving(sends(OK)) as script:
        with pytest.raises(TimeoutError, match=r"no connection to 127\.0\.0\.1:\d+ within 0\.1 s"):
            ask(Server(script.url), within_s=0.1)
        found.set()

        assert script.idle.wait(LONG_S)
    assert (1, []) == (script.connections, script.requests)


def test_a_connection_that_is_made_at_the_last_moment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time was over, but nobody had given it up."""
    result = Future.result

    def late(made: Future[object], within_s: float | None = None) -> object:
        found = result(made)
        if within_s:
            raise TimeoutError
        return found

    monkeypatch.setattr(Future, "result", late)
    with serving(sends(OK)) as script:
        assert b"{}" == ask(Server(script.url)).body


def test_after_the_deadline_nothing_is_begun() -> None:
    """No connection is made for it."""
    with serving(sends(OK)) as script, pytest.raises(TimeoutError, match="no whole answer in time"):
        ask(Server(script.url), within_s=0)
    assert 0 == script.connections


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[ssl.SSLContext, str]]:
    """Make a certificate for an address, and what trusts it."""

    def make(address: str) -> tuple[ssl.SSLContext, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
        now = datetime.now(UTC)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(identifier, critical=False)
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
    """The bundle trusts it, and the connection is kept."""
    context, bundle = certified("127.0.0.1")
    with serving(sends(OK), context=context) as script:
        server = Server(script.url, bundle)

        assert [b"{}"] * 3 == [ask(server).body for _ in range(3)]
    assert 1 == script.connections


@pytest.mark.parametrize(("address", "trusted"), [("127.0.0.1", False), ("127.0.0.2", True)])
def test_no_other_server_is_spoken_to(
    certified: Callable[[str], tuple[ssl.SSLContext, str]], address: str, *, trusted: bool
) -> None:
    """Neither a certificate of an unknown authority will do, nor one of another name."""
    context, bundle = certified(address)
    with serving(sends(OK), context=context) as script, pytest.raises(ConnectionError, match="CERTIFICATE_VERIFY_FAIL"):
        ask(Server(script.url, bundle if trusted else None))
    assert [] == script.requests


def test_a_bundle_that_is_not_there_is_an_error_at_once() -> None:
    """It shows when the function starts, not with the first request."""
    with pytest.raises(FileNotFoundError):
        Server("https://example.com", "/nowhere/bundle.pem")


def test_a_proxy_is_asked_for_a_tunnel(certified: Callable[[str], tuple[ssl.SSLContext, str]]) -> None:
    """User and password go to the proxy; TLS goes through it, to the server."""
    context, bundle = certified("127.0.0.1")
    with serving(sends(OK), context=context) as script, proxying() as proxy:
        server = Server(script.url, bundle, proxy.url.replace("//", "//me:p%40ss@"))

        assert [b"{}"] * 2 == [ask(server).body for _ in range(2)]

    target = script.url.removeprefix("https://")
    user = base64.b64encode(b"me:p@ss").decode()
    assert [
        f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic {user}\r\n\r\n".encode()
    ] == proxy.requests
    assert (1, 2) == (script.connections, len(script.requests))


def test_a_proxy_can_lead_to_a_server_without_tls() -> None:
    """Nothing is said of a user where the proxy has none."""
    with serving(sends(OK)) as script, proxying() as proxy:
        assert b"{}" == ask(Server(script.url, proxy=proxy.url)).body
    assert b"Authorization" not in proxy.requests[0]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", b""])
def test_a_proxy_that_refuses_is_no_connection(answer: bytes) -> None:
    """The server is not reached another way."""
    with serving(sends(OK)) as script, proxying(answer) as proxy, pytest.raises(ConnectionError, match="no connection"):
        ask(Server(script.url, proxy=proxy.url))
    assert [] == script.requests


def test_a_proxy_that_is_asked_over_tls_is_refused() -> None:
    """A tunnel of TLS within TLS is not supported."""
    with pytest.raises(ValueError, match="must begin with http://"):
        Server("https://example.com", proxy="https://proxy.example:3128")
