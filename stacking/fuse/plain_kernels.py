"""Compiled loops of the fusions without a pyramid: sums of frames near a depth, and the picture from luma and half-size chroma."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.compiled import compiled
from stacking.fuse.pyramid_kernels import linear_row

F32 = NDArray[np.float32]
U16 = NDArray[np.uint16]


@compiled(
    "void(float32[:,::1], float32[:,::1], float32, float32, int32[:,::1], float32[:,::1], float32[:,::1], int64, int64)"
)
def accumulate_near(
    plane: F32,
    depth: F32,
    position: float,
    reach: float,
    spans: NDArray[np.int32],
    plane_sum: F32,
    weight_sum: F32,
    y0: int,
    y1: int,
) -> None:
    """Rows y0 to y1 of running sums of a frame under a weight that falls straight to nothing ``reach`` from its depth.

    ``weight_sum`` may have one row: not wanted.
    """
    wants_weight = weight_sum.shape[0] == plane.shape[0]
    each = np.float32(1.0) / reach
    weight = np.empty(plane.shape[1], np.float32)
    for y in range(y0, y1):
        a, b = spans[y, 0], spans[y, 1]
        p, d, into, w = plane[y, a:b], depth[y, a:b], plane_sum[y, a:b], weight[a:b]
        for x in range(b - a):
            w[x] = max(np.float32(1.0) - abs(d[x] - position) * each, np.float32(1e-6))
            into[x] += w[x] * p[x]
        if wants_weight:
            total = weight_sum[y, a:b]
            for x in range(b - a):
                total[x] += w[x]


@compiled(
    "void(float32[:,::1], uint16[:,::1], uint16[:,::1], float32[:,::1], float32[:,::1], uint16[:,:,::1], int64, int64)"
)
def compose_rgb(luma: F32, low: U16, high: U16, red: F32, blue: F32, rgb: NDArray[np.uint16], y0: int, y1: int) -> None:
    """Rows y0 to y1 of the picture from luma, clamped to the range, and half-size chroma differences; uint16 RGB.

    ``low`` and ``high`` may have one row: no clamp.
    """
    width = luma.shape[1]
    clamps = low.shape[0] == luma.shape[0]
    half = red.shape[1]
    r_line = np.empty(half, np.float32)
    b_line = np.empty(half, np.float32)
    r_row = np.empty(width + 2, np.float32)
    b_row = np.empty(width + 2, np.float32)
    scale = np.float32(257.0)
    for y in range(y0, y1):
        linear_row(red, y, width, r_line, r_row)
        linear_row(blue, y, width, b_line, b_row)
        for x in range(width):
            v = luma[y, x]
            if clamps:
                v = min(max(v, low[y, x] * np.float32(1.0 / 257.0)), high[y, x] * np.float32(1.0 / 257.0))
            r = v + r_row[x]
            b = v + b_row[x]
            g = (v - np.float32(0.299) * r - np.float32(0.114) * b) * np.float32(1.0 / 0.587)
            rgb[y, x, 0] = np.uint16(min(max(r * scale + np.float32(0.5), np.float32(0.0)), np.float32(65535.0)))
            rgb[y, x, 1] = np.uint16(min(max(g * scale + np.float32(0.5), np.float32(0.0)), np.float32(65535.0)))
            rgb[y, x, 2] = np.uint16(min(max(b * scale + np.float32(0.5), np.float32(0.0)), np.float32(65535.0)))
