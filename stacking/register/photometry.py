"""How much brighter one frame is than another, from blocks of light that hardly know what is in focus.

Defocus moves light about and keeps its sum. So the mean *linear* light of blocks wider than the blur is the same in a sharp and a
blurred frame, where the mean of encoded values is not (they are concave in light); every frame is therefore compared directly with
the reference, however far apart, and no error builds up along the stack.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stacking.register.coarse import warp_back
from stacking.register.features import Map
from stacking.register.similarity import Similarity

_LEAST_VALUE = 0.04
_LEAST_BLOCKS = 16
_LUMA = np.array([0.299, 0.587, 0.114])


def encoded_ratio(old: Map, new: Map, guess: Similarity, factor: float) -> float | None:
    """Return the robust ratio of encoded values new / old of two brightness maps; None where too little is in common.

    Parameters
    ----------
    old, new : ndarray, shape (rows, columns), float32
        From :func:`stacking.register.features.brightness`.
    guess : Similarity
        From old to new, full-resolution pixels.
    factor : float
        Full-resolution pixels per block.
    """
    warped, usable = _aligned(old, new, guess, factor)
    if int(usable.sum()) < _LEAST_BLOCKS:
        return None
    return float(np.exp(np.median(np.log(warped[usable] / old[usable]))))


def colour_ratio(old: Map, new: Map, guess: Similarity, factor: float) -> NDArray[np.float64] | None:
    """Return the ratio new / old of each of three channels over that of luma: white-balance drift without brightness.

    Parameters as :func:`encoded_ratio`, with three channels; shape (3,), float64, luma-weighted mean of the logarithms 0.
    """
    warped, usable = _aligned(old, new, guess, factor)
    if int(usable.sum()) < _LEAST_BLOCKS:
        return None
    logs = np.array([np.median(np.log(warped[usable, c] / old[usable, c])) for c in range(3)])
    return np.asarray(np.exp(logs - float(_LUMA @ logs)), np.float64)


def _aligned(old: Map, new: Map, guess: Similarity, factor: float) -> tuple[Map, NDArray[np.bool_]]:
    warped, valid = warp_back(new, guess, factor, old.shape)
    if old.ndim == 3:
        return warped, valid & (old.min(2) > _LEAST_VALUE) & (warped.min(2) > _LEAST_VALUE)
    return warped, valid & (old > _LEAST_VALUE) & (warped > _LEAST_VALUE)
