"""The role's credentials: from the environment, or from the endpoint of a function that began as a snapshot."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from scripted_server import Step, sends, sends_and_closes, serving

from credentials import RENEW_BEFORE_S, ContainerCredentials, Credentials, role_credentials

NOW = 1_795_000_000.0
"""An hour of November 2026, in seconds since 1970."""


def answer(number: int, lives_s: float = 3600, status: str = "200 OK") -> Step:
    """Return the step that gives out credentials, told apart by a number."""
    found = {
        "AccessKeyId": f"key {number}",
        "SecretAccessKey": f"secret {number}",
        "Token": f"token {number}",
        "Expiration": datetime.fromtimestamp(NOW + lives_s, UTC).isoformat().replace("+00:00", "Z"),
    }
    return raw(json.dumps(found), status)


def raw(body: str, status: str = "200 OK") -> Step:
    return sends(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


def credentials(number: int) -> Credentials:
    return Credentials(f"key {number}", f"secret {number}", f"token {number}")


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ({}, Credentials("AKID", "secret")),
        ({"AWS_SESSION_TOKEN": "token"}, Credentials("AKID", "secret", "token")),
    ],
)
def test_the_environment_has_them(token: dict[str, str], expected: Credentials) -> None:
    """Lambda's are temporary, with a token; those of a user have none. The endpoint is not asked."""
    environment = {
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/",
        **token,
    }

    assert expected == role_credentials(environment)()


@pytest.mark.parametrize("half", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_an_environment_without_credentials_is_refused(half: str) -> None:
    """One key without the other is none."""
    for environment in ({}, {half: "half"}):
        with pytest.raises(ValueError, match="the environment has no credentials"):
            role_credentials(environment)


def test_a_snapshot_asks_its_endpoint_with_its_token() -> None:
    """It is asked once, and not before there is something to sign."""
    with serving(answer(1)) as script:
        role = role_credentials(
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{script.url}/v1/credentials?role=a",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": "let me in",
            }
        )
        assert [] == script.requests

        assert isinstance(role, ContainerCredentials)
        role = ContainerCredentials(f"{script.url}/v1/credentials?role=a", "let me in", clock=lambda: NOW)
        assert [credentials(1)] * 2 == [role(), role()]

    (request,) = script.requests
    assert request.startswith(b"GET /v1/credentials?role=a HTTP/1.1\r\n")
    assert b"\r\nauthorization: let me in\r\n" in request


def test_they_are_renewed_before_they_end() -> None:
    """Those that have too little time left are not signed with where there are newer ones."""
    now = NOW
    with serving(answer(1, lives_s=1000), answer(2, lives_s=9000)) as script:
        role = ContainerCredentials(script.url, "", clock=lambda: now)

        found = [role()]
        now = NOW + 1000 - RENEW_BEFORE_S - 1
        found.append(role())
        now += 1
        found.append(role())

    assert [credentials(1), credentials(1), credentials(2)] == found
    assert script.requests[0].startswith(b"GET / HTTP/1.1\r\n")


def test_they_serve_to_their_end_where_there_are_no_newer_ones() -> None:
    """An endpoint in trouble is no reason to fail before they end."""
    now = NOW
    with serving(answer(1, lives_s=1000), sends_and_closes(b"")) as script:
        role = ContainerCredentials(script.url, "", clock=lambda: now)
        role()

        now = NOW + 999
        assert credentials(1) == role()
        now = NOW + 1000
        with pytest.raises(ConnectionError):
            role()


@pytest.mark.parametrize(
    "body", ["", "no JSON", "[]", "{}", '{"AccessKeyId": "a", "SecretAccessKey": "b", "Token": "c", "Expiration": "x"}']
)
def test_an_answer_without_credentials_is_an_error(body: str) -> None:
    """It names the status that the endpoint gave."""
    with (
        serving(raw(body, "403 Forbidden")) as script,
        pytest.raises(ConnectionError, match=r"no credentials from 127\.0\.0\.1:\d+ \(HTTP 403\)"),
    ):
        ContainerCredentials(script.url, "")()


def test_a_token_with_a_line_end_is_refused() -> None:
    """It would begin a header of its own."""
    with pytest.raises(ValueError, match="a header has a line end in it"):
        ContainerCredentials("http://127.0.0.1:1", "a\r\nx-evil: b")()
