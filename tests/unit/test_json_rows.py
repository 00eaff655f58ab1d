"""JSON Lines and JSON arrays, row by row."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import HEADER, in_pieces, read, refused

from json_rows import NOT_JSON, json_array
from lines import Block, Limits

NO_COUNT = "is not a whole number from 0 to 1,000,000,000,000"
NO_ID = "is not a number (ASCII digits)"
NEITHER = "is neither text nor a whole number"
GOOD = '{"EventId": 324, "EventDay": 20171001}'
IN_PARTS = "has a JSON array, or a part of one, where each line must be an object, line "


@pytest.mark.parametrize(
    "name", ["visits.jsonl", "visits.ndjson", "VISITS.JSONL", "visits.json", "visits", "visits.csv"]
)
def test_an_object_a_line_is_read_whatever_the_files_name(name: str) -> None:
    """Numbers or text, in any order, with other members and blank lines between; no count is 1."""
    file = read(
        '\ufeff \n{"EventId": 324, "EventDay": 20171001, "EventCount": 3}\r\n'
        '{"EventCount": "4", "EventDay": "2017-10-01", "EventId": "324", "user": {"id": [1.5, null]}}\r'
        "\n \t\r\n"
        '\ufeff{"event_id": "0300", "Event Day": "20171002", "eventcount": 12.0}\n'
        '{"EventId": "0300", "EventDay": "20171002"}',
        name,
    )

    assert {("324", 20171001): 7, ("0300", 20171002): 13} == file.counts
    assert (4, 4, 0) == file.rows
    assert 1 == file.rows_without_count
    assert "JSON Lines" == file.format.name


@pytest.mark.parametrize(
    ("row", "reason", "rule"),
    [
        ("{", "is not JSON", "is not JSON"),
        (f"{GOOD} {GOOD}", "is not JSON", "is not JSON"),
        (f"{GOOD};", "is not JSON", "is not JSON"),
        ("324,20171001,3", "is not JSON", "is not JSON"),
        ("{" * 30_000, "is not JSON", "is not JSON"),
        ('{"a":' * 10_000, "is not JSON", "is not JSON"),
        ("null", "is not a JSON object", "is not a JSON object"),
        ('"324"', "is not a JSON object", "is not a JSON object"),
        ("3", "is not a JSON object", "is not a JSON object"),
        ("{}", "has no EventId and no EventDay", "has no EventId and no EventDay"),
        ('{"EventId": 324}', "has no EventDay", "has no EventDay"),
        (
            '{"EventId": 1, "EventDay": 20171001, "EventCount": 5, "EventCount": 7}',
            "has EventCount twice",
            "has EventCount twice",
        ),
        (
            '{"EventId": 1, "EventDay": 20171001, "EventCount": 5, "event_count": 7}',
            "has EventCount twice",
            "has EventCount twice",
        ),
        (
            '{"EventId": 1, "EventDay": 20171001, "EventCout": 5}',
            "has 'EventCout', which is nearly EventCount: rename it",
            "has 'EventCout', which is nearly EventCount: rename it",
        ),
        ('{"EventId": 324.0, "EventDay": 20171001}', f"EventId '324.0' {NO_ID}", f"EventId {NO_ID}"),
        ('{"EventId": null, "EventDay": 20171001}', f"EventId {NEITHER}", f"EventId {NEITHER}"),
        ('{"EventId": true, "EventDay": 20171001}', f"EventId {NEITHER}", f"EventId {NEITHER}"),
        ('{"EventId": [324], "EventDay": 20171001}', f"EventId {NEITHER}", f"EventId {NEITHER}"),
        ('{"EventId": 324, "EventDay": {"y": 2017}}', f"EventDay {NEITHER}", f"EventDay {NEITHER}"),
        ('{"EventId": 1, "EventDay": 20171001, "EventCount": true}', f"EventCount {NEITHER}", f"EventCount {NEITHER}"),
        ('{"EventId": 1, "EventDay": 20171001, "EventCount": NaN}', f"EventCount {NEITHER}", f"EventCount {NEITHER}"),
        ('{"EventId": 1, "EventDay": 20171001, "EventCount": null}', f"EventCount {NEITHER}", f"EventCount {NEITHER}"),
        (GOOD[:-1] + ', "EventCount": 3.5}', f"EventCount '3.5' {NO_COUNT}", f"EventCount {NO_COUNT}"),
        (GOOD[:-1] + ', "EventCount": 5e0}', f"EventCount '5e0' {NO_COUNT}", f"EventCount {NO_COUNT}"),
        (GOOD[:-1] + ', "EventCount": -1}', f"EventCount '-1' {NO_COUNT}", f"EventCount {NO_COUNT}"),
        (GOOD[:-1] + ', "EventCount": ""}', f"EventCount '' {NO_COUNT}", f"EventCount {NO_COUNT}"),
        (
            f'{{"EventId": 324, "EventDay": 20171001, "EventCount": {"9" * 5000}}}',
            f"EventCount '{'9' * 40}'… (5,000 characters) {NO_COUNT}",
            f"EventCount {NO_COUNT}",
        ),
        ('{"EventId": -324, "EventDay": 20171001}', f"EventId '-324' {NO_ID}", f"EventId {NO_ID}"),
        ('{"EventId": "all", "EventDay": 20171001}', f"EventId 'all' {NO_ID}", f"EventId {NO_ID}"),
        ('{"EventId": "3\\u00004", "EventDay": 20171001}', f"EventId '3\\x004' {NO_ID}", f"EventId {NO_ID}"),
        ('{"EventId": "\\ud800", "EventDay": 20171001}', f"EventId '\\ud800' {NO_ID}", f"EventId {NO_ID}"),
        (
            '{"EventId": 324, "EventDay": 20170229}',
            "EventDay '20170229' is not a calendar date (YYYYMMDD)",
            "EventDay is not a calendar date (YYYYMMDD)",
        ),
    ],
    ids=lambda value: value[:70],
)  # fmt: skip
def test_a_bad_row_is_set_aside_with_line_reason_and_text(row: str, reason: str, rule: str) -> None:
    """What only looks like a number is none; nothing that can be written ends the reading."""
    file = read(f"{GOOD}\n{row}\r\n\n{GOOD}", "visits.jsonl")

    assert {("324", 20171001): 2} == file.counts
    assert (3, 2, 1) == file.rows
    assert [(2, reason, row)] == file.rejected
    assert [f"line 2: {rule}"] == file.reasons


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n \r\n", "is empty"),
        ("{}\n", "has not one good row"),
        (HEADER, "has not one good row"),
        (f"[\n{GOOD},\n{GOOD}\n]\n", f"{IN_PARTS}1"),
        (f"[{GOOD}, {GOOD}]\n", f"{IN_PARTS}1"),
        (f"{GOOD},\n{GOOD}\n]\n", f"{IN_PARTS}1"),
        (f"x\n{GOOD},\n{GOOD}\n]\n", f"{IN_PARTS}2"),
        (f"{GOOD}\n]\n", f"{IN_PARTS}2"),
        (f"{GOOD}\n[324, 20171001, 3]\n", f"{IN_PARTS}2"),
    ],
)
def test_lines_that_cannot_be_trusted_are_refused(text: str, message: str) -> None:
    """Of an array's rows, all but the last end with a comma: it alone would count."""
    assert message == refused(text, "visits.jsonl")


OWN_ANSWER = """[
{"EventCount": 3, "EventDay": 20171001, "EventId": "324"},
{"EventCount": 4, "EventDay": 20171002, "EventId": "324"}
]
"""
INDENTED = json.dumps(json.loads(OWN_ANSWER), indent=4)


@pytest.mark.parametrize("name", ["visits.json", "visits", "VISITS.JSON", "visits.csv"])
@pytest.mark.parametrize(
    "text",
    [
        OWN_ANSWER,
        OWN_ANSWER.replace("\n", ""),
        f"\ufeff\r\n{OWN_ANSWER}\n",
        json.dumps(json.loads(OWN_ANSWER), indent=4),
    ],
)
def test_an_array_of_objects_is_read_as_such(name: str, text: str) -> None:
    """Our own answers can be delivered."""
    file = read(text, name)

    assert {("324", 20171001): 3, ("324", 20171002): 4} == file.counts
    assert "JSON array" == file.format.name


def test_an_array_in_one_line_may_be_larger_than_a_line() -> None:
    """Programs write it so; each of its rows is bounded."""
    text = json.dumps([{"EventId": 324, "EventDay": 20171001 + day % 9, "Note": "x" * 50} for day in range(9000)])

    file = read(text, "visits.json")

    assert {("324", 20171001 + day): 1000 for day in range(9)} == file.counts
    assert 9000 == file.rows_without_count


def test_a_bad_row_of_an_array_is_set_aside_whole() -> None:
    """With the line that it begins in."""
    bad = '{\n  "EventId": "x",\r\n  "EventDay": 20171001\n}'

    file = read(f"[\n{GOOD},\n{bad}, 7,\n[{GOOD}],null,\n{GOOD}]", "visits.json")

    assert (6, 2, 4) == file.rows
    assert [
        (3, f"EventId 'x' {NO_ID}", bad),
        (6, "is not a JSON object", "7"),
        (7, "is not a JSON object", f"[{GOOD}]"),
        (7, "is not a JSON object", "null"),
    ] == file.rejected


NO_ROW = "has a row that is not JSON, or not within 65,536 bytes, line "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", f"{NO_ROW}1"),
        ("[]", "has no row"),
        ("[\n]\n", "has no row"),
        (f"[{GOOD}", "is not a JSON array: there is no `,` in line 1"),
        (f"[\n{GOOD},\n", f"{NO_ROW}3"),
        (f"[\n{GOOD},\n]", "has a comma before its array ends, line 3"),
        (f"[\n{GOOD}\n{GOOD}\n]", "is not a JSON array: there is no `,` in line 3"),
        (f"[\n{GOOD}\n]\n{GOOD}", "has more than one JSON array, line 4"),
        (f"[\n{GOOD}\n]\n[{GOOD}]", "has more than one JSON array, line 4"),
        (f"[\n{GOOD},\n{{'EventId': 1}}\n]", f"{NO_ROW}3"),
        (f"[\n{GOOD},\n{GOOD[:-1]}\n]", f"{NO_ROW}3"),
        (f"[{GOOD},\n" + "[" * 60_000, f"{NO_ROW}2"),
        (f'[{GOOD},\n"' + "x" * 70_000 + '"]', f"{NO_ROW}2"),
        (f'[{GOOD},\n"' + "x" * 10_000_000, f"{NO_ROW}2"),
    ],
    ids=lambda text: text[:70],
)  # fmt: skip
def test_an_array_that_cannot_be_trusted_is_refused(text: str, message: str) -> None:
    """Where a row ends is unclear, or whether all came."""
    assert message == refused(text, "visits.json")


def test_a_row_of_an_array_may_have_the_limit_and_not_a_byte_more() -> None:
    """As a line; blanks between rows are none of it."""
    row = GOOD.replace("}", f'{', "n": "' + "é" * 20}"}}')
    size = len(row.encode())
    text = f"[{' ' * 500}{row} ,{row}{' ' * 500}]"

    assert 2 == read(text, "a.json", Limits(max_line_bytes=size)).rows[1]
    message = f"has a row that is not JSON, or not within {size - 1} bytes, line 1"
    assert message == refused(text, "a.json", Limits(max_line_bytes=size - 1))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def as_pairs(value: object) -> object:
    """Return a value as it is read here: objects as pairs, numbers as text."""
    if isinstance(value, dict):
        return tuple((name, as_pairs(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return [as_pairs(inner) for inner in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


@given(st.lists(json_values, max_size=6), st.sampled_from([None, 1]), st.lists(st.integers(1, 9), min_size=1))
def test_an_array_comes_to_the_same_in_whatever_pieces_it_is_read(
    rows: list[object], indent: int | None, sizes: list[int]
) -> None:
    """Each row with its text and its line."""
    text = json.dumps(rows, indent=indent)
    stream = in_pieces(text.encode(), *sizes)
    pieces = iter(lambda: stream.read(9).decode("ascii"), "")

    found = list(json_array((Block(piece, 1) for piece in pieces), 1000, "utf-8"))

    assert [as_pairs(row) for row in rows] == [row.value for row in found]
    position = 0
    for row in found:
        assert NOT_JSON is not row.value
        position = text.index(row.text, position)
        assert text.count("\n", 0, position) + 1 == row.line
        position += len(row.text)


line_ends = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\r\n"])


@given(
    st.lists(st.tuples(st.sampled_from([GOOD, "{", "é", ""]), line_ends), max_size=30),
    st.lists(st.integers(1, 50), min_size=1, max_size=6),
)
def test_a_bad_line_has_its_number_in_whatever_pieces_the_file_is_read(
    lines: list[tuple[str, str]], sizes: list[int]
) -> None:
    """Line ends of all kinds are one each."""
    text = "".join(line + end for line, end in [(GOOD, "\n"), *lines])
    numbered = enumerate(io.StringIO(text, newline="").readlines(), 1)
    expected = [(number, "is not JSON", line.strip()) for number, line in numbered if line.strip() not in ("", GOOD)]

    found = read(in_pieces(text.encode(), *sizes), "visits.jsonl", Limits(max_line_bytes=40))

    assert expected == found.rejected
