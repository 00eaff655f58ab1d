"""The text of a visit file, in pieces or in whole lines, within limits."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple, Protocol

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
"""Byte-order marks, and the encoding that each of them says."""


class Limits(NamedTuple):
    """What a file may have at most before it is refused as a whole."""

    max_bytes: int = 256 * 1024**2
    """As it was delivered, compressed or not."""
    max_uncompressed_bytes: int = 1024**3
    max_line_bytes: int = 64 * 1024
    """Of a line, and of a row, which may have line ends in quotes; not over 128 KiB, where csv has its own limit."""
    max_pairs: int = 100_000
    """Different (event, day) pairs: what is held in memory and written to the table."""
    max_rejected_rows: int = 100_000
    max_rejected_bytes: int = 64 * 1024**2
    """As they are kept, in JSON. Lambda's /tmp, where they are kept, has 512 MB."""


class BadFile(ValueError):
    """The file as a whole cannot be trusted; the message names the rule and repeats no value of any row."""


class Stream(Protocol):
    """Where the bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""
        ...


class Block(NamedTuple):
    """A piece of a file's text."""

    text: str
    line: int
    """The number of the line that it begins in, as an editor counts: `\\n`, `\\r\\n` and `\\r` end one."""


class Text:
    """The text of a stream; `encoding` is the one that its byte-order mark says, else the one given."""

    def __init__(self, stream: Stream, limits: Limits, encoding: str = "utf-8") -> None:
        """Expect a stream that returns fewer bytes than asked for only at its end."""
        self._stream = stream
        self._limits = limits
        self._data = stream.read(limits.max_line_bytes)
        for mark, marked in _MARKS:
            if self._data.startswith(mark):
                self._data, encoding = self._data.removeprefix(mark), marked
        self.encoding = encoding
        self._pieces = self._decoded()
        self._ahead = Block("", 1)

    def first_character(self) -> str:
        """Return the first character that is not blank, none where there is none; blanks before it are gone then."""
        while not (text := self._ahead.text.lstrip()):
            if not (piece := next(self._pieces, None)):
                return ""
            self._ahead = piece
        return text[0]

    def pieces(self) -> Iterator[Block]:
        """Yield the text in pieces, which begin and end anywhere but within a line end."""
        return chain([self._ahead], self._pieces)

    def blocks(self) -> Iterator[Block]:
        """Yield the text in whole lines with their ends, which the last line may lack.

        As much is read at once as a line may have, so only the first lines of a block can be too long.
        """
        limit = self._limits.max_line_bytes
        rest = Block("", 1)
        for piece in self.pieces():
            text, line = (rest.text + piece.text, rest.line) if rest.text else piece
            # Half a character of the last read may begin the second line, where a held \r ends the first.
            for number, first in enumerate(islice(io.StringIO(text, newline=""), 2), line):
                if byte_length(first.rstrip("\r\n"), self.encoding) > limit:
                    raise BadFile(f"has a line of more than {limit:,} bytes, line {number}")
            end = max(text.rfind("\n"), text.rfind("\r")) + 1
            if end:
                yield Block(text[:end], line)
            rest = Block(text[end:], line + line_ends(text[:end]))
        if rest.text:
            yield rest

    def _decoded(self) -> Iterator[Block]:
        decoder = codecs.getincrementaldecoder(self.encoding)()
        total, line, held = 0, 1, ""
        while True:
            total += len(self._data)
            if total > self._limits.max_uncompressed_bytes:
                raise BadFile(f"has more than {self._limits.max_uncompressed_bytes:,} bytes, uncompressed")
            try:
                text = held + decoder.decode(self._data, final=not self._data)
            except UnicodeDecodeError as error:
                before = held + error.object[: error.start].decode(self.encoding, "replace")
                raise BadFile(self._not_decoded(error.reason, line + line_ends(before))) from error
            # Only the next character tells whether a \r ends a line or is half of the end.
            held = "\r" if text.endswith("\r") and self._data else ""
            text = text.removesuffix(held) if held else text
            if text:
                yield Block(text, line)
            line += line_ends(text)
            if not self._data:
                return
            self._data = self._stream.read(self._limits.max_line_bytes)

    def _not_decoded(self, reason: str, line: int) -> str:
        name = self.encoding.removesuffix("-le").removesuffix("-be").upper()
        return f"is not {name}: {reason}, line {line}; the `encoding` of a source says where it is another"


def line_ends(text: str) -> int:
    """Return how many lines end in a text."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def byte_length(text: str, encoding: str) -> int:
    """Return how many bytes a text has in the file."""
    return len(text.encode(encoding, "replace"))
