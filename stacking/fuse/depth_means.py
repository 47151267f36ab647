"""Means of a plane within the surfaces of a picture: over windows by a guided filter, over the whole picture along its tree."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

# Variance of colour (0 to 1) that the guided filter smooths over, and the change of colour over which the tree's weight falls to 1/e.
_SMOOTHED_VARIANCE = 1e-3
TREE_CHANGE = 0.2


class GuidedMean:
    """Mean within the surfaces of a gray or colour picture (He, Sun and Tang 2013, eq. 5 and 19).

    Parameters
    ----------
    guide : ndarray (rows, columns) or (rows, columns, 3), float32, 0 to 1
    reach : int
        Cells from the centre of the window to its border; in a small picture less, as a window would be most of it.
    """

    def __init__(self, guide: F32, reach: int) -> None:
        self._reach = max(2, min(reach, min(guide.shape[:2]) // 8))
        planes = [guide] if guide.ndim == 2 else [guide[..., c] for c in range(3)]
        self._guide = [np.ascontiguousarray(p) for p in planes]
        self._mean = [self._box(g) for g in self._guide]
        covariance = {}
        for i in range(len(planes)):
            for j in range(i, len(planes)):
                product = self._box(self._guide[i] * self._guide[j]) - self._mean[i] * self._mean[j]
                covariance[i, j] = product + np.float32(_SMOOTHED_VARIANCE if i == j else 0.0)
        self._inverse: tuple[tuple[F32, ...], ...]
        if len(planes) == 1:
            self._inverse = ((np.float32(1.0) / covariance[0, 0],),)
            return
        a, b, c = covariance[0, 0], covariance[0, 1], covariance[0, 2]
        e, f, g = covariance[1, 1], covariance[1, 2], covariance[2, 2]
        cofactors = (e * g - f * f, c * f - b * g, b * f - c * e, a * g - c * c, b * c - a * f, a * e - b * b)
        determinant = a * cofactors[0] + b * cofactors[1] + c * cofactors[2]
        p, q, r, s, t, u = (k / determinant for k in cofactors)
        self._inverse = ((p, q, r), (q, s, t), (r, t, u))

    def __call__(self, values: F32) -> F32:
        """The mean of ``values`` (rows, columns) round each cell."""
        mean = self._box(values)
        with_guide = [self._box(g * values) - m * mean for g, m in zip(self._guide, self._mean, strict=True)]
        result: F32 = np.zeros_like(values)
        constant = mean
        for row, guide, guide_mean in zip(self._inverse, self._guide, self._mean, strict=True):
            slope = row[0] * with_guide[0]
            for factor, product in zip(row[1:], with_guide[1:], strict=True):
                slope = slope + factor * product
            constant = constant - slope * guide_mean
            result += self._box(slope) * guide
        return np.asarray(result + self._box(constant), np.float32)

    def _box(self, plane: F32) -> F32:
        size = 2 * self._reach + 1
        return np.asarray(cv2.blur(plane, (size, size), borderType=cv2.BORDER_REFLECT), np.float32)


class TreeSum:
    """Weighted sum over the whole picture, along its minimum spanning tree (Yang 2012).

    Parameters
    ----------
    guide : ndarray (rows, columns) or (rows, columns, 3), float32, 0 to 1
    """

    def __init__(self, guide: F32) -> None:
        from stacking.fuse.depth_tree_kernels import span_tree

        self._shape = guide.shape[:2]
        colour = (guide if guide.ndim == 3 else guide[..., None]) * np.float32(255.0)
        right: NDArray[np.uint8] = np.zeros(self._shape, np.uint8)
        down: NDArray[np.uint8] = np.zeros(self._shape, np.uint8)
        right[:, :-1] = np.clip(np.abs(np.diff(colour, axis=1)).max(axis=2), 0, 255)
        down[:-1] = np.clip(np.abs(np.diff(colour, axis=0)).max(axis=2), 0, 255)
        cells = right.size
        self._order: NDArray[np.int32] = np.empty(cells, np.int32)
        self._parents: NDArray[np.int32] = np.empty(cells, np.int32)
        steps: NDArray[np.uint8] = np.empty(cells, np.uint8)
        span_tree(right, down, self._order, self._parents, steps)
        falling = np.exp(-np.arange(256) / (255.0 * TREE_CHANGE)).astype(np.float32)
        self._shares = falling[steps]

    def __call__(self, values: F32) -> F32:
        """The sum of ``values`` (rows, columns) as each cell sees it."""
        from stacking.fuse.depth_tree_kernels import sum_over_tree

        sums: F32 = np.empty(values.size, np.float32)
        flat = np.ascontiguousarray(values, np.float32).ravel()
        sum_over_tree(flat, self._order, self._parents, self._shares, sums)
        return sums.reshape(self._shape)
