"""Reading visit files: what is counted, what is set aside, what is refused as a whole."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visit_files import BadFile, Limits, Stream, VisitFile
from visits import InvalidValue, parse_count, parse_day_or_time, parse_event_id

HEADER = "EventId,EventDay,EventCount\n"
SMALL = Limits(max_line_bytes=100)
"""A line of 100 bytes at most, and so reads of 100 bytes."""

NO_COUNT = "is not a whole number from 0 to 1,000,000,000,000"
NO_DAY = "is not a calendar date (YYYYMMDD)"
NO_TIME = "is not a date-time (ISO 8601)"
NO_ID = "is not a number (ASCII digits)"
NEITHER = "is neither text nor a whole number"

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

    @property
    def rejected(self) -> list[Rejected]:
        """The rejects, each line of which must be a JSON object of these three members in this order."""
        rows = [json.loads(line) for line in self.rejects.split("\n")[:-1]]
        assert all(["line", "reason", "text"] == list(row) for row in rows)
        return [(row["line"], row["reason"], row["text"]) for row in rows]


def outcome(file: VisitFile) -> Outcome:
    file.rejects.seek(0)
    rows = file.rows_read, file.rows_applied, file.rows_rejected
    return Outcome(file.counts, rows, file.reasons, file.rejects.read().decode())


def read(data: str | bytes | Stream, name: str = "visits.csv", limits: Limits | None = None) -> Outcome:
    if isinstance(data, str):
        data = data.encode()
    with VisitFile(limits or Limits()) as file:
        file.read(name, io.BytesIO(data) if isinstance(data, bytes) else data)
        return outcome(file)


def refused(data: str | bytes | Stream, name: str = "visits.csv", limits: Limits | None = None) -> str:
    """Return why a file is refused."""
    with pytest.raises(BadFile) as raised:
        read(data, name, limits)
    return str(raised.value)


def test_rows_are_summed_by_event_and_day() -> None:
    """All notations of a day are the same day; a count of 0 makes the day known."""
    file = read(f"{HEADER}324,20171001,3\n324,2017-10-01,4\n300,20171001,1\n324,20171002,0\n324,2017-10-01T12:00Z,5\n")

    assert {("324", 20171001): 12, ("300", 20171001): 1, ("324", 20171002): 0} == file.counts
    assert (5, 5, 0) == file.rows
    assert ([], []) == (file.reasons, file.rejected)


def test_a_known_pair_with_a_new_count_adds_to_what_it_had() -> None:
    """Rows that are read the short way, as all is known of them, and others, in any order."""
    found = read(HEADER + "324,20171001,1\n324,20171001,1\n324,20171001,2\n324,2017-10-01,1\n324,20171001,1\n")

    assert {("324", 20171001): 6} == found.counts
    assert (5, 5, 0) == found.rows


def test_a_refused_file_tells_all_rows_that_were_read() -> None:
    """Those read the short way, too: the receipt says how far it came."""
    with VisitFile(Limits(max_pairs=1)) as file:
        with pytest.raises(BadFile):
            file.read("visits.csv", io.BytesIO(f"{HEADER}324,20171001,1\n324,20171001,1\n325,20171001,1\n".encode()))

        assert 3 == file.rows_read


def test_ids_are_kept_as_they_are() -> None:
    """`007` and `7` are two events, and no cache takes one for the other."""
    assert {("007", 20171001): 1, ("7", 20171001): 4} == read(
        f"{HEADER}007,20171001,1\n7,20171001,2\n7,20171001,2\n"
    ).counts


@pytest.mark.parametrize(
    "text",
    [
        "EventCount,EventDay,EventId\n3,20171001,324\n1,20171002,300\n",
        "UserId,EventDay,Page,EventId,EventCount\n1,20171001,/,324,3\n2,20171002,/,300,1\n",
        "UserId,UserId,,EventDay,EventId,EventCount\n1,1,,20171001,324,3\n2,2,,20171002,300,1\n",
        '"EventId","EventDay","EventCount"\n"324","20171001","3"\n300,"20171002",1\n',
        "\ufeffEventId,EventDay,EventCount\r\n324,20171001,3\r\n300,20171002,1\r\n",
        '\ufeff"EventId","EventDay","EventCount"\r\n324,20171001,3\r\n300,20171002,1\r\n',
        "EventId,EventDay,EventCount\r324,20171001,3\r300,20171002,1",
        "EventId,EventDay,EventCount\r324,20171001,3\r\n300,20171002,1\n",
        "EventId,EventDay,EventCount\n\n324,20171001,3\n\r\n\r300,20171002,1\n\n",
        "EventId,EventDay,EventCount\n324,20171001,+003\n300,20171002,1",
        "EventId,EventDay\n324,20171001\n324,20171001\n300,20171002\n324,20171001\n",
    ],
)
def test_what_csv_may_look_like_makes_no_difference(text: str) -> None:
    """Columns in any order among others, quotes, a byte-order mark, any line ends, blank lines, no count (= 1)."""
    file = read(text)

    assert {("324", 20171001): 3, ("300", 20171002): 1} == file.counts
    assert 0 == file.rows[2]


def test_blank_lines_are_no_rows_but_are_counted_as_lines() -> None:
    """A line number is that of an editor."""
    file = read(f"{HEADER}\n\r\n324,20171001,3\r\rx,20171001,1\n")

    assert 2 == file.rows[0]
    assert [(6, f"EventId 'x' {NO_ID}", "x,20171001,1")] == file.rejected


def test_an_ignored_field_may_have_line_breaks_in_quotes() -> None:
    """The row is good, and the lines after it are counted from its end."""
    file = read('EventId,Note,EventDay\n324,"one\ntwo\r\nthree, ""four""",20171001\nx,,20171001\n')

    assert {("324", 20171001): 1} == file.counts
    assert [(5, f"EventId 'x' {NO_ID}", "x,,20171001")] == file.rejected


def test_an_id_with_a_line_break_in_quotes_is_a_bad_row() -> None:
    """It is reported where it ends; the row after it is read as such."""
    file = read(f'{HEADER}"324\n",20171001,3\n300,20171001,1\n')

    assert {("300", 20171001): 1} == file.counts
    assert [(3, f"EventId '324\\n' {NO_ID}", '",20171001,3')] == file.rejected


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("20171002", 20171002),
        ("2017-10-02", 20171002),
        ("2017-10-02T23:59:59", 20171002),
        ("2017-10-02T23:59:59Z", 20171002),
        ("2017-10-02T01:59:59+02:00", 20171001),
        ("2017-12-31T23:30:00-01:00", 20180101),
    ],
)
def test_a_time_counts_for_its_utc_day(text: str, day: int) -> None:
    """In CSV as in JSON Lines; as UTC where it names no offset."""
    assert {("324", day): 1} == read(f"EventId,EventDay\n324,{text}\n").counts
    assert {("324", day): 1} == read(f'{{"EventId": 324, "EventDay": "{text}"}}\n', "visits.jsonl").counts


@pytest.mark.parametrize(
    ("row", "reason", "rule"),
    [
        ("x,20171001,1", f"EventId 'x' {NO_ID}", f"EventId {NO_ID}"),
        (",20171001,1", f"EventId '' {NO_ID}", f"EventId {NO_ID}"),
        (" 324,20171001,1", f"EventId ' 324' {NO_ID}", f"EventId {NO_ID}"),
        ("all,20171001,1", f"EventId 'all' {NO_ID}", f"EventId {NO_ID}"),
        ("3\x0024,20171001,1", f"EventId '3\\x0024' {NO_ID}", f"EventId {NO_ID}"),
        (
            f"{'1' * 2049},20171001,1",
            f"EventId '{'1' * 40}'… (2,049 characters) is longer than 2,048 digits",
            "EventId is longer than 2,048 digits",
        ),
        ("324,20170229,1", f"EventDay '20170229' {NO_DAY}", f"EventDay {NO_DAY}"),
        ("324,,1", f"EventDay '' {NO_DAY}", f"EventDay {NO_DAY}"),
        ("324,20171001\x00,1", f"EventDay '20171001\\x00' {NO_DAY}", f"EventDay {NO_DAY}"),
        ("324,2017-02-29T12:00,1", f"EventDay '2017-02-29T12:00' {NO_TIME}", f"EventDay {NO_TIME}"),
        (
            "324,0001-01-01T00:00+01:00,1",
            f"EventDay '0001-01-01T00:00+01:00' {NO_TIME}",
            f"EventDay {NO_TIME}",
        ),
        (
            "324,9999-12-31T23:30-01:00,1",
            f"EventDay '9999-12-31T23:30-01:00' {NO_TIME}",
            f"EventDay {NO_TIME}",
        ),
        ("324,20171001,-3", f"EventCount '-3' {NO_COUNT}", f"EventCount {NO_COUNT}"),
        ("324,20171001,1.5", f"EventCount '1.5' {NO_COUNT}", f"EventCount {NO_COUNT}"),
        ("324,20171001,1000000000001", f"EventCount '1000000000001' {NO_COUNT}", f"EventCount {NO_COUNT}"),
        ("324,20171001,many", f"EventCount 'many' {NO_COUNT}", f"EventCount {NO_COUNT}"),
        ("324,20171001,", f"EventCount '' {NO_COUNT}", f"EventCount {NO_COUNT}"),
        ("324,20171001,1\x00", f"EventCount '1\\x00' {NO_COUNT}", f"EventCount {NO_COUNT}"),
        (
            f"324,20171001,{'9' * 5000}",
            f"EventCount '{'9' * 40}'… (5,000 characters) {NO_COUNT}",
            f"EventCount {NO_COUNT}",
        ),
        ("324,20171001", "has 2 fields, the header has 3", "has 2 fields, the header has 3"),
        ("324,20171001,1,", "has 4 fields, the header has 3", "has 4 fields, the header has 3"),
        ("\x00", "has 1 fields, the header has 3", "has 1 fields, the header has 3"),
        ('"32"4,20171001,1', "is not CSV: ',' expected after '\"'", "is not CSV: ',' expected after '\"'"),
    ],
)
def test_a_bad_row_is_set_aside_with_line_reason_and_text(row: str, reason: str, rule: str) -> None:
    """Good rows before and after it count; what people are told names line and rule but no value of the row."""
    file = read(f"{HEADER}324,20171001,3\n{row}\n300,20171001,1\n")

    assert {("324", 20171001): 3, ("300", 20171001): 1} == file.counts
    assert (3, 2, 1) == file.rows
    assert [(3, reason, row if len(row) <= 1000 else f"{row[:1000]}…")] == file.rejected
    assert [f"line 3: {rule}"] == file.reasons


def test_a_row_of_three_times_good_values_but_one_bad_is_bad_each_time() -> None:
    """Values that were good once are remembered, each on its own."""
    file = read(f"{HEADER}1,20171001,3\n1,20171001,x\nx,20171001,3\n1,x,3\n1,20171001,3,3\n1,20171001,3\n")

    assert {("1", 20171001): 6} == file.counts
    assert [3, 4, 5, 6] == [line for line, _, _ in file.rejected]


def test_a_bad_last_row_without_a_line_end_is_a_bad_row() -> None:
    """A quote in the wrong place is none that was left open."""
    file = read(f'{HEADER}324,20171001,3\n300,20171001,"1"x')

    assert {("324", 20171001): 3} == file.counts
    assert [(3, "is not CSV: ',' expected after '\"'", '300,20171001,"1"x')] == file.rejected


def test_a_bad_rows_text_is_itself() -> None:
    """Not escaped, whatever its alphabet; without its line end."""
    file = read(f"{HEADER}324,20171001,3\r\nZoë Ω😀,20171001,1\r\n")

    reason = f"EventId 'Zoë Ω😀' {NO_ID}"
    assert f'{{"line": 3, "reason": "{reason}", "text": "Zoë Ω😀,20171001,1"}}\n' == file.rejects


@pytest.mark.parametrize(("length", "shown"), [(1000, "x" * 1000), (1001, f"{'x' * 1000}…")])
def test_a_bad_rows_text_is_cut_at_1000_characters(length: int, shown: str) -> None:
    """Enough to find it again."""
    file = read(f"{HEADER}324,20171001,3\n{'x' * length}\n")

    assert [(3, "has 1 fields, the header has 3", shown)] == file.rejected


def test_only_the_first_ten_reasons_are_told() -> None:
    """The others are in the rejects."""
    file = read(f"{HEADER}324,20171001,3\n" + "x,20171001,1\n" * 11)

    assert [f"line {line}: EventId {NO_ID}" for line in range(3, 13)] == file.reasons
    assert [*range(3, 14)] == [line for line, _, _ in file.rejected]
    assert 11 == file.rows[2]


@pytest.mark.parametrize(("bad_rows", "on_disk"), [(900, False), (1100, True)])
def test_many_rejects_go_to_disk(bad_rows: int, on_disk: bool) -> None:
    """Memory holds a megabyte of them."""
    row = "x" * 1000
    with VisitFile(Limits()) as file:
        file.read("visits.csv", io.BytesIO(f"{HEADER}324,20171001,3\n{f'{row}\n' * bad_rows}".encode()))

        # Only a file on disk has a name, or the number that stands for it.
        assert on_disk == (file.rejects.name is not None)
        assert [(line, row) for line in range(3, 3 + bad_rows)] == [
            (line, text) for line, _, text in outcome(file).rejected
        ]


@pytest.mark.parametrize("name", ["visits.jsonl", "visits.ndjson", "VISITS.JSONL", "Visits.Ndjson"])
def test_json_lines_are_told_by_their_name(name: str) -> None:
    """Numbers or text, in any order, with other members and blank lines between; no count is 1."""
    file = read(
        '\ufeff{"EventId": 324, "EventDay": 20171001, "EventCount": 3}\r\n'
        '{"EventCount": "4", "EventDay": "2017-10-01", "EventId": "324", "user": {"id": [1.5, null]}}\r'
        "\n \t\r\n"
        '{"EventId": "0300", "EventDay": "20171002"}',
        name,
    )

    assert {("324", 20171001): 7, ("0300", 20171002): 1} == file.counts
    assert (3, 3, 0) == file.rows


@pytest.mark.parametrize(
    ("row", "reason", "rule"),
    [
        ("324,20171001,3", "is not JSON", "is not JSON"),
        ('{"EventId": 324', "is not JSON", "is not JSON"),
        ('{"EventId": 324, "EventDay": 20171001} {}', "is not JSON", "is not JSON"),
        ('{"EventId": "3\x0024", "EventDay": 20171001}', "is not JSON", "is not JSON"),
        ("[" * 50_000, "is not JSON", "is not JSON"),
        (f'{{"EventId": 324, "EventDay": 20171001, "EventCount": {"9" * 5000}}}', "is not JSON", "is not JSON"),
        ("[324, 20171001, 3]", "is not a JSON object", "is not a JSON object"),
        ("null", "is not a JSON object", "is not a JSON object"),
        ('"EventId EventDay"', "is not a JSON object", "is not a JSON object"),
        ('{"EventDay": 20171001, "EventCount": 3}', "has no EventId", "has no EventId"),
        ('{"EventId": 324, "eventday": 20171001}', "has no EventDay", "has no EventDay"),
        ('{"EventId": null, "EventDay": 20171001}', f"EventId {NEITHER}", f"EventId {NEITHER}"),
        ('{"EventId": [324], "EventDay": 20171001}', f"EventId {NEITHER}", f"EventId {NEITHER}"),
        ('{"EventId": 324.0, "EventDay": 20171001}', f"EventId {NEITHER}", f"EventId {NEITHER}"),
        ('{"EventId": true, "EventDay": 20171001}', f"EventId {NEITHER}", f"EventId {NEITHER}"),
        ('{"EventId": 324, "EventDay": {"y": 2017}}', f"EventDay {NEITHER}", f"EventDay {NEITHER}"),
        ('{"EventId": 1, "EventDay": 20171001, "EventCount": true}', f"EventCount {NEITHER}", f"EventCount {NEITHER}"),
        ('{"EventId": 1, "EventDay": 20171001, "EventCount": 3.0}', f"EventCount {NEITHER}", f"EventCount {NEITHER}"),
        ('{"EventId": 1, "EventDay": 20171001, "EventCount": NaN}', f"EventCount {NEITHER}", f"EventCount {NEITHER}"),
        ('{"EventId": 1, "EventDay": 20171001, "EventCount": null}', f"EventCount {NEITHER}", f"EventCount {NEITHER}"),
        ('{"EventId": -324, "EventDay": 20171001}', f"EventId '-324' {NO_ID}", f"EventId {NO_ID}"),
        ('{"EventId": "all", "EventDay": 20171001}', f"EventId 'all' {NO_ID}", f"EventId {NO_ID}"),
        ('{"EventId": "3\\u00004", "EventDay": 20171001}', f"EventId '3\\x004' {NO_ID}", f"EventId {NO_ID}"),
        ('{"EventId": "\\ud800", "EventDay": 20171001}', f"EventId '\\ud800' {NO_ID}", f"EventId {NO_ID}"),
        ('{"EventId": 324, "EventDay": 20170229}', f"EventDay '20170229' {NO_DAY}", f"EventDay {NO_DAY}"),
        (
            '{"EventId": 324, "EventDay": 20171001, "EventCount": -1}',
            f"EventCount '-1' {NO_COUNT}",
            f"EventCount {NO_COUNT}",
        ),
        (
            f'{{"EventId": 324, "EventDay": 20171001, "EventCount": {"9" * 4000}}}',
            f"EventCount '{'9' * 40}'… (4,000 characters) {NO_COUNT}",
            f"EventCount {NO_COUNT}",
        ),
        (
            '{"EventId": 324, "EventDay": 20171001, "EventCount": ""}',
            f"EventCount '' {NO_COUNT}",
            f"EventCount {NO_COUNT}",
        ),
    ],
    ids=lambda value: value[:60],
)  # fmt: skip
def test_a_bad_json_row_is_set_aside_with_line_reason_and_text(row: str, reason: str, rule: str) -> None:
    """What only looks like a number is none; nothing that can be written ends the reading."""
    good = '{"EventId": 324, "EventDay": 20171001}'
    file = read(f"{good}\n{row}\r\n\n{good}", "visits.jsonl")

    assert {("324", 20171001): 2} == file.counts
    assert (3, 2, 1) == file.rows
    assert [(2, reason, row if len(row) <= 1000 else f"{row[:1000]}…")] == file.rejected
    assert [f"line 2: {rule}"] == file.reasons


@pytest.mark.parametrize("name", ["visits.csv.gz", "visits.gz", "VISITS.CSV.GZ", "visits.txt.Gz"])
def test_gzipped_csv_is_told_by_its_name(name: str) -> None:
    """Of several members as well, as `cat` makes them, wherever they were cut."""
    whole = f"{HEADER}324,20171001,3\n300,20171002,1\n".encode()
    expected = {("324", 20171001): 3, ("300", 20171002): 1}

    assert expected == read(gzip.compress(whole), name).counts
    assert expected == read(gzip.compress(whole[:40]) + gzip.compress(whole[40:]), name).counts


@pytest.mark.parametrize("name", ["visits.jsonl.gz", "visits.ndjson.gz", "VISITS.JSONL.GZ"])
def test_gzipped_json_lines_are_told_by_their_name(name: str) -> None:
    """The ending before `.gz` tells what is in it."""
    row = b'{"EventId": 324, "EventDay": 20171001}\n'

    assert {("324", 20171001): 2} == read(gzip.compress(row) + gzip.compress(row), name).counts


@pytest.mark.parametrize("name", ["visits", "visits.txt", "visits.jsonl.csv", "jsonl", "gz"])
def test_what_has_no_known_ending_is_csv(name: str) -> None:
    """So a name is never a reason to refuse a file."""
    assert {("324", 20171001): 3} == read(f"{HEADER}324,20171001,3\n", name).counts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no header with a column EventId"),
        ("\ufeff", "has no header with a column EventId"),
        ("\n", "has no header with a column EventId"),
        ("324,20171001,3\n", "has no header with a column EventId"),
        ("eventid,eventday\n324,20171001\n", "has no header with a column EventId"),
        ("EventId;EventDay;EventCount\n324;20171001;3\n", "has no header with a column EventId"),
        (" EventId,EventDay\n324,20171001\n", "has no header with a column EventId"),
        ("EventId,EventCount\n324,3\n", "has no header with a column EventDay"),
        ("EventId,EventDay,EventId\n1,20171001,1\n", "has a header with two columns EventId"),
        ("EventId,EventDay,EventDay\n1,20171001,1\n", "has a header with two columns EventDay"),
        ("EventId,EventDay,EventCount,EventCount\n1,20171001,1,1\n", "has a header with two columns EventCount"),
        ('"EventId"x,EventDay\n324,20171001\n', "has no CSV header"),
        ('"EventId,EventDay\n324,20171001\n', "has no CSV header"),
        (HEADER, "has no row"),
        (f"{HEADER}\n\r\n", "has no row"),
        (f"{HEADER}x,20171001,3\n", "has not one good row"),
        (f'{HEADER}324,20171001,3\n324,20171001,"3\n325,20171001,4\n', "has a quoted field that does not end, line 4"),
        (f'{HEADER}324,20171001,3\n324,20171001,"3', "has a quoted field that does not end, line 3"),
    ],
)
def test_csv_that_cannot_be_trusted_is_refused_as_a_whole(text: str, message: str) -> None:
    """No row without its header, and none where a quote may have swallowed others."""
    assert message == refused(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "has no row"), ("\n \r\n", "has no row"), ("{}\n", "has not one good row"), (HEADER, "has not one good row")],
)
def test_json_lines_without_a_good_row_are_refused(text: str, message: str) -> None:
    """Nothing would be counted, and nobody told."""
    assert message == refused(text, "visits.jsonl")


def test_a_quote_left_open_past_the_longest_field_is_refused() -> None:
    """The csv module takes fields of 131,072 characters; what follows cannot be told apart either."""
    text = f'{HEADER}324,20171001,3\n324,20171001,"3\n' + "324,20171001,3\n" * 20_000

    # Line 3 leaves 2 characters in the field, each further line 15.
    assert f"has a quoted field that does not end, line {3 + (131_072 - 2) // 15 + 1}" == refused(text)


def line_of(length: int) -> str:
    """Return a good row of so many bytes: a count may have any number of zeros before it."""
    return f"324,20171001,{'1'.zfill(length - 13)}"


@pytest.mark.parametrize("before", range(0, 97, 8))
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""])
def test_a_line_may_have_the_limit_and_not_a_byte_more(before: int, end: str) -> None:
    """Wherever in a read it begins, whatever its end, which is not counted; the file's last as well."""
    start = f"{HEADER}324,20171001,3\n300,{'x' * before}\n"
    assert {("324", 20171001): 4} == read(f"{start}{line_of(100)}{end}", limits=SMALL).counts
    assert "has a line of more than 100 bytes, line 4" == refused(f"{start}{line_of(101)}{end}", limits=SMALL)


def test_a_line_is_measured_in_bytes() -> None:
    """Memory is what the limit is for."""
    assert 1 == read(f"{HEADER}324,20171001,3\n{'é' * 50}\n", limits=SMALL).rows[2]
    assert "has a line of more than 100 bytes, line 3" == refused(
        f"{HEADER}324,20171001,3\n{'é' * 50}x\n", limits=SMALL
    )


def test_neither_mark_nor_line_end_is_part_of_the_first_line() -> None:
    """A header of just the limit is fine."""
    header = "EventId,EventDay,".ljust(100, "x")

    assert {("324", 20171001): 1} == read(f"\ufeff{header}\r\n324,20171001,\r\n", limits=SMALL).counts
    assert "has a line of more than 100 bytes, line 1" == refused(f"\ufeff{header}x\n", limits=SMALL)


def test_a_line_of_ten_megabytes_is_not_read_to_its_end() -> None:
    """Nor held in memory."""
    stream = io.BytesIO(f"{HEADER}324,20171001,3\n".encode() + b"1" * 10_000_000)

    assert "has a line of more than 65,536 bytes, line 3" == refused(stream)
    assert stream.tell() <= 3 * 65_536


@pytest.mark.parametrize("size", [1, 2, 3, 7, 99, 100])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_of_the_limit_may_come_in_pieces(size: int, end: str) -> None:
    """A stream may return less than it was asked for, half a line end included."""
    data = end.join([HEADER.strip(), line_of(100), line_of(99), line_of(100), ""]).encode()
    file = read(in_pieces(data, size), limits=SMALL)

    assert {("324", 20171001): 3} == file.counts


def test_a_line_that_ends_with_a_read_is_not_taken_for_a_part_of_the_next() -> None:
    r"""A \r at a read's end may be half of a \r\n, or a whole line end."""
    header = f"{HEADER.strip()}\r"
    data = f"{header}{line_of(99 - len(header))}\r{line_of(60)}\r"

    assert b"\r" == data.encode()[99:100]
    assert {("324", 20171001): 2} == read(data, limits=SMALL).counts


def test_the_mark_may_come_in_pieces() -> None:
    """It is three bytes, and a stream may return one."""
    file = read(in_pieces(f"\ufeff{HEADER}324,20171001,3\n".encode(), 1, 1, 1, 100))

    assert {("324", 20171001): 3} == file.counts


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (f"{HEADER}324,20171001,3\nZoë,20171001".encode("latin-1"), "is not UTF-8: invalid continuation byte, line 3"),
        (f"{HEADER}324,20171001,3\n".encode("utf-16"), "is not UTF-8: invalid start byte, line 1"),
        (f"{HEADER}324,20171001,3\n".encode("utf-16-le"), "has no header with a column EventId"),
        (f"{HEADER}324,20171001,3\n€".encode()[:-1], "is not UTF-8: unexpected end of data, line 3"),
        (b"EventId,EventDay\r324,20171001\r\xff\r324,20171001\r", "is not UTF-8: invalid start byte, line 3"),
        (b"EventId,EventDay\r\n324,20171001\r\n\xff,20171001\r\n", "is not UTF-8: invalid start byte, line 3"),
        (gzip.compress(HEADER.encode(), mtime=0), "is not UTF-8: invalid start byte, line 1"),
    ],
)  # fmt: skip
def test_another_encoding_is_refused_with_its_line(data: bytes, message: str) -> None:
    """What one byte means is not guessed at."""
    assert message == refused(data)


def test_the_line_of_a_wrong_byte_is_counted_from_the_files_beginning() -> None:
    """Blocks of it were given out before."""
    data = f"{HEADER}{'324,20171001,3\n' * 50}".encode() + b"\xff\n"

    assert "is not UTF-8: invalid start byte, line 52" == refused(data, limits=SMALL)


def test_a_gzip_file_cut_anywhere_is_refused() -> None:
    """What came through may lack rows: not a byte may be missing."""
    data = gzip.compress(f"{HEADER}{''.join(f'{n},20171001,{n}\n' for n in range(50))}".encode())

    messages = {refused(data[:end], "visits.csv.gz") for end in range(1, len(data))}

    assert {"is not a whole gzip file"} == messages


def test_a_gzip_file_of_no_byte_is_refused() -> None:
    """It is an empty file, as any."""
    assert "has no header with a column EventId" == refused(b"", "visits.csv.gz")


@pytest.mark.parametrize("data", [b"324,20171001,3\n", gzip.compress(HEADER.encode(), mtime=0) + b"324,20171001,3\n"])
def test_what_is_not_gzip_is_refused_without_a_byte_of_it(data: bytes) -> None:
    """The message goes to people, and what is in a file does not."""
    message = refused(data, "visits.csv.gz")

    assert "is not a whole gzip file" == message
    assert "32" not in message


def test_a_gzip_file_with_a_wrong_byte_is_refused() -> None:
    """Whichever it is: behind the header, which has bytes without a meaning, everything is under a checksum."""
    data = gzip.compress(f"{HEADER}{''.join(f'{n},20171001,{n}\n' for n in range(50))}".encode())

    for position in range(10, len(data)):
        flipped = data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]
        assert refused(flipped, "visits.csv.gz")


@pytest.mark.parametrize(
    ("line", "limits", "message"),
    [
        ("\n", Limits(max_uncompressed_bytes=10**6), "has more than 1,000,000 bytes, uncompressed"),
        ("0,20171001,0\n", Limits(max_uncompressed_bytes=10**6), "has more than 1,000,000 bytes, uncompressed"),
        ("0\n", Limits(max_rejected_rows=1000), "has more than 1,000 bad rows"),
        ("0", Limits(), "has a line of more than 65,536 bytes, line 2"),
    ],
)
def test_a_gzip_bomb_is_given_up_at_the_limit(line: str, limits: Limits, message: str) -> None:
    """A gigabyte in some: most of it is not even read, let alone decompressed."""
    data = gzip.compress(HEADER.encode()) + gzip.compress(line.encode() * (10**6 // len(line))) * 1000
    stream = io.BytesIO(data)

    assert message == refused(stream, "visits.csv.gz", limits)
    # gzip reads 128 KiB ahead.
    assert stream.tell() <= 2 * 128 * 1024 < len(data)


def test_a_file_of_just_the_uncompressed_limit_is_read() -> None:
    """The mark is not counted."""
    text = f"{HEADER}324,20171001,3\n"

    assert {("324", 20171001): 3} == read(f"\ufeff{text}", limits=Limits(max_uncompressed_bytes=len(text))).counts
    assert f"has more than {len(text) - 1} bytes, uncompressed" == refused(
        text, limits=Limits(max_uncompressed_bytes=len(text) - 1)
    )


def test_more_pairs_than_the_limit_are_refused() -> None:
    """Pairs, not rows: what repeats takes no room."""
    text = f"{HEADER}1,20171001,1\n1,20171002,1\n2,20171001,1\n1,20171001,1\n"

    assert 3 == len(read(text, limits=Limits(max_pairs=3)).counts)
    assert "has more than 2 different pairs of event and day" == refused(text, limits=Limits(max_pairs=2))


def test_more_bad_rows_than_the_limit_are_refused() -> None:
    """Their file is not what it says it is."""
    text = f"{HEADER}1,20171001,1\nx\nx\nx\n"

    assert 3 == read(text, limits=Limits(max_rejected_rows=3)).rows[2]
    assert "has more than 2 bad rows" == refused(text, limits=Limits(max_rejected_rows=2))


def test_a_refused_file_keeps_what_was_read_of_it() -> None:
    """The figures and the bad rows help to find the fault."""
    with VisitFile(Limits()) as file:
        with pytest.raises(BadFile, match=r"^has not one good row$"):
            file.read("visits.csv", io.BytesIO(f"{HEADER}x,20171001,1\n".encode()))

        assert (1, 0, 1) == outcome(file).rows
        assert [f"line 2: EventId {NO_ID}"] == file.reasons
        assert [(2, f"EventId 'x' {NO_ID}", "x,20171001,1")] == outcome(file).rejected


type Result = tuple[dict[tuple[str, int], int], int, list[Rejected]] | str
"""Counts, rows read and rejects; or why the file was refused."""


def naive(text: str, max_line_bytes: int) -> Result:
    """Return what a file comes to that is read at once and row by row."""
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="").readlines()
    for number, line in enumerate(lines, 1):
        if len(line.rstrip("\r\n").encode()) > max_line_bytes:
            return f"has a line of more than {max_line_bytes} bytes, line {number}"
    reader = csv.reader(lines, strict=True)
    next(reader)
    counts: dict[tuple[str, int], int] = {}
    rejects: list[Rejected] = []
    rows = 0
    for fields in reader:
        if not fields:
            continue
        rows += 1
        try:
            if len(fields) != 4:
                raise ValueError(f"has {len(fields)} fields, the header has 4")
            for name, text in zip(
                ("EventId", "EventDay", "EventCount"), (fields[1], fields[3], fields[0]), strict=True
            ):
                try:
                    {"EventId": parse_event_id, "EventDay": parse_day_or_time, "EventCount": parse_count}[name](text)
                except InvalidValue as error:
                    raise ValueError(f"{name} {error}") from error
            key = parse_event_id(fields[1]), parse_day_or_time(fields[3])
            counts[key] = counts.get(key, 0) + parse_count(fields[0])
        except ValueError as error:
            rejects.append((reader.line_num, str(error), lines[reader.line_num - 1].rstrip("\r\n")))
    if not rows:
        return "has no row"
    return (counts, rows, rejects) if len(rejects) < rows else "has not one good row"


def result(data: bytes, name: str, max_line_bytes: int, sizes: Sequence[int]) -> Result:
    """Return what a file comes to whose bytes come in pieces of these sizes, over and over."""
    try:
        file = read(in_pieces(data, *sizes), name, Limits(max_line_bytes=max_line_bytes))
    except BadFile as error:
        return str(error)
    return file.counts, file.rows[0], file.rejected


ids = st.sampled_from(["1", "01", "324", "9" * 30, "all", "é", "1\r", ""])
days = st.sampled_from(["20171001", "2017-10-01", "2017-10-01T23:30:00-01:00", "20170229", "x\ny"])
counts = st.sampled_from(["0", "1", "7", "1000000000000", "-1", "1.5", ""])
notes = st.text(st.sampled_from('ab",é€😀 \r\n\u2028\x00'), max_size=12)
line_ends = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\r\n"])
rows = st.tuples(counts, ids, notes, days) | st.lists(notes, max_size=5).map(tuple)


@st.composite
def csv_files(draw: st.DrawFn) -> str:
    """Return a CSV file whose quotes are closed, with line ends of all kinds, the last of them perhaps missing."""
    text = draw(st.sampled_from(["", "\ufeff"]))
    for row in [("EventCount", "EventId", "Note", "EventDay"), *draw(st.lists(rows, max_size=12))]:
        line = io.StringIO(newline="")
        csv.writer(line, lineterminator="").writerow(row)
        text += line.getvalue() + draw(line_ends)
    return text if draw(st.booleans()) else text.rstrip("\r\n")


pieces = st.lists(st.integers(1, 90), min_size=1, max_size=6)
spare_bytes = st.integers(-1, 10)
"""How much longer than a file's longest line the limit is."""


def longest_line(text: str) -> int:
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="")
    return max(len(line.rstrip("\r\n").encode()) for line in lines)


@given(csv_files(), spare_bytes, pieces)
def test_csv_comes_to_the_same_in_whatever_pieces_it_is_read(text: str, spare: int, sizes: list[int]) -> None:
    """Counts, bad rows with their lines, and refusals are those of the file read at once."""
    limit = longest_line(text) + spare

    assert naive(text, limit) == result(text.encode(), "visits.csv", limit, sizes)


@given(csv_files(), spare_bytes, pieces)
def test_gzip_comes_to_the_same_in_whatever_pieces_it_is_read(text: str, spare: int, sizes: list[int]) -> None:
    """Its member ends anywhere, too."""
    limit = longest_line(text) + spare
    data = text.encode()
    members = gzip.compress(data[: sizes[0]]) + gzip.compress(data[sizes[0] :])

    assert naive(text, limit) == result(members, "visits.csv.gz", limit, sizes)


@given(
    st.lists(
        st.tuples(st.sampled_from(['{"EventId": 1, "EventDay": 20171001}', "{", "é", ""]), line_ends), max_size=30
    ),
    st.lists(st.integers(1, 50), min_size=1, max_size=6),
)
def test_a_bad_json_row_has_its_line_in_whatever_pieces_the_file_is_read(
    lines: list[tuple[str, str]], sizes: list[int]
) -> None:
    """Line ends of all kinds are one each."""
    good = '{"EventId": 1, "EventDay": 20171001}'
    text = "".join(line + end for line, end in [(good, "\n"), *lines])
    numbered = enumerate(io.StringIO(text, newline="").readlines(), 1)
    expected = [(number, "is not JSON", line.strip()) for number, line in numbered if line.strip() not in ("", good)]

    found = result(text.encode(), "visits.jsonl", 40, sizes)

    assert not isinstance(found, str)
    assert expected == found[2]
