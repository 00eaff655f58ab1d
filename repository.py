"""The daily counts, `user-visits-<stage>`: partition key `EventId`, sort key `EventDay`, `EventCount`."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from dynamodb import MAX_CALL_S, Cancelled, Client, DynamoDBError, Item, Table, Unavailable
from visits import ALL_EVENTS, DayCount

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from events import ReadDays
    from intervals import Count, Counts
    from series import Read, Reading

EVENTS_BY_DAY = "EventsByDay"
"""The index with partition key `EventDay` and sort key `EventId`."""

MAX_PAGES = 500
"""That one request may read, each at most 1 MB and 128 read units. 366 days of up to 16,000 events are as many pages;
500 of them take a function with one CPU some 15 s."""

SLOW_PAGES = 20
"""A request that has read fewer when its time is over was slowed down by DynamoDB; others ask for too much."""

MAX_AT_ONCE = 10
"""Queries of one request that run at the same time, each over a connection of its own."""

_MAX_KNOWN_DAYS = 100_000


class BelowZero(DynamoDBError):
    """A negative correction would take more visits from a day than were counted; nothing was written."""


class TooMuchToRead(Exception):
    """One request would read more than it may; the message says what would help."""


class Budget:
    """What one request may read: so many pages, each while `time_left_s()` covers the longest call."""

    def __init__(self, time_left_s: Callable[[], float] = lambda: math.inf, pages: float = math.inf) -> None:
        self._time_left_s = time_left_s
        self._pages = pages
        self._read = count(1)  # Threads may share it: `next` counts each page once.
        self._is_closed = False

    def spend_page(self) -> None:
        """Count a page that is about to be read; raise TooMuchToRead or Unavailable where it may not be."""
        pages = next(self._read)
        if self._is_closed:
            raise Unavailable("another read of the same request failed")
        if pages > self._pages:
            raise TooMuchToRead(f"The request reads more than {self._pages:,} MB of counts; narrow its range")
        if (left_s := self._time_left_s()) < MAX_CALL_S:
            if pages > SLOW_PAGES:
                raise TooMuchToRead("The request reads more counts than there is time for; narrow its range")
            raise Unavailable(f"{left_s:.1f} s left, too few for another Query")

    def close(self) -> None:
        """Let no further page be read."""
        self._is_closed = True


UNLIMITED = Budget()


class VisitsTable(Table):
    """The table of daily counts."""

    def __init__(self, client: Client, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(client, name, sleep)
        self._threads: ThreadPoolExecutor | None = None

    def reader(self, budget: Budget) -> Read:
        """Return a function that reads the counts of events, of several at once, as `pages` does."""

        def read(wanted: Sequence[tuple[str, Reading]]) -> Sequence[Iterable[Counts]]:
            if len(wanted) == 1:
                return [self.pages(*wanted[0], budget)]
            return [*self._at_once(lambda one: [*self.pages(*one, budget)], wanted, budget)]

        return read

    def day_reader(self, budget: Budget) -> ReadDays:
        """Return a function that reads the counts of days, of several at once, as `pages_of_day` does."""
        return lambda days: self._at_once(lambda day: [*self.pages_of_day(day, budget)], days, budget)

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

    def pages(self, event_id: str, reading: Reading, budget: Budget = UNLIMITED) -> Iterator[Counts]:
        """Yield an event's visits by day in the parts that DynamoDB answers; whole numbers are int, others float.

        Leaves out days of `all` that are not loaded. Raises Unavailable, TooMuchToRead or DynamoDBError.
        """
        request = _query_of_event(event_id, reading)
        left, passed_over = reading.limit, 0
        if left is not None:
            request["Limit"] = left
        for answer in self._query(request, budget):
            try:
                counts = _by_day(answer["Items"], loaded_only=event_id == ALL_EVENTS)
            except (LookupError, TypeError, ValueError, ArithmeticError) as error:
                raise DynamoDBError(f"Query on {self.name}: event {event_id} is stored or answered wrongly") from error
            if left is None:
                yield counts
                continue
            yield counts if len(counts) <= left else dict(islice(counts.items(), left))
            left -= len(counts)
            if left <= 0:
                return
            passed_over += len(answer["Items"]) - len(counts)
            request["Limit"] = left + passed_over  # Doubled each time, where the newest days are not loaded.

    def pages_of_day(self, day: int, budget: Budget = UNLIMITED) -> Iterator[Mapping[str, Count]]:
        """Yield a day's visits by event, without `all`, in the parts that DynamoDB answers.

        The index that they are read from follows the table within about a second. Raises as `pages` does.
        """
        request = {
            "IndexName": EVENTS_BY_DAY,
            "KeyConditionExpression": "EventDay = :day",
            "ExpressionAttributeValues": {":day": {"N": str(day)}},
            "ProjectionExpression": "EventId, EventCount",
        }
        for answer in self._query(request, budget):
            try:
                counts = _by_event(answer["Items"])
            except (LookupError, TypeError, ValueError, ArithmeticError) as error:
                raise DynamoDBError(f"Query on {self.name}: day {day} is stored or answered wrongly") from error
            yield counts

    def _query(self, request: dict[str, Any], budget: Budget) -> Iterator[dict[str, Any]]:
        """Yield the answer for each page; the request may be changed in between."""
        while True:
            budget.spend_page()
            answer = self._call("Query", **request)
            yield answer
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _at_once[T, R](self, ask: Callable[[T], R], asked: Iterable[T], budget: Budget) -> Iterator[R]:
        """Yield what `ask` returns for each, in order, while threads ask the next ones."""
        from concurrent.futures import ThreadPoolExecutor, wait  # not above: one event is read without threads

        if self._threads is None:
            self._threads = ThreadPoolExecutor(MAX_AT_ONCE, "query")
        waiting = iter(asked)
        running: deque[Future[R]] = deque(self._threads.submit(ask, one) for one in islice(waiting, MAX_AT_ONCE))
        try:
            while running:
                found = running.popleft().result()
                running.extend(self._threads.submit(ask, one) for one in islice(waiting, 1))
                yield found
        except BaseException:
            budget.close()
            for future in running:
                future.cancel()
            wait(running)
            raise


def _query_of_event(event_id: str, reading: Reading) -> dict[str, Any]:
    condition = "EventId = :event"
    values = {":event": {"S": event_id}}
    # A sort key takes one condition only: `>= AND <=` must be spelled BETWEEN.
    if reading.start is not None and reading.end is not None:
        condition += " AND EventDay BETWEEN :start AND :end"
    elif reading.start is not None:
        condition += " AND EventDay >= :start"
    elif reading.end is not None:
        condition += " AND EventDay <= :end"
    if reading.start is not None:
        values[":start"] = {"N": str(reading.start)}
    if reading.end is not None:
        values[":end"] = {"N": str(reading.end)}
    request = {
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
        "ProjectionExpression": "EventDay, EventCount, Files" if event_id == ALL_EVENTS else "EventDay, EventCount",
    }
    return request | {"ScanIndexForward": False} if reading.descending else request


def _by_day(items: Sequence[Item], *, loaded_only: bool) -> dict[int, Count]:
    """Return the counts of items by day."""
    try:
        counts: dict[int, Count] = {int(item["EventDay"]["N"]): int(item["EventCount"]["N"]) for item in items}
    except ValueError:  # a fraction, which is rare
        counts = {int(item["EventDay"]["N"]): _number(item["EventCount"]["N"]) for item in items}
    if not counts.keys() <= _known_days:
        _know_days(counts)
    if loaded_only and 0 in counts.values():
        # All that had come for such a day was taken back.
        for item in items:
            if "Files" in item and int(item["Files"]["N"]) == 0 == _number(item["EventCount"]["N"]):
                del counts[int(item["EventDay"]["N"])]
    return counts


def _by_event(items: Sequence[Item]) -> dict[str, Count]:
    """Return the counts of a day's items by event, without `all`."""
    try:
        counts: dict[str, Count] = {item["EventId"]["S"]: int(item["EventCount"]["N"]) for item in items}
    except ValueError:
        counts = {item["EventId"]["S"]: _number(item["EventCount"]["N"]) for item in items}
    counts.pop(ALL_EVENTS, None)
    event_ids = "".join(counts)
    if counts and not (event_ids.isascii() and event_ids.isdigit()):
        raise ValueError("an event's id is not a number")
    return counts


_known_days: set[int] = set()
"""Days that exist, as far as some were read: to look one up takes a tenth of the time to check it."""


def _know_days(days: Iterable[int]) -> None:
    """Add days to the known ones; raise ValueError for one that does not exist."""
    if len(_known_days) > _MAX_KNOWN_DAYS:
        _known_days.clear()
    _known_days.update(day for day in days if date(day // 10_000, day // 100 % 100, day % 100))


def _number(text: str) -> Count:
    """Return a DynamoDB number as JSON has it; DynamoDB writes whole numbers without a point or exponent, usually."""
    try:
        return int(text)
    except ValueError:
        number = Decimal(text)
        return int(number) if number == number.to_integral_value() else float(number)
