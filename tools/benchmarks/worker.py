"""A process that answers requests with one contender and tells the CPU time that it took: `worker.py MODULE FUNCTION`.

First it answers a request for one row, and tells what the process took up to there: a cold start. Then, for each line
with rows and times, it answers so many requests, and tells the median of them in ms and a checksum of the rows.
"""

from __future__ import annotations

import os
import sys
import time
from importlib import import_module


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


def event(rows: int) -> dict[str, object]:
    """Return API Gateway's event for the series of that many rows, payload 2.0."""
    path = f"/visits/{rows}"
    http = {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "curl/8"}
    return {
        "version": "2.0",
        "routeKey": "GET /visits/{resourceId}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"accept": "*/*", "host": "1234567890.execute-api.eu-west-1.amazonaws.com"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "1234567890",
            "domainName": "1234567890.execute-api.eu-west-1.amazonaws.com",
            "http": http,
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "GET /visits/{resourceId}",
            "stage": "$default",
            "time": "14/Oct/2017:12:00:00 +0000",
            "timeEpoch": 1507982400000,
        },
        "pathParameters": {"resourceId": str(rows)},
        "isBase64Encoded": False,
    }


def main(module: str, function: str) -> None:
    """Answer what standard input asks for, until it ends."""
    answer = getattr(import_module(module), function)
    answer(event(1), Context())
    print(time.process_time() * 1000, flush=True)
    for line in sys.stdin:
        rows, times = map(int, line.split())
        asked, took = event(rows), []
        for _ in range(times):
            began = time.process_time()
            answered = answer(asked, Context())
            took.append(time.process_time() - began)
        print(sorted(took)[times // 2] * 1000, checksum(answered["body"]), flush=True)


def checksum(body: str) -> int:
    """Return a number that tells an answer's rows from others, however they are laid out."""
    import json
    import zlib

    rows = [(row["EventId"], row["EventDay"], row["EventCount"]) for row in json.loads(body)]
    return zlib.crc32(json.dumps(rows).encode())


if __name__ == "__main__":
    # Beside the stub, not in its place: where both take turns on one CPU, each finds its caches full of the other's.
    if hasattr(os, "sched_setaffinity"):  # not on every system
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    main(*sys.argv[1:])
