"""Deliver an S3 event to the converter in a process of its own, and end that, or lose an answer, at one call to AWS.

`before` the N-th call is sent, `inside` it (AWS has done it, the answer is on its way) or `after` its answer came, the
process is killed. `lost`: AWS does it, but the answer never comes, and the process lives on. N = 0 disturbs nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

from connections import Answer, Server

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["converter", "deliver"])
"""Each process is forked from one that has imported what takes long, and imports only the entry point itself."""

TIMEOUT_S = 120


@dataclass(frozen=True)
class Delivery:
    """How a delivery ended: the process's exit code, a signal as a negative number, and what it called of AWS."""

    exit_code: int | None
    calls: list[str] | None


def deliver(event: object, settings: Mapping[str, str], when: str = "never", at: int = 0) -> Delivery:
    """Deliver an event to a function with these settings; return when its process has ended."""
    ours, theirs = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_run, args=(theirs, event, settings, when, at))
    process.start()
    theirs.close()
    process.join(TIMEOUT_S)
    return Delivery(process.exitcode, ours.recv() if process.exitcode == 0 else None)


def _run(calls: Connection[Any, Any], event: Any, settings: Mapping[str, str], when: str, at: int) -> None:
    os.environ |= settings
    called = _disturb(when, at)
    import ingestion

    context = SimpleNamespace(
        function_name="ingestFile",
        memory_limit_in_mb=1769,
        invoked_function_arn="arn:aws:lambda:eu-west-1:000000000000:function:ingestFile",
        aws_request_id="c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        get_remaining_time_in_millis=lambda: 900_000,
    )
    ingestion.ingest_file(event, context)
    calls.send(called)


def _disturb(when: str, at: int) -> list[str]:
    """Arrange for the disturbance in every client to come; return the list that the operations are noted in."""
    calls: list[str] = []
    answers = count(1)
    ask = Server.ask

    def sending(operation: str, send: Callable[[], object], lost: Exception) -> None:
        calls.append(operation)
        if len(calls) != at:
            return
        if when == "before":
            _die()
        if when in {"inside", "lost"}:
            send()
        if when == "inside":
            _die()
        if when == "lost":
            raise lost

    def received(**_: object) -> None:
        if next(answers) == at and when == "after":
            _die()

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


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
