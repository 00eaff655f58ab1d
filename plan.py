"""A file's counts as chunks to apply in order: the cut, and the digest that tells one plan from another.

Both are written down in receipts. A run that resumes another's must cut the same chunks, whatever version of this code
began it: change neither, or begin a new digest (tests/test_plan.py pins them).
"""

import hashlib
from collections.abc import Mapping

from visits import ALL_EVENTS, DayCount

type Counts = Mapping[tuple[str, int], int]
"""Visits by (event id, day)."""

MAX_CHUNK_SIZE = 99
"""Actions: DynamoDB takes 100 in a transaction, and the fence is one of them.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html"""


def digest(counts: Counts) -> str:
    """Return the SHA-256, in hex, of the counts in the plan's order."""
    hashed = hashlib.sha256()
    for event_id, day in _in_order(counts):
        hashed.update(f"{event_id},{day},{counts[event_id, day]}\n".encode())
    return hashed.hexdigest()


def cut(counts: Counts, chunk_size: int) -> list[list[DayCount]]:
    """Return the counts, oldest day first, in chunks of at most `chunk_size` rows (2 or more), none for no counts.

    Each chunk ends with the `all` of just its own rows: between any two chunks, `all` is the sum over the events.
    """
    chunks: list[list[DayCount]] = []
    rows: list[DayCount] = []
    totals: dict[int, int] = {}
    for event_id, day in _in_order(counts):
        if len(rows) + len(totals) + (1 if day in totals else 2) > chunk_size:
            chunks.append(rows + [DayCount(ALL_EVENTS, *total) for total in totals.items()])
            rows, totals = [], {}
        visits = counts[event_id, day]
        rows.append(DayCount(event_id, day, visits))
        totals[day] = totals.get(day, 0) + visits
    if rows:
        chunks.append(rows + [DayCount(ALL_EVENTS, *total) for total in totals.items()])
    return chunks


def _in_order(counts: Counts) -> list[tuple[str, int]]:
    return sorted(counts, key=lambda key: (key[1], key[0]))
