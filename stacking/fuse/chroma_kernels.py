"""Compiled loops: colour at full size from half-size chroma differences, guided by the luma.

Colour edges of a picture lie where its luma has edges. In every 3x3 window at half size the chroma is fitted by a straight
line over the luma (the guided filter of He, Sun and Tang 2013, as upsampling by Kopf et al. 2007 and He and Sun 2015); its
slope then carries the luma's detail, which the half-size planes have lost, into the chroma.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.compiled import compiled, inlined
from stacking.fuse.range_ends import RUN, is_near_an_end, within_ends

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]

# Contrast of 3x3 pixels in 8-bit units from which detail is strengthened, and the inverse of what it takes more to be so in full.
_STILL_LEVELS, _PER_LEVEL = np.float32(15.0), np.float32(1.0 / 60.0)


@inlined
def _press_ends(values: Any, low: Any, high: Any) -> Any:
    """A row of one colour held within its ends in place, where the frames' range does not reach them."""
    for start in range(0, values.size, RUN):
        stop = min(start + RUN, values.size)
        run = values[start:stop]
        near = 0
        for x in range(stop - start):
            near += 1 if is_near_an_end(run[x]) else 0
        if near:
            for x in range(start, stop):
                top = np.float32(0.0) if high[x] == 255 else np.float32(1.0)
                bottom = np.float32(0.0) if low[x] == 0 else np.float32(1.0)
                values[x] = within_ends(values[x], top, bottom)


@compiled("void(float32[:,::1], uint8[:,::1], uint8[:,::1], int64, int64)")
def clamp_rows(luma: F32, low: U8, high: U8, y0: int, y1: int) -> None:
    """Rows y0 to y1 of luma held in place within a range; where that is 1 or 254, what is nearer to the end is left to `within_ends`."""
    for y in range(y0, y1):
        for x in range(luma.shape[1]):
            least = np.float32(low[y, x]) if low[y, x] != 1 else np.float32(0.0)
            most = np.float32(high[y, x]) if high[y, x] != 254 else np.float32(np.inf)
            luma[y, x] = min(max(luma[y, x], least), most)


@compiled("void(float32[:,::1], float32[:,::1], int64, int64)")
def halve_rows(luma: F32, half: F32, y0: int, y1: int) -> None:
    """Rows y0 to y1 of luma at half size, [1 2 1] / 4 at every second pixel of every second row: the chroma's low-pass."""
    height, width = luma.shape
    line = np.empty(width, np.float32)
    for y in range(y0, y1):
        above, here, below = luma[max(2 * y - 1, 0)], luma[2 * y], luma[min(2 * y + 1, height - 1)]
        for x in range(width):
            line[x] = np.float32(0.25) * (above[x] + below[x]) + np.float32(0.5) * here[x]
        for x in range(half.shape[1]):
            left, right = max(2 * x - 1, 0), min(2 * x + 1, width - 1)
            half[y, x] = np.float32(0.25) * (line[left] + line[right]) + np.float32(0.5) * line[2 * x]


@compiled("void(float32[:,::1], float32[:,::1], float32, float32[:,::1], int64, int64)")
def slope_rows(half: F32, chroma: F32, floor: float, slope: F32, y0: int, y1: int) -> None:
    """Rows y0 to y1 of the slope of chroma over luma in 3x3 windows; ``floor`` is added to the luma's variance."""
    height, width = half.shape
    luma_sum = np.empty(width, np.float32)
    chroma_sum = np.empty(width, np.float32)
    square_sum = np.empty(width, np.float32)
    product_sum = np.empty(width, np.float32)
    ninth = np.float32(1.0 / 9.0)
    for y in range(y0, y1):
        a, b, c = half[max(y - 1, 0)], half[y], half[min(y + 1, height - 1)]
        p, q, r = chroma[max(y - 1, 0)], chroma[y], chroma[min(y + 1, height - 1)]
        for x in range(width):
            luma_sum[x] = a[x] + b[x] + c[x]
            chroma_sum[x] = p[x] + q[x] + r[x]
            square_sum[x] = a[x] * a[x] + b[x] * b[x] + c[x] * c[x]
            product_sum[x] = a[x] * p[x] + b[x] * q[x] + c[x] * r[x]
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            mean = ninth * (luma_sum[left] + luma_sum[x] + luma_sum[right])
            mean_chroma = ninth * (chroma_sum[left] + chroma_sum[x] + chroma_sum[right])
            square = ninth * (square_sum[left] + square_sum[x] + square_sum[right])
            product = ninth * (product_sum[left] + product_sum[x] + product_sum[right])
            variance = max(square - mean * mean, np.float32(0.0)) + floor
            slope[y, x] = (product - mean * mean_chroma) / variance


@inlined
def _cubic_row(plane: Any, y: Any, width: Any, line: Any, out: Any) -> Any:
    """Row ``y`` of a plane of twice the size: samples at even pixels, Catmull-Rom between them."""
    rows, half = plane.shape
    j = y // 2
    if y & 1:
        a, b = plane[max(j - 1, 0)], plane[j]
        c, d = plane[min(j + 1, rows - 1)], plane[min(j + 2, rows - 1)]
        for i in range(half):
            line[i] = np.float32(0.5625) * (b[i] + c[i]) - np.float32(0.0625) * (a[i] + d[i])
    else:
        b = plane[j]
        for i in range(half):
            line[i] = b[i]
    for i in range(half):
        out[2 * i] = line[i]
    for i in range(min(half, width // 2)):
        right = min(i + 1, half - 1)
        out[2 * i + 1] = np.float32(0.5625) * (line[i] + line[right]) - np.float32(0.0625) * (
            line[max(i - 1, 0)] + line[min(i + 2, half - 1)]
        )


@inlined
def _straight_row(plane: Any, y: Any, width: Any, line: Any, out: Any) -> Any:
    """Row ``y`` of a plane of twice the size by straight lines between the samples."""
    rows, half = plane.shape
    a, b = plane[y // 2], plane[min(y // 2 + (y & 1), rows - 1)]
    for i in range(half):
        line[i] = np.float32(0.5) * (a[i] + b[i])
    for i in range(half):
        out[2 * i] = line[i]
    for i in range(min(half, width // 2)):
        out[2 * i + 1] = np.float32(0.5) * (line[i] + line[min(i + 1, half - 1)])


@inlined
def _sharpened_row(luma: Any, y: Any, low: Any, high: Any, amount: Any, lines: Any, out: Any) -> Any:
    """Row ``y`` with its departure from the 3x3 mean [1 2 1] / 4 strengthened where those pixels differ much, within the frames' range."""
    height, width = luma.shape
    above, here, below = luma[max(y - 1, 0)], luma[y], luma[min(y + 1, height - 1)]
    least, most = low[y], high[y]
    mean, darkest, brightest = lines[0], lines[1], lines[2]
    for x in range(width):
        a, b, c = above[x], here[x], below[x]
        mean[x + 1] = np.float32(0.25) * (a + c) + np.float32(0.5) * b
        darkest[x + 1] = min(a, b, c)
        brightest[x + 1] = max(a, b, c)
    for k in range(3):
        lines[k, 0], lines[k, width + 1] = lines[k, 1], lines[k, width]
    for x in range(width):
        v = here[x]
        bottom = min(darkest[x], darkest[x + 1], darkest[x + 2])
        top = max(brightest[x], brightest[x + 1], brightest[x + 2])
        share = min(max((top - bottom - _STILL_LEVELS) * _PER_LEVEL, np.float32(0.0)), np.float32(1.0))
        smooth = np.float32(0.25) * (mean[x] + mean[x + 2]) + np.float32(0.5) * mean[x + 1]
        # in whole steps the range reaches up to one beyond what the frames have
        bottom, top = min(v, np.float32(least[x]) + np.float32(1.0)), max(v, np.float32(most[x]) - np.float32(1.0))
        out[x] = min(max(v + amount * share * (v - smooth), bottom), top)


@compiled(
    "void(float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1],"
    " uint8[:,::1], uint8[:,::1], float32, uint16[:,:,::1], int64, int64)"
)
def compose_guided(
    luma: F32,
    half: F32,
    red: F32,
    blue: F32,
    red_slope: F32,
    blue_slope: F32,
    low: U8,
    high: U8,
    amount: float,
    rgb: U16,
    y0: int,
    y1: int,
) -> None:
    """Rows y0 to y1 of the picture, uint16 RGB: chroma = its cubic + slope * (luma - the cubic of its half size).

    The finest detail of the luma counts up to 1 + ``amount`` times where its contrast is strong, within the range of the frames, ``low``
    to ``high``. Where that is not known these are empty, ``amount`` is 0, and what goes beyond white and black is cut off.
    """
    width = luma.shape[1]
    lines, sharp = np.empty((3, width + 2), np.float32), np.empty(width, np.float32)
    line = np.empty(half.shape[1], np.float32)
    smooth, red_row, blue_row = (
        np.empty(width + 2, np.float32),
        np.empty(width + 2, np.float32),
        np.empty(width + 2, np.float32),
    )
    red_times, blue_times = np.empty(width + 2, np.float32), np.empty(width + 2, np.float32)
    colours = np.empty((3, width), np.float32)
    scale, rounding = np.float32(257.0), np.float32(0.5)
    none, most = np.float32(0.0), np.float32(65535.0)
    for y in range(y0, y1):
        _cubic_row(half, y, width, line, smooth)
        _cubic_row(red, y, width, line, red_row)
        _cubic_row(blue, y, width, line, blue_row)
        _straight_row(red_slope, y, width, line, red_times)
        _straight_row(blue_slope, y, width, line, blue_times)
        if amount > 0.0:
            _sharpened_row(luma, y, low, high, amount, lines, sharp)
        else:
            for x in range(width):
                sharp[x] = luma[y, x]
        for x in range(width):
            v = sharp[x]
            detail = v - smooth[x]
            r = v + red_row[x] + red_times[x] * detail
            b = v + blue_row[x] + blue_times[x] * detail
            g = (v - np.float32(0.299) * r - np.float32(0.114) * b) * np.float32(1.0 / 0.587)
            colours[0, x], colours[1, x], colours[2, x] = r, g, b
        if low.shape[0]:
            for c in range(3):
                _press_ends(colours[c], low[y], high[y])
        for x in range(width):
            r, g, b = colours[0, x], colours[1, x], colours[2, x]
            rgb[y, x, 0] = np.uint16(min(max(r * scale + rounding, none), most))
            rgb[y, x, 1] = np.uint16(min(max(g * scale + rounding, none), most))
            rgb[y, x, 2] = np.uint16(min(max(b * scale + rounding, none), most))
