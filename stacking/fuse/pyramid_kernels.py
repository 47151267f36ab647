"""Compiled loops of the Laplacian pyramid: reduce, analyse and accumulate, collapse (Burt and Adelson 1983).

Every loop works on a range of rows and computes each pixel from the same inputs in the same order, so the result does
not depend on how the rows are shared out among threads. Planes are float32 in 8-bit units (0 to 255).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.compiled import compiled, inlined
from stacking.fuse.range_ends import is_black, is_white

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

LEAST_HEADROOM = 0.02
LEAST_WEIGHED, MOST_WEIGHED = 3e-5, 8e3


@inlined
def mirror(i: Any, n: Any) -> Any:
    """Index ``i`` among ``n``, mirrored at the borders."""
    if i < 0:
        i = -i
    if i >= n:
        i = 2 * n - 2 - i
    return min(max(i, 0), n - 1)


@inlined
def reduce_row(row: Any, width: Any, out: Any) -> Any:
    """[1 4 6 4 1] / 16 at every second pixel of a row of ``width``; edges mirrored."""
    half = out.shape[0]
    inner = (width - 3) // 2
    for i in range(min(1, half)):
        out[i] = (
            np.float32(0.375) * row[2 * i]
            + np.float32(0.25) * (row[mirror(2 * i - 1, width)] + row[mirror(2 * i + 1, width)])
            + np.float32(0.0625) * (row[mirror(2 * i - 2, width)] + row[mirror(2 * i + 2, width)])
        )
    n = max(inner, 0)
    to = out[1 : 1 + n]
    r = row[0 : 2 * n + 4]
    for i in range(n):
        j = 2 * i
        to[i] = (
            np.float32(0.375) * r[j + 2]
            + np.float32(0.25) * (r[j + 1] + r[j + 3])
            + np.float32(0.0625) * (r[j] + r[j + 4])
        )
    for i in range(n + 1, half):
        out[i] = (
            np.float32(0.375) * row[2 * i]
            + np.float32(0.25) * (row[mirror(2 * i - 1, width)] + row[mirror(2 * i + 1, width)])
            + np.float32(0.0625) * (row[mirror(2 * i - 2, width)] + row[mirror(2 * i + 2, width)])
        )


@compiled("void(float32[:,::1], float32[:,::1], int64, int64)")
def reduce_rows(fine: F32, coarse: F32, y0: int, y1: int) -> None:
    """Rows y0 to y1 of the next coarser plane, shape ((h + 1) // 2, (w + 1) // 2)."""
    height, width = fine.shape
    line = np.empty(width, np.float32)
    for y in range(y0, y1):
        a = fine[mirror(2 * y - 2, height)]
        b = fine[mirror(2 * y - 1, height)]
        c = fine[2 * y]
        d = fine[mirror(2 * y + 1, height)]
        e = fine[mirror(2 * y + 2, height)]
        for x in range(width):
            line[x] = np.float32(0.375) * c[x] + np.float32(0.25) * (b[x] + d[x]) + np.float32(0.0625) * (a[x] + e[x])
        reduce_row(line, width, coarse[y])


@inlined
def expand_row(coarse: Any, y: Any, width: Any, line: Any, out: Any) -> Any:
    """Row ``y`` of the plane expanded from ``coarse``."""
    rows, half = coarse.shape
    j = y // 2
    if y & 1:
        a = coarse[j]
        b = coarse[min(j + 1, rows - 1)]
        for i in range(half):
            line[i] = np.float32(0.5) * (a[i] + b[i])
    else:
        a = coarse[mirror(j - 1, rows)]
        b = coarse[j]
        c = coarse[mirror(j + 1, rows)]
        for i in range(half):
            line[i] = np.float32(0.125) * (a[i] + c[i]) + np.float32(0.75) * b[i]
    out[0] = np.float32(0.75) * line[0] + np.float32(0.25) * line[min(1, half - 1)]
    n = min(half - 1, (width - 1) // 2)
    if n > 0:
        out[1] = np.float32(0.5) * (line[0] + line[1])
    # both in one loop: pairs of stores are interleaved in registers
    before, here, after, pairs = line[0 : n - 1], line[1:n], line[2 : n + 1], out[2 : 2 * n]
    for i in range(n - 1):
        pairs[2 * i] = np.float32(0.125) * (before[i] + after[i]) + np.float32(0.75) * here[i]
        pairs[2 * i + 1] = np.float32(0.5) * (here[i] + after[i])
    for i in range(max(n, 1), half):
        nxt = mirror(i + 1, half)
        if 2 * i < width:
            out[2 * i] = np.float32(0.125) * (line[mirror(i - 1, half)] + line[nxt]) + np.float32(0.75) * line[i]
        if 2 * i + 1 < width:
            out[2 * i + 1] = np.float32(0.5) * (line[i] + line[min(i + 1, half - 1)])
    if n < 1 and width > 1:
        out[1] = np.float32(0.5) * (line[0] + line[min(1, half - 1)])


@compiled("void(float32[:,::1], float32[:,::1], float32[:,::1], int64, int64)")
def expand_add(coarse: F32, detail: F32, out: F32, y0: int, y1: int) -> None:
    """Rows y0 to y1 of ``detail`` plus the expanded ``coarse`` plane."""
    width = out.shape[1]
    line = np.empty(coarse.shape[1], np.float32)
    up = np.empty(width + 2, np.float32)
    for y in range(y0, y1):
        expand_row(coarse, y, width, line, up)
        for x in range(width):
            out[y, x] = up[x] + detail[y, x]


@inlined
def linear_row(coarse: Any, y: Any, width: Any, line: Any, out: Any) -> Any:
    """Row ``y`` of a plane of twice the size, by straight lines between the samples."""
    rows, half = coarse.shape
    j = y // 2
    a = coarse[j]
    b = coarse[min(j + (y & 1), rows - 1)]
    for i in range(half):
        line[i] = np.float32(0.5) * (a[i] + b[i])
    n = min(half - 1, width // 2)
    for i in range(n):
        out[2 * i] = line[i]
        out[2 * i + 1] = np.float32(0.5) * (line[i] + line[i + 1])
    for i in range(n, half):
        out[2 * i] = line[i]
        out[2 * i + 1] = line[i]


@inlined
def half_row(row: Any, width: Any, out: Any) -> Any:
    """[1 2 1] / 4 at every second pixel."""
    half = out.shape[0]
    out[0] = np.float32(0.5) * (row[0] + row[min(1, width - 1)])
    n = max((width - 2) // 2, 0)
    to = out[1 : 1 + n]
    for i in range(min(n, half - 1)):
        j = 2 * i
        to[i] = np.float32(0.25) * (row[j + 1] + row[j + 3]) + np.float32(0.5) * row[j + 2]
    for i in range(n + 1, half):
        out[i] = np.float32(0.5) * (row[2 * i - 1] + row[2 * i])


@inlined
def _energy_down(energy: Any, j: Any, height: Any, width: Any, out: Any, line: Any) -> Any:
    a = energy[mirror(j - 1, height) & 3]
    b = energy[j & 3]
    c = energy[mirror(j + 1, height) & 3]
    for x in range(width):
        line[x] = np.float32(0.25) * (a[x] + c[x]) + np.float32(0.5) * b[x]
    half_row(line, width, out)


@inlined
def _energy_row(fine: Any, coarse: Any, y: Any, line: Any, up: Any, ring: Any, square: Any) -> Any:
    """Laplacian row ``y`` into the ring, and its square smoothed along the row."""
    width = fine.shape[1]
    expand_row(coarse, y, width, line, up)
    row = fine[y]
    band = ring[y & 3]
    for x in range(width):
        band[x] = row[x] - up[x]
    sq = square[y & 3]
    # Blur mixes light, so what is bright spreads over what is dark: contrast counts less the brighter its surroundings.
    for x in range(width):
        headroom = max(np.float32(1.0) - up[x] * np.float32(1.0 / 255.0), np.float32(LEAST_HEADROOM))
        up[x] = band[x] * band[x] * headroom
    n = width - 2
    b0, b1, b2 = up[0:n], up[1 : 1 + n], up[2 : 2 + n]
    to = sq[1 : 1 + n]
    for x in range(n):
        to[x] = np.float32(0.24) * (b0[x] + b2[x]) + np.float32(0.52) * b1[x]
    sq[0] = np.float32(0.48) * up[1] + np.float32(0.52) * up[0]
    sq[width - 1] = np.float32(0.48) * up[width - 2] + np.float32(0.52) * up[width - 1]


@inlined
def _favour_row(favour: Any, step: Any, y: Any, width: Any, line: Any, twice: Any, out: Any) -> Any:
    """Row ``y`` of a plane ``step`` (1, 2 or 4) times as large as ``favour``, by straight lines."""
    rows, columns = favour.shape
    j = y // step
    a, b = favour[j], favour[min(j + 1, rows - 1)]
    part = np.float32(y - j * step) / np.float32(step)
    for i in range(columns):
        line[i] = a[i] + part * (b[i] - a[i])
    if step == 1:
        for i in range(width):
            out[i] = line[i]
    elif step == 2:
        _between(line, columns, width, out)
    else:
        half = (width + 1) // 2
        _between(line, columns, half, twice)
        _between(twice, half, width, out)


@inlined
def _between(row: Any, count: Any, width: Any, out: Any) -> Any:
    n = min(count - 1, width // 2)
    for i in range(n):
        out[2 * i] = row[i]
        out[2 * i + 1] = np.float32(0.5) * (row[i] + row[i + 1])
    for i in range(2 * n, width):
        out[i] = row[count - 1]


@inlined
def _accumulate_row(
    fine: Any, coarse: Any, y: Any, left: Any, right: Any, weight: Any, line: Any, up: Any, into: Any
) -> Any:
    """Row ``y`` of another plane's Laplacian level under given weights, from column ``left`` to ``right``."""
    expand_row(coarse, y, fine.shape[1], line, up)
    f, u = fine[y, left:right], up[left:right]
    for x in range(right - left):
        into[x] += weight[x] * (f[x] - u[x])


@compiled(
    "void(float32[:,::1], float32[:,::1], float32[:,::1], float32, float32, float32, int64, float32[:,::1], int64,"
    " int32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1],"
    " float32[:,::1], float32[:,::1], float32[:,::1], float32[:,::1], int64, int64)"
)
def accumulate_level(  # noqa: C901  (one loop on purpose: every row is still in the cache)
    fine: F32,
    coarse: F32,
    finer_energy: F32,
    share: float,
    floor: float,
    scale: float,
    power: int,
    favour: F32,
    favour_step: int,
    spans: NDArray[np.int32],
    weight_sum: F32,
    band_sum: F32,
    red: F32,
    red_coarse: F32,
    red_sum: F32,
    blue: F32,
    blue_coarse: F32,
    blue_sum: F32,
    weight_plane: F32,
    energy_out: F32,
    y0: int,
    y1: int,
) -> None:
    """Rows y0 to y1 of one level of one frame: Laplacian, local energy, weight, running sums.

    ``favour`` is a factor on the energy with one sample for ``favour_step`` pixels each way (step 0: none).
    Only columns ``spans[y, 0]`` to ``spans[y, 1]`` of a row are candidates. ``energy_out`` has half the size (or one row:
    not wanted) and gets the energy seen from the next level; ``weight_plane`` and the sums of ``red`` and ``blue`` under the same
    weights have the size of ``fine`` (or one row: not wanted). y0 is even.
    """
    height, width = fine.shape
    line = np.empty(coarse.shape[1], np.float32)
    up = np.empty(width + 2, np.float32)
    ring = np.empty((4, width), np.float32)
    square = np.empty((4, width), np.float32)
    energy = np.empty((4, width), np.float32)
    weight = np.empty(width, np.float32)
    factor = np.empty(width + 2, np.float32)
    twice = np.empty(width // 2 + 3, np.float32)
    short = np.empty(favour.shape[1], np.float32)
    has_finer = finer_energy.shape[0] == height
    wants_energy = energy_out.shape[0] > 1
    wants_weight = weight_plane.shape[0] == height
    wants_colours = red_sum.shape[0] == height
    start = max(y0 - 2, 0)
    stop = min(y1 + 2, height)
    done = start
    for y in range(start, stop + 1):
        if y < stop:
            _energy_row(fine, coarse, y, line, up, ring, square)
        # The energy of row y - 1 is complete now.
        e = y - 1
        if e < done or e < max(y0 - 1, 0) or e > min(y1, height - 1):
            continue
        above = square[mirror(e - 1, height) & 3]
        here = square[e & 3]
        below = square[mirror(e + 1, height) & 3]
        out = energy[e & 3]
        if has_finer:
            more = finer_energy[e]
            for x in range(width):
                own = np.float32(0.24) * (above[x] + below[x]) + np.float32(0.52) * here[x]
                out[x] = own + share * more[x]
        else:
            for x in range(width):
                out[x] = np.float32(0.24) * (above[x] + below[x]) + np.float32(0.52) * here[x]
        if y0 <= e < y1:
            band = ring[e & 3]
            if favour_step == 0:
                for x in range(width):
                    factor[x] = np.float32(1.0)
            elif favour_step < 4 or (e & 1) == 0:  # of a plane that smooth, one row does for two
                _favour_row(favour, favour_step, e, width, short, twice, factor)
            # Held in a range where neither the eighth power nor the sums of that are nothing or infinite.
            least, most = np.float32(LEAST_WEIGHED), np.float32(MOST_WEIGHED)
            if power == 2:
                for x in range(width):
                    v = min(max((out[x] + floor) * scale * factor[x], least), most)
                    weight[x] = v * v
            elif power == 4:
                for x in range(width):
                    v = min(max((out[x] + floor) * scale * factor[x], least), most)
                    weight[x] = (v * v) * (v * v)
            else:
                for x in range(width):
                    v = min(max((out[x] + floor) * scale * factor[x], least), most)
                    v2 = v * v
                    more_power = v2 if power == 6 else v2 * v2
                    weight[x] = v2 * v2 * more_power
            left, right = spans[e, 0], spans[e, 1]
            count = right - left
            w = weight[left:right]
            bands = band[left:right]
            ws = weight_sum[e, left:right]
            bs = band_sum[e, left:right]
            for x in range(count):
                ws[x] += w[x]
                bs[x] += w[x] * bands[x]
            if wants_colours:
                _accumulate_row(red, red_coarse, e, left, right, w, line, up, red_sum[e, left:right])
                _accumulate_row(blue, blue_coarse, e, left, right, w, line, up, blue_sum[e, left:right])
            if wants_weight:
                into = weight_plane[e]
                into[:left] = 0.0
                into[right:] = 0.0
                inside = into[left:right]
                for x in range(count):
                    inside[x] = w[x]
        # The energy of row j seen from the next level needs rows j - 1 to j + 1.
        if wants_energy:
            j = e - 1
            if j >= y0 and (j & 1) == 0:
                _energy_down(energy, j, height, width, energy_out[j // 2], up)
            if e == height - 1 and (e & 1) == 0 and e >= y0 and e < y1:
                _energy_down(energy, e, height, width, energy_out[e // 2], up)


@compiled("void(float32[:,::1], float32[:,::1], int32[:,::1], float32[:,::1], float32[:,::1], int64, int64)")
def accumulate_weighted(
    plane: F32, weight: F32, spans: NDArray[np.int32], plane_sum: F32, weight_sum: F32, y0: int, y1: int
) -> None:
    """Rows y0 to y1 of running sums of ``weight`` (also where it has one row: not wanted) and ``weight * plane``."""
    wants_weight = weight_sum.shape[0] == plane.shape[0]
    for y in range(y0, y1):
        a, b = spans[y, 0], spans[y, 1]
        p, w, into = plane[y, a:b], weight[y, a:b], plane_sum[y, a:b]
        for x in range(b - a):
            into[x] += w[x] * p[x]
        if wants_weight:
            total = weight_sum[y, a:b]
            for x in range(b - a):
                total[x] += w[x]


@compiled("void(float32[:,::1], int32[:,::1], float32, uint8[:,::1], uint8[:,::1], int64, int64)")
def widen_range(plane: F32, spans: NDArray[np.int32], white: float, low: U8, high: U8, y0: int, y1: int) -> None:
    """Rows y0 to y1 of the running range of values that the frames have at each pixel, rounded outwards to whole 8-bit steps.

    It reaches 255 where a frame is white and 0 where it is black; what else comes there counts as 254 and 1.
    """
    most = np.float32(white)
    for y in range(y0, y1):
        a, b = spans[y, 0], spans[y, 1]
        p, lo, hi = plane[y, a:b], low[y, a:b], high[y, a:b]
        for x in range(b - a):
            v = min(max(p[x], np.float32(1.0)), np.float32(254.0))
            lo[x] = min(lo[x], np.uint8(0) if is_black(p[x]) else np.uint8(v))
            hi[x] = max(hi[x], np.uint8(255) if is_white(p[x], most) else np.uint8(np.ceil(v)))


@compiled("void(float32[:,::1], float32[:,::1], int64, int64)")
def divide_rows(band: F32, weight: F32, y0: int, y1: int) -> None:
    """Running sums to their mean, in place."""
    for y in range(y0, y1):
        for x in range(band.shape[1]):
            band[y, x] = band[y, x] / max(weight[y, x], np.float32(1e-37))
