"""What tests of the deployed stack share: its parts, a file dropped into its inbox, and waiting for what it does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote_plus

import pytest

from connections import Server
from credentials import Credentials
from dynamodb import Client
from receipts import FilesTable, Receipt
from tools import local_cloud
from tools.local_cloud import LocalCloud

WAIT_S = 60
"""The longest wait for something that the local cloud does by itself."""

HEADER = "EventId,EventDay,EventCount\n"


@dataclass(frozen=True)
class Stack:
    """The deployed stack: its inbox, its receipts, its topic and its queue."""

    cloud: LocalCloud
    inbox: str
    topic_arn: str
    failed_events_url: str
    files: FilesTable

    def drop(self, key: str, content: str) -> bytes:
        """Put an object into the inbox; return the event that S3 sends for it."""
        body = content.encode()
        put = self.cloud.client("s3").put_object(Bucket=self.inbox, Key=key, Body=body)
        entity = {
            "key": quote_plus(key, safe="/"),
            "size": len(body),
            "eTag": put["ETag"].strip('"'),
            "versionId": put["VersionId"],
        }
        return json.dumps({"Records": [{"s3": {"bucket": {"name": self.inbox}, "object": entity}}]}).encode()

    @classmethod
    def of(cls, cloud: LocalCloud, stage: str) -> Stack:
        """Return a deployed stage's stack, as its outputs name it."""
        outputs = cloud.outputs(stage)
        client = Client(local_cloud.REGION, lambda: Credentials("test", "test"), Server(cloud.endpoint))
        files = FilesTable(client, f"visit-files-{stage}")
        return cls(cloud, outputs["InboxName"], outputs["AlertsTopicArn"], outputs["FailedEventsUrl"], files)

    def receipt(self, key: str) -> Receipt:
        """Return a file's receipt once it is closed."""

        def closed() -> Receipt | None:
            receipt = self.files.get(self.inbox, key)
            return receipt if receipt and (receipt.done or receipt.refused) else None

        return wait_for(closed)


def wait_for[T](look: Callable[[], T | None]) -> T:
    """Return the first result that is not None, calling often; fail when none comes in time."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if (found := look()) is not None:
            return found
        time.sleep(0.05)
    pytest.fail(f"nothing came within {WAIT_S} s")


def subscribe(cloud: LocalCloud, topic_arn: str, name: str) -> str:
    """Make a queue that gets a topic's messages; return its address."""
    sqs = cloud.client("sqs")
    url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    cloud.client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)
    return url
