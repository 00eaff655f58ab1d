"""The command line finds DynamoDB, and what to sign with, where every AWS tool finds them."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest
from command_line import refused
from scripted_server import proxying, sends, serving

from tools import cli

EMPTY = sends(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"Items":[]}')
QUERY = ["query", "324", "--stage", "test"]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty configuration of AWS tools, and an environment without their settings."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # It remembers the configuration that it has read.
    return tmp_path / "config"


def test_a_profile_has_credentials_and_endpoint(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary ones are sent with their token."""
    monkeypatch.setenv("AWS_PROFILE", "operator")
    with serving(EMPTY) as script:
        config.write_text(
            "[profile operator]\naws_access_key_id = AKID\naws_secret_access_key = secret\naws_session_token = token\n"
            f"endpoint_url = {script.url}\n"
        )
        cli.main(QUERY)

    (request,) = script.requests
    assert b"Credential=AKID/" in request
    assert b"x-amz-security-token: token\r\n" in request


def test_a_process_can_print_the_credentials(config: Path) -> None:
    """Every provider of botocore's chain will do, and so does single sign-on."""
    printed = '{"Version": 1, "AccessKeyId": "PRINTED", "SecretAccessKey": "secret"}'
    with serving(EMPTY) as script:
        config.write_text(f"[default]\ncredential_process = echo '{printed}'\nendpoint_url = {script.url}\n")
        cli.main(QUERY)

    assert b"Credential=PRINTED/" in script.requests[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("", "Unable to locate credentials"),
        ("aws_access_key_id = AKID\n", "Partial credentials found"),
        ("endpoint_url = nowhere\n", "no client for DynamoDB: Invalid endpoint: nowhere"),
        ("endpoint_url = http://127.0.0.1:1/path\n", "is not the address of a server"),
    ],
)
def test_settings_that_make_no_sense_are_one_line(
    config: Path, capsys: pytest.CaptureFixture[str], settings: str, message: str
) -> None:
    """The line says what is missing or malformed."""
    config.write_text(f"[default]\n{settings}")

    code, said = refused(capsys, *QUERY)

    assert 1 == code
    assert message in said


@pytest.mark.parametrize(("excepted", "tunnels"), [("", 1), ("127.0.0.1", 0)])
def test_counts_go_through_the_proxy_that_is_set(monkeypatch: pytest.MonkeyPatch, excepted: str, tunnels: int) -> None:
    """A host that NO_PROXY names is reached without it."""
    with serving(EMPTY) as script, proxying() as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", script.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removeprefix("http://"))
        monkeypatch.setenv("NO_PROXY", excepted)
        cli.main(QUERY)

    assert (1, tunnels) == (len(script.requests), len(proxy.requests))


@pytest.mark.parametrize("place", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "config"])
def test_certificates_are_checked_against_the_bundle_that_is_set(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    """A bundle that is missing shows which one it would have been."""
    bundle = str(config.with_name("missing.pem"))
    if place == "config":
        config.write_text(f"[default]\nca_bundle = {bundle}\n")
    else:
        monkeypatch.setenv(place, bundle)

    code, said = refused(capsys, *QUERY)

    assert 1 == code
    assert "No such file or directory" in said
