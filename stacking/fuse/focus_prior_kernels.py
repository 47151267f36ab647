"""Compiled loops of the focus prior: how much detail a frame has round a pixel, and how dark it is there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.compiled import compiled, inlined
from stacking.fuse.pyramid_kernels import LEAST_HEADROOM, expand_row, half_row, linear_row, mirror

F32 = NDArray[np.float32]

# Added to the brightness, which is compared by ratio: noise of what is black is no darkness.
_BRIGHTNESS_OFFSET = 10.0
_MIDDLE_GRAY = 60.0


@inlined
def _squares(row: Any, up: Any, width: Any, out: Any) -> Any:
    for x in range(width):
        headroom = max(np.float32(1.0) - up[x] * np.float32(1.0 / 255.0), np.float32(LEAST_HEADROOM))
        band = row[x] - up[x]
        out[x] = band * band * headroom


@compiled("void(float32[:,::1], float32[:,::1], float32[:,::1], float32, float32[:,::1], int64, int64)")
def detail_rows(fine: F32, half: F32, quarter: F32, share: float, out: F32, y0: int, y1: int) -> None:
    """Rows y0 to y1 of the energy of levels 1 and, ``share`` times, 0, smoothed along the rows.

    ``out`` has the columns of level 2 (every 4th) and the rows of level 3 (every 8th). One row of each level is looked at for
    each: what follows averages over many.
    """
    width, half_width = fine.shape[1], half.shape[1]
    line = np.empty(half_width, np.float32)
    short = np.empty(quarter.shape[1], np.float32)
    up = np.empty(width + 2, np.float32)
    square = np.empty(width, np.float32)
    halved = np.empty(half_width, np.float32)
    finest = np.empty(quarter.shape[1], np.float32)
    for y in range(y0, y1):
        expand_row(half, 8 * y, width, line, up)
        _squares(fine[8 * y], up, width, square)
        half_row(square, width, halved)
        half_row(halved, half_width, finest)
        expand_row(quarter, 4 * y, half_width, short, up)
        _squares(half[4 * y], up, half_width, halved)
        into = out[y]
        half_row(halved, half_width, into)
        for x in range(into.shape[0]):
            into[x] += share * finest[x]


@compiled("void(float32[:,::1], float32[:,::1], int64, int64)")
def halve_along(plane: F32, out: F32, y0: int, y1: int) -> None:
    """Rows y0 to y1 at half their length, [1 2 1] / 4 at every second pixel."""
    for y in range(y0, y1):
        half_row(plane[y], plane.shape[1], out[y])


@compiled("void(float32[:,::1], float32[::1], float32[:,::1], int64, int64)")
def smooth_rows(plane: F32, taps: NDArray[np.float32], out: F32, y0: int, y1: int) -> None:
    """Rows y0 to y1 of ``plane`` under a symmetric kernel of odd length both ways; edges mirrored."""
    height, width = plane.shape
    reach = taps.shape[0] // 2
    line = np.empty(width + 2 * reach, np.float32)
    for y in range(y0, y1):
        inner = line[reach : reach + width]
        here = plane[y]
        for x in range(width):
            inner[x] = taps[reach] * here[x]
        for k in range(1, reach + 1):
            above, below = plane[mirror(y - k, height)], plane[mirror(y + k, height)]
            tap = taps[reach + k]
            for x in range(width):
                inner[x] += tap * (above[x] + below[x])
        for k in range(1, reach + 1):
            line[reach - k] = inner[mirror(-k, width)]
            line[reach + width - 1 + k] = inner[mirror(width - 1 + k, width)]
        into = out[y]
        for x in range(width):
            into[x] = taps[reach] * inner[x]
        for k in range(1, reach + 1):
            left, right = line[reach - k : reach - k + width], line[reach + k : reach + k + width]
            tap = taps[reach + k]
            for x in range(width):
                into[x] += tap * (left[x] + right[x])


@compiled("void(float32[:,::1], float32[:,::1], float32[:,::1], int64, int64)")
def favour_rows(detail: F32, quarter: F32, out: F32, y0: int, y1: int) -> None:
    """Rows y0 to y1 of ``detail``, a plane of half the size, over the cube of the brightness ``quarter`` (0 to 255)."""
    width = quarter.shape[1]
    line = np.empty(detail.shape[1], np.float32)
    up = np.empty(width + 2, np.float32)
    for y in range(y0, y1):
        linear_row(detail, y, width, line, up)
        gray, into = quarter[y], out[y]
        for x in range(width):
            darkness = np.float32(_MIDDLE_GRAY) / (max(gray[x], np.float32(0.0)) + np.float32(_BRIGHTNESS_OFFSET))
            into[x] = up[x] * darkness * darkness * darkness
