"""Compiled loops of the correction by the focal sweep: rings of the cosine transform, gates, the picture's luma."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.compiled import compiled, inlined
from stacking.fuse.pyramid_kernels import expand_row, mirror, reduce_row
from stacking.fuse.range_ends import moved_within_ends

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U16 = NDArray[np.uint16]

HIDDEN = 9
# By level from the finest: enlarging takes from a band what its gate must make up for.
MOST_GATES = (3.0, 1.5, 2.0, 3.0)


@inlined
def _soft_sign(x: Any) -> Any:
    """The hyperbolic tangent within 0.024, one from 3 on."""
    v = min(max(x, np.float32(-3.0)), np.float32(3.0))
    s = v * v
    return v * (np.float32(27.0) + s) / (np.float32(27.0) + np.float32(9.0) * s)


@compiled("void(float32[:,::1], uint16[:,::1], int64, int64)")
def add_enlarged(half: F32, picture: U16, y0: int, y1: int) -> None:
    """Add a half-size plane, 8-bit units, to all colours of rows y0 to y1 of a picture, seen as (rows, 3 * columns), short of its ends."""
    width = picture.shape[1] // 3
    line = np.empty(half.shape[1], np.float32)
    up = np.empty(width + 2, np.float32)
    more = np.empty(3 * width, np.float32)
    scale, one_257th, rounding = np.float32(257.0), np.float32(1.0 / 257.0), np.float32(0.5)
    for y in range(y0, y1):
        expand_row(half, y, width, line, up)
        for x in range(width):
            v = up[x]
            more[3 * x] = v
            more[3 * x + 1] = v
            more[3 * x + 2] = v
        row = picture[y]
        for i in range(3 * width):
            row[i] = np.uint16(scale * moved_within_ends(np.float32(row[i]) * one_257th, more[i]) + rounding)


@compiled("void(uint16[:,::1], float32[:,::1], int64, int64)")
def half_luma(picture: U16, half: F32, y0: int, y1: int) -> None:
    """Rows y0 to y1 of a picture's luma at half size, 8-bit units; the picture seen as (rows, 3 * columns)."""
    height, width = picture.shape[0], picture.shape[1] // 3
    line = np.empty(width, np.float32)
    summed = np.empty(3 * width, np.float32)
    middle, beside, outer = np.float32(0.375 / 257.0), np.float32(0.25 / 257.0), np.float32(0.0625 / 257.0)
    for y in range(y0, y1):
        a, b = picture[mirror(2 * y - 2, height)], picture[mirror(2 * y - 1, height)]
        c = picture[2 * y]
        d, e = picture[mirror(2 * y + 1, height)], picture[mirror(2 * y + 2, height)]
        for i in range(3 * width):
            summed[i] = (
                middle * np.float32(c[i])
                + beside * (np.float32(b[i]) + np.float32(d[i]))
                + outer * (np.float32(a[i]) + np.float32(e[i]))
            )
        for x in range(width):
            line[x] = (
                np.float32(0.299) * summed[3 * x]
                + np.float32(0.587) * summed[3 * x + 1]
                + np.float32(0.114) * summed[3 * x + 2]
            )
        reduce_row(line, width, half[y])


@inlined
def _ring(table: Any, fy: Any, fx: Any) -> Any:
    at = np.int64(np.sqrt(fy * fy + fx * fx) * np.float32(table.shape[0]))
    return table[min(at, table.shape[0] - 1)]


@compiled("void(float32[:,::1], float32[:,::1], float32[::1], float64[::1], float64[::1])")
def ring_sums(a: F32, b: F32, table: F32, together: F64, alone: F64) -> None:
    """Sums over the rings of the cosine transform of a * b and of a * a; the constant is left out."""
    rows, columns = a.shape
    for y in range(rows):
        fy = np.float32(0.5) * np.float32(y) / np.float32(rows)
        for x in range(columns):
            if x + y:
                k = np.int64(_ring(table, fy, np.float32(0.5) * np.float32(x) / np.float32(columns))) + 1
                together[k] += a[y, x] * b[y, x]
                alone[k] += a[y, x] * a[y, x]


@compiled("void(float32[:,::1], float32[::1], float32[::1], int64, int64)")
def ring_gain(a: F32, gains: F32, table: F32, y0: int, y1: int) -> None:
    """Rows y0 to y1 of a cosine transform times the rings' gains, straight between the middles of rings."""
    rows, columns = a.shape
    for y in range(y0, y1):
        fy = np.float32(0.5) * np.float32(y) / np.float32(rows)
        for x in range(columns):
            ring = _ring(table, fy, np.float32(0.5) * np.float32(x) / np.float32(columns)) + np.float32(1.5)
            k = np.int64(ring)
            part = ring - np.float32(k)
            a[y, x] *= gains[k] + part * (gains[min(k + 1, gains.shape[0] - 1)] - gains[k])


@compiled(
    "void(float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1],"
    " float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1], float32, float32[:,::1], int64, int64)"
)
def gate_rows(
    difference: F32,
    power: F32,
    light: F32,
    hot: F32,
    detail: F32,
    reach: F32,
    ratio: F32,
    spread: F32,
    misfit: F32,
    hidden: F32,
    output: F32,
    most: float,
    out: F32,
    y0: int,
    y1: int,
) -> None:
    """Rows y0 to y1 of a difference times its gate, from 0 to ``most``, which depends on eight inputs.

    ``hidden`` (9, 9) has the weights of the inputs and a constant; ``output`` (2, 9) those of the hidden values, and of the inputs and
    a constant directly.
    """
    width = difference.shape[1]
    sign = np.empty(width, np.float32)
    total = np.empty(width, np.float32)
    for y in range(y0, y1):
        v0, v1, v2, v3, v4, v6, v7 = power[y], light[y], hot[y], detail[y], reach[y], spread[y], misfit[y]
        there, here, to = ratio[y], difference[y], out[y]
        a, b, c, d = output[1, 0], output[1, 1], output[1, 2], output[1, 3]
        e, f, g, i, one = output[1, 4], output[1, 5], output[1, 6], output[1, 7], output[1, 8]
        for x in range(width):
            sign[x] = _soft_sign(there[x])
            total[x] = (
                one + a * v0[x] + b * v1[x] + c * v2[x] + d * v3[x] + e * v4[x] + f * sign[x] + g * v6[x] + i * v7[x]
            )
        for h in range(HIDDEN):
            a, b, c, d = hidden[h, 0], hidden[h, 1], hidden[h, 2], hidden[h, 3]
            e, f, g, i, one = hidden[h, 4], hidden[h, 5], hidden[h, 6], hidden[h, 7], hidden[h, 8]
            w = output[0, h]
            for x in range(width):
                s = (
                    one
                    + a * v0[x]
                    + b * v1[x]
                    + c * v2[x]
                    + d * v3[x]
                    + e * v4[x]
                    + f * sign[x]
                    + g * v6[x]
                    + i * v7[x]
                )
                total[x] += w * _soft_sign(s)
        for x in range(width):
            gate = np.float32(0.5) * most * (np.float32(1.0) + _soft_sign(np.float32(0.5) * total[x]))
            to[x] = gate * here[x]
