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
from itertools import count
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

import dynamodb_client


def disturb(when: str, at: int) -> list[str]:
    """Arrange for the disturbance in every client to come; return the list that the operations are noted in."""
    calls: list[str] = []
    answers = count(1)

    def sending(request: AWSPreparedRequest, event_name: str, **_: object) -> None:
        calls.append(event_name.rpartition(".")[2])
        if len(calls) != at:
            return
        if when == "before":
            die()
        if when in {"inside", "lost"}:
            URLLib3Session().send(request)
        if when == "inside":
            die()
        if when == "lost":
            raise ConnectionClosedError(endpoint_url=request.url)

    def received(**_: object) -> None:
        if next(answers) == at and when == "after":
            die()

    make = dynamodb_client.make

    def disturbed(*arguments: Any) -> Any:
        client = make(*arguments)
        # Before the client's own transport, which listens to the same event.
        client.meta.events.register_first("before-send.dynamodb", sending)
        client.meta.events.register("response-received", received)
        return client

    setattr(dynamodb_client, "make", disturbed)  # noqa: B010 - which the type checker would not have
    boto3.setup_default_session()
    assert boto3.DEFAULT_SESSION
    boto3.DEFAULT_SESSION.events.register("before-send", sending)
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
