"""The compiled loop of `stacking.develop_defects`: one look at every pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.compiled import compiled


@compiled("void(uint16[:, ::1], float32, float32, boolean[:, ::1])")
def mark_spikes(samples: NDArray[np.uint16], factor: np.float32, floor: np.float32, marks: NDArray[np.bool_]) -> None:
    """Mark pixels farther from their eight nearest of the same colour than `factor` times their range plus `floor`."""
    rows, columns = samples.shape
    for y in range(3, rows - 3):
        for x in range(3, columns - 3):
            value = np.int64(samples[y, x])
            left = np.int64(samples[y, x - 2])
            right = np.int64(samples[y, x + 2])
            if not (value > max(left, right) + floor or value < min(left, right) - floor):
                continue
            low = min(left, right)
            high = max(left, right)
            for dy in (-2, 2):
                for dx in (-2, 0, 2):
                    other = np.int64(samples[y + dy, x + dx])
                    low = min(low, other)
                    high = max(high, other)
            distance = value - high if value > left else low - value
            if distance > factor * (high - low) + floor:
                marks[y, x] = True
