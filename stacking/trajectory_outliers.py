"""Frames whose place stands out of the smooth path that the others follow over the rail: bumps, and subjects that moved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

_TIMES_SPREAD = 6.0
_LEAST_PX = 0.6
_NEIGHBOURS = 4


def pose_of(matrix: F64, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Shift of the picture's centre across and down in pixels, scale in percent over 100, rotation in degrees.

    Parameters
    ----------
    matrix : ndarray (2, 3)
        Reference to frame.
    size : (width, height)
    """
    centre = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2])
    shift = matrix[:, :2] @ centre + matrix[:, 2] - centre
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    turn = float(np.degrees(np.arctan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1])))
    return float(shift[0]), float(shift[1]), (scale - 1.0) * 100.0, turn


def outliers(positions: F64, poses: F64, longest_px: int) -> NDArray[np.bool_]:
    """Which values stand out of the line through their neighbours.

    A rail's own wander is not an outlier: each value is compared with the Theil-Sen line (Sen 1968) of its eight neighbours, and
    the spread is that of all such differences.

    Parameters
    ----------
    positions : ndarray (frames,)
    poses : ndarray (frames, 4)
        As `pose_of` gives them.
    longest_px : int
        Longest side of the picture: what is less than 0.6 px at its border does not count.

    Returns
    -------
    ndarray (frames, 4), bool
    """
    count = len(positions)
    found = np.zeros(poses.shape, np.bool_)
    if count < 5:
        return found
    order = np.argsort(positions, kind="stable")
    at, values = positions[order], poses[order]
    half = longest_px / 2
    least = np.array([_LEAST_PX, _LEAST_PX, 100 * _LEAST_PX / half, float(np.degrees(_LEAST_PX / half))])
    apart = np.zeros(values.shape)
    for k in range(count):
        # at the ends as many, from one side
        first = max(0, min(k - _NEIGHBOURS, count - 2 * _NEIGHBOURS - 1))
        near = [j for j in range(first, min(count, first + 2 * _NEIGHBOURS + 1)) if j != k]
        x, y = at[near] - at[k], values[near]
        dx = x[None] - x[:, None]
        upper = np.triu(np.abs(dx) > 1e-12, 1)
        slopes = (y[None] - y[:, None])[upper] / dx[upper][:, None]
        slope = np.median(slopes, axis=0) if len(slopes) else np.zeros(values.shape[1])
        apart[k] = values[k] - np.median(y - x[:, None] * slope, axis=0)
    spread = 1.4826 * np.median(np.abs(apart), axis=0)
    found[order] = np.abs(apart) > np.maximum(_TIMES_SPREAD * spread, least)
    return found
