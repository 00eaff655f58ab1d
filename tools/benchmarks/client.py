"""Reading an event's days with boto3's low-level client, as one would under a web framework: projected, no Decimals."""

from __future__ import annotations

import os

import boto3

CLIENT = boto3.client("dynamodb", region_name=os.environ["AWS_REGION"])
TABLE = os.environ["VISITS_TABLE"]


def rows(event_id: str) -> list[dict[str, int | str]]:
    """Return the event's rows."""
    answer = CLIENT.query(
        TableName=TABLE,
        KeyConditionExpression="EventId = :event",
        ExpressionAttributeValues={":event": {"S": event_id}},
        ProjectionExpression="EventDay, EventCount",
    )
    return [
        {"EventCount": int(item["EventCount"]["N"]), "EventDay": int(item["EventDay"]["N"]), "EventId": event_id}
        for item in answer["Items"]
    ]
