"""Compiled loops of the mosaic's development: rows pass through rings of eight, so each sample is read once.

Stage by stage behind the row being read: differences along columns 2 rows later, their changes 3, the mixed difference 4,
the finished row 5. Borders are mirrored without repeating the border sample, which keeps the colours' places.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.compiled import compiled, inlined

_RING = 8
_PAD = 8
_FLAT = np.float32(1e-6)
"""Change below which a neighbourhood counts as flat: the square of 0.001 of full scale."""

_TO_LINEAR_END = np.float32(0.0031308)


def _curve_coefficients() -> tuple[np.float32, ...]:
    """Polynomial in the fourth root of linear light for the upper part of the sRGB curve, times 65535."""
    root = np.linspace(0.0031308**0.25, 1.0, 4001)
    curve = 1.055 * root ** (4 / 2.4) - 0.055
    fitted = np.polynomial.Chebyshev.fit(root, curve * 65535.0, 8).convert(kind=np.polynomial.Polynomial)
    return tuple(np.float32(value) for value in fitted.coef)


_C0, _C1, _C2, _C3, _C4, _C5, _C6, _C7, _C8 = _curve_coefficients()


@inlined
def _load(samples, row, black, scale, out):
    """One row of samples to the square root of white-balanced light, 0 to 1, mirrored at both ends."""
    width = samples.shape[1]
    source = samples[row]
    for x in range(width):
        light = (np.float32(source[x]) - black[x]) * scale[x]
        light = min(max(light, np.float32(0.0)), np.float32(1.0))
        out[_PAD + x] = np.sqrt(light)
    for k in range(1, _PAD + 1):
        out[_PAD - k] = out[_PAD + k]
        out[_PAD + width - 1 + k] = out[_PAD + width - 1 - k]


@inlined
def _difference(a, b, c, d, e, sign, out):
    """Green minus the line's other colour at the middle one of five samples in a line."""
    for x in range(out.shape[0]):
        out[x] = sign[x] * (np.float32(0.5) * (b[x] + d[x] - c[x]) - np.float32(0.25) * (a[x] + e[x]))


@inlined
def _squared_step(before, after, out):
    for x in range(out.shape[0]):
        step = after[x] - before[x]
        out[x] = step * step


@inlined
def _sum(a, b, c, weight, bias, out):
    """a + weight b + c + bias."""
    for x in range(out.shape[0]):
        out[x] = a[x] + weight * b[x] + c[x] + bias


@inlined
def _mix(row, row_change, column, column_change, out):
    """The difference along the row and along the column, each weighted by the change of the other."""
    for x in range(out.shape[0]):
        weighted = column_change[x] * row[x] + row_change[x] * column[x]
        out[x] = np.float32(0.25) * weighted / (row_change[x] + column_change[x])


@inlined
def _average(a, b, out):
    for x in range(out.shape[0]):
        out[x] = np.float32(0.5) * (a[x] + b[x])


@inlined
def _square_within(line):
    """Clipped to 0 and 1, and squared: back to linear light."""
    for x in range(line.shape[0]):
        root = min(max(line[x], np.float32(0.0)), np.float32(1.0))
        line[x] = root * root


@inlined
def _colours(v, here, beside, over, diagonal, at_colour, own, green, other):
    """Square roots of the row's own colour, green and the other colour from the differences at and around each site."""
    for x in range(own.shape[0]):
        green[x] = v[x] + at_colour[x] * here[x]
    for x in range(own.shape[0]):
        own[x] = green[x] - (beside[x] + at_colour[x] * (here[x] - beside[x]))
    for x in range(own.shape[0]):
        other[x] = green[x] - (over[x] + at_colour[x] * (diagonal[x] - over[x]))


@inlined
def _encoded(light):
    """Linear light to the sRGB curve, 0 to 65535, within half a count."""
    light = min(max(light, np.float32(0.0)), np.float32(1.0))
    t = np.sqrt(np.sqrt(light))
    high = _C0 + t * (_C1 + t * (_C2 + t * (_C3 + t * (_C4 + t * (_C5 + t * (_C6 + t * (_C7 + t * _C8)))))))
    low = light * np.float32(12.92 * 65535.0)
    return (low if light <= _TO_LINEAR_END else high) + np.float32(0.5)


@inlined
def _finish(red, green, blue, m, out):
    for x in range(red.shape[0]):
        r = red[x]
        g = green[x]
        b = blue[x]
        red[x] = _encoded(m[0, 0] * r + m[0, 1] * g + m[0, 2] * b)
        green[x] = _encoded(m[1, 0] * r + m[1, 1] * g + m[1, 2] * b)
        blue[x] = _encoded(m[2, 0] * r + m[2, 1] * g + m[2, 2] * b)
    for x in range(red.shape[0]):
        out[x, 0] = np.uint16(red[x])
        out[x, 1] = np.uint16(green[x])
        out[x, 2] = np.uint16(blue[x])


@compiled("void(uint16[:, ::1], float32[:, ::1], float32[:, ::1], int64, int64, float32[:, ::1], uint16[:, :, ::1])")
def demosaic(
    samples: NDArray[np.uint16],
    blacks: NDArray[np.float32],
    scales: NDArray[np.float32],
    red_row: int,
    red_column: int,
    matrix: NDArray[np.float32],
    out: NDArray[np.uint16],
) -> None:
    """Develop a mosaic of at least 16x16 samples into `out`, shape (rows, columns, 3).

    blacks, scales : (2, 2), black level and factor to full scale of each site; red_row, red_column : place of red.
    """
    rows, width = samples.shape
    padded = width + 2 * _PAD
    black = np.empty((2, width), np.float32)
    scale = np.empty((2, width), np.float32)
    sign = np.empty((2, padded), np.float32)
    at_colour = np.empty((2, width), np.float32)
    for parity in range(2):
        colour_column = red_column if parity == red_row else 1 - red_column
        for x in range(width):
            black[parity, x] = blacks[parity, x & 1]
            scale[parity, x] = scales[parity, x & 1]
            at_colour[parity, x] = np.float32(1.0) if (x & 1) == colour_column else np.float32(0.0)
        for x in range(padded):
            sign[parity, x] = np.float32(1.0) if ((x - _PAD) & 1) == colour_column else np.float32(-1.0)
    v = np.zeros((_RING, padded), np.float32)
    h = np.zeros((_RING, padded), np.float32)
    c = np.zeros((_RING, padded), np.float32)
    row_change = np.zeros((_RING, padded), np.float32)
    column_change = np.zeros((_RING, padded), np.float32)
    mixed = np.zeros((_RING, padded), np.float32)
    square = np.zeros(padded, np.float32)
    row_sum = np.empty(padded, np.float32)
    column_sum = np.empty(padded, np.float32)
    along_row = np.zeros(padded, np.float32)
    along_column = np.zeros(padded, np.float32)
    zero, one, two = np.float32(0.0), np.float32(1.0), np.float32(2.0)
    own = np.empty(width, np.float32)
    green = np.empty(width, np.float32)
    other = np.empty(width, np.float32)
    over = np.empty(padded, np.float32)
    beside = np.empty(width, np.float32)
    diagonal = np.empty(width, np.float32)
    for r in range(-5, rows + 5):
        mirrored = abs(r)
        if mirrored >= rows:
            mirrored = 2 * (rows - 1) - mirrored
        i = r & 7
        _load(samples, mirrored, black[r & 1], scale[r & 1], v[i])
        line = v[i]
        _difference(line[:-4], line[1:-3], line[2:-2], line[3:-1], line[4:], sign[r & 1, 2:-2], h[i, 2:-2])
        q = r - 2
        _difference(v[(q - 2) & 7], v[(q - 1) & 7], v[q & 7], v[(q + 1) & 7], v[(q + 2) & 7], sign[q & 1], c[q & 7])
        q = r - 3
        line = h[q & 7]
        _squared_step(line[:-2], line[2:], square[1:-1])
        _sum(square[:-2], square[1:-1], square[2:], one, zero, row_change[q & 7, 1:-1])
        _squared_step(c[(q - 1) & 7], c[(q + 1) & 7], square)
        _sum(square[:-2], square[1:-1], square[2:], one, zero, column_change[q & 7, 1:-1])
        q = r - 4
        before, after = (q - 1) & 7, (q + 1) & 7
        _sum(row_change[before], row_change[q & 7], row_change[after], one, _FLAT, row_sum)
        _sum(column_change[before], column_change[q & 7], column_change[after], one, _FLAT, column_sum)
        line = h[q & 7]
        _sum(line[:-2], line[1:-1], line[2:], two, zero, along_row[1:-1])
        _sum(c[before], c[q & 7], c[after], two, zero, along_column)
        _mix(along_row, row_sum, along_column, column_sum, mixed[q & 7])
        y = r - 5
        if y < 0:
            continue
        middle, line = mixed[y & 7], over
        _average(mixed[(y - 1) & 7], mixed[(y + 1) & 7], line)
        _average(middle[_PAD - 1 : -_PAD - 1], middle[_PAD + 1 : -_PAD + 1], beside)
        _average(line[_PAD - 1 : -_PAD - 1], line[_PAD + 1 : -_PAD + 1], diagonal)
        place = at_colour[y & 1]
        _colours(v[y & 7, _PAD:-_PAD], middle[_PAD:-_PAD], beside, line[_PAD:-_PAD], diagonal, place, own, green, other)
        _square_within(own)
        _square_within(green)
        _square_within(other)
        if (y & 1) == red_row:
            _finish(own, green, other, matrix, out[y])
        else:
            _finish(other, green, own, matrix, out[y])
