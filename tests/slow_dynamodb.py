"""A stand-in for DynamoDB that takes its time with tables and backups, as AWS does and the local cloud does not."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

CONTROL_PLANE = {
    "CreateBackup",
    "DeleteBackup",
    "DeleteTable",
    "RestoreTableFromBackup",
    "RestoreTableToPointInTime",
    "UpdateContinuousBackups",
    "UpdateTable",
}


@dataclass
class SlowDynamoDB:
    """Passes calls on to a DynamoDB where changes are done at once, and finishes each change only after one look at it.

    Until DescribeTable or DescribeBackup has been called, a restored table cannot be read, a backup cannot be restored,
    a changed table cannot be deleted, and the name of a deleted table is taken. The errors are those of AWS.
    """

    upstream: str
    endpoint: str = ""
    changing: dict[str, str] = field(default_factory=dict)
    """The status that the next look at a table or a backup shows, by its name or ARN."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    """Each call that changed a table or a backup, and each look that found one ready, as (operation, name or ARN)."""

    def answer(self, operation: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, bytes]:
        """Return the status and the body of the answer to a call."""
        name = body.get("BackupArn") or body.get("TableName") or body.get("SourceTableName", "")
        target = body.get("TargetTableName", "")
        match operation:
            case "DescribeTable" | "DescribeBackup" if name in self.changing:
                return self._still_changing(operation, name, body, headers)
            case "Query" | "Scan" | "GetItem" if self.changing.get(name) == "CREATING":
                return error("ResourceNotFoundException", f"{name} is being restored")
            case "CreateBackup" if name in self.changing:
                return error("TableInUseException", f"{name} is {self.changing[name]}")
            case "UpdateContinuousBackups" if self.changing.pop(f"{name} backups", None):
                return error("ContinuousBackupsUnavailableException", f"backups of {name} are being enabled")
            case "RestoreTableFromBackup" if name in self.changing:
                return error("BackupInUseException", f"{name} is {self.changing[name]}")
            case "RestoreTableFromBackup" if target in self.changing:
                return error("TableAlreadyExistsException", f"{target} is {self.changing[target]}")
            case "DeleteTable" if name in self.changing:
                return error("ResourceInUseException", f"{name} is {self.changing[name]}")
        status, answer = self._pass_on(operation, body, headers)
        if status == 200:
            self._note(operation, name, target, json.loads(answer))
        return status, answer

    def _note(self, operation: str, name: str, target: str, answer: dict[str, Any]) -> None:
        match operation:
            case "RestoreTableToPointInTime" | "RestoreTableFromBackup":
                self.changing |= {target: "CREATING", f"{target} backups": "being enabled"}
            case "CreateBackup":
                self.changing[answer["BackupDetails"]["BackupArn"]] = "CREATING"
            case "UpdateTable":
                self.changing[name] = "UPDATING"
            case "DeleteTable":
                self.changing[name] = "DELETING"
        if operation in CONTROL_PLANE or operation.startswith("Describe"):
            self.calls.append((operation, target or name))

    def _still_changing(
        self, operation: str, name: str, body: dict[str, Any], headers: dict[str, str]
    ) -> tuple[int, bytes]:
        status = self.changing.pop(name)
        if status == "DELETING":
            return 200, json.dumps({"Table": {"TableName": name, "TableStatus": status}}).encode()
        _, answer = self._pass_on(operation, body, headers)
        described = json.loads(answer)
        if operation == "DescribeTable":
            described["Table"]["TableStatus"] = status
        else:
            described["BackupDescription"]["BackupDetails"]["BackupStatus"] = status
        return 200, json.dumps(described).encode()

    def _pass_on(self, operation: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, bytes]:
        headers = {**headers, "X-Amz-Target": f"DynamoDB_20120810.{operation}"}
        request = urllib.request.Request(self.upstream, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()


def error(code: str, message: str) -> tuple[int, bytes]:
    """Return DynamoDB's answer that refuses a call."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}
    return 400, json.dumps(body).encode()


@contextmanager
def slow_dynamodb(upstream: str) -> Iterator[SlowDynamoDB]:
    """Run the stand-in on 127.0.0.1 in front of another DynamoDB."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            passed_on = {name: self.headers[name] for name in ("Authorization", "X-Amz-Date", "Content-Type")}
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            status, answer = dynamodb.answer(operation, body, passed_on)
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Keep the tests' output to the tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        dynamodb = SlowDynamoDB(upstream, f"http://127.0.0.1:{server.server_port}")
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield dynamodb
        server.shutdown()
