"""What the command line asks of DynamoDB beyond counts and single receipts, by boto3: tables made, receipts listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from receipts import FilesTable, Receipt, receipt_of
from repository import VisitsTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from dynamodb import Item, Table

type Key = tuple[str, Literal["S", "N"]]

_KEYS: dict[type[Table], tuple[Key, Key]] = {
    VisitsTable: (("EventId", "S"), ("EventDay", "N")),
    FilesTable: (("Bucket", "S"), ("Key", "S")),
}
"""Name and type of the partition key and the sort key, as serverless.yml declares them."""


def create(client: DynamoDBClient, table: Table) -> bool:
    """Create a table for a DynamoDB outside the stack, and return when it is active; False where it exists already."""
    keys = _KEYS[type(table)]
    try:
        client.create_table(
            TableName=table.name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in keys],
            KeySchema=[
                {"AttributeName": keys[0][0], "KeyType": "HASH"},
                {"AttributeName": keys[1][0], "KeyType": "RANGE"},
            ],
        )
    except client.exceptions.ResourceInUseException:
        return False
    client.get_waiter("table_exists").wait(TableName=table.name, WaiterConfig={"Delay": 1})
    return True


def every_receipt(client: DynamoDBClient, table: FilesTable) -> list[Receipt]:
    """Return all receipts, the last begun first."""
    pages = client.get_paginator("scan").paginate(TableName=table.name)
    receipts = [receipt_of(cast("Item", item)) for page in pages for item in page["Items"]]
    return sorted(receipts, key=lambda receipt: receipt.began_at, reverse=True)
