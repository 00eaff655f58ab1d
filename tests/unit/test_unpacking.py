"""Files that somebody packed: gzip and zip, whole, cut off, damaged and hostile."""

from __future__ import annotations

import gzip
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import HEADER, in_pieces, read, refused

from lines import BadFile, Limits
from unpacking import unpack

TEXT = f"{HEADER}{''.join(f'{n},20171001,{n}\n' for n in range(50))}".encode()
COUNTS = {(str(n), 20171001): n for n in range(50)}

NOT_WHOLE_GZIP = "is not a whole gzip file"
NOT_WHOLE_ZIP = "is not a whole zip file"
TWO_FILES = "is a zip with more than one file in it"


class Unseekable(io.RawIOBase):
    """Where a zip is written without going back: sizes and checksum follow the content."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        assert isinstance(data, bytes | bytearray | memoryview)
        self.data += data
        return len(data)


def zipped(
    content: bytes = TEXT, name: str = "visits.csv", comment: bytes = b"", method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        archive.writestr(name, content)
        archive.comment = comment
    return data.getvalue()


def streamed(content: bytes = TEXT, *, zip64: bool = False) -> bytes:
    data = Unseekable()
    with (
        zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.csv", "w", force_zip64=zip64) as f,
    ):
        f.write(content)
    return bytes(data.data)


def unpacked(data: bytes, max_bytes: int = 10**9) -> bytes:
    return unpack(io.BytesIO(data), max_bytes).content.read(10**9)


def why(data: bytes, max_bytes: int = 10**9) -> str:
    """Return why bytes are refused."""
    with pytest.raises(BadFile) as raised:
        unpacked(data, max_bytes)
    return str(raised.value)


@pytest.mark.parametrize("name", ["visits.csv.gz", "visits.gz", "VISITS.CSV.GZ", "visits.csv", "visits"])
def test_gzip_is_told_by_its_first_bytes(name: str) -> None:
    """Of several members as well, as `cat` makes them, wherever they were cut, with zeros between or behind."""
    for data in (
        gzip.compress(TEXT),
        gzip.compress(TEXT[:40]) + gzip.compress(TEXT[40:]),
        gzip.compress(TEXT[:40]) + gzip.compress(b"") + bytes(100_000) + gzip.compress(TEXT[40:]) + bytes(3),
    ):
        found = read(data, name)
        assert (COUNTS, "gzip") == (found.counts, found.format.packing)


@pytest.mark.parametrize("name", ["visits.csv.zip", "visits.zip", "VISITS.ZIP", "visits.csv", "visits"])
def test_zip_is_told_by_its_first_bytes(name: str) -> None:
    """Compressed or stored, written at once or as a stream, with a comment or without."""
    for data in (
        zipped(),
        zipped(method=zipfile.ZIP_STORED),
        zipped(comment=b"x" * 65_535),
        zipped(name="\u00e9/../visits.exe"),
        streamed(),
        streamed(zip64=True),
    ):
        found = read(data, name)
        assert (COUNTS, "zip") == (found.counts, found.format.packing)


def test_a_descriptor_may_do_without_its_signature() -> None:
    """The format's first edition had none."""
    data = streamed()
    at = data.index(b"PK\x07\x08")

    assert TEXT == unpacked(data[:at] + data[at + 4 :])


@pytest.mark.parametrize("name", ["visits.csv.gz", "visits.csv.zip"])
def test_what_is_packed_by_its_name_alone_is_read_as_it_is(name: str) -> None:
    """Browsers unpack what a server sends as gzip, and keep its name."""
    assert (COUNTS, "") == ((found := read(TEXT, name)).counts, found.format.packing)


@pytest.mark.parametrize("ending", [".jsonl", ".ndjson", ".JSONL"])
@pytest.mark.parametrize("packing", [".gz", ".zip", ".GZ"])
def test_the_ending_before_the_packings_tells_what_is_in_it(ending: str, packing: str) -> None:
    """As where it is not packed."""
    row = b'{"EventId": 324, "EventDay": 20171001}\n'
    data = zipped(row * 2) if packing == ".zip" else gzip.compress(row) + gzip.compress(row)

    assert {("324", 20171001): 2} == read(data, f"visits{ending}{packing}").counts


@pytest.mark.parametrize(
    ("pack", "message"), [(gzip.compress, NOT_WHOLE_GZIP), (zipped, NOT_WHOLE_ZIP), (streamed, NOT_WHOLE_ZIP)]
)
def test_a_packed_file_cut_anywhere_is_refused(pack: Callable[[bytes], bytes], message: str) -> None:
    """What came through may lack rows: not a byte may be missing."""
    data = pack(TEXT)

    assert {message} == {why(data[:end]) for end in range(4, len(data))}


@pytest.mark.parametrize("pack", [gzip.compress, zipped, streamed])
def test_a_packed_file_with_more_behind_it_is_refused(pack: Callable[[bytes], bytes]) -> None:
    """Nothing says what it is."""
    for more in (b"x", b"324,20171001,3\n", bytes(200_000) + b"x"):
        assert refused(pack(TEXT) + more).startswith("is ")


@given(st.sampled_from([gzip.compress(TEXT, mtime=0), zipped(), streamed()]), st.data())
def test_a_packed_file_with_a_wrong_byte_counts_what_it_did_or_nothing(data: bytes, draw: st.DataObject) -> None:
    """Time stamps and such mean nothing; content, checksum and all that says where something is do."""
    at = draw.draw(st.integers(0, len(data) - 1))
    wrong = draw.draw(st.integers(1, 255))
    damaged = data[:at] + bytes([data[at] ^ wrong]) + data[at + 1 :]
    try:
        content = unpacked(damaged)
    except BadFile:
        return
    assert content in (TEXT, damaged)


def test_every_byte_of_a_gzips_content_counts() -> None:
    """Behind the header everything is under a checksum."""
    data = gzip.compress(TEXT, mtime=0)

    for at in range(10, len(data)):
        assert NOT_WHOLE_GZIP == why(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])


def test_a_refusal_repeats_no_byte_of_the_file() -> None:
    """The message goes to people, and what is in a file does not."""
    message = refused(gzip.compress(TEXT) + b"324,20171001,3\n")

    assert NOT_WHOLE_GZIP == message


def two_files() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.csv", "b.csv"):
            archive.writestr(name, TEXT)
    return data.getvalue()


def two_files_streamed() -> bytes:
    data = Unseekable()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.csv", "b.csv"):
            archive.writestr(name, TEXT)
    return bytes(data.data)


def listed_twice() -> bytes:
    """Return a zip whose directory names its only file once more."""
    data = zipped()
    at = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    return data[:end] + data[at:end] + data[end:]


@pytest.mark.parametrize("pack", [two_files, two_files_streamed, listed_twice])
def test_a_zip_of_several_files_is_refused(pack: Callable[[], bytes]) -> None:
    """Which of them was meant is not guessed, however they are hidden."""
    assert TWO_FILES == why(pack())


def test_a_zip_without_a_file_is_refused() -> None:
    """It has an end, and nothing before it."""
    data = io.BytesIO()
    zipfile.ZipFile(data, "w").close()

    assert "is a zip with no file in it" == why(data.getvalue())


def test_a_directory_that_says_something_else_is_refused() -> None:
    """Programs that go by the directory would see another file, or none."""
    data = zipped()
    at = data.index(b"PK\x01\x02")

    assert NOT_WHOLE_ZIP == why(data[:at] + data[at:].replace(b"visits", b"VISITS"))
    assert NOT_WHOLE_ZIP == why(data.replace(b"PK\x01\x02", b"PK\x01\x03"))


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (6, b"\x01\x00", "is an encrypted zip"),
        (8, b"\x09\x00", "is a zip of a kind that is not supported: compress it by `deflate`"),
        (8, b"\x0c\x00", "is a zip of a kind that is not supported: compress it by `deflate`"),
        (6, b"\x08\x00\x00\x00", "is a zip of a kind that is not supported: compress it by `deflate`"),
    ],
    ids=["encrypted", "deflate64", "bzip2", "stored, size unknown"],
)
def test_a_zip_that_is_not_understood_is_refused(at: int, value: bytes, message: str) -> None:
    """Python and all others write these two kinds by default."""
    data = zipped()

    assert message == why(data[:at] + value + data[at + len(value) :])


def test_a_directory_may_be_that_of_a_large_zip() -> None:
    """Some programs write sizes in 64 bits whatever they are."""
    data = zipped()
    at, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry = data[at : at + 20] + b"\xff" * 8 + data[at + 28 : end]
    large_end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, end - at, at)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)

    assert TEXT == unpacked(data[:at] + entry + large_end + locator + data[end:])
    assert NOT_WHOLE_ZIP == why(data[:at] + entry + large_end + data[end:])


def test_the_sizes_that_a_zip_states_are_not_believed() -> None:
    """What comes out is counted, and compared by its checksum."""
    data = bytearray(zipped())
    data[18:26] = struct.pack("<LL", 1, 10**9)

    assert TEXT == unpacked(bytes(data))


def test_a_stored_file_shorter_than_it_says_is_refused() -> None:
    """Its end is where it says."""
    data = bytearray(zipped(method=zipfile.ZIP_STORED))
    data[18:22] = struct.pack("<L", 10**9)

    assert NOT_WHOLE_ZIP == why(bytes(data))


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(gzip.compress(TEXT)),
        gzip.compress(zipped()),
        zipped(zipped()),
        zipped(gzip.compress(TEXT)),
    ],
)
def test_what_is_packed_twice_is_refused(data: bytes) -> None:
    """Nobody means to."""
    assert "is packed twice" == why(data)


@pytest.mark.parametrize(
    ("beginning", "message"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an Excel workbook: save it as CSV"),
        (b"PAR1", "is a Parquet file: save it as CSV"),
        (b"%PDF-1.7", "is a PDF: save its table as CSV"),
        (b"BZh91AY", "is compressed by bzip2: use gzip or zip"),
        (b"\xfd7zXZ\x00", "is compressed by xz: use gzip or zip"),
        (b"\x28\xb5\x2f\xfd", "is compressed by zstd: use gzip or zip"),
        (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive: use gzip or zip"),
    ],
)
def test_what_people_deliver_by_mistake_is_told_as_such(beginning: bytes, message: str) -> None:
    """With what would help; in gzip as well."""
    assert message == why(beginning + b"...") == why(gzip.compress(beginning + b"..."))


def test_a_workbook_is_told_by_the_name_of_its_first_part() -> None:
    """It is a zip, too."""
    assert "is an Excel workbook: save it as CSV" == why(zipped(name="[Content_Types].xml"))


def test_a_gzip_header_that_does_not_end_is_refused_at_once() -> None:
    """A name in it may be of any length."""
    stream = io.BytesIO(b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * 10_000_000)

    with pytest.raises(BadFile, match=r"^has more than 65,536 bytes of gzip without content$"):
        unpack(stream, 10**9)
    assert stream.tell() <= 3 * 65_536


def test_members_and_blocks_without_content_are_refused_at_once() -> None:
    """They cost time, and there may be millions."""
    empty_block = b"\x00\x00\x00\xff\xff"
    header = gzip.compress(b"", mtime=0)[:10]

    assert "has more than 65,536 bytes of gzip without content" == why(gzip.compress(b"") * 10_000)
    assert "has more than 65,536 bytes of gzip without content" == why(header + empty_block * 100_000)
    raw = zipped(b"")[: 30 + len("visits.csv")] + empty_block * 100_000
    assert "has more than 65,536 bytes of zip without content" == why(raw)


def test_content_comes_through_whatever_its_size_and_that_of_the_reads() -> None:
    """Blocks of a stream end anywhere."""
    content = random.Random(1).randbytes(300_000)

    for data in (
        content,
        gzip.compress(content, 0),
        zipped(content),
        gzip.compress(content[:7]) + gzip.compress(content[7:]),
    ):
        for sizes in ((1, 70_000), (65_536,), (3, 1000)):
            stream = unpack(in_pieces(data, *sizes), 10**9).content
            parts = [stream.read(50_000) for _ in range(7)]
            assert [50_000] * 6 + [0] == [len(part) for part in parts]
            assert zlib.crc32(content) == zlib.crc32(b"".join(parts))


def test_more_bytes_than_a_file_may_have_are_refused() -> None:
    """As it was delivered, packed or not."""
    assert TEXT == unpacked(TEXT, len(TEXT))
    assert f"has more than {len(TEXT) - 1:,} bytes" == why(TEXT, len(TEXT) - 1)
    packed = gzip.compress(TEXT)
    assert TEXT == unpacked(packed, len(packed))
    assert f"has more than {len(packed) - 1:,} bytes" == why(packed, len(packed) - 1)


@pytest.mark.parametrize(
    ("line", "limits", "message"),
    [
        ("\n", Limits(max_uncompressed_bytes=10**6), "has more than 1,000,000 bytes, uncompressed"),
        ("0,20171001,0\n", Limits(max_uncompressed_bytes=10**6), "has more than 1,000,000 bytes, uncompressed"),
        ("x\n", Limits(max_rejected_rows=1000), "has more than 1,000 bad rows"),
        ("0", Limits(), "has a line of more than 65,536 bytes, line 2"),
    ],
)
def test_a_bomb_is_given_up_at_the_limit(line: str, limits: Limits, message: str) -> None:
    """A hundred megabytes in some: most of it is not even read, let alone decompressed."""
    data = gzip.compress(HEADER.encode() + line.encode() * (10**8 // len(line)))
    stream = io.BytesIO(data)

    assert message == refused(stream, limits=limits)
    assert stream.tell() <= 65_536 < len(data)
