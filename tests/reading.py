"""Visit files for tests: read to their end, or as far as they are taken."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import NamedTuple

import pytest

from lines import BadFile, Limits, Stream
from sources import NO_SETTINGS, Settings
from visit_files import Format, VisitFile

HEADER = "EventId,EventDay,EventCount\n"
LAST_DAY = 20181231
"""Of the days that a test's file may have."""

type Rejected = tuple[int, str, str]
"""Line, reason, text."""


@dataclass
class Pieces:
    """A stream that returns less than it is asked for, as streams may: the pieces' sizes repeat for ever."""

    data: bytes
    sizes: Iterator[int]
    given: int = 0

    def read(self, size: int, /) -> bytes:
        piece = self.data[self.given : self.given + min(size, next(self.sizes))]
        self.given += len(piece)
        return piece


def in_pieces(data: bytes, *sizes: int) -> Pieces:
    return Pieces(data, cycle(sizes))


class Outcome(NamedTuple):
    """What a file came to."""

    counts: dict[tuple[str, int], int]
    rows: tuple[int, int, int]
    """Read, applied, rejected."""
    reasons: list[str]
    rejects: str
    rows_without_count: int
    format: Format

    @property
    def rejected(self) -> list[Rejected]:
        """The rejects, each line of which must be a JSON object of these three members in this order."""
        rows = [json.loads(line) for line in self.rejects.split("\n")[:-1]]
        assert all(["line", "reason", "text"] == list(row) for row in rows)
        return [(row["line"], row["reason"], row["text"]) for row in rows]


def outcome(file: VisitFile) -> Outcome:
    file.rejects.seek(0)
    rows = file.rows_read, file.rows_applied, file.rows_rejected
    rejects = file.rejects.read().decode()
    return Outcome(file.counts, rows, file.reasons, rejects, file.rows_without_count, file.format)


def new_file(limits: Limits | None = None, settings: Settings = NO_SETTINGS) -> VisitFile:
    return VisitFile(settings, limits or Limits(), LAST_DAY)


def read(
    data: str | bytes | Stream,
    name: str = "visits.csv",
    limits: Limits | None = None,
    settings: Settings = NO_SETTINGS,
) -> Outcome:
    """Read a file to its end. A text is UTF-8."""
    if isinstance(data, str):
        data = data.encode()
    with new_file(limits, settings) as file:
        file.read(name, io.BytesIO(data) if isinstance(data, bytes) else data)
        return outcome(file)


def refused(
    data: str | bytes | Stream,
    name: str = "visits.csv",
    limits: Limits | None = None,
    settings: Settings = NO_SETTINGS,
) -> str:
    """Return why a file is refused."""
    with pytest.raises(BadFile) as raised:
        read(data, name, limits, settings)
    return str(raised.value)
