"""The daily counts, `user-visits-<stage>`: partition key `EventId`, sort key `EventDay`, `EventCount`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dynamodb import MAX_CALL_S, Cancelled, DynamoDBError, Item, Table, Unavailable
from visits import ALL_EVENTS, DayCount

if TYPE_CHECKING:
    from series import Count, Read, Reading


class BelowZero(DynamoDBError):
    """A negative correction would take more visits from a day than were counted; nothing was written."""


class VisitsTable(Table):
    """The table of daily counts."""

    def reader(self, time_left_s: Callable[[], float]) -> Read:
        """Return a function that yields counts as `pages` does, while `time_left_s()` covers the longest Query."""
        return lambda event_id, reading: self.pages(event_id, reading, time_left_s)

    def add(self, event_id: str, day: int, count: int) -> None:
        """Add `count`, which may be negative, to an event's day and to that day's `all`, both or neither.

        Raises BelowZero if fewer than `-count` visits were counted there. After Unavailable the count may have been
        added or not: the answer was lost, so read before adding again.
        """
        action = self.addition(DayCount(event_id, day, count))
        if count < 0:
            # Where there is no item the comparison is false. `all` is free of it: where counts came in past this
            # service it may hold less than the event does.
            action["Update"]["ConditionExpression"] = "EventCount >= :taken"
            action["Update"]["ExpressionAttributeValues"][":taken"] = {"N": str(-count)}
        try:
            self._transact([action, self.addition(DayCount(ALL_EVENTS, day, count))])
        except Cancelled as cancelled:
            if cancelled.codes[0] != "ConditionalCheckFailed":
                raise
            raise BelowZero(
                f"{self.name}: event {event_id} has fewer than {-count:,} visits on {day}; nothing was taken away"
            ) from cancelled

    def addition(self, row: DayCount) -> dict[str, dict[str, Any]]:
        """Return the action that adds a row's visits to its item, for a transaction with others."""
        return {
            "Update": {
                "TableName": self.name,
                "Key": {"EventId": {"S": row.event_id}, "EventDay": {"N": str(row.day)}},
                # ADD makes the item where there is none, from 0.
                "UpdateExpression": "ADD EventCount :count",
                "ExpressionAttributeValues": {":count": {"N": str(row.visits)}},
            }
        }

    def pages(
        self, event_id: str, reading: Reading, time_left_s: Callable[[], float] = lambda: math.inf
    ) -> Iterator[dict[int, Count]]:
        """Yield an event's counts in the parts that DynamoDB answers; whole numbers are int, others float.

        Raises Unavailable, also where `time_left_s()` does not cover the longest Query, or DynamoDBError.
        """
        request = self._query_input(event_id, reading.start, reading.end)
        if reading.descending:
            request["ScanIndexForward"] = False
        left = reading.limit
        while True:
            if (left_s := time_left_s()) < MAX_CALL_S:
                raise Unavailable(f"Query on {self.name}: {left_s:.1f} s left, too few for another")
            if left is not None:
                request["Limit"] = left
            page = self._call("Query", **request)
            try:
                counts = _counts(page["Items"])
            except (LookupError, TypeError, ValueError, ArithmeticError) as error:
                raise DynamoDBError(f"Query on {self.name}: event {event_id} is stored or answered wrongly") from error
            yield counts
            if left is not None:
                left -= len(counts)
            if "LastEvaluatedKey" not in page or left == 0:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    @staticmethod
    def _query_input(event_id: str, start: int | None, end: int | None) -> dict[str, Any]:
        condition = "EventId = :event"
        values = {":event": {"S": event_id}}
        # A sort key takes one condition only: `>= AND <=` must be spelled BETWEEN.
        if start is not None and end is not None:
            condition += " AND EventDay BETWEEN :start AND :end"
        elif start is not None:
            condition += " AND EventDay >= :start"
        elif end is not None:
            condition += " AND EventDay <= :end"
        if start is not None:
            values[":start"] = {"N": str(start)}
        if end is not None:
            values[":end"] = {"N": str(end)}
        return {
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ProjectionExpression": "EventDay, EventCount",
        }


def _counts(items: Sequence[Item]) -> dict[int, Count]:
    """Return the counts of items by day; a fraction among them is rare."""
    try:
        return {int(item["EventDay"]["N"]): int(item["EventCount"]["N"]) for item in items}
    except ValueError:
        return {int(item["EventDay"]["N"]): _number(item["EventCount"]["N"]) for item in items}


def _number(text: str) -> int | float:
    """Return a DynamoDB number as JSON has it; DynamoDB writes whole numbers without a point or exponent, usually."""
    try:
        return int(text)
    except ValueError:
        number = Decimal(text)
        return int(number) if number == number.to_integral_value() else float(number)
