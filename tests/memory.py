"""A DynamoDB that answers Queries from memory, in small pages, without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from reference import Stored

from dynamodb import Client


@dataclass
class Memory(Client):
    """A client whose table holds what is stored; `page` items at most in each answer."""

    stored: Stored
    page: int = 1_000
    queries: int = 0

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a Query of an event, or of a day on the index, as DynamoDB does."""
        assert operation == "Query"
        self.queries += 1
        values = {name: next(iter(value.values())) for name, value in request["ExpressionAttributeValues"].items()}
        items = self._of_day(values) if "IndexName" in request else self._of_event(request, values)
        begin = request.get("ExclusiveStartKey", {}).get("n", 0)
        end = begin + min(self.page, request.get("Limit", self.page))
        names = request["ProjectionExpression"].split(", ")
        answer: dict[str, Any] = {
            "Items": [{name: item[name] for name in names if name in item} for item in items[begin:end]]
        }
        return answer | ({"LastEvaluatedKey": {"n": end}} if end < len(items) else {})

    def _of_event(self, request: Mapping[str, Any], values: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        low, high = int(values.get(":start", 0)), int(values.get(":end", 99999999))
        assert (
            request["KeyConditionExpression"]
            == "EventId = :event"
            + {
                (False, False): "",
                (True, False): " AND EventDay >= :start",
                (False, True): " AND EventDay <= :end",
                (True, True): " AND EventDay BETWEEN :start AND :end",
            }[":start" in values, ":end" in values]
        )
        assert low <= high, "DynamoDB refuses such a range"
        days = sorted(self.stored.counts.get(values[":event"], {}), reverse=not request.get("ScanIndexForward", True))
        return [self._item(values[":event"], day) for day in days if low <= _number(day) <= high]

    def _of_day(self, values: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        return [
            self._item(event_id, day)
            for event_id in sorted(self.stored.counts)
            for day in self.stored.counts[event_id]
            if _number(day) == int(values[":day"])
        ]

    def _item(self, event_id: str, day: date) -> Mapping[str, Any]:
        item = {
            "EventId": {"S": event_id},
            "EventDay": {"N": str(_number(day))},
            "EventCount": {"N": str(self.stored.counts[event_id][day])},
        }
        if event_id == "all":
            item["Files"] = {"N": "0" if day in self.stored.taken_back else "1"}
        return item


def _number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day
