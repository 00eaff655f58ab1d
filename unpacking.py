"""A file's bytes as they were before somebody packed it: gzip, or a zip with one file in it, told by its first bytes.

What a container says of its content is not believed: neither name nor size. It is read as a stream, once, without a
copy, and refused where it holds back: much input that yields nothing.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from lines import BadFile, Stream

_READ_BYTES = 64 * 1024
_INPUT_BYTES = 16 * 1024
"""Of compressed bytes at once: what a member of a gzip leaves of it is copied for the next."""
_MAX_IDLE_BYTES = 64 * 1024
"""Compressed input that yields nothing: a header without an end, or blocks without content."""

_NO_WHOLE_ZIP = "is not a whole zip file"
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_ZIP_OF_NOTHING = b"PK\x05\x06"

_NOT_UNDERSTOOD = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "is an Excel workbook: save it as CSV",
    b"PAR1": "is a Parquet file: save it as CSV",
    b"%PDF-": "is a PDF: save its table as CSV",
    b"BZh": "is compressed by bzip2: use gzip or zip",
    b"\xfd7zXZ\x00": "is compressed by xz: use gzip or zip",
    b"\x28\xb5\x2f\xfd": "is compressed by zstd: use gzip or zip",
    b"7z\xbc\xaf\x27\x1c": "is a 7-Zip archive: use gzip or zip",
}
"""What people deliver by mistake, by its first bytes."""


class Unpacked(NamedTuple):
    """What was in a file, and what it was packed in: `gzip`, `zip` or, empty, nothing."""

    content: Bytes
    packing: str


class Bytes:
    """A stream of chunks of any size: a read returns fewer bytes than asked for only at the end."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._ahead = bytearray()

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""
        self._look_ahead(size)
        data = bytes(self._ahead[:size])
        del self._ahead[:size]
        return data

    def starts_with(self, beginning: bytes) -> bool:
        """Return whether the next bytes are these, and leave them there."""
        self._look_ahead(len(beginning))
        return self._ahead.startswith(beginning)

    def _look_ahead(self, size: int) -> None:
        while len(self._ahead) < size and (chunk := next(self._chunks, b"")):
            self._ahead += chunk


def unpack(stream: Stream, max_bytes: int) -> Unpacked:
    """Return the content of a file that has, as it was delivered, at most `max_bytes`.

    Raises BadFile, here or while the content is read: the file is cut off, damaged, too large or not understood.
    """
    file = Bytes(_delivered(stream, max_bytes))
    unpacked = Unpacked(file, "")
    if file.starts_with(_GZIP):
        unpacked = Unpacked(Bytes(_gunzip(file)), "gzip")
    elif file.starts_with(_ZIP):
        unpacked = Unpacked(Bytes(_unzip(file)), "zip")
    elif file.starts_with(_ZIP_OF_NOTHING):
        raise BadFile("is a zip with no file in it")
    if unpacked.packing and (unpacked.content.starts_with(_GZIP) or unpacked.content.starts_with(_ZIP)):
        raise BadFile("is packed twice")
    for beginning, mistake in _NOT_UNDERSTOOD.items():
        if unpacked.content.starts_with(beginning):
            raise BadFile(mistake)
    return unpacked


def _delivered(stream: Stream, max_bytes: int) -> Iterator[bytes]:
    given = 0
    while data := stream.read(_READ_BYTES):
        given += len(data)
        if given > max_bytes:
            raise BadFile(f"has more than {max_bytes:,} bytes")
        yield data


class _Inflater:
    """Decompresses, and refuses input that yields nothing for too long."""

    def __init__(self, what: str, wbits: int) -> None:
        self.left = b""
        """Input that was read and is not part of what was decompressed."""
        self._what = what
        self._wbits = wbits
        self._idle_bytes = 0

    def inflate(self, packed: Bytes) -> Iterator[bytes]:
        """Yield the content of one compressed stream, which begins with `left`."""
        inflater = zlib.decompressobj(wbits=self._wbits)
        data = self.left
        while not inflater.eof:
            if not data and not (data := packed.read(_INPUT_BYTES)):
                raise BadFile(f"is not a whole {self._what} file")
            try:
                content = inflater.decompress(data, _READ_BYTES)
            except zlib.error as error:
                # Not the error's own words: they repeat bytes of the file.
                raise BadFile(f"is not a whole {self._what} file") from error
            self._idle_bytes = 0 if content else self._idle_bytes + len(data)
            if self._idle_bytes > _MAX_IDLE_BYTES:
                raise BadFile(f"has more than {_MAX_IDLE_BYTES:,} bytes of {self._what} without content")
            data = inflater.unconsumed_tail
            if content:
                yield content
        self.left = inflater.unused_data


def _gunzip(packed: Bytes) -> Iterator[bytes]:
    """Yield what is in all members, as `cat` puts them together; zlib checks length and checksum of each."""
    inflater = _Inflater("gzip", wbits=16 + zlib.MAX_WBITS)
    inflater.left = packed.read(_INPUT_BYTES)
    while inflater.left:
        yield from inflater.inflate(packed)
        # Zeros may pad a member, to fill a tape's block.
        while not (left := inflater.left.lstrip(b"\0")) and (more := packed.read(_INPUT_BYTES)):
            inflater.left = more
        inflater.left = left


# https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3.7, 4.3.9, 4.3.12, 4.3.14 to 4.3.16
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_ENTRY_SIGNATURE = b"PK\x01\x02"
_DESCRIPTORS = tuple(struct.Struct(form) for form in ("<4sLLL", "<4sLQQ", "<LLL", "<LQQ"))
_DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_END64 = struct.Struct("<4sQ2H2L4Q")
_END64_SIGNATURE = b"PK\x06\x06"
_LOCATOR64 = struct.Struct("<4sLQL")
_IN_ZIP64 = 0xFFFFFFFF
_ENCRYPTED, _SIZES_FOLLOW = 0x1, 0x8
_STORED, _DEFLATED = 0, 8
_MAX_TAIL_BYTES = 128 * 1024
"""Behind the one file: its descriptor, its entry in the directory, the end with a comment of up to 64 KiB."""


def _unzip(packed: Bytes) -> Iterator[bytes]:
    """Yield the content of a zip's only file; then compare what came with what the directory says, to the last byte."""
    try:
        yield from _only_file(packed)
    except struct.error as error:
        raise BadFile(_NO_WHOLE_ZIP) from error


def _only_file(packed: Bytes) -> Iterator[bytes]:
    header = _LOCAL_HEADER.unpack(packed.read(_LOCAL_HEADER.size))
    _, _, flags, method, _, _, _, stored_size, _, name_length, extra_length = header
    name = packed.read(name_length)
    packed.read(extra_length)
    if name == b"[Content_Types].xml":
        raise BadFile("is an Excel workbook: save it as CSV")
    if flags & _ENCRYPTED:
        raise BadFile("is an encrypted zip")
    size_unknown = flags & _SIZES_FOLLOW or stored_size == _IN_ZIP64
    if method not in (_STORED, _DEFLATED) or (method == _STORED and size_unknown):
        raise BadFile("is a zip of a kind that is not supported: compress it by `deflate`")
    inflater = _Inflater("zip", wbits=-zlib.MAX_WBITS)
    crc = size = 0
    for content in inflater.inflate(packed) if method == _DEFLATED else _stored(packed, stored_size):
        crc = zlib.crc32(content, crc)
        size += len(content)
        yield content
    tail = inflater.left + packed.read(_MAX_TAIL_BYTES)
    if flags & _SIZES_FOLLOW:
        tail = _after_descriptor(tail, crc, size)
    if tail.startswith(_ZIP):
        raise BadFile("is a zip with more than one file in it")
    _check_directory(tail, (method, crc, size, name))


def _stored(packed: Bytes, size: int) -> Iterator[bytes]:
    while size:
        content = packed.read(min(size, _READ_BYTES))
        if not content:
            raise BadFile(_NO_WHOLE_ZIP)
        size -= len(content)
        yield content


def _after_descriptor(tail: bytes, crc: int, size: int) -> bytes:
    """Return what follows the descriptor: written with or without a signature, in 32 or 64 bits."""
    for form in _DESCRIPTORS:
        if len(tail) < form.size + len(_ZIP):
            continue
        *signature, found_crc, _, found_size = form.unpack_from(tail)
        after = tail[form.size :]
        agrees = signature in ([], [_DESCRIPTOR_SIGNATURE]) and (found_crc, found_size) == (crc, size)
        if agrees and after.startswith((_ZIP, _ENTRY_SIGNATURE)):
            return after
    raise BadFile(_NO_WHOLE_ZIP)


def _check_directory(tail: bytes, found: tuple[int, int, int, bytes]) -> None:
    """Raise BadFile unless the directory has just this file, and nothing comes after it."""
    signature, _, _, _, method, _, _, crc, _, size, name_length, extra, comment, *_ = _ENTRY.unpack_from(tail)
    if signature != _ENTRY_SIGNATURE:
        raise BadFile(_NO_WHOLE_ZIP)
    name = tail[_ENTRY.size : _ENTRY.size + name_length]
    if size == _IN_ZIP64:
        size = found[2]
    if (method, crc, size, name) != found:
        raise BadFile(_NO_WHOLE_ZIP)
    end = tail[_ENTRY.size + name_length + extra + comment :]
    if end.startswith(_ENTRY_SIGNATURE):
        raise BadFile("is a zip with more than one file in it")
    if end.startswith(_END64_SIGNATURE):
        end = end[_END64.size + _LOCATOR64.size :]
    signature, _, _, _, files, _, _, comment = _END.unpack_from(end)
    if signature != _END_SIGNATURE or files != 1 or len(end) != _END.size + comment:
        raise BadFile(_NO_WHOLE_ZIP)
