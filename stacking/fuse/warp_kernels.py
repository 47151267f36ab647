"""Compiled loops: one resampling per frame, straight from RGB to the working planes.

The similarity is resampled in two passes of six taps (Catmull and Smith 1980): along the rows of the frame into a ring
of rows, then along its columns. Along a row the weights change slowly, so they are tabled and renewed only when the
phase has moved by 1/128 px; between them the integer offset is constant over long runs that the compiler vectorises.
Where the lens distorts, every tile of the canvas has a matrix of its own (`stacking.fuse.deformation.Tiles`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacking.frames import Pixels
from stacking.fuse.compiled import compiled, inlined
from stacking.fuse.range_ends import RUN, is_black, is_white

TAPS = 6
PHASES = 1024
_PAD = 16
_RENEW = 1.0 / 256.0

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def lanczos3_table() -> F32:
    """Weights of the Lanczos kernel with three lobes, shape (PHASES + 1, TAPS), float32; each row sums to 1."""
    fraction = np.arange(PHASES + 1, dtype=np.float64)[:, None] / PHASES
    distance = np.arange(-2, 4, dtype=np.float64)[None] - fraction
    weights = np.sinc(distance) * np.sinc(distance / 3.0)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


@inlined
def _weights_along_row(start: Any, slope: Any, width: Any, source_width: Any, table: Any, taps: Any, runs: Any) -> Any:
    """Table the weights of one row: taps (TAPS, width); runs hold (first x, offset) pairs; returns their number."""
    count = 0
    last = -(1 << 40)
    for x in range(width):
        s = start + slope * x
        i = math.floor(s)
        p = int((s - i) * PHASES + 0.5)
        if i < -4:
            i = -4
            p = 0
        elif i > source_width + 3:
            i = source_width + 3
            p = 0
        offset = i - x
        if offset != last:
            runs[count, 0] = x
            runs[count, 1] = offset
            count += 1
            last = offset
        for k in range(TAPS):
            taps[k, x] = table[p, k]
    return count


@inlined
def _resample_row(line: Any, taps: Any, runs: Any, count: Any, width: Any, out: Any) -> Any:
    for r in range(count):
        a = runs[r, 0]
        b = runs[r + 1, 0] if r + 1 < count else width
        d = runs[r, 1] + _PAD - 2 + a
        n = b - a
        # Slices, because an index that might be negative is not vectorised.
        to = out[a:b]
        l0, l1, l2 = line[d : d + n], line[d + 1 : d + 1 + n], line[d + 2 : d + 2 + n]
        l3, l4, l5 = line[d + 3 : d + 3 + n], line[d + 4 : d + 4 + n], line[d + 5 : d + 5 + n]
        t0, t1, t2 = taps[0, a:b], taps[1, a:b], taps[2, a:b]
        t3, t4, t5 = taps[3, a:b], taps[4, a:b], taps[5, a:b]
        for x in range(n):
            to[x] = t0[x] * l0[x] + t1[x] * l1[x] + t2[x] * l2[x] + t3[x] * l3[x] + t4[x] * l4[x] + t5[x] * l5[x]


@inlined
def _resample_column(
    ring: Any, mask: Any, m10: Any, m11: Any, m12: Any, y: Any, width: Any, block: Any, table: Any, out: Any
) -> Any:
    x0 = 0
    while x0 < width:
        x1 = min(width, x0 + block)
        s = m10 * (0.5 * (x0 + x1 - 1)) + m11 * y + m12
        i = math.floor(s)
        p = int((s - i) * PHASES + 0.5)
        w0, w1, w2 = table[p, 0], table[p, 1], table[p, 2]
        w3, w4, w5 = table[p, 3], table[p, 4], table[p, 5]
        r0, r1, r2 = ring[(i - 2) & mask, x0:x1], ring[(i - 1) & mask, x0:x1], ring[i & mask, x0:x1]
        r3, r4, r5 = ring[(i + 1) & mask, x0:x1], ring[(i + 2) & mask, x0:x1], ring[(i + 3) & mask, x0:x1]
        to = out[x0:x1]
        for x in range(x1 - x0):
            to[x] = w0 * r0[x] + w1 * r1[x] + w2 * r2[x] + w3 * r3[x] + w4 * r4[x] + w5 * r5[x]
        x0 = x1


@inlined
def _ring_rows(m10: Any, width: Any) -> Any:
    need = int(abs(m10) * width) + TAPS + 4
    rows = 8
    while rows < need:
        rows *= 2
    return rows


@inlined
def _column_block(m10: Any, width: Any) -> Any:
    if abs(m10) * width <= _RENEW:
        return width
    return max(1, int(4.0 * _RENEW / abs(m10)))


@inlined
def _renewal_rows(shear: Any) -> Any:
    """Rows that share one table of weights: counted from row 0 of the frame, so that bands of rows do not show."""
    if abs(shear) < 1e-9:
        return 1 << 30
    return max(1, int(2.0 * _RENEW / abs(shear)))


@inlined
def _pad(line: Any, width: Any) -> Any:
    for x in range(_PAD):
        line[x] = line[_PAD]
        line[width + _PAD + x] = line[width + _PAD - 1]


@inlined
def _hold_at_ends(rows_rgb: Any, coefficients: Any, matrix: Any, y: Any, width: Any, white: Any, out: Any) -> Any:
    """What a row has at black and ``white`` and beyond is held within the four samples around: ringing is neither."""
    last_row, last_column = rows_rgb.shape[0] - 1, rows_rgb.shape[1] // 3 - 1
    c0, c1, c2 = coefficients[0], coefficients[1], coefficients[2]
    for start in range(0, width, RUN):
        stop = min(start + RUN, width)
        run = out[start:stop]
        ends = 0
        for x in range(stop - start):
            ends += 1 if is_white(run[x], white) or is_black(run[x]) else 0
        if ends:
            for x in range(start, stop):
                v = out[x]
                if is_white(v, white) or is_black(v):
                    i = math.floor(matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2])
                    j = math.floor(matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2])
                    least, most = np.float32(np.inf), np.float32(-np.inf)
                    for row in range(2):
                        samples = rows_rgb[min(max(j + row, 0), last_row)]
                        for column in range(2):
                            k = 3 * min(max(i + column, 0), last_column)
                            luma = (
                                c0 * np.float32(samples[k])
                                + c1 * np.float32(samples[k + 1])
                                + c2 * np.float32(samples[k + 2])
                            )
                            least, most = min(least, luma), max(most, luma)
                    out[x] = min(max(v, least), most)


@inlined
def _tile_rows(tile: Any, side: Any, above: Any, y0: Any, y1: Any) -> Any:
    """The rows of a row of tiles that lie between y0 and y1."""
    return max(y0, tile * side - above), min(y1, (tile + 1) * side - above)


@inlined
def _columns_seen(matrix: Any, width: Any, first: Any, stop: Any, source_width: Any) -> Any:
    """Columns of the frame that a tile's rows depend on, at least one; beyond the frame its outermost repeat."""
    across, down = matrix[0, 0] * (width - 1), matrix[0, 1]
    low = matrix[0, 2] + min(0.0, across) + min(down * first, down * (stop - 1)) - _PAD * abs(down)
    high = matrix[0, 2] + max(0.0, across) + max(down * first, down * (stop - 1)) + _PAD * abs(down)
    left = min(max(math.floor(low) - TAPS, 0), source_width - 1)
    return left, max(min(math.ceil(high) + TAPS + 1, source_width), left + 1)


@inlined
def _warp_luma_tile(
    rows_rgb: Any, coefficients: Any, matrix: Any, table: Any, white: Any, out: Any, x0: Any, x1: Any, y0: Any, y1: Any
) -> Any:
    height, source_width = rows_rgb.shape[0], rows_rgb.shape[1] // 3
    width = x1 - x0
    m00, m01, m02 = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    m10, m11, m12 = matrix[1, 0], matrix[1, 1], matrix[1, 2]
    slope = m00 - m01 * m10 / m11
    shear = m01 / m11
    origin = m02 - m01 * m12 / m11
    left, right = _columns_seen(matrix, width, y0, y1, source_width)
    rows = _ring_rows(m10, width)
    mask = rows - 1
    block = _column_block(m10, width)
    ring = np.empty((rows, width), np.float32)
    line = np.empty(source_width + 2 * _PAD, np.float32)
    taps = np.empty((TAPS, width), np.float32)
    runs = np.empty((width + 1, 2), np.int64)
    count = 0
    renewal = _renewal_rows(shear)
    tabled = -(1 << 40)
    c0, c1, c2 = coefficients[0], coefficients[1], coefficients[2]
    red = np.empty(right - left, rows_rgb.dtype)
    green, blue = np.empty_like(red), np.empty_like(red)
    first = m11 * y0 + m12 + min(0.0, m10 * (width - 1))
    filled = math.floor(first) - 3
    for y in range(y0, y1):
        need = math.floor(m11 * y + m12 + max(0.0, m10 * (width - 1))) + 4
        while filled <= need:
            ys = min(max(filled, 0), height - 1)
            samples = rows_rgb[ys, 3 * left : 3 * right]
            for x in range(right - left):
                red[x], green[x], blue[x] = samples[3 * x], samples[3 * x + 1], samples[3 * x + 2]
            middle = line[_PAD + left : _PAD + right]
            for x in range(right - left):
                middle[x] = c0 * np.float32(red[x]) + c1 * np.float32(green[x]) + c2 * np.float32(blue[x])
            _pad(line, source_width)
            group = math.floor(filled / renewal)
            if group != tabled:
                middle_row = group * renewal + 0.5 * (renewal - 1) if renewal < 1 << 30 else 0.0
                start = origin + shear * middle_row
                count = _weights_along_row(start, slope, width, source_width, table, taps, runs)
                tabled = group
            _resample_row(line, taps, runs, count, width, ring[filled & mask])
            filled += 1
        _resample_column(ring, mask, m10, m11, m12, y, width, block, table, out[y, x0:x1])
        _hold_at_ends(rows_rgb, coefficients, matrix, y, width, white, out[y, x0:x1])


@compiled(
    "void(uint8[:,::1], float32[::1], float64[:,:,:,::1], int64, int64, float32[:,::1], float32, float32[:,::1], int64, int64)",
    "void(uint16[:,::1], float32[::1], float64[:,:,:,::1], int64, int64, float32[:,::1], float32, float32[:,::1], int64, int64)",
)
def warp_luma(
    rows_rgb: Pixels,
    coefficients: F32,
    matrices: F64,
    side: int,
    above: int,
    table: F32,
    white: float,
    out: F32,
    y0: int,
    y1: int,
) -> None:
    """Rows y0 to y1 of the luma plane, out (h, w), of an RGB frame seen through the matrices of tiles (canvas to frame).

    ``rows_rgb`` is the frame with each row's samples one after the other, (rows, 3 * columns): so they are read as vectors. ``white`` is
    the luma of its white: only what lies beside white samples comes as near to it as `widen_range` asks for, and so with black.
    """
    for j in range(matrices.shape[0]):
        first, stop = _tile_rows(j, side, above, y0, y1)
        if first < stop:
            for i in range(matrices.shape[1]):
                x0, x1 = i * side, min((i + 1) * side, out.shape[1])
                _warp_luma_tile(
                    rows_rgb, coefficients, matrices[j, i], table, np.float32(white), out, x0, x1, first, stop
                )


@inlined
def _chroma_row(upper: Any, lower: Any, luma: Any, scale: Any, sums: Any, red: Any, blue: Any) -> Any:
    """Red and blue minus luma of a half-size row, each the mean of 2x2 pixels of two rows of samples."""
    width = red.shape[0]
    quarter = np.float32(0.25)
    q0, q1, q2 = luma[0] * quarter, luma[1] * quarter, luma[2] * quarter
    s0, s2 = scale[0] * quarter, scale[2] * quarter
    r, g, b = sums[0], sums[1], sums[2]
    for x in range(2 * width):
        r[x] = np.float32(upper[3 * x]) + np.float32(lower[3 * x])
        g[x] = np.float32(upper[3 * x + 1]) + np.float32(lower[3 * x + 1])
        b[x] = np.float32(upper[3 * x + 2]) + np.float32(lower[3 * x + 2])
    for x in range(width):
        r_sum, b_sum = r[2 * x] + r[2 * x + 1], b[2 * x] + b[2 * x + 1]
        y_mean = q0 * r_sum + q1 * (g[2 * x] + g[2 * x + 1]) + q2 * b_sum
        red[x] = s0 * r_sum - y_mean
        blue[x] = s2 * b_sum - y_mean


@inlined
def _warp_chroma_tile(
    rows_rgb: Any,
    luma: Any,
    scale: Any,
    matrix: Any,
    table: Any,
    red_out: Any,
    blue_out: Any,
    x0: Any,
    x1: Any,
    y0: Any,
    y1: Any,
) -> Any:
    height, source_width = rows_rgb.shape[0] // 2, rows_rgb.shape[1] // 3 // 2
    width = x1 - x0
    m00, m01, m02 = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    m10, m11, m12 = matrix[1, 0], matrix[1, 1], matrix[1, 2]
    slope = m00 - m01 * m10 / m11
    shear = m01 / m11
    origin = m02 - m01 * m12 / m11
    left, right = _columns_seen(matrix, width, y0, y1, source_width)
    rows = _ring_rows(m10, width)
    mask = rows - 1
    block = _column_block(m10, width)
    red_ring, blue_ring = np.empty((rows, width), np.float32), np.empty((rows, width), np.float32)
    red_line = np.empty(source_width + 2 * _PAD, np.float32)
    blue_line = np.empty(source_width + 2 * _PAD, np.float32)
    sums = np.empty((3, 2 * (right - left)), np.float32)
    taps = np.empty((TAPS, width), np.float32)
    runs = np.empty((width + 1, 2), np.int64)
    count = 0
    renewal = _renewal_rows(shear)
    tabled = -(1 << 40)
    first = m11 * y0 + m12 + min(0.0, m10 * (width - 1))
    filled = math.floor(first) - 3
    for y in range(y0, y1):
        need = math.floor(m11 * y + m12 + max(0.0, m10 * (width - 1))) + 4
        while filled <= need:
            ys = min(max(filled, 0), height - 1)
            red, blue = red_line[_PAD + left : _PAD + right], blue_line[_PAD + left : _PAD + right]
            upper, lower = rows_rgb[2 * ys, 6 * left : 6 * right], rows_rgb[2 * ys + 1, 6 * left : 6 * right]
            _chroma_row(upper, lower, luma, scale, sums, red, blue)
            _pad(red_line, source_width)
            _pad(blue_line, source_width)
            group = math.floor(filled / renewal)
            if group != tabled:
                middle_row = group * renewal + 0.5 * (renewal - 1) if renewal < 1 << 30 else 0.0
                start = origin + shear * middle_row
                count = _weights_along_row(start, slope, width, source_width, table, taps, runs)
                tabled = group
            _resample_row(red_line, taps, runs, count, width, red_ring[filled & mask])
            _resample_row(blue_line, taps, runs, count, width, blue_ring[filled & mask])
            filled += 1
        _resample_column(red_ring, mask, m10, m11, m12, y, width, block, table, red_out[y, x0:x1])
        _resample_column(blue_ring, mask, m10, m11, m12, y, width, block, table, blue_out[y, x0:x1])


@compiled(
    "void(uint8[:,::1], float32[::1], float32[::1], float64[:,:,:,::1], int64, int64, float32[:,::1], float32[:,::1],"
    " float32[:,::1], int64, int64)",
    "void(uint16[:,::1], float32[::1], float32[::1], float64[:,:,:,::1], int64, int64, float32[:,::1], float32[:,::1],"
    " float32[:,::1], int64, int64)",
)
def warp_chroma(
    rows_rgb: Pixels,
    luma: F32,
    scale: F32,
    matrices: F64,
    side: int,
    above: int,
    table: F32,
    red_out: F32,
    blue_out: F32,
    y0: int,
    y1: int,
) -> None:
    """Rows y0 to y1 of the two chroma differences of a frame at half size, seen through matrices of tiles (half-size canvas to frame).

    Half size is the mean of 2x2 pixels; ``rows_rgb`` as for `warp_luma`. Only the rows at hand are ever held at half size.
    """
    for j in range(matrices.shape[0]):
        first, stop = _tile_rows(j, side, above, y0, y1)
        if first < stop:
            for i in range(matrices.shape[1]):
                x0, x1 = i * side, min((i + 1) * side, red_out.shape[1])
                _warp_chroma_tile(rows_rgb, luma, scale, matrices[j, i], table, red_out, blue_out, x0, x1, first, stop)
