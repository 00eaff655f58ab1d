"""The text of a file: its lines within limits, and what its bytes mean."""

from __future__ import annotations

import codecs
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import HEADER, in_pieces, read, refused

from lines import BadFile, Limits, Text
from unpacking import unpack

SMALL = Limits(max_line_bytes=100)
"""A line of 100 bytes at most, and so reads of 100 bytes."""

HINT = "; the `encoding` of a source says where it is another"


def line_of(length: int) -> str:
    """Return a good row of so many bytes."""
    return f"324,20171001,1,{'x' * (length - 15)}"


NOTED = "EventId,EventDay,EventCount,Note\n"


@pytest.mark.parametrize("before", range(0, 97, 8))
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""])
def test_a_line_may_have_the_limit_and_not_a_byte_more(before: int, end: str) -> None:
    """Wherever in a read it begins, whatever its end, which is not counted; the file's last as well."""
    start = f"{NOTED}324,20171001,3,\n300,{'x' * before}\n"
    assert {("324", 20171001): 4} == read(f"{start}{line_of(100)}{end}", limits=SMALL).counts
    assert "has a line of more than 100 bytes, line 4" == refused(f"{start}{line_of(101)}{end}", limits=SMALL)


@pytest.mark.parametrize(("encoding", "fits"), [("utf-8", 50), ("utf-16", 50), ("utf-8-sig", 50)])
def test_a_line_is_measured_in_bytes(encoding: str, fits: int) -> None:
    """Memory is what the limit is for."""
    text = f"{HEADER}324,20171001,3\n{'é' * fits}\n"
    assert 1 == read(text.encode(encoding), limits=SMALL).rows[2]
    assert "has a line of more than 100 bytes, line 3" == refused(
        text.replace("é\n", "éx\n").encode(encoding), limits=SMALL
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
    assert stream.tell() <= 4 * 65_536


@pytest.mark.parametrize("size", [1, 2, 3, 7, 99, 100])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_of_the_limit_may_come_in_pieces(size: int, end: str) -> None:
    """A stream may return less than it was asked for, half a line end included."""
    data = end.join([NOTED.strip(), line_of(100), line_of(99), line_of(100), ""]).encode()

    assert {("324", 20171001): 3} == read(in_pieces(data, size), limits=SMALL).counts


def test_a_line_that_ends_with_a_read_is_not_taken_for_a_part_of_the_next() -> None:
    r"""A \r at a read's end may be half of a \r\n, or a whole line end."""
    header = f"{NOTED.strip()}\r"
    data = f"{header}{line_of(99 - len(header))}\r{line_of(60)}\r"

    assert b"\r" == data.encode()[99:100]
    assert {("324", 20171001): 2} == read(data, limits=SMALL).counts


def test_the_mark_may_come_in_pieces() -> None:
    """It is three bytes, and a stream may return one."""
    file = read(in_pieces(f"\ufeff{HEADER}324,20171001,3\n".encode(), 1, 1, 1, 100))

    assert {("324", 20171001): 3} == file.counts


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_mark_says_the_encoding(mark: bytes, encoding: str, size: int) -> None:
    """Characters may come in pieces, too."""
    text = f"{HEADER}324,20171001,3\r\nZoë Ω😀,20171001,1\r\n"

    found = read(in_pieces(mark + text.encode(encoding), size), limits=SMALL)

    assert {("324", 20171001): 3} == found.counts
    assert ["Zoë Ω😀,20171001,1"] == [rejected for _, _, rejected in found.rejected]
    assert encoding == found.format.encoding


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            f"{HEADER}324,20171001,3\nZoë,20171001".encode("latin-1"),
            "is not UTF-8: invalid continuation byte, line 3",
        ),
        (f"{HEADER}324,20171001,3\n€".encode()[:-1], "is not UTF-8: unexpected end of data, line 3"),
        (b"EventId,EventDay\r324,20171001\r\xff\r324,20171001\r", "is not UTF-8: invalid start byte, line 3"),
        (b"EventId,EventDay\r\n324,20171001\r\n\xff,20171001\r\n", "is not UTF-8: invalid start byte, line 3"),
        (f"{HEADER}324,20171001,3\n".encode("utf-16")[:-1], "is not UTF-16: truncated data, line 2"),
        (
            codecs.BOM_UTF16_LE + HEADER.encode("utf-16-le") + b"\x00\xdc",
            "is not UTF-16: illegal encoding, line 2",
        ),
    ],
)  # fmt: skip
def test_bytes_without_a_meaning_are_refused_with_their_line(data: bytes, message: str) -> None:
    """What one byte means is not guessed at."""
    assert message + HINT == refused(data)


def test_the_line_of_a_wrong_byte_is_counted_from_the_files_beginning() -> None:
    """Blocks of it were given out before."""
    for end in ("\n", "\r", "\r\n"):
        data = f"{HEADER}{f'324,20171001,3{end}' * 50}".encode() + b"\xff\n"
        assert f"is not UTF-8: invalid start byte, line 52{HINT}" == refused(data, limits=SMALL)


def test_utf_16_without_a_mark_is_told_by_its_zeros() -> None:
    """Its bytes are UTF-8 as well."""
    message = "has zeros in its header, as UTF-16 without a byte-order mark has; a source's `encoding` says so"

    assert message == refused(f"{HEADER}324,20171001,3\n".encode("utf-16-le"))
    assert message == refused(f"{HEADER}324,20171001,3\n".encode("utf-32"))


def test_a_file_of_just_the_uncompressed_limit_is_read() -> None:
    """The mark is not counted."""
    text = f"{HEADER}324,20171001,3\n"

    assert {("324", 20171001): 3} == read(f"\ufeff{text}", limits=Limits(max_uncompressed_bytes=len(text))).counts
    assert f"has more than {len(text) - 1} bytes, uncompressed" == refused(
        text, limits=Limits(max_uncompressed_bytes=len(text) - 1)
    )


def text_of(data: bytes, sizes: list[int], limit: int) -> Text:
    return Text(unpack(in_pieces(data, *sizes), 10**9).content, Limits(max_line_bytes=limit))


def lines_of(text: str) -> list[str]:
    return io.StringIO(text, newline="").readlines()


@given(
    st.text(st.sampled_from("ab\n\ré😀"), max_size=60),
    st.lists(st.integers(1, 20), min_size=1, max_size=4),
    st.integers(10, 40),
)
def test_blocks_are_whole_lines_with_their_numbers(content: str, sizes: list[int], limit: int) -> None:
    """In whatever pieces the file comes, up to the first line that is too long."""
    too_long = [n for n, line in enumerate(lines_of(content), 1) if len(line.rstrip("\r\n").encode()) > limit]
    before, message = "", ""
    try:
        for block in text_of(content.encode(), sizes, limit).blocks():
            assert len(lines_of(before)) + 1 == block.line
            assert block.text.endswith(("\n", "\r")) or before + block.text == content
            before += block.text
    except BadFile as error:
        message = str(error)

    assert (f"has a line of more than {limit} bytes, line {too_long[0]}" if too_long else "") == message
    assert content.startswith(before)
    assert too_long or before == content


@given(st.text(st.sampled_from(" \t\r\nx"), max_size=30), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_the_first_character_is_found_and_the_lines_before_it_counted(content: str, sizes: list[int]) -> None:
    """Blanks before it are gone."""
    text = text_of(content.encode(), sizes, 30)

    assert content.strip()[:1] == text.first_character()
    blocks = [block for block in text.blocks() if "x" in block.text]
    if "x" in content:
        before = lines_of(blocks[0].text[: blocks[0].text.index("x") + 1])
        assert len(lines_of(content[: content.index("x") + 1])) == blocks[0].line + len(before) - 1
