"""What the tests count: the book's event, and days in a row."""

from __future__ import annotations

from datetime import date, timedelta

BOOK_324 = {
    20171001: 3,
    20171002: 5,
    20171010: 2,
    20171012: 10,
    20171013: 10,
    20171014: 6,
    20171016: 6,
    20171017: 2,
}
"""Event 324 as the book has it."""


def calendar(first: date, count: int) -> list[int]:
    """Return `count` days from `first` on, as YYYYMMDD."""
    return [int(f"{first + timedelta(n):%Y%m%d}") for n in range(count)]
