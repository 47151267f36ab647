"""JPEG and PNG with profile, EXIF and XMP: the coded picture of a library, our blocks put where the standards want them."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from stacking.metadata import Entry, PictureMetadata
from stacking.writers_tiff import exif_block

JPEG_QUALITY = 95
_PNG_LEVEL, _RUN_LENGTHS = 1, 3  # on photographs smaller than deflate at its fastest, in half the time
_LARGEST_SEGMENT = 65533
_ICC_MARK, _EXIF_MARK, _XMP_MARK = b"ICC_PROFILE\0", b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


def jpeg_bytes(
    image: NDArray[Any], metadata: PictureMetadata | None, icc: bytes | None, *, quality: int = JPEG_QUALITY
) -> bytes:
    """A JPEG without chroma subsampling. `image`: (rows, columns, 3), uint8 or uint16 (rounded to 8 bit)."""
    coded = imagecodecs.jpeg8_encode(eight_bit(image), level=quality, subsampling="444")
    blocks = b""
    if metadata is not None:
        blocks += _segment(0xE1, _EXIF_MARK + exif_block(_as_jpeg(metadata)))
        if metadata.xmp:
            blocks += _segment(0xE1, _XMP_MARK + metadata.xmp)
    if icc:
        room = _LARGEST_SEGMENT - len(_ICC_MARK) - 2
        parts = [icc[start : start + room] for start in range(0, len(icc), room)]
        for number, part in enumerate(parts, 1):
            blocks += _segment(0xE2, _ICC_MARK + bytes([number, len(parts)]) + part)
    # Behind the start marker and, where there is one, the JFIF segment, which must be first.
    place = 2
    if coded[2:4] == b"\xff\xe0":
        place = 4 + struct.unpack(">H", coded[4:6])[0]
    return bytes(coded[:place]) + blocks + bytes(coded[place:])


def png_bytes(image: NDArray[Any], metadata: PictureMetadata | None, icc: bytes | None) -> bytes:
    """A PNG of 8 or 16 bit, as `image` is: (rows, columns) or (rows, columns, 3), uint8 or uint16."""
    coded = imagecodecs.png_encode(image, level=_PNG_LEVEL, strategy=_RUN_LENGTHS)
    blocks = b""
    if icc:
        blocks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc, 9))
    if metadata is not None:
        blocks += _chunk(b"eXIf", exif_block(metadata))
        if metadata.xmp:
            blocks += _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)
    place = 8 + 12 + 13  # behind the signature and IHDR
    return bytes(coded[:place]) + blocks + bytes(coded[place:])


def eight_bit(image: NDArray[Any]) -> NDArray[np.uint8]:
    """8-bit values of an 8- or 16-bit picture, rounded."""
    if image.dtype == np.uint8:
        return np.asarray(image)
    out = np.empty(image.shape, np.uint8)
    rounded = ((np.arange(65536, dtype=np.uint32) + 128) // 257).astype(np.uint8)
    for start in range(0, image.shape[0], 256):
        out[start : start + 256] = rounded[image[start : start + 256]]
    return out


def _as_jpeg(metadata: PictureMetadata) -> PictureMetadata:
    """With the entries that EXIF demands of a JPEG: components, place of the chroma samples."""
    exif = {entry.tag: entry for entry in metadata.exif}
    exif[0x9101] = Entry(0x9101, 7, 4, b"\1\2\3\0")
    main = {entry.tag: entry for entry in metadata.main}
    main[0x0213] = Entry(0x0213, 3, 1, b"\1\0")
    for tag, kind, count, content in (
        (0x011A, 5, 1, struct.pack("<II", 72, 1)),
        (0x011B, 5, 1, struct.pack("<II", 72, 1)),
        (0x0128, 3, 1, b"\2\0"),
    ):
        main.setdefault(tag, Entry(tag, kind, count, content))
    return PictureMetadata(
        tuple(main[tag] for tag in sorted(main)), tuple(exif[tag] for tag in sorted(exif)), metadata.place, metadata.xmp
    )


def _segment(marker: int, content: bytes) -> bytes:
    """One JPEG segment; nothing where the content is too long for one."""
    if len(content) > _LARGEST_SEGMENT:
        return b""
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
