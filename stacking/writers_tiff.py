"""TIFF as our results are written: one uncompressed page whose strips are written as they come, with EXIF inside.

Written here and not by a library, because EXIF and GPS are directories of their own that the main one points at, and because
rows go to disk without a second copy of the picture. Uncompressed: deflate saves a fifth of a 16-bit photograph and costs more
time than the fusion. Source: TIFF 6.0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from stacking.errors import OutputError
from stacking.metadata import Entry, PictureMetadata

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 1, 2, 3, 4, 5, 7
_EXIF_POINTER, _PLACE_POINTER = 34665, 34853
_SIZES = (0xA002, 0xA003)  # EXIF has them for JPEG; a TIFF has its own
_STRIP_BYTES = 1 << 19
_LARGEST = (1 << 32) - 1


def exif_block(metadata: PictureMetadata) -> bytes:
    """The EXIF of a picture as JPEG and PNG hold it: a little-endian TIFF without an image."""
    return b"II*\0" + struct.pack("<I", 8) + _directories(list(metadata.main), metadata, 8, dropped=())


def write_tiff(
    file: BinaryIO,
    image: NDArray[Any],
    metadata: PictureMetadata | None,
    icc: bytes | None,
    *,
    description: str = "",
) -> None:
    """Write a picture.

    Parameters
    ----------
    file : binary file
        Open for writing, at its start.
    image : ndarray, shape (rows, columns) or (rows, columns, 3), uint8, uint16 or float32
        8-bit values are widened to 16 bit (times 257).
    description : str
        Words about its values, where there is no metadata.

    Raises
    ------
    OutputError
        Where the picture is too large for a TIFF (4 GiB).
    OSError
        Where it cannot be written.
    """
    rows, columns = image.shape[:2]
    channels = image.shape[2] if image.ndim == 3 else 1
    bits = 32 if image.dtype == np.float32 else 16
    row_bytes = columns * channels * bits // 8
    strip_rows = max(1, min(rows, _STRIP_BYTES // row_bytes))
    counts = [min(strip_rows, rows - start) * row_bytes for start in range(0, rows, strip_rows)]
    entries = [
        _entry(256, _LONG, [columns]),
        _entry(257, _LONG, [rows]),
        _entry(258, _SHORT, [bits] * channels),
        _entry(259, _SHORT, [1]),
        _entry(262, _SHORT, [2 if channels == 3 else 1]),
        _entry(277, _SHORT, [channels]),
        _entry(278, _LONG, [strip_rows]),
        _entry(279, _LONG, counts),
        _entry(284, _SHORT, [1]),
        _entry(339, _SHORT, [3 if bits == 32 else 1] * channels),
    ]
    if icc:
        entries.append(Entry(34675, _UNDEFINED, len(icc), icc))
    if description:
        text = description.encode("ascii", "replace") + b"\0"
        entries.append(Entry(270, _ASCII, len(text), text))
    if metadata is not None:
        entries += metadata.main
        if metadata.xmp:
            entries.append(Entry(700, _BYTE, len(metadata.xmp), metadata.xmp))
    present = {entry.tag for entry in entries}
    entries += [entry for entry in _RESOLUTION if entry.tag not in present]
    # The strips follow the directories, whose length does not depend on where the strips are.
    probe = _entry(273, _LONG, [0] * len(counts))
    start = 8 + len(_directories([*entries, probe], metadata, 8))
    if start + sum(counts) > _LARGEST:
        raise OutputError("the picture is too large for a TIFF (4 GiB)", remedy="Crop it, or write a PNG.")
    offsets = np.cumsum([start, *counts[:-1]]).tolist()
    file.write(b"II*\0" + struct.pack("<I", 8) + _directories([*entries, _entry(273, _LONG, offsets)], metadata, 8))
    file.writelines(_little_endian(image[row : row + strip_rows]) for row in range(0, rows, strip_rows))


def _little_endian(strip: NDArray[Any]) -> memoryview:
    if strip.dtype == np.uint8:
        strip = strip.astype("<u2") * np.uint16(257)
    return np.ascontiguousarray(strip, strip.dtype.newbyteorder("<")).data.cast("B")


def _entry(tag: int, kind: int, values: Sequence[int]) -> Entry:
    packing = {_SHORT: "H", _LONG: "I", _RATIONAL: "I"}[kind]
    count = len(values) // 2 if kind == _RATIONAL else len(values)
    return Entry(tag, kind, count, struct.pack(f"<{len(values)}{packing}", *values))


_RESOLUTION = (_entry(282, _RATIONAL, [72, 1]), _entry(283, _RATIONAL, [72, 1]), _entry(296, _SHORT, [2]))


def _directories(
    main: Iterable[Entry], metadata: PictureMetadata | None, offset: int, *, dropped: tuple[int, ...] = _SIZES
) -> bytes:
    """The main directory at `offset`, and behind it the ones it points at; EXIF without the tags `dropped`."""
    below: list[tuple[int, tuple[Entry, ...]]] = []
    if metadata is not None:
        below.append((_EXIF_POINTER, tuple(entry for entry in metadata.exif if entry.tag not in dropped)))
        if metadata.place:
            below.append((_PLACE_POINTER, metadata.place))
    entries = [*main, *(_entry(pointer, _LONG, [0]) for pointer, _ in below)]
    following = offset + len(_directory(entries, offset))
    blocks = b""
    for pointer, content in below:
        place = following + len(blocks)
        entries = [entry for entry in entries if entry.tag != pointer] + [_entry(pointer, _LONG, [place])]
        blocks += _directory(content, place)
    return _directory(entries, offset) + blocks


def _directory(entries: Iterable[Entry], offset: int) -> bytes:
    """One directory with its values behind it, for a place in the file."""
    ordered = sorted(entries, key=lambda entry: entry.tag)
    table = struct.pack("<H", len(ordered))
    values = b""
    start = offset + 2 + 12 * len(ordered) + 4
    for entry in ordered:
        table += struct.pack("<HHI", entry.tag, entry.kind, entry.count)
        if len(entry.content) <= 4:
            table += entry.content.ljust(4, b"\0")
            continue
        table += struct.pack("<I", start + len(values))
        values += entry.content + bytes(len(entry.content) % 2)
    return table + bytes(4) + values
