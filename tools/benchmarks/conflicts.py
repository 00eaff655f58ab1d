"""Files that arrive at once and meet on the items of a day: how long that takes, in a simulated DynamoDB and time.

The converter is the real one. The simulated DynamoDB does what matters here: a transaction takes 20 ms, and of two that
share an item the second is cancelled; a table takes a number of write units a second, two for each action, and cancels
what exceeds them. `python -m tools.benchmarks.conflicts` prints a table, in some minutes.
"""

from __future__ import annotations

import heapq
import io
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from converter import Converter, Source
from dynamodb import Cancelled, ConditionFailed, DynamoDBError
from lines import Limits
from receipts import FilesTable
from repository import VisitsTable

if TYPE_CHECKING:
    from dynamodb import Client

ARRIVAL_S = 1.0
"""All files arrive within this time."""

TRANSACTION_S, CANCELLATION_S, ITEM_S = 0.02, 0.01, 0.005
RUN_S, RESERVE_S = 900, 60
"""A run of the function may take 900 s, and goes on with the last minute in reserve."""

NEW_TABLE_UNITS = 4_000
"""Write units a second that a new on-demand table takes at least."""


class Case(NamedTuple):
    """Files of so many pairs each."""

    files: int
    pairs: int
    days: int = 1
    units: int = 10**9
    """Write units that the table takes in a second."""


CASES = {
    "300 files of 980 pairs for one day": Case(300, 980),
    "20 files of 10,000 pairs for one day": Case(20, 10_000),
    "a file of 100,000 pairs at 4,000 write units a second": Case(1, 100_000, 365, NEW_TABLE_UNITS),
}


class Clock:
    """A simulated time, in which threads take turns: one runs until it sleeps, then the one that wakes up first."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._numbers = count()
        self._asleep: list[tuple[float, int, threading.Event]] = []
        self._turn_is_over = threading.Semaphore(0)

    def sleep(self, seconds: float) -> None:
        """Let the others go on until so much time has passed."""
        awake = self._wake_after(seconds)
        self._turn_is_over.release()
        awake.wait()

    def run(self, programs: Mapping[float, Callable[[], None]]) -> None:
        """Run programs, each from its second on, to their end."""

        def run(program: Callable[[], None], begin: threading.Event) -> None:
            begin.wait()
            try:
                program()
            finally:
                self._turn_is_over.release()

        for begin_s, program in programs.items():
            threading.Thread(target=run, args=(program, self._wake_after(begin_s)), daemon=True).start()
        while self._asleep:
            self.now_s, _, awake = heapq.heappop(self._asleep)
            awake.set()
            self._turn_is_over.acquire()

    def _wake_after(self, seconds: float) -> threading.Event:
        awake = threading.Event()
        heapq.heappush(self._asleep, (self.now_s + seconds, next(self._numbers), awake))
        return awake


@dataclass
class DynamoDB:
    """Counts and receipts, and transactions that take their time."""

    clock: Clock
    units: int
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    receipts: dict[str, Any] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    _busy: set[tuple[str, ...]] = field(default_factory=set)
    _units_left: float = 0
    _filled_s: float = 0

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do as `Client.call`."""
        self.calls[operation] += 1
        if operation == "TransactWriteItems":
            self._transact([action["Update"] for action in request["TransactItems"]])
            return {}
        self.clock.sleep(ITEM_S)
        if operation == "GetItem":
            found = self.receipts.get(request["Key"]["Key"]["S"])
            return {"Item": dict(found)} if found else {}
        key = request["Item"]["Key"]["S"]
        if key in self.receipts:
            raise ConditionFailed("claimed", self.receipts[key])
        self.receipts[key] = dict(request["Item"])
        return {}

    def _transact(self, updates: Sequence[Mapping[str, Any]]) -> None:
        keys = {tuple(str(value) for value in update["Key"].values()) for update in updates}
        self._fill()
        if self._units_left < 2 * len(updates):
            self._cancel(updates, "ThrottlingError")
        self._units_left -= 2 * len(updates)
        if keys & self._busy:
            self._cancel(updates, "TransactionConflict")
        self._busy |= keys
        self.clock.sleep(TRANSACTION_S)
        self._busy -= keys
        fence, *additions = updates
        receipt, values = self.receipts[fence["Key"]["Key"]["S"]], fence["ExpressionAttributeValues"]
        if receipt["ChunksApplied"] != values[":before"]:
            self._cancel(updates, "ConditionalCheckFailed")
        receipt |= {"ChunksApplied": values[":after"], "Status": values[":status"], "EndedAt": values[":ended"]}
        for update in additions:
            event, day = update["Key"]["EventId"]["S"], update["Key"]["EventDay"]["N"]
            self.counts[event, day] += int(update["ExpressionAttributeValues"][":count"]["N"])

    def _cancel(self, updates: Sequence[object], code: str) -> None:
        self.calls[code] += 1
        self.clock.sleep(CANCELLATION_S)
        raise Cancelled(code, [code, *["None"] * (len(updates) - 1)])

    def _fill(self) -> None:
        self._units_left = min(self.units, self._units_left + self.units * (self.clock.now_s - self._filled_s))
        self._filled_s = self.clock.now_s


class Outcome(NamedTuple):
    """What became of a case's files."""

    failed_runs: int
    """First runs that did not count their file."""
    done_s: float
    """When the last of the others had."""
    transactions: int
    cancelled: int


def simulate(case: Case, seed: int = 1) -> Outcome:
    """Return what becomes of a case's files; raise ValueError where their counts are not in the table, once each."""
    random.seed(seed)  # both the arrivals' and the converter's jitter
    clock = Clock()
    database = DynamoDB(clock, case.units)
    client = cast("Client", database)
    files, visits = FilesTable(client, "files", clock.sleep), VisitsTable(client, "visits", clock.sleep)
    days = [f"{2017 + day // 336}{day // 28 % 12 + 1:02}{day % 28 + 1:02}" for day in range(case.days)]
    rows = "".join(f"{n // case.days},{days[n % case.days]},1\n" for n in range(case.pairs))
    content = f"EventId,EventDay,EventCount\n{rows}".encode()
    ended_s: list[float] = []
    failures: list[DynamoDBError] = []

    def program(number: int) -> Callable[[], None]:
        def run() -> None:
            end_s = clock.now_s + RUN_S
            converter = Converter(
                files,
                visits,
                lambda _: None,
                Limits(),
                sleep=clock.sleep,
                may_go_on=lambda: end_s - clock.now_s > RESERVE_S,
            )
            try:
                converter.convert(Source("inbox", f"{number}.csv", f"etag {number}"), io.BytesIO(content))
                ended_s.append(clock.now_s)
            except DynamoDBError as error:
                failures.append(error)

        return run

    clock.run({random.uniform(0, ARRIVAL_S): program(number) for number in range(case.files)})
    counted = {visits for (event, _), visits in database.counts.items() if event != "all"}
    if not failures and counted != {case.files}:
        raise ValueError(f"{case.files} files count {counted}")
    cancelled = sum(database.calls[code] for code in ("TransactionConflict", "ThrottlingError"))
    return Outcome(len(failures), max(ended_s), database.calls["TransactWriteItems"], cancelled)


def main() -> int:
    """Print what becomes of each case; return 1 where a file was not counted in its first run."""
    print("| case | failed first runs | last done, s | transactions | of these cancelled |")
    print("| --- | ---: | ---: | ---: | ---: |")
    failed = 0
    for name, case in CASES.items():
        outcome = simulate(case)
        numbers = f"{outcome.done_s:,.0f} | {outcome.transactions:,} | {outcome.cancelled:,}"
        print(f"| {name} | {outcome.failed_runs:,} | {numbers} |", flush=True)
        failed += outcome.failed_runs
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
