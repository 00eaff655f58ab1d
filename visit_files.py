"""A visit file, read as it streams in: what its rows add up to, and the rows that broke a rule."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, NamedTuple, Self

from columns import COUNT, Columns, NoColumns
from csv_rows import CsvRows, Header, NotCsv, header_again, read_header
from json_rows import NOT_JSON, JsonRow, json_array, json_lines
from lines import BadFile, Limits, Stream, Text
from tally import BadRow, Tally
from unpacking import unpack

if TYPE_CHECKING:
    from sources import Settings

MAX_REASONS = 10
"""Rejected rows that an alert names one by one."""

_PART_OF_VALUE = re.compile(r"[0-9TZ.,:+ -]+[\r\n]*")
"""What may be the end of an id, a day or a count that a line end cut in two."""

_IN_MEMORY_BYTES = 1 << 20
_MAX_CACHED = 1000
"""Of sets of names in objects, and of rules: as many as a file that has any sense has."""
_MAX_CACHED_LENGTH = 1000


def rejects_key(key: str) -> str:
    """Return where the inbox keeps the rejected rows of the file `key`."""
    return f"rejected/{key}.jsonl"


class Format(NamedTuple):
    """What a file was taken for."""

    name: str = ""
    """`CSV`, `JSON Lines` or `JSON array`."""
    delimiter: str = ""
    encoding: str = ""
    packing: str = ""
    """`gzip`, `zip` or, empty, none."""


class VisitFile:
    """A visit file as far as it was read: `counts` by (event id, day), how many rows are in them, and those rejected.

    Leaving its context closes `rejects`.
    """

    def __init__(self, settings: Settings, limits: Limits, last_day: int) -> None:
        """Read as `settings` say; a row of a day after `last_day` (`YYYYMMDD`) is bad."""
        self.format = Format()
        self.rows_read = 0
        self.rows_rejected = 0
        self.rows_without_count = 0
        """Of those applied: each was one visit."""
        self.reasons: list[str] = []
        """Line and rule of the first MAX_REASONS rejected rows."""
        self.rules: Counter[str] = Counter()
        """How many rows broke each rule."""
        self.rejects = SpooledTemporaryFile[bytes](max_size=_IN_MEMORY_BYTES)
        """JSON Lines, `line` `reason` `text`, one for each rejected row."""
        self._rejected_bytes = 0
        self._settings = settings
        self._limits = limits
        self._tally = Tally(settings, limits, last_day)
        self._known_names: dict[tuple[str, ...], Columns] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.rejects.close()

    @property
    def counts(self) -> dict[tuple[str, int], int]:
        """Visits by (event id, day)."""
        return self._tally.counts

    @property
    def rows_applied(self) -> int:
        """Rows that are in `counts`."""
        return self.rows_read - self.rows_rejected

    @property
    def remark(self) -> str:
        """What people should know of a file that is counted: rows without a count may be a mistake."""
        if not self.rows_without_count:
            return ""
        if self.rows_without_count == self.rows_applied:
            return f"has no {COUNT}: each row was one visit"
        return f"has {self.rows_without_count:,} rows without {COUNT}: each was one visit"

    def read(self, name: str, stream: Stream) -> None:
        """Read a file to its end: CSV with a header or JSON, in gzip, in zip, or neither.

        Its content says what it is, and its name whether JSON has an object a line (.jsonl, .ndjson). Raises BadFile
        where the file as a whole cannot be trusted; bad rows are set aside.
        """
        content, packing = unpack(stream, self._limits.max_bytes)
        text = Text(content, self._limits, self._settings.encoding)
        self.format = Format("CSV", "", text.encoding, packing)
        name = name.lower().removesuffix(".gz").removesuffix(".zip")
        first = text.first_character()
        if first == "[" and not name.endswith((".jsonl", ".ndjson")):
            self.format = self.format._replace(name="JSON array")
            self._read_json(json_array(text.pieces(), self._limits.max_line_bytes, text.encoding))
        elif first == "{" or name.endswith((".json", ".jsonl", ".ndjson")):
            self.format = self.format._replace(name="JSON Lines")
            self._read_json(json_lines(text.blocks()))
        elif first:
            self._read_csv(text)
        self._tally.close()
        if self.rows_applied == 0:
            raise BadFile("has not one good row" if self.rows_read else "has no row" if first else "is empty")

    def _read_csv(self, text: Text) -> None:
        header, blocks = read_header(text.blocks(), self._settings.names)
        self.format = self.format._replace(delimiter=header.delimiter)
        csv_rows = CsvRows(header, blocks, self._limits.max_line_bytes, text.encoding)
        columns = header.columns
        texts_of, count_of = columns.texts_of, columns.count_of
        width = -1 if columns.counters else columns.width  # a row of counters is no sum that could be known
        sums, visits = self._tally.sums, self._tally.visits
        for rows in csv_rows:
            known_rows = 0
            try:
                for line, fields in rows:
                    try:
                        if len(fields) == width:
                            # Nearly every row of a large file: as little as can be is done for it.
                            sums[texts_of(fields)] += visits[count_of(fields)]
                            known_rows += 1
                            continue
                    except KeyError:
                        pass
                    self._read_csv_row(line, fields, header, csv_rows)
            finally:
                self.rows_read += known_rows
        if columns.row_is_visit:
            self.rows_without_count = self.rows_applied

    def _read_csv_row(self, line: int, fields: Sequence[str], header: Header, csv_rows: CsvRows) -> None:
        if not isinstance(fields, NotCsv) and not any(field and not field.isspace() for field in fields):
            return
        self.rows_read += 1
        columns = header.columns
        try:
            if isinstance(fields, NotCsv):
                raise BadRow(fields.rule)
            if len(fields) != columns.width:
                raise BadRow(f"has {len(fields)} field{'s'[: len(fields) != 1]}, the header has {columns.width}")
            self._add(columns, fields)
        except BadRow as error:
            text = csv_rows.text(line)
            if header_again(text, header, self._settings.names):
                self.rows_read -= 1
                return
            if self.rows_read == 1 and len(fields) != columns.width and columns.row_is_visit:
                # Perhaps a line end in the header made two lines of it, and a count's column went with the second.
                raise BadFile(f"has a header without {COUNT}, and a first row that does not fit it") from error
            if len(fields) == 1 and columns.last_is_read and _PART_OF_VALUE.fullmatch(text):
                raise BadFile(f"has a row that seems to go on in line {line}") from error
            self._reject(line, error, text)

    def _add(self, columns: Columns, texts: Sequence[str]) -> None:
        if columns.counters:
            self._tally.add_counters(texts[columns.day], ((event, texts[at]) for event, at in columns.counters))
            return
        event = (self._settings.names.event or "") if columns.event is None else texts[columns.event]
        self._tally.add(columns.texts_of(texts), event, texts[columns.day], columns.count_of(texts))

    def _read_json(self, rows: Iterator[JsonRow]) -> None:
        for row in rows:
            self.rows_read += 1
            try:
                columns, texts = self._json_texts(row.value)
                self._add(columns, texts)
                if columns.row_is_visit:
                    self.rows_without_count += 1
            except BadRow as error:
                self._reject(row.line, error, row.text)

    def _json_texts(self, value: object) -> tuple[Columns, Sequence[str]]:
        """Return a JSON object as the columns and texts of a row; numbers may stand for any text."""
        if value is NOT_JSON:
            raise BadRow("is not JSON")
        if not isinstance(value, tuple):
            raise BadRow("is not a JSON object")
        names = tuple(name for name, _ in value)
        columns = self._known_names.get(names)
        if not columns:
            try:
                columns = self._settings.names.find(names)
            except NoColumns as error:
                raise BadRow(str(error)) from error
            if len(self._known_names) < _MAX_CACHED and sum(map(len, names)) < _MAX_CACHED_LENGTH:
                self._known_names[names] = columns
        texts = [""] * columns.width
        for field, position in columns.fields():
            text = value[position][1]
            if isinstance(text, str):
                texts[position] = text
            elif text is not None or not columns.counters:
                raise BadRow(f"{field} is neither text nor a whole number")
        return columns, texts

    def _reject(self, line: int, error: BadRow, text: str) -> None:
        self.rows_rejected += 1
        if self.rows_rejected > self._limits.max_rejected_rows:
            raise BadFile(f"has more than {self._limits.max_rejected_rows:,} bad rows")
        if len(self.reasons) < MAX_REASONS:
            self.reasons.append(f"line {line}: {error.rule}")
        if error.rule in self.rules or len(self.rules) < _MAX_CACHED:
            self.rules[error.rule] += 1
        row = {"line": line, "reason": str(error), "text": text.rstrip("\r\n")}
        data = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        self._rejected_bytes += len(data)
        if self._rejected_bytes > self._limits.max_rejected_bytes:
            raise BadFile(f"has more than {self._limits.max_rejected_bytes:,} bytes of bad rows")
        self.rejects.write(data)
