"""The GET as the book has it: the boto3 resource, `Key` conditions, Decimals and a JSON encoder for them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import boto3
from boto3.dynamodb.conditions import ConditionBase, Key

TABLE = boto3.resource("dynamodb", region_name=os.environ["AWS_REGION"]).Table(os.environ["VISITS_TABLE"])


class DecimalEncoder(json.JSONEncoder):
    """Writes Decimals as the numbers they are."""

    def default(self, o: object) -> object:
        """Return an int or float for a Decimal."""
        if isinstance(o, Decimal):
            return float(o) if o % 1 else int(o)
        return super().default(o)


def answer(event: Mapping[str, Any], context: object) -> dict[str, object]:  # noqa: ARG001 - Lambda gives it
    """Answer with the event's items, from `startDate` on if there is one."""
    condition: ConditionBase = Key("EventId").eq(event["pathParameters"]["resourceId"])
    start = (event.get("queryStringParameters") or {}).get("startDate")
    if start:
        condition = condition & Key("EventDay").gte(int(start))
    items = TABLE.query(KeyConditionExpression=condition)["Items"]
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json", "Access-Control-Allow-Origin": "*"},
        "body": json.dumps(items, cls=DecimalEncoder),
    }
