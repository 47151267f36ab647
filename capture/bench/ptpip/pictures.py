"""What a camera says of its own files: size in pixels and a thumbnail (JPEG, or TIFF/EP with an embedded JPEG)."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import cv2
import numpy as np
import tifffile

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_COMPRESSIONS = (6, 7)
_YCBCR = 6


@dataclass(frozen=True, slots=True)
class Look:
    """Width and height in pixels (0 where unknown), and bits per pixel."""

    size: tuple[int, int] = (0, 0)
    bits: int = 24


def inspect(data: bytes) -> Look:
    """Size in pixels of a JPEG or a TIFF/DNG; unknown for anything else, never an error."""
    if data[:2] == b"\xff\xd8":
        return Look(_jpeg_size(data))
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = max(_pages(file), key=lambda page: int(page.imagewidth) * int(page.imagelength))
            return Look((int(page.imagewidth), int(page.imagelength)), int(page.bitspersample))
    except (tifffile.TiffFileError, ValueError, TypeError, KeyError, IndexError, struct.error):
        return Look()


def thumbnail(data: bytes, size: tuple[int, int]) -> bytes | None:
    """A JPEG of `size` (width, height) showing a file's picture, letterboxed; None where nothing can be shown."""
    source = data if data[:2] == b"\xff\xd8" else _embedded_jpeg(data)
    if source is None:
        return None
    picture = cv2.imdecode(np.frombuffer(source, np.uint8), cv2.IMREAD_REDUCED_COLOR_8)
    if picture is None:
        return None
    rows, columns = picture.shape[:2]
    scale = min(size[0] / columns, size[1] / rows)
    small = cv2.resize(
        picture, (max(1, round(columns * scale)), max(1, round(rows * scale))), interpolation=cv2.INTER_AREA
    )
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    top, left = (size[1] - small.shape[0]) // 2, (size[0] - small.shape[1]) // 2
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    done, encoded = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return encoded.tobytes() if done else None


def _jpeg_size(data: bytes) -> tuple[int, int]:
    position = 2
    while position + 9 < len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return int(width), int(height)
        position += 2 + int(struct.unpack_from(">H", data, position + 2)[0])
    return 0, 0


def _pages(file: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    pages = []
    for page in file.pages:
        pages.append(page)
        pages.extend(page.pages or ())
    return pages


def _embedded_jpeg(data: bytes) -> bytes | None:
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            for page in _pages(file):
                if page.compression in _JPEG_COMPRESSIONS and page.photometric == _YCBCR and len(page.dataoffsets) == 1:
                    start = page.dataoffsets[0]
                    return data[start : start + page.databytecounts[0]]
    except (tifffile.TiffFileError, ValueError, TypeError, KeyError, IndexError, struct.error):
        return None
    return None
