"""Deliver an S3 event to the converter in this process, and end the process, or lose an answer, at one call to AWS.

    deliver.py before|inside|after|lost N     the event on standard input, the function's settings in the environment

`before` the N-th call is sent, `inside` it (AWS has done it, the answer is on its way) or `after` its answer came, this
process is killed. `lost`: AWS does it, but the answer never comes, and the process lives on. N = 0 disturbs nothing.
Prints the operations that were called.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from itertools import count
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

from connections import Answer, Server


def disturb(when: str, at: int) -> list[str]:
    """Arrange for the disturbance in every client to come; return the list that the operations are noted in."""
    calls: list[str] = []
    answers = count(1)
    ask = Server.ask

    def sending(operation: str, send: Callable[[], object], lost: Exception) -> None:
        calls.append(operation)
        if len(calls) != at:
            return
        if when == "before":
            die()
        if when in {"inside", "lost"}:
            send()
        if when == "inside":
            die()
        if when == "lost":
            raise lost

    def received(**_: object) -> None:
        if next(answers) == at and when == "after":
            die()

    def disturbed_ask(server: Server, line: str, headers: Mapping[str, str], body: bytes, **how: Any) -> Answer:
        operation = headers["x-amz-target"].rpartition(".")[2]
        sending(operation, lambda: ask(server, line, headers, body, **how), ConnectionError("lost"))
        answer = ask(server, line, headers, body, **how)
        received()
        return answer

    def boto3_sends(request: AWSPreparedRequest, event_name: str, **_: object) -> None:
        lost = ConnectionClosedError(endpoint_url=request.url)
        sending(event_name.rpartition(".")[2], lambda: URLLib3Session().send(request), lost)

    setattr(Server, "ask", disturbed_ask)  # noqa: B010 - which the type checker would not have
    boto3.setup_default_session()
    assert boto3.DEFAULT_SESSION
    boto3.DEFAULT_SESSION.events.register("before-send", boto3_sends)
    boto3.DEFAULT_SESSION.events.register("response-received", received)
    return calls


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    calls = disturb(sys.argv[1], int(sys.argv[2]))
    import ingestion

    context = SimpleNamespace(
        function_name="ingestFile",
        memory_limit_in_mb=1769,
        invoked_function_arn="arn:aws:lambda:eu-west-1:000000000000:function:ingestFile",
        aws_request_id="c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
    )
    ingestion.ingest_file(json.load(sys.stdin), context)
    print(json.dumps({"calls": calls}))


if __name__ == "__main__":
    main()
