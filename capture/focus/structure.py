"""How much of each block of a live frame shows structure: the area that a block stands for.

A hair fills a part of the block through which it goes, and smooth ground beside it none of its own; counted as whole blocks, hairs
would outweigh all else.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

_SIDE_PX = 3
# Least contrast, as a standard deviation of the encoded light (0 to 1), and least variance against that of the noise.
_CONTRAST = 0.006
_ABOVE_NOISE = 2.0
_NOISE_PX = 31


def encoded(light: F32) -> F32:
    """Linear light, 0 to 1, about as an eye would have it."""
    return np.asarray(np.sqrt(np.maximum(light, np.float32(0))), np.float32)


def noise_variance(one: F32, other: F32) -> F32:
    """Of the encoded light, round every pixel, from two frames of one position in linear light; how bright each is does not matter."""
    ratio = float(one.mean()) / max(float(other.mean()), 1e-6)
    difference = encoded(one) - encoded(np.asarray(other * np.float32(ratio), np.float32))
    return np.asarray(cv2.blur(difference * difference * np.float32(0.5), (_NOISE_PX, _NOISE_PX)), np.float32)


def structured_share(light: F32, noise: F32, stride_px: int) -> F32:
    """Share of each block's pixels that show more contrast within three pixels than noise does.

    Parameters
    ----------
    light, noise : ndarray, shape (rows, columns), float32
        The frame in linear light, and what `noise_variance` told.
    stride_px : int
        Distance between neighbouring blocks, as of the band energies.

    Returns
    -------
    ndarray, shape (block rows, block columns), float32, 0 to 1
    """
    seen = encoded(light)
    side = (_SIDE_PX, _SIDE_PX)
    mean = cv2.blur(seen, side)
    variance = cv2.blur(seen * seen, side) - mean * mean - noise * np.float32(1 - 1 / _SIDE_PX**2)
    structured = (variance > np.maximum(np.float32(_CONTRAST**2), np.float32(_ABOVE_NOISE) * noise)).astype(np.float32)
    return np.asarray(cv2.blur(structured, (stride_px, stride_px))[::stride_px, ::stride_px], np.float32)
