"""The compiled loop of `stacking.develop_defects` and `stacking.develop_spots`: one look at every pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.compiled import compiled

Samples = NDArray[np.uint8] | NDArray[np.uint16]


@compiled(
    "void(uint16[:, ::1], float32, float32, boolean[:, ::1])", "void(uint8[:, ::1], float32, float32, boolean[:, ::1])"
)
def mark_spikes(samples: Samples, factor: float, floor: float, marks: NDArray[np.bool_]) -> None:
    """Mark pixels farther from their eight nearest of the same colour than `factor` times their range plus `floor`."""
    rows, columns = samples.shape
    n = columns - 6
    for y in range(3, rows - 3):
        # slices, and no branch: so many pixels are looked at by one instruction
        above, here, below, to = samples[y - 2], samples[y], samples[y + 2], marks[y, 3 : 3 + n]
        a, b, c = above[1 : 1 + n], above[3 : 3 + n], above[5 : 5 + n]
        d, value, e = here[1 : 1 + n], here[3 : 3 + n], here[5 : 5 + n]
        f, g, h = below[1 : 1 + n], below[3 : 3 + n], below[5 : 5 + n]
        for x in range(n):
            low = min(a[x], b[x], c[x], d[x], e[x], f[x], g[x], h[x])
            high = max(a[x], b[x], c[x], d[x], e[x], f[x], g[x], h[x])
            v, least, most = np.int32(value[x]), np.int32(low), np.int32(high)
            to[x] = max(v - most, least - v) > factor * np.float32(most - least) + floor
