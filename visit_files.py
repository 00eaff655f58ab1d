"""Reading a visit file as it streams in: sums by event and day, and the rows that broke a rule."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from tempfile import SpooledTemporaryFile
from typing import NamedTuple, Protocol, Self

from visits import CSV_HEADER, InvalidValue, parse_count, parse_day_or_time, parse_event_id

MAX_REASONS = 10
"""Rejected rows that an alert names one by one."""

_MAX_SHOWN_TEXT = 1000
_IN_MEMORY_BYTES = 1 << 20
_CACHED_TEXTS = 50_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FIELDS = tuple(CSV_HEADER.split(","))


def rejects_key(key: str) -> str:
    """Return where the inbox keeps the rejected rows of the file `key`."""
    return f"rejected/{key}.jsonl"


class Limits(NamedTuple):
    """What a file may have at most before it is refused as a whole."""

    max_bytes: int = 256 * 1024**2
    """As it was delivered, compressed or not."""
    max_uncompressed_bytes: int = 1024**3
    max_line_bytes: int = 64 * 1024
    max_pairs: int = 100_000
    """Different (event, day) pairs: what is held in memory and written to the table."""
    max_rejected_rows: int = 100_000


class BadFile(ValueError):
    """The file as a whole cannot be trusted; the message names the rule and never repeats what is in the file."""


class BadRow(ValueError):
    """A row that breaks a rule; `rule` says so without the row's own values, the message with them."""

    def __init__(self, rule: str, message: str | None = None) -> None:
        super().__init__(message or rule)
        self.rule = rule


class CsvReader(Protocol):
    """What `csv.reader` gives."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]:
        """Yield rows as their fields; raise csv.Error."""
        ...


class Stream(Protocol):
    """Where the bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""
        ...


class VisitFile:
    """A visit file as far as it was read: `counts` by (event id, day), `rows_read`, and the rows rejected.

    Leaving its context closes `rejects`.
    """

    def __init__(self, limits: Limits) -> None:
        self.counts: dict[tuple[str, int], int] = {}
        self.rows_read = 0
        self.rows_rejected = 0
        self.reasons: list[str] = []
        """Line and rule of the first MAX_REASONS rejected rows."""
        self.rejects = SpooledTemporaryFile[bytes](max_size=_IN_MEMORY_BYTES)
        """JSON Lines, `line` `reason` `text`, one for each rejected row."""
        self._limits = limits
        # Rows repeat: a pair of texts that was valid once, and a count, need not be parsed again. What such rows add up
        # to is kept apart until the end.
        self._keys: dict[tuple[str, str], tuple[str, int]] = {}
        self._sums: dict[tuple[str, str], int] = {}
        self._visits: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.rejects.close()

    @property
    def rows_applied(self) -> int:
        """Rows that are in `counts`."""
        return self.rows_read - self.rows_rejected

    def read(self, name: str, stream: Stream) -> None:
        """Read a file to its end: CSV with a header or, by its name, JSON Lines (.jsonl, .ndjson), or either gzipped.

        Raises BadFile where the file as a whole cannot be trusted; bad rows are set aside.
        """
        name = name.lower()
        try:
            stream = _Filled(stream, self._limits.max_bytes)
            if name.endswith(".gz"):
                name = name.removesuffix(".gz")
                stream = gzip.GzipFile(fileobj=stream)  # type: ignore[call-overload] # it needs no more than `read`
            lines = _Lines(stream, self._limits)
            if name.endswith((".jsonl", ".ndjson")):
                self._read_json_lines(lines)
            else:
                self._read_csv(lines)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            # Not the error's own words: they repeat bytes of the file.
            raise BadFile("is not a whole gzip file") from error
        if self.rows_applied == 0:
            raise BadFile("has not one good row" if self.rows_read else "has no row")

    def _read_csv(self, lines: _Lines) -> None:
        reader = csv.reader(lines, strict=True)
        try:
            header = next(reader, [])
        except csv.Error as error:
            raise BadFile("has no CSV header") from error
        columns = _columns(header)
        while self._read_rows(reader, columns, lines):
            pass
        for texts, visits in self._sums.items():
            self.counts[self._keys[texts]] += visits

    def _read_rows(self, reader: CsvReader, columns: _Columns, lines: _Lines) -> bool:
        """Read on to the end, or past the next row that is not CSV; return whether there may be more."""
        event_day, count, width = columns
        sums, visits = self._sums, self._visits
        known_rows = 0
        try:
            for fields in reader:
                try:
                    if len(fields) == width:
                        # Nearly every row of a large file: as little as can be is done for it.
                        sums[event_day(fields)] += visits[count(fields)]
                        known_rows += 1
                        continue
                except KeyError:
                    pass
                if fields:
                    self._read_row(fields, columns, reader.line_num, lines)
            return False
        except csv.Error as error:
            # At the end of the file, or past the longest field that csv takes, a quote was left open: what is a row and
            # what is not can no longer be told. Any other error ends with its row.
            if lines.ended or "field limit" in str(error):
                raise BadFile(f"has a quoted field that does not end, line {reader.line_num}") from error
            self.rows_read += 1
            self._reject(reader.line_num, BadRow(f"is not CSV: {error}"), lines.text(reader.line_num))
            return True
        finally:
            self.rows_read += known_rows

    def _read_row(self, fields: Sequence[str], columns: _Columns, line: int, lines: _Lines) -> None:
        self.rows_read += 1
        try:
            if len(fields) != columns.width:
                raise BadRow(f"has {len(fields)} fields, the header has {columns.width}")
            self._add(*columns.event_day(fields), columns.visits(fields))
        except BadRow as error:
            self._reject(line, error, lines.text(line))

    def _read_json_lines(self, lines: _Lines) -> None:
        for number, text in enumerate(lines, 1):
            if not text.strip():
                continue
            self.rows_read += 1
            try:
                self._add(*_json_fields(text))
            except BadRow as error:
                self._reject(number, error, text)

    def _add(self, event_text: str, day_text: str, count_text: str) -> None:
        key = _parsed(_FIELDS[0], parse_event_id, event_text), _parsed(_FIELDS[1], parse_day_or_time, day_text)
        visits = _parsed(_FIELDS[2], parse_count, count_text)
        self.counts[key] = self.counts.get(key, 0) + visits
        if len(self.counts) > self._limits.max_pairs:
            raise BadFile(f"has more than {self._limits.max_pairs:,} different pairs of event and day")
        if len(self._keys) < _CACHED_TEXTS:
            self._keys[event_text, day_text] = key
            self._sums.setdefault((event_text, day_text), 0)
        if len(self._visits) < _CACHED_TEXTS:
            self._visits[count_text] = visits

    def _reject(self, line: int, error: BadRow, text: str) -> None:
        self.rows_rejected += 1
        if self.rows_rejected > self._limits.max_rejected_rows:
            raise BadFile(f"has more than {self._limits.max_rejected_rows:,} bad rows")
        if len(self.reasons) < MAX_REASONS:
            self.reasons.append(f"line {line}: {error.rule}")
        text = text.rstrip("\r\n")
        if len(text) > _MAX_SHOWN_TEXT:
            text = f"{text[:_MAX_SHOWN_TEXT]}…"
        row = {"line": line, "reason": str(error), "text": text}
        self.rejects.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


class _Filled:
    """A stream that gives as many bytes as are asked for, fewer only at its end, and not more than a file may have."""

    def __init__(self, stream: Stream, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._given = 0

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        while len(data) < size and (more := self._stream.read(size - len(data))):
            data += more
        self._given += len(data)
        if self._given > self._max_bytes:
            raise BadFile(f"has more than {self._max_bytes:,} bytes")
        return data


class _Lines:
    """The lines of a stream, decoded, with their ends; `ended` when there are no more."""

    def __init__(self, stream: Stream, limits: Limits) -> None:
        self.ended = False
        self._stream = stream
        self._limits = limits
        self._first_line = 1
        self._block = ""
        self._texts: list[str] | None = None

    def __iter__(self) -> Iterator[str]:
        # Line by line in C: io.StringIO splits as csv wants it, at \n, \r\n and \r, and at nothing else.
        return chain.from_iterable(io.StringIO(block, newline="") for block in self._blocks())

    def text(self, line: int) -> str:
        """Return a line of the block that was given out last."""
        if self._texts is None:
            self._texts = io.StringIO(self._block, newline="").readlines()
        index = line - self._first_line
        return self._texts[index] if 0 <= index < len(self._texts) else ""

    def _blocks(self) -> Iterator[str]:
        """Give the stream out in blocks of whole lines.

        As much is read at once as a line may have: a line within one read cannot be too long, only one across reads.
        """
        limit = self._limits.max_line_bytes
        total, rest = 0, b""
        while data := self._stream.read(limit):
            if data.endswith(b"\r"):
                data += self._stream.read(1)  # the other half of a \r\n, perhaps
            if total == 0:
                data = data.removeprefix(_BYTE_ORDER_MARK)
            total += len(data)
            if total > self._limits.max_uncompressed_bytes:
                raise BadFile(f"has more than {self._limits.max_uncompressed_bytes:,} bytes, uncompressed")
            first_end = min(end for end in (data.find(b"\n"), data.find(b"\r"), len(data)) if end >= 0)
            if len(rest.rstrip(b"\r")) + first_end > limit:
                raise BadFile(f"has a line of more than {limit:,} bytes, line {self._next_line()}")
            # Still a \r at the end: what comes next tells whether it is half of a \r\n.
            end = max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1)) + 1
            if end:
                yield self._decoded(rest + data[:end])
                rest = data[end:]
            else:
                rest += data
        if rest:
            yield self._decoded(rest)
        self.ended = True

    def _decoded(self, block: bytes) -> str:
        self._first_line = self._next_line()
        try:
            self._block = block.decode()
        except UnicodeDecodeError as error:
            line = self._first_line + _ends(block[: error.start].decode())
            raise BadFile(f"is not UTF-8: {error.reason}, line {line}") from error
        self._texts = None
        return self._block

    def _next_line(self) -> int:
        return self._first_line + _ends(self._block)


def _ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


class _Columns(NamedTuple):
    """What picks event and day from a row's fields, what picks the count, and how many fields a row has."""

    event_day: Callable[[Sequence[str]], tuple[str, str]]
    visits: Callable[[Sequence[str]], str]
    width: int


def _columns(header: Sequence[str]) -> _Columns:
    for name in _FIELDS:
        if header.count(name) > 1:
            raise BadFile(f"has a header with two columns {name}")
    for name in _FIELDS[:2]:
        if name not in header:
            raise BadFile(f"has no header with a column {name}")
    event_day = itemgetter(header.index(_FIELDS[0]), header.index(_FIELDS[1]))
    count = itemgetter(header.index(_FIELDS[2])) if _FIELDS[2] in header else lambda _: "1"
    return _Columns(event_day, count, len(header))


def _json_fields(text: str) -> tuple[str, str, str]:
    """Return a JSON object's event, day and count as text; numbers may stand for any of them."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRow("is not JSON") from error
    if not isinstance(row, Mapping):
        raise BadRow("is not a JSON object")
    for name in _FIELDS[:2]:
        if name not in row:
            raise BadRow(f"has no {name}")
    event, day, count = (row.get(name, 1) for name in _FIELDS)
    return _text(_FIELDS[0], event), _text(_FIELDS[1], day), _text(_FIELDS[2], count)


def _text(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadRow(f"{name} is neither text nor a whole number")


def _parsed[T](name: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except InvalidValue as error:
        raise BadRow(f"{name} {error.rule}", f"{name} {error}") from error
