"""The rows of JSON, one object a line or one array of objects, each read by itself and held in memory alone."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from lines import BadFile, Block, byte_length, line_ends

type Members = tuple[tuple[str, object], ...]
"""Of an object: names and values, a name perhaps twice."""

NOT_JSON = object()
"""Stands for the value of a row that has none."""

# Numbers stay as they are written: what may be a count is said once, for CSV and JSON alike.
_DECODER = json.JSONDecoder(object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=lambda _: None)
_BLANKS = " \t\r\n"


class JsonRow(NamedTuple):
    """A row's value, the number of its first line, and its text."""

    line: int
    text: str
    value: object


def json_lines(blocks: Iterator[Block]) -> Iterator[JsonRow]:
    """Yield the lines that are not blank. Raises BadFile where they are those of an array."""
    for block in blocks:
        for line, text in enumerate(io.StringIO(block.text, newline=""), block.line):
            row = text.strip("\ufeff" + _BLANKS)
            if not row:
                continue
            value = _value(row)
            if row[0] in "[]" or (value is NOT_JSON and row[-1] == "," and _value(row[:-1]) is not NOT_JSON):
                raise BadFile(f"has a JSON array, or a part of one, where each line must be an object, line {line}")
            yield JsonRow(line, text, value)


def _value(text: str) -> object:
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return NOT_JSON
    return value if end == len(text) else NOT_JSON


def json_array(pieces: Iterator[Block], max_row_bytes: int, encoding: str) -> Iterator[JsonRow]:
    """Yield the rows of the one array that a text is, as soon as each is there.

    Raises BadFile where the array, or a row, is not JSON: what comes after it is unclear.
    """
    text = _Ahead(pieces, max_row_bytes, encoding)
    text.take("[")
    while text.next_character() != "]":
        yield text.value()
        if text.next_character() != "]":
            text.take(",")
            if text.next_character() == "]":
                raise BadFile(f"has a comma before its array ends, line {text.line}")
    text.take("]")
    if text.next_character():
        raise BadFile(f"has more than one JSON array, line {text.line}")


class _Ahead:
    """What was read of a text and not taken yet."""

    def __init__(self, pieces: Iterator[Block], max_row_bytes: int, encoding: str) -> None:
        self.line = 1
        """Where the next character is."""
        self._pieces = pieces
        self._max_row_bytes = max_row_bytes
        self._encoding = encoding
        self._text = ""
        self._position = 0

    def next_character(self) -> str:
        """Pass over blanks and return what comes then, nothing at the end."""
        while True:
            rest = _NOT_BLANK.search(self._text, self._position)
            self._pass_over(rest.start() if rest else len(self._text))
            if rest:
                return rest[0]
            if not self._read_on():
                return ""

    def take(self, character: str) -> None:
        """Pass over a character that must come next; else raise BadFile."""
        if self.next_character() != character:
            raise BadFile(f"is not a JSON array: there is no `{character}` in line {self.line}")
        self._pass_over(self._position + 1)

    def value(self) -> JsonRow:
        """Take the next value. Raises BadFile where it is longer than it may be, or is not JSON."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._position)
            except (ValueError, RecursionError):
                value, end = NOT_JSON, len(self._text)
            # A value that ends where the text ends may go on: what follows it must be seen.
            if end < len(self._text) or self._is_too_long(end) or not self._read_on():
                break
        if value is NOT_JSON or self._is_too_long(end):
            raise BadFile(f"has a row that is not JSON, or not within {self._max_row_bytes:,} bytes, line {self.line}")
        row = JsonRow(self.line, self._text[self._position : end], value)
        self._pass_over(end)
        return row

    def _is_too_long(self, end: int) -> bool:
        return byte_length(self._text[self._position : end], self._encoding) > self._max_row_bytes

    def _pass_over(self, end: int) -> None:
        self.line += line_ends(self._text[self._position : end])
        self._position = end

    def _read_on(self) -> bool:
        """Read another piece, and forget what was taken."""
        piece = next(self._pieces, None)
        if piece is None:
            return False
        if not self._text:
            self.line = piece.line
        self._text = self._text[self._position :] + piece.text
        self._position = 0
        return True


_NOT_BLANK = re.compile(r"[^ \t\r\n]")
