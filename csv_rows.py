"""The rows of a CSV file: its header, the delimiter that makes the header show the columns, then row by row.

What is a row is not guessed. A quoted field may hold line ends; but a quote that is left open swallows rows, so a file
is refused as a whole as soon as its quotes do not fit.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from columns import Columns, MissingColumns, Names, NoColumns, plain_name
from lines import BadFile, Block, byte_length

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What may stand between columns, with its name."""

_EMPTY = ' \t\r\n",;|'
"""What a row of empty cells consists of."""

_SEP_LINE = re.compile(r"\"?sep=(.)\"? *", re.IGNORECASE)
"""A line that some programs write for others."""


def _field(delimiter: str) -> str:
    """Return what a field looks like: the text of a quoted one, or of another."""
    return rf' *+"([^"]*+(?:""[^"]*+)*+)" *+|([^"{re.escape(delimiter)}\r\n]*+)'


_FIELDS = {
    delimiter: re.compile(rf"(?:{_field(delimiter)})({re.escape(delimiter)}|[\r\n]*\Z)") for delimiter in DELIMITERS
}
"""A field with what ends it."""
_OPEN_ROWS = {
    delimiter: re.compile(rf'(?:(?:{_field(delimiter)}){re.escape(delimiter)})*+ *+"[^"]*+(?:""[^"]*+)*+')
    for delimiter in DELIMITERS
}
"""The lines of a row as far as a quoted field that is not closed."""


class NotCsv(tuple[str, ...]):
    """Stands for the fields of a line that has none, as it is not CSV."""

    rule = ""


type Row = tuple[int, Sequence[str]]
"""The number of its first line, and its fields."""


class Header(NamedTuple):
    """A file's header as it was read."""

    delimiter: str
    columns: Columns
    plain_names: list[str]
    quoted: bool
    """Whether it has a quote."""


def read_header(blocks: Iterator[Block], names: Names) -> tuple[Header, Iterator[Block]]:
    """Return the header, and the blocks behind it.

    It is the first line that is not empty and neither a comment (`#`) nor `sep=…`. Raises BadFile where it does not
    show the columns that must be there.
    """
    delimiters = tuple(DELIMITERS)
    for block in blocks:
        text = io.StringIO(block.text, newline="")
        for number, line in enumerate(text, block.line):
            if not line.strip(_EMPTY) or line.startswith("#"):
                continue
            if match := _SEP_LINE.fullmatch(line.rstrip("\r\n")):
                if match[1] not in DELIMITERS:
                    raise BadFile(f"says `sep=` with none of {', '.join(DELIMITERS.values())}")
                delimiters = (match[1],)
                continue
            header = _header(line, delimiters, names)
            return header, chain([Block(text.read(), number + 1)], blocks)
    raise BadFile("has no header")


def _header(line: str, delimiters: Sequence[str], names: Names) -> Header:
    if "\0" in line:
        raise BadFile("has zeros in its header, as UTF-16 without a byte-order mark has; a source's `encoding` says so")
    found: list[Header] = []
    missed: list[tuple[int, str]] = []
    for delimiter in delimiters:
        fields = _quotes_fit(line, delimiter)
        if not fields:
            continue
        try:
            columns = names.find(fields)
        except MissingColumns as error:
            between = f"between {DELIMITERS[delimiter]}, " if len(fields) > 1 else ""
            missed.append((len(fields), f"has a header which {error}; {between}{names.found_instead(fields)}"))
        except NoColumns as error:
            raise BadFile(f"has a header which {error}") from error
        else:
            found.append(Header(delimiter, columns, [plain_name(name) for name in fields], '"' in line))
    if not found:
        raise BadFile(max(missed)[1] if missed else "has a header whose quotes do not fit")
    if any(other.plain_names != found[0].plain_names for other in found):
        raise BadFile(f"has a header that can be read with {DELIMITERS[found[0].delimiter]} or others between columns")
    return found[0]


class CsvRows:
    """The rows behind a header, block by block; rows of one block must be taken before the next."""

    def __init__(self, header: Header, blocks: Iterator[Block], max_row_bytes: int, encoding: str) -> None:
        self._delimiter = header.delimiter
        self._blocks = blocks
        self._max_row_bytes = max_row_bytes
        self._encoding = encoding
        self._quoted_field = re.compile(rf"(?:^|[{re.escape(header.delimiter)}\r\n]) *\"")
        self._has_quoted_fields = header.quoted
        self._odd_line = 0
        self._lines: list[str] = []
        self._first_line = 0
        self._end = 0
        self._rest = Block("", 0)

    def __iter__(self) -> Iterator[Iterable[Row]]:
        """Yield the rows of each block. Raises BadFile where it is unclear what a row is."""
        for block in self._blocks:
            text, line = (self._rest.text + block.text, self._rest.line) if self._rest.text else block
            self._rest = Block("", 0)
            self._lines, self._first_line = io.StringIO(text, newline="").readlines(), line
            if '"' in text:
                yield self._quoted_rows(text)
            else:
                self._end = 0
                yield enumerate(csv.reader(self._lines, delimiter=self._delimiter), line)
        if self._rest.text:
            raise BadFile(f"has a quoted field that does not end, line {self._rest.line}")

    def text(self, line: int) -> str:
        """Return the row that was taken last, which begins in this line, as it is in the file."""
        start = line - self._first_line
        return "".join(self._lines[start : max(self._end, start + 1)])

    def _quoted_rows(self, text: str) -> Iterator[Row]:
        lines, first_line = self._lines, self._first_line
        source = iter(lines)
        reader = csv.reader(source, delimiter=self._delimiter, strict=True, skipinitialspace=True)
        odd = {index for index, each in enumerate(lines) if each.count('"') % 2}
        start = passed_over = 0
        while start < len(lines):
            try:
                for fields in reader:
                    self._end = reader.line_num + passed_over
                    if self._end - start > 1:
                        self._check_row_of_lines(start, self._end)
                        odd.difference_update(range(start, self._end))
                    yield first_line + start, fields
                    start = self._end
            except csv.Error as error:
                end = reader.line_num + passed_over
                self._end = len(lines) + 1 if str(error) == "unexpected end of data" else self._end_of_row(start, end)
                passed_over += len(list(islice(source, self._end - end)))
                if self._end - start > 1:
                    odd.difference_update(range(start, self._end))
                if self._end > len(lines):
                    self._check_length(start, len(lines))
                    self._rest = Block("".join(lines[start:]), first_line + start)
                    break
                if self._end - start > 1:
                    self._check_row_of_lines(start, self._end)
                yield first_line + start, self._fields("".join(lines[start : self._end]), error)
                start = self._end
        self._check_quotes(text, odd)

    def _end_of_row(self, start: int, end: int) -> int:
        """Return the end of a row of which csv took only the lines to `end`; past the last line where it goes on.

        csv takes no blanks behind a quoted field. If one is open all the same, its quote is in one of the next lines.
        """
        row = "".join(self._lines[start:end])
        if row.count('"') % 2 == 0 or not _OPEN_ROWS[self._delimiter].fullmatch(row):
            return end
        odd = (index for index in range(end, len(self._lines)) if self._lines[index].count('"') % 2)
        return next(odd, len(self._lines)) + 1

    def _fields(self, row: str, error: csv.Error) -> Sequence[str]:
        """Return the fields of a row that csv does not take: blanks behind a quoted field, or no CSV."""
        if fields := _quotes_fit(row, self._delimiter):
            return fields
        not_csv = NotCsv()
        not_csv.rule = f"is not CSV: {error}"
        return not_csv

    def _check_row_of_lines(self, start: int, end: int) -> None:
        """Raise BadFile unless the quotes of a row that goes on over lines are beyond doubt."""
        self._check_length(start, end)
        if not _quotes_fit("".join(self._lines[start:end]), self._delimiter):
            raise BadFile(f"has a quoted field that does not end as it should, line {self._first_line + start}")

    def _check_length(self, start: int, end: int) -> None:
        """Raise BadFile for a row that is longer than a line may be: it would be held in memory."""
        if byte_length("".join(self._lines[start:end]).rstrip("\r\n"), self._encoding) > self._max_row_bytes:
            raise BadFile(f"has a row of more than {self._max_row_bytes:,} bytes, line {self._first_line + start}")

    def _check_quotes(self, text: str, odd: set[int]) -> None:
        """Raise BadFile for a row in one line with an odd number of quotes (`odd` are those of this block).

        Some field of it is open to one side, so what other lines it belongs with is unclear. Only in a file that never
        begins a field with a quote, a quote is a character as any other (`5" disk`).
        """
        if odd and not self._odd_line:
            self._odd_line = self._first_line + min(odd)
        self._has_quoted_fields = self._has_quoted_fields or self._quoted_field.search(text) is not None
        if self._odd_line and self._has_quoted_fields:
            raise BadFile(f"has a row with a quote too many or too few, line {self._odd_line}")


def header_again(row: str, header: Header, names: Names) -> bool:
    """Return whether a row is the header once more; raise BadFile if it is another header, with any delimiter."""
    for delimiter in DELIMITERS:
        fields = _quotes_fit(row.removeprefix("\ufeff"), delimiter) or []
        try:
            names.find(fields)
        except MissingColumns:
            continue
        except NoColumns:
            pass
        if delimiter == header.delimiter and [plain_name(name) for name in fields] == header.plain_names:
            return True
        raise BadFile("has a second header, which is not the first")
    return False


def _quotes_fit(row: str, delimiter: str) -> list[str] | None:
    """Return the fields of a row, or nothing where its quotes are not as they should be.

    A quoted field begins and ends with a quote, with blanks around them at most, and has two for each one in it; no
    other field has any.
    """
    form = _FIELDS[delimiter]
    fields: list[str] = []
    position, more = 0, True
    while more:
        match = form.match(row, position)
        if not match:
            return None
        fields.append(match[2] if match[1] is None else match[1].replace('""', '"'))
        position, more = match.end(), match[3] == delimiter
    return fields if position == len(row) else None
