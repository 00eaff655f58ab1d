"""The daily counts, `user-visits-<stage>`: partition key `EventId`, sort key `EventDay`, `EventCount`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dynamodb import MAX_CALL_S, Cancelled, DynamoDBError, Item, Table, Unavailable
from series import Interval, Page, Reading, Selection
from visits import ALL_EVENTS, DayCount

if TYPE_CHECKING:
    from series import Count, Counts


class BelowZero(DynamoDBError):
    """A negative correction would take more visits from a day than were counted; nothing was written."""


class VisitsTable(Table):
    """The table of daily counts."""

    def series(self, event_id: str, selection: Selection, time_left_s: Callable[[], float] = lambda: math.inf) -> Page:
        """Return the first page of the rows of an event, or of `all`, that are selected.

        One Query, and one more of `all` over the page's days where gaps are to be filled and there are some. (A third,
        of one item, where `all` has no day there either: is that because nothing was ever loaded?)

        Follows every page of DynamoDB's, but begins no further one unless `time_left_s()` covers the longest call.
        Raises Unavailable or DynamoDBError; never returns part of what was asked for.
        """
        page = selection.page(self.pages(event_id, selection.reading(), time_left_s))
        if page.covered is None or not page.has_gaps:
            return page
        loaded: list[Counts] = []
        if event_id == ALL_EVENTS:
            began = any(visits is not None for visits in page.rows.values())
        else:
            self._check(time_left_s)
            days = Reading(*page.covered, limit=1 if selection.interval is Interval.TOTAL else None)
            loaded += self.pages(ALL_EVENTS, days, time_left_s)
            began = any(loaded)
        if not began:
            self._check(time_left_s)
            began = any(self.pages(ALL_EVENTS, Reading(limit=1)))
        return page.zeroed(selection.interval, loaded if began else None)

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

        Begins no further Query unless `time_left_s()` covers the longest. Raises Unavailable or DynamoDBError.
        """
        request = self._query_input(event_id, reading.start, reading.end)
        if reading.descending:
            request["ScanIndexForward"] = False
        left = reading.limit
        while True:
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
            self._check(time_left_s)
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _check(self, time_left_s: Callable[[], float]) -> None:
        """Raise Unavailable unless there is time for another Query."""
        if (left_s := time_left_s()) < MAX_CALL_S:
            raise Unavailable(f"Query on {self.name}: {left_s:.1f} s left, too few to ask for more")

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
