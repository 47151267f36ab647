"""The compiled loop of `stacking.crop.largest_rectangle`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.compiled import compiled


@compiled("void(uint8[:,::1], int64[::1])")
def largest_rectangle_of(mask: NDArray[np.uint8], found: NDArray[np.int64]) -> None:
    """Write x, y, width, height of the largest rectangle of non-zero pixels into ``found``."""
    rows, columns = mask.shape
    height = np.zeros(columns + 1, np.int64)  # the last stays 0 and closes every rectangle
    starts = np.empty(columns + 1, np.int64)
    tops = np.empty(columns + 1, np.int64)
    best_area, best_x, best_y, best_width, best_height = 0, 0, 0, 0, 0
    for row in range(rows):
        for x in range(columns):
            height[x] = height[x] + 1 if mask[row, x] else 0
        depth = 0
        for x in range(columns + 1):
            start = x
            while depth > 0 and tops[depth - 1] > height[x]:
                depth -= 1
                start = starts[depth]
                width = x - start
                area = width * tops[depth]
                y = row + 1 - tops[depth]
                same = area == best_area and (y < best_y or (y == best_y and start < best_x))
                if area > best_area or (same and area > 0):
                    best_area, best_x, best_y, best_width, best_height = area, start, y, width, tops[depth]
            if height[x] > 0 and (depth == 0 or tops[depth - 1] < height[x]):
                starts[depth] = start
                tops[depth] = height[x]
                depth += 1
    found[0], found[1], found[2], found[3] = best_x, best_y, best_width, best_height
