"""What dynamodb_api.json has to hold: `python tests/dynamodb_api.py > dynamodb_api.json` writes it anew."""

from __future__ import annotations

import json
from typing import Any

from botocore.loaders import Loader

OPERATIONS = [
    "CreateTable",
    "DescribeEndpoints",  # which botocore looks for in every model
    "DescribeTable",
    "GetItem",
    "PutItem",
    "Query",
    "Scan",
    "TransactWriteItems",
]
"""What repository.py asks for."""


def subset() -> dict[str, Any]:
    """Return botocore's model of DynamoDB with these operations, the shapes that they need, and no documentation.

    A transaction's actions are "documents" here: JSON as it is, which botocore neither searches for ARNs of tables (an
    account's own endpoint could be made of them; the tables have names here) nor goes through to write it. With 100
    actions to a transaction, these were two thirds of its CPU time.
    """
    model = Loader().load_service_model("dynamodb", "service-2", "2012-08-10")
    operations = {name: dict(model["operations"][name]) for name in OPERATIONS}
    del operations["TransactWriteItems"]["operationContextParams"]
    shapes: dict[str, Any] = {}
    new = _references(operations)
    while new:
        shapes |= {name: model["shapes"][name] for name in new}
        new = {name for name in _references(shapes) if name not in shapes}
    shapes["TransactWriteItem"] = {**shapes["TransactWriteItem"], "document": True}
    plain: dict[str, Any] = _undocumented({**model, "operations": operations, "shapes": dict(sorted(shapes.items()))})
    return plain


def _references(node: Any) -> set[str]:
    if isinstance(node, list):
        return {name for each in node for name in _references(each)}
    if not isinstance(node, dict):
        return set()
    own = {node["shape"]} if isinstance(node.get("shape"), str) else set()
    return own | {name for each in node.values() for name in _references(each)}


def _undocumented(node: Any) -> Any:
    if isinstance(node, list):
        return [_undocumented(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        name: _undocumented(value)
        for name, value in node.items()
        if not (name == "documentation" and isinstance(value, str))
    }


if __name__ == "__main__":
    print(json.dumps(subset()))
