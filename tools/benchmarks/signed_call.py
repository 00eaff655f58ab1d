"""One request signed by botocore over a kept connection, its JSON read, the rows' JSON written; nothing else."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
CONNECTION = http.client.HTTPConnection(urlsplit(ENDPOINT).netloc)
CREDENTIALS = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
SIGNER = SigV4Auth(CREDENTIALS, "dynamodb", os.environ["AWS_REGION"])
TABLE = os.environ["VISITS_TABLE"]
HEADERS = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.Query"}


def answer(event: Mapping[str, Any], context: object) -> dict[str, object]:  # noqa: ARG001 - Lambda gives it
    """Answer with all of the event's days."""
    event_id = event["pathParameters"]["resourceId"]
    query = {
        "TableName": TABLE,
        "KeyConditionExpression": "EventId = :event",
        "ExpressionAttributeValues": {":event": {"S": event_id}},
        "ProjectionExpression": "EventDay, EventCount",
    }
    body = json.dumps(query).encode()
    request = AWSRequest("POST", ENDPOINT, HEADERS, body)
    SIGNER.add_auth(request)
    CONNECTION.request("POST", "/", body, dict(request.headers.items()))
    items = json.loads(CONNECTION.getresponse().read())["Items"]
    rows = [
        {"EventCount": int(item["EventCount"]["N"]), "EventDay": int(item["EventDay"]["N"]), "EventId": event_id}
        for item in items
    ]
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(rows)}
