"""Signatures are those that AWS publishes, and those that botocore makes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import botocore.auth
import botocore.credentials
import pytest
from botocore.awsrequest import AWSRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials import Credentials
from signing import sign

SESSION = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthA"
    "x7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY"
    "9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)


@pytest.mark.parametrize(
    ("headers", "body", "token", "signature"),
    [
        ({}, b"", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ({}, b"", SESSION, "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"),
        ({"my-header1": "value1"}, b"", "", "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"),
        ({"my-header1": "VALUE1"}, b"", "", "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"),
        (
            {"content-type": "application/x-www-form-urlencoded"},
            b"Param1=value1",
            "",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            {"content-type": "application/x-www-form-urlencoded; charset=utf8"},
            b"Param1=value1",
            "",
            "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
        ),
    ],
    ids=[
        "post-vanilla",
        "post-sts-header-before",
        "post-header-key-sort",
        "post-header-value-case",
        "post-x-www-form-urlencoded",
        "post-x-www-form-urlencoded-parameters",
    ],
)
def test_the_vectors_of_amazon_are_met(headers: dict[str, str], body: bytes, token: str, signature: str) -> None:
    """Of Amazon's suite for Signature Version 4, these are the requests `POST /` without a query."""
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    given_headers = {"host": "example.amazonaws.com", **headers}

    signed = sign(credentials, "us-east-1", "service", given_headers, body, "20150830T123600Z")

    names = ";".join(sorted({*given_headers, "x-amz-date", *(["x-amz-security-token"] if token else [])}))
    scope = "20150830/us-east-1/service/aws4_request"
    assert signed["authorization"] == (
        f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders={names}, Signature={signature}"
    )


visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1)
seconds = st.integers(0, int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()))


@settings(max_examples=2000, deadline=None)
@given(st.tuples(visible, visible, st.just("") | visible), st.tuples(names, names), visible, st.text(), seconds)
def test_the_signature_is_botocores(
    keys: tuple[str, str, str], scope: tuple[str, str], target: str, text: str, seconds: int
) -> None:
    """Whoever signs what, where and when: every header that is sent is the same."""
    credentials, (region, service), body = Credentials(*keys), scope, text.encode()
    time = datetime.fromtimestamp(seconds, UTC)
    host = f"{service}.{region}.amazonaws.com"
    headers = {"host": host, "content-type": "application/x-amz-json-1.0", "x-amz-target": target}
    their_credentials = botocore.credentials.Credentials(
        credentials.access_key, credentials.secret_key, credentials.token or None
    )
    request: Any = AWSRequest("POST", f"https://{host}/", {**headers}, body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: time)
        botocore.auth.SigV4Auth(their_credentials, service, region).add_auth(request)

    signed = sign(credentials, region, service, headers, body, f"{time:%Y%m%dT%H%M%SZ}")

    assert {name.lower(): value for name, value in request.headers.items()} == signed
