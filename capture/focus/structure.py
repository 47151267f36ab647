"""What of a live frame shows structure of its own at the depth that is told for it: the area that a depth stands for.

Narrow bands tell depths well, but see a hair from ten pixels away, and so would draw thin things several times too wide. Contrast within
three pixels stays where it belongs: where something is in focus it is stronger than a few pixels of blur before and behind; what only
lies beside it shows nothing there, or more where its own depth is.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

F16 = NDArray[np.float16]
F32 = NDArray[np.float32]
F64 = NDArray[np.floating]

_SIDE_PX = 3
# Least contrast, as a standard deviation of the encoded light (0 to 1), and least variance against that of the noise.
_CONTRAST = 0.01
_ABOVE_NOISE = 2.0
_NOISE_PX = 31
_LEAST_CELL_PX, _MOST_CELLS = 2, 250_000


def encoded(light: F32) -> F32:
    """Linear light, 0 to 1, about as an eye would have it."""
    return np.asarray(np.sqrt(np.maximum(light, np.float32(0))), np.float32)


def noise_variance(one: F32, other: F32) -> F32:
    """Of the encoded light, round every pixel, from two frames of one position in linear light; how bright each is does not matter."""
    ratio = float(one.mean()) / max(float(other.mean()), 1e-6)
    difference = encoded(one) - encoded(np.asarray(other * np.float32(ratio), np.float32))
    return np.asarray(cv2.blur(difference * difference * np.float32(0.5), (_NOISE_PX, _NOISE_PX)), np.float32)


def cell_size_px(shape: tuple[int, int]) -> int:
    """Side of the cells in which contrast is kept, for frames of a shape."""
    return max(_LEAST_CELL_PX, round(math.sqrt(shape[0] * shape[1] / _MOST_CELLS)))


def in_cells(plane: F32, cell_px: int) -> F32:
    """Mean of `plane`, shape (rows, columns), in each cell; what is left of a cell at the lower and right border is dropped."""
    rows, columns = (side // cell_px for side in plane.shape)
    whole = np.ascontiguousarray(plane[: rows * cell_px, : columns * cell_px])
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def local_contrast(light: F32, noise: F32, cell_px: int) -> F16:
    """Variance of the encoded light within three pixels, without that of the noise.

    Parameters
    ----------
    light, noise : ndarray, shape (rows, columns), float32
        The frame in linear light, and what `noise_variance` told.
    cell_px : int

    Returns
    -------
    ndarray, shape (cell rows, cell columns), float16, 0 and more
    """
    seen = encoded(light)
    side = (_SIDE_PX, _SIDE_PX)
    mean = cv2.blur(seen, side)
    variance = cv2.blur(seen * seen, side) - mean * mean - noise * np.float32(1 - 1 / _SIDE_PX**2)
    return np.asarray(np.maximum(in_cells(np.asarray(variance, np.float32), cell_px), 0), np.float16)


def shows_at(positions: F64, contrast: F16, noise: F32, places: F64, apart: float) -> NDArray[np.bool_]:
    """Cells that show more contrast at the places told for them than `apart` before and behind, and more than noise does.

    Parameters
    ----------
    positions : ndarray, shape (frames,)
        Growing.
    contrast : ndarray, shape (frames, cell rows, cell columns)
        As of `local_contrast`.
    noise : ndarray, shape (cell rows, cell columns)
        Variance of the noise.
    places : ndarray, shape (cell rows, cell columns)
        NaN where none is told.
    apart : float
        In the unit of the positions.
    """
    last = len(positions) - 1
    place = np.nan_to_num(places, nan=float(positions[0]))

    def taken(index: NDArray[np.intp]) -> F32:
        inside = (index >= 0) & (index <= last)
        found = np.take_along_axis(contrast, np.clip(index, 0, last)[None], axis=0)[0].astype(np.float32)
        return np.where(inside, found, np.float32(0))

    behind = np.searchsorted(positions, place)
    here = np.maximum(taken(behind - 1), taken(behind))
    beside = np.maximum(
        taken(np.searchsorted(positions, place - apart, side="right") - 1),
        taken(np.searchsorted(positions, place + apart)),
    )
    least = np.maximum(np.float32(_CONTRAST**2), np.float32(_ABOVE_NOISE) * noise)
    return np.asarray(np.isfinite(places) & (here > least) & (here > beside))
