"""A small reader of layered 16-bit PSD and PSB files, from the format's specification: for tests without psd-tools."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

U16 = NDArray[np.uint16]


@dataclass
class PsdLayer:
    name: str
    visible: bool
    channels: dict[int, U16] = field(default_factory=dict)

    @property
    def picture(self) -> U16:
        return np.stack([self.channels[c] for c in range(3)], axis=-1)

    @property
    def mask(self) -> U16:
        return self.channels[-2]


@dataclass
class Psd:
    merged: U16
    layers: list[PsdLayer]
    icc: bytes


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def take(self, count: int) -> bytes:
        part = self.content[self.place : self.place + count]
        assert len(part) == count, "the file ends too early"
        self.place += count
        return part

    def numbers(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(f">{layout}", self.take(struct.calcsize(f">{layout}")))


def read_psd(path: Path) -> Psd:
    file = _Reader(path.read_bytes())
    assert file.take(4) == b"8BPS"
    (version,) = file.numbers("H")
    wide = "Q" if version == 2 else "I"
    assert file.take(6) == bytes(6)
    channels, height, width, depth, mode = file.numbers("HIIHH")
    assert (channels, depth, mode) == (3, 16, 3)
    assert file.numbers("I") == (0,)  # no colour table
    resources = _Reader(file.take(file.numbers("I")[0]))
    icc = b""
    while resources.place < len(resources.content):
        signature, number, _, length = struct.unpack(">4sHHI", resources.take(12))
        assert signature == b"8BIM"
        content = resources.take(length + length % 2)[:length]
        icc = content if number == 1039 else icc
    section = _Reader(file.take(file.numbers(wide)[0]))
    assert section.numbers(wide) == (0,)
    assert section.numbers("I") == (0,)
    assert section.take(8) in (b"8BIMLr16", b"8B64Lr16")
    block = _Reader(section.take(section.numbers(wide)[0]))
    assert section.place == len(section.content)
    layers = _layers(block, wide)
    assert file.numbers("H") == (0,)
    planes = np.frombuffer(file.take(6 * width * height), ">u2").reshape(3, height, width)
    assert file.place == len(file.content)
    return Psd(np.moveaxis(planes, 0, -1).astype(np.uint16), layers, icc)


def _layers(block: _Reader, wide: str) -> list[PsdLayer]:
    records = []
    for _ in range(block.numbers("h")[0]):
        top, left, bottom, right, count = block.numbers("4iH")
        channels = [block.numbers(f"h{wide}") for _ in range(count)]
        assert block.take(8) == b"8BIMnorm"
        opacity, _, flags, _ = block.numbers("4B")
        assert opacity == 255
        extra = _Reader(block.take(block.numbers("I")[0]))
        mask = extra.take(extra.numbers("I")[0])
        assert (len(mask) == 20) == (-2 in dict(channels))
        extra.take(extra.numbers("I")[0])  # blending ranges
        (length,) = extra.numbers("B")
        extra.take(length + -(length + 1) % 4)
        assert extra.take(8) == b"8BIMluni"
        text = _Reader(extra.take(extra.numbers("I")[0]))
        name = text.take(2 * text.numbers("I")[0]).decode("utf-16-be")
        records.append((PsdLayer(name, not flags & 2), channels, (bottom - top, right - left)))
    for layer, channels, (rows, columns) in records:
        for number, length in channels:
            assert length == 2 + 2 * rows * columns
            assert block.numbers("H") == (0,)  # not compressed
            layer.channels[number] = (
                np.frombuffer(block.take(length - 2), ">u2").reshape(rows, columns).astype(np.uint16)
            )
    assert len(block.content) - block.place < 4  # padding
    return [layer for layer, _, _ in records]
