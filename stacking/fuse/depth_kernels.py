"""Compiled loops of the depth volume: focus energy of a frame on a coarse grid, in one byte."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.compiled import compiled

F32 = NDArray[np.float32]

# One byte holds energies from 2^-8 to 2^13 in steps of 1/12 octave.
STEPS_PER_OCTAVE = 12.0
OFFSET = 96.0


def energy_table() -> F32:
    """The energy that each byte stands for, shape (256,); byte 0 is none."""
    codes = np.arange(256, dtype=np.float64)
    table = np.exp2((codes - OFFSET) / STEPS_PER_OCTAVE)
    table[0] = 0.0
    return table.astype(np.float32)


@compiled("void(float32[:,::1], int64, int32[:,::1], uint8[:,::1], int64, int64)")
def focus_rows(plane: F32, step: int, spans: NDArray[np.int32], codes: NDArray[np.uint8], y0: int, y1: int) -> None:
    """Rows y0 to y1 of the focus energy of a plane on a grid of every ``step``-th pixel (1 or 2), the larger of old and new.

    Energy is the squared difference to the plane's 5x5 binomial mean, averaged by [1 2 1] / 4 both ways. Only columns
    ``spans[y, 0]`` to ``spans[y, 1]`` of a row of the grid are written.
    """
    height, width = plane.shape
    column = np.empty(width + 4, np.float32)
    square = np.empty((3, width), np.float32)
    total = np.empty(width, np.float32)
    rings_done = -10
    for y in range(y0, y1):
        centre = y * step
        for r in range(centre - 1, centre + 2):
            if r <= rings_done:
                continue
            rings_done = r
            q = min(max(r, 0), height - 1)
            a, b = plane[max(q - 2, 0)], plane[max(q - 1, 0)]
            c = plane[q]
            d, e = plane[min(q + 1, height - 1)], plane[min(q + 2, height - 1)]
            inner = column[2 : width + 2]
            for x in range(width):
                inner[x] = (
                    np.float32(0.375) * c[x] + np.float32(0.25) * (b[x] + d[x]) + np.float32(0.0625) * (a[x] + e[x])
                )
            column[0] = column[2]
            column[1] = column[2]
            column[width + 2] = column[width + 1]
            column[width + 3] = column[width + 1]
            out = square[(r + 3) % 3]
            for x in range(width):
                mean = (
                    np.float32(0.375) * column[x + 2]
                    + np.float32(0.25) * (column[x + 1] + column[x + 3])
                    + np.float32(0.0625) * (column[x] + column[x + 4])
                )
                v = c[x] - mean
                out[x] = v * v
        above, here, below = square[(centre + 2) % 3], square[centre % 3], square[(centre + 1) % 3]
        for x in range(width):
            total[x] = np.float32(0.25) * (above[x] + below[x]) + np.float32(0.5) * here[x]
        for i in range(spans[y, 0], spans[y, 1]):
            x = i * step
            energy = (
                np.float32(0.25) * (total[max(x - 1, 0)] + total[min(x + 1, width - 1)]) + np.float32(0.5) * total[x]
            )
            code = math.floor(math.log2(max(energy, np.float32(1e-9))) * STEPS_PER_OCTAVE + OFFSET + 0.5)
            codes[y, i] = max(codes[y, i], np.uint8(min(max(code, 1), 255)))
