"""Reading visit files: what is counted, what is set aside, what is refused as a whole."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import HEADER, LAST_DAY, Rejected, in_pieces, new_file, outcome, read, refused

from lines import BadFile, Limits
from values import count_reader, day_reader
from visits import InvalidValue, parse_event_id

NO_COUNT = "is not a whole number from 0 to 1,000,000,000,000"
NO_DAY = "is not a calendar date (YYYYMMDD)"
NO_TIME = "is not a date-time (ISO 8601)"
NO_ID = "is not a number (ASCII digits)"
NO_ORDER = "may be day and month or month and day: the `dates` of a source says which"
NO_GROUPS = "may have thousands or a fraction: the `thousands` of a source says which"


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


def test_more_texts_than_are_remembered_are_counted_all_the_same() -> None:
    """Only short ones are, and a bounded number of them."""
    rows = "".join(f"1,2017-10-01T00:00:00.{n:06}Z,{n:010}\n" for n in range(60_000))

    assert {("1", 20171001): sum(range(60_000))} == read(f"{HEADER}{rows}").counts


def test_a_refused_file_tells_all_rows_that_were_read() -> None:
    """Those read the short way, too: the receipt says how far it came."""
    with new_file(Limits(max_pairs=1)) as file:
        with pytest.raises(BadFile):
            file.read("visits.csv", io.BytesIO(f"{HEADER}324,20171001,1\n324,20171001,1\n325,20171001,1\n".encode()))

        assert 3 == file.rows_read


def test_ids_are_kept_as_they_are() -> None:
    """`007` and `7` are two events, and no cache takes one for the other."""
    assert {("007", 20171001): 1, ("7", 20171001): 4} == read(
        f"{HEADER}007,20171001,1\n7,20171001,2\n7,20171001,2\n"
    ).counts


def test_where_no_column_has_the_count_a_row_is_one_visit() -> None:
    """That it was so is known of the file."""
    found = read("EventId,EventDay\n324,20171001\n324,20171001\nx,20171001\n")

    assert {("324", 20171001): 2} == found.counts
    assert 2 == found.rows_without_count
    assert 0 == read(f"{HEADER}324,20171001,1\n").rows_without_count


def test_blank_lines_are_no_rows_but_are_counted_as_lines() -> None:
    """A line number is that of an editor."""
    file = read(f"{HEADER}\n\r\n324,20171001,3\r\rx,20171001,1\n")

    assert 2 == file.rows[0]
    assert [(6, f"EventId 'x' {NO_ID}", "x,20171001,1")] == file.rejected


@pytest.mark.parametrize(
    ("row", "reason", "rule"),
    [
        ("x,20171001,1", f"EventId 'x' {NO_ID}", f"EventId {NO_ID}"),
        (",20171001,1", f"EventId '' {NO_ID}", f"EventId {NO_ID}"),
        ("all,20171001,1", f"EventId 'all' {NO_ID}", f"EventId {NO_ID}"),
        ("1.0,20171001,1", f"EventId '1.0' {NO_ID}", f"EventId {NO_ID}"),
        ("3\x0024,20171001,1", f"EventId '3\\x0024' {NO_ID}", f"EventId {NO_ID}"),
        (
            f"{'1' * 101},20171001,1",
            f"EventId '{'1' * 40}'… (101 characters) is longer than 100 digits",
            "EventId is longer than 100 digits",
        ),
        ("324,20170229,1", f"EventDay '20170229' {NO_DAY}", f"EventDay {NO_DAY}"),
        ("324,,1", f"EventDay '' {NO_DAY}", f"EventDay {NO_DAY}"),
        ("324,20171001\x00,1", f"EventDay '20171001\\x00' {NO_DAY}", f"EventDay {NO_DAY}"),
        ("324,03/04/2017,1", f"EventDay '03/04/2017' {NO_ORDER}", f"EventDay {NO_ORDER}"),
        ("324,2017-02-29T12:00,1", f"EventDay '2017-02-29T12:00' {NO_TIME}", f"EventDay {NO_TIME}"),
        ("324,20190101,1", f"EventDay 20190101 is later than {LAST_DAY}", f"EventDay is later than {LAST_DAY}"),
        ("324,99991231,1", f"EventDay 99991231 is later than {LAST_DAY}", f"EventDay is later than {LAST_DAY}"),
        ("324,20171001,-3", f"EventCount '-3' {NO_COUNT}", f"EventCount {NO_COUNT}"),
        ("324,20171001,1.5", f"EventCount '1.5' {NO_COUNT}", f"EventCount {NO_COUNT}"),
        ("324,20171001,1.234", f"EventCount '1.234' {NO_GROUPS}", f"EventCount {NO_GROUPS}"),
        ('324,20171001,"1,234"', f"EventCount '1,234' {NO_GROUPS}", f"EventCount {NO_GROUPS}"),
        ("324,20171001,1000000000001", f"EventCount '1000000000001' {NO_COUNT}", f"EventCount {NO_COUNT}"),
        ("324,20171001,", f"EventCount '' {NO_COUNT}", f"EventCount {NO_COUNT}"),
        ("324,20171001,1\x00", f"EventCount '1\\x00' {NO_COUNT}", f"EventCount {NO_COUNT}"),
        (
            f"324,20171001,{'9' * 5000}",
            f"EventCount '{'9' * 40}'… (5,000 characters) {NO_COUNT}",
            f"EventCount {NO_COUNT}",
        ),
        ("324,20171001", "has 2 fields, the header has 3", "has 2 fields, the header has 3"),
        ("324,20171001,1,", "has 4 fields, the header has 3", "has 4 fields, the header has 3"),
        ("324;20171001;1", "has 1 field, the header has 3", "has 1 field, the header has 3"),
        ("\x00", "has 1 field, the header has 3", "has 1 field, the header has 3"),
        ('"32"4,20171001,1', "is not CSV: ',' expected after '\"'", "is not CSV: ',' expected after '\"'"),
    ],
    ids=lambda value: value[:70],
)  # fmt: skip
def test_a_bad_row_is_set_aside_with_line_reason_and_text(row: str, reason: str, rule: str) -> None:
    """Good rows before and after it count; what people are told names line and rule but no value of the row."""
    file = read(f"{HEADER}324,20171001,3\n{row}\n300,20171001,1\n")

    assert {("324", 20171001): 3, ("300", 20171001): 1} == file.counts
    assert (3, 2, 1) == file.rows
    assert [(3, reason, row)] == file.rejected
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


def test_a_bad_rows_text_is_itself_and_whole() -> None:
    """Not escaped, whatever its alphabet; without its line end."""
    note = "x" * 50_000
    file = read(f"{HEADER}324,20171001,3\r\nZoë Ω😀,20171001,{note}\r\n")

    reason = f"EventId 'Zoë Ω😀' {NO_ID}"
    assert f'{{"line": 3, "reason": "{reason}", "text": "Zoë Ω😀,20171001,{note}"}}\n' == file.rejects


def test_only_the_first_ten_reasons_are_told_and_each_rule_counted() -> None:
    """The others are in the rejects."""
    with new_file() as file:
        rows = "x,20171001,1\n" * 11 + "1,x,1\n"
        file.read("visits.csv", io.BytesIO(f"{HEADER}324,20171001,3\n{rows}".encode()))

        assert [f"line {line}: EventId {NO_ID}" for line in range(3, 13)] == file.reasons
        assert {f"EventId {NO_ID}": 11, f"EventDay {NO_DAY}": 1} == file.rules
        assert [*range(3, 15)] == [line for line, _, _ in outcome(file).rejected]


def test_no_more_rules_are_kept_than_make_sense() -> None:
    """A file may break as many as it has rows."""
    with new_file() as file:
        rows = "".join(f"{',' * n}x\n" for n in range(3, 1500))
        file.read("visits.csv", io.BytesIO(f"{HEADER}324,20171001,3\n{rows}".encode()))

        assert 1000 == len(file.rules)


def test_no_more_names_of_members_are_kept_than_make_sense() -> None:
    """Each object may have others."""
    rows = "".join(f'{{"EventId": 1, "EventDay": 20171001, "x{n}": 1}}\n' for n in range(1500))

    assert {("1", 20171001): 1500} == read(rows, "a.jsonl").counts


@pytest.mark.parametrize(("bad_rows", "on_disk"), [(900, False), (1100, True)])
def test_many_rejects_go_to_disk(bad_rows: int, on_disk: bool) -> None:
    """Memory holds a megabyte of them."""
    row = "x" * 1000
    with new_file() as file:
        file.read("visits.csv", io.BytesIO(f"{HEADER}324,20171001,3\n{f'{row}\n' * bad_rows}".encode()))

        # Only a file on disk has a name, or the number that stands for it.
        assert on_disk == (file.rejects.name is not None)
        assert [(line, row) for line in range(3, 3 + bad_rows)] == [
            (line, text) for line, _, text in outcome(file).rejected
        ]


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


def test_more_bytes_of_bad_rows_than_the_limit_are_refused() -> None:
    """As they are kept: a control character takes six."""
    text = f"{HEADER}1,20171001,1\n{'\x01' * 100}\n"
    size = len(read(text).rejects)

    assert 600 < size
    assert 1 == read(text, limits=Limits(max_rejected_bytes=size)).rows[2]
    assert f"has more than {size - 1} bytes of bad rows" == refused(text, limits=Limits(max_rejected_bytes=size - 1))


def test_the_rejects_of_a_hostile_file_fit_their_disk() -> None:
    """A hundred megabytes of control characters, in a file of some kilobytes."""
    data = gzip.compress(f"{HEADER}1,20171001,1\n".encode() + (b"x," + b"\x01" * 1000 + b",1\n") * 100_000)
    with new_file() as file:
        with pytest.raises(BadFile, match=r"^has more than 67,108,864 bytes of bad rows$"):
            file.read("visits.csv", io.BytesIO(data))

        assert file.rejects.tell() <= 64 * 1024**2


def test_a_refused_file_keeps_what_was_read_of_it() -> None:
    """The figures and the bad rows help to find the fault."""
    with new_file() as file:
        with pytest.raises(BadFile, match=r"^has not one good row$"):
            file.read("visits.csv", io.BytesIO(f"{HEADER}x,20171001,1\n".encode()))

        assert (1, 0, 1) == outcome(file).rows
        assert [f"line 2: EventId {NO_ID}"] == file.reasons
        assert [(2, f"EventId 'x' {NO_ID}", "x,20171001,1")] == outcome(file).rejected


@pytest.mark.parametrize("name", ["visits", "visits.txt", "visits.jsonl.csv", "jsonl", "gz"])
def test_what_has_no_known_ending_is_read_as_what_it_is(name: str) -> None:
    """So a name is never a reason to refuse a file."""
    assert {("324", 20171001): 3} == read(f"{HEADER}324,20171001,3\n", name).counts


type Result = tuple[dict[tuple[str, int], int], int, list[Rejected]] | str
"""Counts, rows read and rejects; or why the file was refused."""


def naive(text: str, max_line_bytes: int) -> Result:
    """Return what a file comes to that is read at once and row by row."""
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="").readlines()
    reader = csv.reader(lines, strict=True)
    next(reader)
    counts: dict[tuple[str, int], int] = {}
    rejects: list[Rejected] = []
    rows = end = 0
    for fields in reader:
        start, end = max(end, 1), reader.line_num
        text = "".join(lines[start:end])
        if len(text.rstrip("\r\n").encode()) > max_line_bytes:
            return f"has a row of more than {max_line_bytes} bytes, line {start + 1}"
        if not any(map(str.strip, fields)):
            continue
        rows += 1
        try:
            if len(fields) != 4:
                raise ValueError(f"has {len(fields)} field{'s' * (len(fields) != 1)}, the header has 4")
            values = []
            for name, parse, value in (
                ("EventId", parse_event_id, fields[1]),
                ("EventDay", day_reader(), fields[3]),
                ("EventCount", count_reader(), fields[0]),
            ):
                try:
                    values.append(parse(value.strip(" ")))
                except InvalidValue as error:
                    raise ValueError(f"{name} {error}") from error
            key = str(values[0]), int(values[1])
            counts[key] = counts.get(key, 0) + int(values[2])
        except ValueError as error:
            rejects.append((start + 1, str(error), text.rstrip("\r\n")))
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
counts = st.sampled_from(["0", "1", "7", "1000000000000", "-1", "1.5", "3.0", ""])
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
"""How much longer than a file's longest row the limit is."""


def longest_row(text: str) -> int:
    """Return the bytes of the longest row, or of the header."""
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="").readlines()
    reader = csv.reader(lines, strict=True)
    longest = start = 0
    for _ in reader:
        longest = max(longest, len("".join(lines[start : reader.line_num]).rstrip("\r\n").encode()))
        start = reader.line_num
    return longest


def agrees(text: str, limit: int, found: Result) -> bool:
    """Return whether a file came to what it must; a line that is too long is told before its row is."""
    expected = naive(text, limit)
    if isinstance(found, str) and found.startswith(f"has a line of more than {limit} bytes"):
        return longest_row(text) > limit
    return expected == found


@given(csv_files(), spare_bytes, pieces)
def test_csv_comes_to_the_same_in_whatever_pieces_it_is_read(text: str, spare: int, sizes: list[int]) -> None:
    """Counts, bad rows with their lines, and refusals are those of the file read at once."""
    limit = longest_row(text) + spare

    assert agrees(text, limit, result(text.encode(), "visits.csv", limit, sizes))


@given(csv_files(), spare_bytes, pieces)
def test_gzip_comes_to_the_same_in_whatever_pieces_it_is_read(text: str, spare: int, sizes: list[int]) -> None:
    """Its member ends anywhere, too."""
    limit = longest_row(text) + spare
    data = text.encode()
    members = gzip.compress(data[: sizes[0]]) + gzip.compress(data[sizes[0] :])

    assert agrees(text, limit, result(members, "visits.csv.gz", limit, sizes))
