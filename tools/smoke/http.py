"""Asks a deployed API over HTTP, with or without what it demands of its callers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from tools.smoke.findings import Skip

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

TIMEOUT_S = 35
"""API Gateway gives a function 30."""


@dataclass(frozen=True)
class Api:
    """A deployed API, and what a caller has to show: credentials where it demands a signature, a token, or a key.

    Both ways raise botocore's HTTPClientError where there is no answer; redirects are not followed.
    """

    url: str
    region: str
    demands: str
    """NONE, AWS_IAM, JWT or, for a key, CUSTOM."""
    credentials: ReadOnlyCredentials
    token: str | None = None
    key: str | None = None
    keys_in_query: bool = False

    def ask(self, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> AWSResponse:
        """Return the answer to a request that shows nothing."""
        return self._send(self._request(method, path, headers))

    def ask_with_authorization(
        self, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET"
    ) -> AWSResponse:
        """Return the answer to a request that shows what the API demands; raise Skip where there is nothing to show."""
        request = self._request(method, path, headers)
        if self.demands == "AWS_IAM":
            SigV4Auth(self.credentials, "execute-api", self.region).add_auth(request)
        elif self.demands == "JWT":
            if not self.token:
                raise Skip("the stage demands a JWT, and there is none in VISITS_TOKEN")
            request.headers["Authorization"] = f"Bearer {self.token}"
        elif self.demands == "CUSTOM":
            if not self.key:
                raise Skip("the stage demands a key, and there is none in VISITS_KEY")
            self._show_key(request, self.key)
        return self._send(request)

    def ask_with_key(self, path: str, key: str, *, method: str = "GET") -> AWSResponse:
        """Return the answer to a request that shows this key where the API looks for one."""
        request = self._request(method, path, None)
        self._show_key(request, key)
        return self._send(request)

    def _show_key(self, request: AWSRequest, key: str) -> None:
        if self.keys_in_query:
            request.params = {"key": key}
        else:
            request.headers["Authorization"] = f"Bearer {key}"

    def _request(self, method: str, path: str, headers: Mapping[str, str] | None) -> AWSRequest:
        return AWSRequest(method, f"{self.url.rstrip('/')}{path}", headers=dict(headers or {}))

    def _send(self, request: AWSRequest) -> AWSResponse:
        session = URLLib3Session(timeout=TIMEOUT_S, proxies=get_environ_proxies(self.url))
        try:
            answer: AWSResponse = session.send(request.prepare())
            return answer
        finally:
            session.close()
