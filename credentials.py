"""The credentials of a Lambda function's role: where its environment has them, or says where they are."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from connections import Server

RENEW_BEFORE_S = 300
"""Credentials that live no longer than this are renewed."""

FETCH_TIMEOUT_S = 1
"""The endpoint is on the same machine."""


class Credentials(NamedTuple):
    """What requests are signed with."""

    access_key: str
    secret_key: str
    token: str = ""
    """The session token of temporary credentials, else empty."""


class ContainerCredentials:
    """Credentials from the endpoint that Lambda gives to a function that it starts from a snapshot.

    In its environment, those of the snapshot would have ended long ago. Threads may share it.
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
    """

    def __init__(self, uri: str, authorization: str, clock: Callable[[], float] = time.time) -> None:
        parts = urlsplit(uri)
        self._server = Server(f"{parts.scheme}://{parts.netloc}")
        self._target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        self._authorization = authorization
        self._clock = clock
        self._credentials: Credentials | None = None
        self._end = 0.0

    def __call__(self) -> Credentials:
        """Return credentials that have not ended. Raises OSError where the endpoint has none."""
        now = self._clock()
        if self._credentials and now < self._end - RENEW_BEFORE_S:
            return self._credentials
        try:
            self._credentials, self._end = self._fetch()
        except OSError:
            if not self._credentials or now >= self._end:
                raise
        return self._credentials

    def _fetch(self) -> tuple[Credentials, float]:
        headers = {"host": self._server.host, "authorization": self._authorization}
        answer = self._server.ask(f"GET {self._target}", headers, deadline=time.monotonic() + FETCH_TIMEOUT_S)
        try:
            found = json.loads(answer.body)
            credentials = Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"])
            return credentials, datetime.fromisoformat(found["Expiration"]).timestamp()
        except (LookupError, TypeError, ValueError) as error:
            raise ConnectionError(f"no credentials from {self._server.host} (HTTP {answer.status})") from error


def role_credentials(environment: Mapping[str, str]) -> Callable[[], Credentials]:
    """Return a function that returns the role's credentials; raise ValueError where there are none."""
    access_key, secret_key = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if access_key and secret_key:
        credentials = Credentials(access_key, secret_key, environment.get("AWS_SESSION_TOKEN", ""))
        return lambda: credentials
    if uri := environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        return ContainerCredentials(uri, environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", ""))
    raise ValueError("the environment has no credentials")
