"""Signature Version 4, which says who sends a request to AWS.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from credentials import Credentials

_ALGORITHM = "AWS4-HMAC-SHA256"


def sign(
    credentials: Credentials, region: str, service: str, headers: Mapping[str, str], body: bytes, time: str
) -> dict[str, str]:
    """Return the headers of a `POST /`, with the date, the token and the signature added, all of them signed.

    Names of headers are in lower case, `host` is among them; `time` is UTC, `YYYYMMDDTHHMMSSZ`.
    """
    signed = {**headers, "x-amz-date": time}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = sorted(signed)
    signed_names = ";".join(names)
    canonical_headers = "".join([f"{name}:{signed[name]}\n" for name in names])
    request = f"POST\n/\n\n{canonical_headers}\n{signed_names}\n{sha256(body).hexdigest()}"
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    text = f"{_ALGORITHM}\n{time}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(_key(credentials.secret_key, time[:8], region, service), text.encode(), "sha256").hex()
    signed["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={signed_names}, Signature={signature}"
    )
    return signed


@lru_cache(maxsize=4)
def _key(secret_key: str, day: str, region: str, service: str) -> bytes:
    """Return the key of a day's signatures."""
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
