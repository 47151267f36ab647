"""Memory that is lent again: never while anybody looks at it."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import imagecodecs
import numpy as np

from stacking.develop import Development
from stacking.frames import Source
from stacking.reused import ReusedArrays

SHAPE = (40, 60, 3)
BYTE = np.dtype(np.uint8)


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_memory_is_lent_again_when_the_last_view_is_gone() -> None:
    memory = ReusedArrays()
    first = memory.lend(SHAPE, BYTE)
    where, view = address(first), first[::2, 1:, 0]
    del first
    second = memory.lend(SHAPE, BYTE)
    assert not np.shares_memory(second, view)
    del view
    assert address(memory.lend(SHAPE, BYTE)) == where


def test_memory_that_is_kept_is_given_back_when_told() -> None:
    memory, size = ReusedArrays(), 8 << 20
    tracemalloc.start()
    try:
        memory.lend((size,), BYTE)
        assert tracemalloc.get_traced_memory()[0] > size
        memory.let_go()
        assert tracemalloc.get_traced_memory()[0] < size // 8
    finally:
        tracemalloc.stop()


def test_memory_of_another_size_is_not_lent() -> None:
    memory = ReusedArrays()
    memory.lend((10, 10, 3), BYTE)
    wide = memory.lend(SHAPE, np.dtype(np.uint16))
    assert (wide.shape, wide.dtype, wide.flags.c_contiguous) == (SHAPE, np.uint16, True)


def test_frames_that_are_looked_at_together_keep_their_pixels(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    sources = []
    for k in range(4):
        path = tmp_path / f"{k}.jpg"
        path.write_bytes(imagecodecs.jpeg8_encode(draw.integers(0, 255, (64, 48, 3), np.uint8), level=95))
        sources.append(Source(path))
    development = Development(sources)
    alone = [development.frame(source).image.copy() for source in sources]
    together = [development.frame(source).image for source in sources]
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, two)
