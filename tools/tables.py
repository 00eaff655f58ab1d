"""What the command line does by boto3, as no function does it: tables made, receipts and keys listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

from keys import KeysTable, ReaderKey, reader_key_of
from receipts import FilesTable, Receipt, receipt_of
from repository import EVENTS_BY_DAY, VisitsTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import CreateTableInputTypeDef, GlobalSecondaryIndexTypeDef

    from dynamodb import Item, Table

type Key = tuple[str, Literal["S", "N"]]

_KEYS: dict[type[Table], Sequence[Key]] = {
    VisitsTable: (("EventId", "S"), ("EventDay", "N")),
    FilesTable: (("Bucket", "S"), ("Key", "S")),
    KeysTable: (("KeyId", "S"),),
}
"""Name and type of the partition key, and of the sort key if there is one, as serverless.yml declares them."""

_INDEX: GlobalSecondaryIndexTypeDef = {
    "IndexName": EVENTS_BY_DAY,
    "KeySchema": [
        {"AttributeName": "EventDay", "KeyType": "HASH"},
        {"AttributeName": "EventId", "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["EventCount"]},
}
"""Of the counts."""


def create(client: DynamoDBClient, table: Table) -> bool:
    """Create a table for a DynamoDB outside the stack, and return when it is active; False where it exists already."""
    keys = _KEYS[type(table)]
    request: CreateTableInputTypeDef = {
        "TableName": table.name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in keys],
        "KeySchema": [
            {"AttributeName": name, "KeyType": "RANGE" if number else "HASH"} for number, (name, _) in enumerate(keys)
        ],
    }
    if isinstance(table, VisitsTable):
        request["GlobalSecondaryIndexes"] = [_INDEX]
    try:
        client.create_table(**request)
    except client.exceptions.ResourceInUseException:
        return False
    client.get_waiter("table_exists").wait(TableName=table.name, WaiterConfig={"Delay": 1})
    return True


def every_receipt(client: DynamoDBClient, table: FilesTable) -> list[Receipt]:
    """Return all receipts, the last begun first."""
    pages = client.get_paginator("scan").paginate(TableName=table.name)
    receipts = [receipt_of(cast("Item", item)) for page in pages for item in page["Items"]]
    return sorted(receipts, key=lambda receipt: receipt.began_at, reverse=True)


def every_key(client: DynamoDBClient, table: KeysTable) -> list[ReaderKey]:
    """Return all readers' keys, ended ones too, by name."""
    pages = client.get_paginator("scan").paginate(TableName=table.name, FilterExpression="attribute_exists(LastFour)")
    keys = [reader_key_of(cast("Item", item)) for page in pages for item in page["Items"]]
    return sorted(keys, key=lambda key: key.name)
