"""One table written in every way that is understood, whole and damaged.

Whole, it comes to the same counts. Damaged by one byte, one line or one cut, it is refused, or the rows that were not
touched count as they are and the touched ones not at all, or as they were: there is no other number. (What makes a
value another valid value cannot be told from a value: digits are only ever damaged so that none is left.)

Ten times as many are tried with HYPOTHESIS_PROFILE=thorough.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import zipfile
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from hypothesis import assume, event, given
from hypothesis import strategies as st
from reading import Outcome, read

from lines import BadFile


class Visit(NamedTuple):
    """A row: whose visit, on which day, how many, and what is said about it."""

    event: str
    day: int
    visits: int
    note: str

    @property
    def key(self) -> tuple[str, int]:
        return self.event, self.day


class Written:
    """A file in the making: its bytes, which of them are of which row, and which are of a value."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self.data = bytearray()
        self.rows: list[int | None] = []
        """For each byte, the row that it is of."""
        self.values: list[bool] = []

    def __repr__(self) -> str:
        return repr(bytes(self.data).decode(self.encoding))

    def add(self, text: str, row: int | None = None, *, value: bool = False) -> None:
        encoded = text.encode(self.encoding)
        self.data += encoded
        self.rows += [row] * len(encoded)
        self.values += [value] * len(encoded)


NOTES = ["", "note", "two words", "a,b", "a;b", "a|b", "a\tb", "é😀", "[1]", "{}", "0", 'say "hi"', '"', '""']
NOTES_OVER_LINES = ["first\nsecond", "first\r\nsecond", "\nx", "x\n\n", '"\n"', '\n,"']
NOTES_LIKE_ROWS = [",x", "7;20170101;7", "a\n7,20170101,7,b", '",7,20170101,7\n']
visits = st.builds(
    Visit,
    st.sampled_from(["1", "22", "007"]),
    st.sampled_from([20170101, 20170102, 20171231]),
    st.sampled_from([0, 3, 12, 1234, 10**12]),
    st.sampled_from(NOTES + NOTES_OVER_LINES + NOTES_LIKE_ROWS),
)
tables = st.lists(visits, min_size=1, max_size=8)

NAMES = {
    "EventId": ["EventId", "eventid", "EVENT ID", "event_id", "Event-Id", " EventId "],
    "EventDay": ["EventDay", "eventday", "Event Day", "event_day"],
    "EventCount": ["EventCount", "eventcount", "EVENT-COUNT", "Event Count", "event_count"],
    "Note": ["Note", "note, or not", 'a "note"'],
}
DAYS = ["{y}{m}{d}", "{y}-{m}-{d}", "{y}/{m}/{d}", "{y}.{m}.{d}", "{y}-{m}-{d} 12:00:00 UTC", "{y}-{m}-{d}T23:30:00z"]
MARKS = {"utf-8": [b"", codecs.BOM_UTF8], "utf-16-le": [codecs.BOM_UTF16_LE], "utf-16-be": [codecs.BOM_UTF16_BE]}


def spelled(draw: st.DrawFn, visit: Visit) -> dict[str, str]:
    """Return a row's values in one of their notations."""
    day = str(visit.day)
    form = draw(st.sampled_from(DAYS))
    count = draw(st.sampled_from(["{}", "{}.0", "+{}"])).format(visit.visits)
    return {
        "EventId": visit.event,
        "EventDay": form.format(y=day[:4], m=day[4:6], d=day[6:]),
        "EventCount": count,
        "Note": visit.note,
    }


def begin(draw: st.DrawFn) -> Written:
    encoding = draw(st.sampled_from(sorted(MARKS)))
    written = Written(encoding)
    mark = draw(st.sampled_from(MARKS[encoding]))
    written.data += mark
    written.rows += [None] * len(mark)
    written.values += [False] * len(mark)
    return written


@st.composite
def as_csv(draw: st.DrawFn, table: list[Visit]) -> Written:
    """Return a table as CSV, in some dialect."""
    written = begin(draw)
    delimiter, end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    order = draw(st.permutations(["EventId", "EventDay", "EventCount", "Note"]))
    quote_all, blanks = draw(st.booleans()), draw(st.sampled_from(["", " "]))

    def quoted(text: str) -> str:
        needs = quote_all or any(c in text for c in f'{delimiter}"\r\n')
        return f'"{text.replace('"', '""')}"' if needs else text

    def line(cells: dict[str, str], row: int | None) -> None:
        for number, name in enumerate(order):
            written.add(delimiter * bool(number) + blanks, row)
            written.add(quoted(cells[name]), row, value=row is not None and name != "Note")
            written.add(blanks, row)
        written.add(end, row)

    def other(text: str) -> None:
        written.add(text + end)

    header = {name: draw(st.sampled_from(NAMES[name])) for name in order}
    for text in draw(st.lists(st.sampled_from(["", " ", "# comment", f"sep={delimiter}"]), max_size=2)):
        other(text)
    line(header, None)
    for row, visit in enumerate(table):
        extra = draw(st.sampled_from([None] * 6 + ["", delimiter * 3, " ", "header"]))
        if extra == "header":
            line(header, None)
        elif extra is not None:
            other(extra)
        line(spelled(draw, visit), row)
    if draw(st.booleans()):
        drop_last_end(written, end)
    return written


def drop_last_end(written: Written, end: str) -> None:
    size = len(end.encode(written.encoding))
    del written.data[-size:], written.rows[-size:], written.values[-size:]


@st.composite
def as_json(draw: st.DrawFn, table: list[Visit], *, array: bool) -> Written:
    """Return a table as JSON Lines, or as an array in one line or several."""
    written = begin(draw)
    end = draw(st.sampled_from(["\n", "\r\n", "", " "] if array else ["\n", "\r\n", "\r"]))
    order = draw(st.permutations(["EventId", "EventDay", "EventCount", "Note"]))
    header = {name: draw(st.sampled_from(NAMES[name])) for name in order}
    written.add(f"[{end}" if array else "")
    for row, visit in enumerate(table):
        cells = spelled(draw, visit)
        for number, name in enumerate(order):
            is_number = name != "Note" and cells[name].isdigit() and (cells[name][0] != "0" or cells[name] == "0")
            as_number = is_number and draw(st.booleans())
            text = cells[name] if as_number else json.dumps(cells[name], ensure_ascii=draw(st.booleans()))
            written.add(f"{'{,'[bool(number)]}{json.dumps(header[name])}: ", row)
            written.add(text, row, value=name != "Note")
        written.add("}" + ("," if array and row < len(table) - 1 else "") + end, row)
    written.add(f"]{end}" if array else "")
    return written


@dataclass
class File:
    """A table as it was written."""

    table: list[Visit]
    written: Written
    kind: str

    @property
    def name(self) -> str:
        return f"visits.{self.kind}"


@st.composite
def files(draw: st.DrawFn) -> File:
    table = draw(tables)
    kind = draw(st.sampled_from(["csv", "csv", "jsonl", "json"]))
    written = draw(as_csv(table) if kind == "csv" else as_json(table, array=kind == "json"))
    return File(table, written, kind)


def packed(data: bytes, packing: str) -> bytes:
    if packing == "gzip":
        return gzip.compress(data[: len(data) // 3]) + gzip.compress(data[len(data) // 3 :])
    if packing == "zip":
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("anything", data)
        return archive.getvalue()
    return data


packings = st.sampled_from(["", "gzip", "zip"])


def sums(table: list[Visit]) -> Counter[tuple[str, int]]:
    counted: Counter[tuple[str, int]] = Counter()
    for visit in table:
        counted[visit.key] += visit.visits
    return counted


@given(files(), packings)
def test_a_table_comes_to_the_same_however_it_is_written(file: File, packing: str) -> None:
    """Delimiter, quotes, line ends, header, byte-order mark, notation, format and packing make no difference."""
    found = read(packed(bytes(file.written.data), packing), file.name)

    assert sums(file.table) == found.counts
    assert (len(file.table), len(file.table), 0) == found.rows


def check(file: File, damaged: bytes, touched: set[int], packing: str) -> None:
    """Assert that a damaged file is refused, or comes to right numbers."""
    try:
        found = read(packed(damaged, packing), file.name)
    except BadFile as error:
        event(f"refused: {str(error).partition(',')[0][:50]}")
        return
    event("read")
    assert is_right(file, touched, found), (found, touched)


def is_right(file: File, touched: set[int], found: Outcome) -> bool:
    """Return whether rows that were not touched count as they are, and each of the touched as it was or not at all."""
    possible = [sums([visit for row, visit in enumerate(file.table) if row not in touched])]
    for row in touched:
        possible += [counted + sums([file.table[row]]) for counted in possible]
    positive = +Counter(found.counts)
    return any(positive == +counted for counted in possible)


POISON = ['"', ",", ";", "|", "x", "{", "}", "[", "]", "\0", "\\", "#", "'", "é"]
"""None of them leaves a value that was damaged by it valid."""
BLANKS = ["\t", "\n", "\r"]


@given(files(), packings, st.data())
def test_one_damaged_character_makes_no_other_number(file: File, packing: str, data: st.DataObject) -> None:
    """Put in the place of another, or between two; or taken away."""
    written = file.written
    size = len("x".encode(written.encoding))
    at = data.draw(st.integers(0, (len(written.data) - 1) // size)) * size
    how = data.draw(st.sampled_from(["replace", "insert", "delete"]))
    in_value = written.values[at]
    assume(not (how == "delete" and in_value))
    character = data.draw(st.sampled_from(POISON if in_value else POISON + BLANKS))
    end = at if how == "insert" else at + size
    put = b"" if how == "delete" else character.encode(written.encoding)
    near = written.rows[max(at - 4, 0) : end + 4]

    damaged = bytes(written.data[:at] + put + written.data[end:])

    check(file, damaged, {row for row in near if row is not None}, packing)


@given(files(), packings, st.data())
def test_one_damaged_byte_makes_no_other_number(file: File, packing: str, data: st.DataObject) -> None:
    """Of a character of several bytes, or one that is none."""
    written = file.written
    at = data.draw(st.integers(0, len(written.data) - 1))
    put = data.draw(st.sampled_from([b"", b"\xff", b"\x80", b"\xff\x80", b"\0"]))
    assume(put or not written.values[at])
    near = written.rows[max(at - 4, 0) : at + 5]

    check(
        file, bytes(written.data[:at] + put + written.data[at + 1 :]), {row for row in near if row is not None}, packing
    )


@given(files(), packings, st.data())
def test_a_line_that_is_missing_makes_no_other_number(file: File, packing: str, data: st.DataObject) -> None:
    """A row's, the header's, or one line of a row that has several."""
    written = file.written
    lines = io.StringIO(bytes(written.data).decode(written.encoding), newline="").readlines()
    line = data.draw(st.integers(0, len(lines) - 1))
    start, end = (len("".join(lines[:number]).encode(written.encoding)) for number in (line, line + 1))
    touched = {row for row in written.rows[max(start - 4, 0) : end + 4] if row is not None}

    check(file, bytes(written.data[:start] + written.data[end:]), touched, packing)


@given(files(), packings, st.data())
def test_a_file_that_is_cut_off_makes_no_other_number(file: File, packing: str, data: st.DataObject) -> None:
    """Wherever it is cut, but within a value: a shorter one may be as good."""
    written = file.written
    at = data.draw(st.integers(0, len(written.data) - 1))
    assume(not written.values[at])
    touched = {row for row in written.rows[max(at - 4, 0) :] if row is not None}

    check(file, bytes(written.data[:at]), touched, packing)


@given(files(), st.sampled_from(["gzip", "zip"]), st.data())
def test_damage_to_the_packing_makes_no_other_number(file: File, packing: str, data: st.DataObject) -> None:
    """Checksums are for that. Only between two members of a gzip, where each is whole, a cut cannot be told."""
    data_of_file = bytes(file.written.data)
    whole = gzip.compress(data_of_file) if packing == "gzip" else packed(data_of_file, packing)
    at = data.draw(st.integers(0, len(whole) - 1))
    put = data.draw(st.sampled_from([b"", b"\0", b"\xff", b"x", whole[at : at + 1] * 2]))

    check(file, whole[:at] + put + whole[at + 1 :], set(), "")
    check(file, whole[:at], set(), "")
