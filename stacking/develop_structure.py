"""What the bytes of a JPEG, PNG or TIFF file say before it is decoded: size, depth, kind, and whether its end is there.

A transfer that stopped half-way leaves a file that decoders fill up with grey without a word; so the end is looked for first.
Sources: ITU-T T.81 annex B (JPEG markers), the PNG specification (chunks), TIFF 6.0 and DNG 1.7 (directories).
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile

from stacking.errors import FrameError

JPEG, PNG, TIFF = "JPEG", "PNG", "TIFF"
_START = 1 << 16
_TAIL = 1 << 16
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_TIFF_TYPE_BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_OFFSETS_TO_COUNTS = {273: 279, 324: 325, 513: 514}
_SUB_DIRECTORIES = 330
_MOST_DIRECTORIES = 64


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """Size and depth of a picture as stored, before orientation.

    Attributes
    ----------
    kind : str
        "JPEG" or "PNG".
    rows, columns : int
    bits : int
        Per sample.
    channels : int
        Samples per pixel as stored; a palette counts as 3.
    """

    kind: str
    rows: int
    columns: int
    bits: int
    channels: int


def kind_of(path: Path) -> str | None:
    """ "JPEG", "PNG" or "TIFF" by the first bytes; None for anything else.

    Raises
    ------
    FrameError
        Where the file cannot be read, or is empty.
    """
    with _opened(path) as file:
        start = file.read(8)
    if not start:
        raise FrameError(f"{path.name} is empty", remedy="Copy it again from the camera.")
    if start.startswith(b"\xff\xd8\xff"):
        return JPEG
    if start == _PNG_MAGIC:
        return PNG
    return TIFF if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") else None


def jpeg_header(path: Path) -> PictureHeader:
    """Header of a JPEG file whose end is there.

    Raises
    ------
    FrameError
        For a file that is cut short, damaged, or CMYK.
    """
    with _opened(path) as file:
        header = _jpeg_frame(file, path)
        _require_end(file, path, b"\xff\xd9")
    return header


def png_header(path: Path) -> PictureHeader:
    """Header of a PNG file whose end is there.

    Raises
    ------
    FrameError
        For a file that is cut short or damaged.
    """
    with _opened(path) as file:
        start = file.read(26)
        if len(start) < 26 or start[12:16] != b"IHDR":
            raise _damaged(path, "its header is not that of a PNG")
        columns, rows, bits, colour = struct.unpack(">IIBB", start[16:26])
        _require_end(file, path, b"IEND")
    channels = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(colour)
    if channels is None or not rows or not columns:
        raise _damaged(path, "its header makes no sense")
    return PictureHeader(PNG, rows, columns, 8 if bits < 16 else 16, channels)


def require_whole_tiff(path: Path) -> None:
    """Check that a TIFF-shaped file (TIFF, DNG, NEF, CR2, ARW ...) is as long as its directories promise.

    Says nothing about other files, and nothing about directories that it cannot follow: their decoder will.

    Raises
    ------
    FrameError
        Where the file is cut short.
    """
    with _opened(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        promised = _promised_bytes(file, size)
    if promised > size:
        raise _cut_short(path, f"{size / 1e6:.1f} of {promised / 1e6:.1f} MB are there")


def require_sound_jpeg(stored: bytes, name: str) -> None:
    """Check the coded data of a baseline JPEG: nothing in it but stuffed bytes and restart markers in their order.

    Decoders paint over such damage and only mutter about it. Says nothing about progressive files, whose scans have headers.

    Raises
    ------
    FrameError
        Where bytes are missing, wrong or doubled.
    """
    start = _only_scan(stored)
    if start is None:
        return
    coded = np.frombuffer(stored, np.uint8, offset=start)
    marks = np.flatnonzero(coded[:-1] == 0xFF)
    codes = coded[marks + 1]
    ends = np.flatnonzero(codes == 0xD9)
    codes = codes[: ends[0]] if len(ends) else codes
    codes = codes[(codes != 0x00) & (codes != 0xFF)]
    if not np.array_equal(codes, 0xD0 + np.arange(len(codes)) % 8):
        raise _damaged(Path(name), "bytes of its picture are missing or wrong")


def require_sound_png(stored: bytes, name: str) -> None:
    """Check the checksum of every chunk of a PNG.

    Raises
    ------
    FrameError
        Where one is wrong, or a chunk is cut short.
    """
    view, place = memoryview(stored), 8
    while place + 12 <= len(stored):
        length = int.from_bytes(view[place : place + 4], "big")
        end = place + 8 + length
        if end + 4 > len(stored) or zlib.crc32(view[place + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise _damaged(Path(name), "bytes of its picture are missing or wrong")
        if bytes(view[place + 4 : place + 8]) == b"IEND":
            return
        place = end + 4
    raise _cut_short(Path(name), "its end is missing")


@contextmanager
def opened_tiff(path: Path) -> Iterator[Any]:
    """A TIFF file as tifffile sees it; what it says about broken ones in its log is kept quiet, its errors are not."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    with tifffile.TiffFile(path) as file:
        yield file


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise FrameError(
            f"{path.name} cannot be read: {error.strerror or error}", remedy="Check the file and its permissions."
        ) from error


def _damaged(path: Path, why: str) -> FrameError:
    return FrameError(f"{path.name} is damaged: {why}", remedy="Copy it again from the camera, or leave it out.")


def _cut_short(path: Path, how: str) -> FrameError:
    return FrameError(f"{path.name} is cut short: {how}", remedy="Copy it again from the camera, or leave it out.")


def _require_end(file: BinaryIO, path: Path, end: bytes) -> None:
    """Look for the end marker behind where the file stands (a thumbnail in front has an end of its own): near the end as a
    rule, anywhere where something is appended.
    """
    picture = file.tell()
    size = file.seek(0, 2)
    for window in (_TAIL, size):
        file.seek(max(picture, size - window))
        if end in file.read():
            return
    raise _cut_short(path, "its end is missing")


def _jpeg_frame(file: BinaryIO, path: Path) -> PictureHeader:
    file.seek(2)
    header: PictureHeader | None = None
    while True:
        marker = file.read(2)
        while marker[:1] == b"\xff" and marker[1:] == b"\xff":
            marker = b"\xff" + file.read(1)
        if len(marker) < 2 or marker[0] != 0xFF:
            raise (
                _damaged(path, "its markers make no sense")
                if len(marker) == 2
                else _cut_short(path, "no picture in it")
            )
        code = marker[1]
        if 0xD0 <= code <= 0xD8 or code == 0x01:
            continue
        length = file.read(2)
        if len(length) < 2:
            raise _cut_short(path, "no picture in it")
        if code == 0xDA:
            if header is None:
                raise _damaged(path, "no size in front of its picture")
            return header
        body = struct.unpack(">H", length)[0] - 2
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            frame = file.read(6)
            if len(frame) < 6:
                raise _cut_short(path, "no picture in it")
            bits, rows, columns, channels = struct.unpack(">BHHB", frame)
            header = _checked_jpeg(path, bits, rows, columns, channels)
            body -= 6
        file.seek(max(body, 0), 1)


def _only_scan(stored: bytes) -> int | None:
    """Where the coded data of a baseline JPEG with one scan of all channels starts; None for any other JPEG."""
    place, channels = 2, 0
    while place + 4 <= len(stored) and stored[place] == 0xFF:
        code = stored[place + 1]
        if code == 0xFF:
            place += 1
            continue
        if 0xD0 <= code <= 0xD8 or code == 0x01:
            place += 2
            continue
        length = int.from_bytes(stored[place + 2 : place + 4], "big")
        if code in (0xC0, 0xC1):
            channels = stored[place + 9]
        elif code == 0xDA:
            return place + 2 + length if channels and stored[place + 4] == channels else None
        place += 2 + length
    return None


def _checked_jpeg(path: Path, bits: int, rows: int, columns: int, channels: int) -> PictureHeader:
    if channels == 4:
        raise FrameError(f"{path.name} is a CMYK picture, made for print", remedy="Save it as RGB.")
    if bits != 8 or channels not in (1, 3) or not rows or not columns:
        raise FrameError(
            f"{path.name} is a JPEG of {bits} bits and {channels} channels, which is not read",
            remedy="Save it as an 8-bit JPEG or a 16-bit TIFF.",
        )
    return PictureHeader(JPEG, rows, columns, bits, channels)


def _promised_bytes(file: BinaryIO, size: int) -> int:
    """The furthest byte that the directories of a classic TIFF point at; 0 for what is none."""
    start = file.read(8)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None or len(start) < 8 or struct.unpack(order + "H", start[2:4])[0] not in (42, 0x4F52, 0x5352, 0x55):
        return 0
    pending = [struct.unpack(order + "I", start[4:8])[0]]
    seen: set[int] = set()
    promised = 0
    while pending and len(seen) < _MOST_DIRECTORIES:
        offset = pending.pop()
        if offset in seen or offset == 0:
            continue
        seen.add(offset)
        if offset >= size:
            promised = max(promised, offset + 2)
            continue
        values, following = _directory(file, order, offset)
        pending += [*values.get(_SUB_DIRECTORIES, ()), following]
        for offsets, counts in _OFFSETS_TO_COUNTS.items():
            ends = [at + count for at, count in zip(values.get(offsets, ()), values.get(counts, ()), strict=False)]
            promised = max([promised, *ends])
    return promised


def _directory(file: BinaryIO, order: str, offset: int) -> tuple[dict[int, tuple[int, ...]], int]:
    """The offsets and lengths in one directory, and where the next one starts."""
    wanted = {_SUB_DIRECTORIES, *_OFFSETS_TO_COUNTS, *_OFFSETS_TO_COUNTS.values()}
    file.seek(offset)
    head = file.read(2)
    count = struct.unpack(order + "H", head)[0] if len(head) == 2 else 0
    table = file.read(12 * count + 4)
    values: dict[int, tuple[int, ...]] = {}
    if len(table) < 12 * count + 4:
        return values, 0
    for entry in range(count):
        tag, kind, number = struct.unpack_from(order + "HHI", table, 12 * entry)
        if tag not in wanted or kind not in (3, 4, 13):
            continue
        letter = "H" if kind == 3 else "I"
        length = number * _TIFF_TYPE_BYTES[kind]
        if length <= 4:
            body = table[12 * entry + 8 : 12 * entry + 12]
        else:
            file.seek(struct.unpack_from(order + "I", table, 12 * entry + 8)[0])
            body = file.read(length)
        if len(body) >= length:
            values[tag] = struct.unpack_from(f"{order}{number}{letter}", body)
    return values, struct.unpack_from(order + "I", table, 12 * count)[0]
