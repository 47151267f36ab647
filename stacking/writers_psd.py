"""Layered files of 16 bit: Photoshop's PSD and PSB, and TIFF with a page for each layer. Layers are written as they come.

Source: Adobe Photoshop File Formats Specification (2019); 16-bit layers stand in an ``Lr16`` block, as Photoshop writes them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

U16 = NDArray[np.uint16]

PSD_LIMIT = (1 << 31) - 1
_LARGEST_SIDE = {False: 30_000, True: 300_000}
_HIDDEN = 2
_MASK = -2
_ICC = 1039
_TIFF_LIMIT = (1 << 32) - (1 << 25)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer.

    Attributes
    ----------
    name : str
    visible : bool
    masked : bool
    pixels : callable
        Gives the picture (rows, columns, 3), uint16, and its mask (rows, columns), uint16, or None; 65535 shows all.
    """

    name: str
    visible: bool
    masked: bool
    pixels: Callable[[], tuple[U16, U16 | None]]


def layered_bytes(size: tuple[int, int], masked: Sequence[bool]) -> int:
    """About what a layered file of that (width, height) takes, with layers of which is told whether they have a mask."""
    pixels = size[0] * size[1] * 2
    return pixels * 3 + sum(pixels * (4 if has_mask else 3) for has_mask in masked) + (1 << 16)


def fits(size: tuple[int, int], masked: Sequence[bool], *, large: bool) -> bool:
    """Whether a PSD, or a PSB where `large`, can hold such layers."""
    return max(size) <= _LARGEST_SIDE[large] and (large or layered_bytes(size, masked) <= PSD_LIMIT)


def write_psd(
    file: BinaryIO,
    size: tuple[int, int],
    layers: Sequence[Layer],
    merged: U16,
    *,
    icc: bytes | None = None,
    large: bool = False,
) -> None:
    """Write a PSD, or a PSB where `large`.

    Parameters
    ----------
    size : (width, height)
    layers : sequence of Layer
        From the lowest to the uppermost.
    merged : ndarray (rows, columns, 3), uint16
        What programs show that read no layers.
    """
    width, height = size
    file.write(struct.pack(">4sH6xHIIHH", b"8BPS", 2 if large else 1, 3, height, width, 16, 3))
    file.write(struct.pack(">I", 0))
    resources = b"" if icc is None else _resource(_ICC, icc)
    file.write(struct.pack(">I", len(resources)) + resources)
    records = struct.pack(">h", len(layers)) + b"".join(_record(layer, width, height, large=large) for layer in layers)
    plane = 2 + 2 * width * height
    content = len(records) + plane * sum(4 if layer.masked else 3 for layer in layers)
    padding = -content % 4
    length = ">Q" if large else ">I"
    # layer info and global mask are empty: what follows is the block of 16-bit layers
    head = struct.pack(length, 0) + struct.pack(">I", 0)
    block = b"8B64" if large else b"8BIM"
    block += b"Lr16" + struct.pack(length, content + padding)
    file.write(struct.pack(length, len(head) + len(block) + content + padding) + head + block + records)
    for layer in layers:
        image, mask = layer.pixels()
        for channel in range(3):
            _write_plane(file, image[..., channel])
        if layer.masked:
            _write_plane(file, np.full(image.shape[:2], 65535, np.uint16) if mask is None else mask)
    file.write(bytes(padding) + struct.pack(">H", 0))
    for channel in range(3):
        file.write(_big_endian(merged[..., channel]))


def write_layered_tiff(
    file: BinaryIO, size: tuple[int, int], layers: Sequence[Layer], *, icc: bytes | None = None
) -> None:
    """Write a page for each layer, uppermost last; masks are alpha channels; the page's name is the layer's."""
    big = layered_bytes(size, [layer.masked for layer in layers]) > _TIFF_LIMIT
    with tifffile.TiffWriter(file, bigtiff=big) as writer:
        for layer in layers:
            image, mask = layer.pixels()
            if layer.masked and mask is not None:
                image = np.concatenate([image, mask[..., None]], axis=2)
            writer.write(
                image,
                photometric="rgb",
                extrasamples=["unassalpha"] if image.shape[2] == 4 else None,
                iccprofile=icc,
                description=layer.name.encode(),
                extratags=[(285, 2, None, layer.name.encode() + b"\0", True)],
                metadata=None,
                software="focusrail",
                contiguous=False,
            )


def _record(layer: Layer, width: int, height: int, *, large: bool) -> bytes:
    channels = [0, 1, 2, _MASK] if layer.masked else [0, 1, 2]
    rectangle = struct.pack(">4i", 0, 0, height, width)
    length = 2 + 2 * width * height
    out = rectangle + struct.pack(">H", len(channels))
    out += b"".join(struct.pack(">hQ" if large else ">hI", channel, length) for channel in channels)
    out += struct.pack(">4s4sBBBx", b"8BIM", b"norm", 255, 0, 0 if layer.visible else _HIDDEN)
    mask = struct.pack(">I", 20) + rectangle + bytes(4) if layer.masked else struct.pack(">I", 0)
    short = layer.name.encode("ascii", "replace")[:255]
    name = bytes([len(short)]) + short
    name += bytes(-len(name) % 4)
    text = layer.name.encode("utf-16-be")
    unicode_name = struct.pack(">I", len(text) // 2) + text
    unicode_name += bytes(-len(unicode_name) % 4)
    extra = mask + struct.pack(">I", 0) + name
    extra += b"8BIMluni" + struct.pack(">I", len(unicode_name)) + unicode_name
    return out + struct.pack(">I", len(extra)) + extra


def _resource(number: int, content: bytes) -> bytes:
    return struct.pack(">4sHHI", b"8BIM", number, 0, len(content)) + content + bytes(len(content) % 2)


def _write_plane(file: BinaryIO, plane: U16) -> None:
    file.write(struct.pack(">H", 0))
    file.write(_big_endian(plane))


def _big_endian(plane: U16) -> bytes:
    return plane.astype(">u2").tobytes()
