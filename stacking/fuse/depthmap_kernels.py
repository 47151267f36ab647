"""Compiled loops of the fusion by depth map: what a frame weighs at every second pixel, and sums under that weight at full size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.compiled import compiled
from stacking.fuse.pyramid_kernels import linear_row

F32 = NDArray[np.float32]


@compiled("void(float32[:,::1], float32[:,::1], float32, float32[:,::1], int64, int64)")
def near_rows(chosen: F32, reach: F32, number: float, weight: F32, y0: int, y1: int) -> None:
    """Rows y0 to y1 of the weight of frame ``number``, which falls straight to nothing ``reach`` frames from the one chosen.

    A trace of it stays everywhere, for pixels that the frames chosen do not reach.
    """
    for y in range(y0, y1):
        c, r, w = chosen[y], reach[y], weight[y]
        for x in range(c.shape[0]):
            w[x] = max(np.float32(1.0) - abs(c[x] - number) / r[x], np.float32(1e-6))


@compiled("void(float32[:,::1], float32[:,::1], int32[:,::1], float32[:,::1], float32[:,::1], int64, int64)")
def accumulate_enlarged(
    plane: F32, weight: F32, spans: NDArray[np.int32], plane_sum: F32, weight_sum: F32, y0: int, y1: int
) -> None:
    """Rows y0 to y1 of running sums of ``weight``, given at half size, and ``weight * plane``.

    Between cells the weights are mixed, not the numbers of the frames: across an outline lie many frames in which both sides are
    blurred.
    """
    width = plane.shape[1]
    line = np.empty(weight.shape[1], np.float32)
    row = np.empty(width + 2, np.float32)
    for y in range(y0, y1):
        linear_row(weight, y, width, line, row)
        a, b = spans[y, 0], spans[y, 1]
        p, w, into, total = plane[y, a:b], row[a:b], plane_sum[y, a:b], weight_sum[y, a:b]
        for x in range(b - a):
            into[x] += w[x] * p[x]
            total[x] += w[x]
