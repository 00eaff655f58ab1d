"""A process that answers GETs with one contender and tells the time that it took: `worker.py MODULE FUNCTION [TARGET]`.

First it answers TARGET, the series of one row by default, and tells the CPU time that the process took up to there: a
cold start. Then, for each line with a target and a number, it answers that so many times, and tells the medians of CPU
time and of time passed, both in ms, and a checksum of the rows.
"""

from __future__ import annotations

import os
import sys
import time
from importlib import import_module
from statistics import median


class Context:
    """What Lambda tells an invocation about itself."""

    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    function_name = "visits-bench-getVisits"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:visits-bench-getVisits"
    memory_limit_in_mb = 512

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left of the function's timeout."""
        return 29_000


def event(target: str) -> dict[str, object]:
    """Return API Gateway's event for `/visits` or `/visits/{resourceId}`, payload 2.0."""
    path, _, query = target.partition("?")
    resource_id = path.removeprefix("/visits").removeprefix("/")
    http = {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "curl/8"}
    route = "GET /visits/{resourceId}" if resource_id else "GET /visits"
    return {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"accept": "*/*", "host": "1234567890.execute-api.eu-west-1.amazonaws.com"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "1234567890",
            "domainName": "1234567890.execute-api.eu-west-1.amazonaws.com",
            "http": http,
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": route,
            "stage": "$default",
            "time": "14/Oct/2017:12:00:00 +0000",
            "timeEpoch": 1507982400000,
        },
        **({"pathParameters": {"resourceId": resource_id}} if resource_id else {}),
        "isBase64Encoded": False,
    }


def main(module: str, function: str, first: str = "/visits/1") -> None:
    """Answer what standard input asks for, until it ends."""
    answer = getattr(import_module(module), function)
    answer(event(first), Context())
    print(time.process_time() * 1000, flush=True)
    for line in sys.stdin:
        target, times = line.split()
        asked, cpu_s, passed_s = event(target), [], []
        for _ in range(int(times)):
            began, began_cpu = time.perf_counter(), time.process_time()
            answered = answer(asked, Context())
            cpu_s.append(time.process_time() - began_cpu)
            passed_s.append(time.perf_counter() - began)
        print(median(cpu_s) * 1000, median(passed_s) * 1000, checksum(answered["body"]), flush=True)


def checksum(body: str) -> int:
    """Return a number that tells an answer's rows from others, however they are laid out."""
    import json
    import zlib

    return zlib.crc32(json.dumps([sorted(row.items()) for row in json.loads(body)]).encode())


if __name__ == "__main__":
    # Beside the stub, not in its place: where both take turns on one CPU, each finds its caches full of the other's.
    if hasattr(os, "sched_setaffinity"):  # not on every system
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    main(*sys.argv[1:])
