"""How much brighter one frame is than another, from blocks of light that hardly know what is in focus.

Defocus moves light about and keeps its sum. So the mean *linear* light over an area wider than the blur is the same in a sharp and a
blurred frame, where the mean of encoded values is not (they are concave in light); every frame is therefore compared directly with
the reference, however far apart, and no error builds up along the stack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.register.coarse import warp_back
from stacking.register.features import GAMMA, Map
from stacking.register.similarity import Similarity

_LEAST_LIGHT = 0.001
_LEAST_BLOCKS = 16
_SMOOTHING = 2.0
_PECULIAR_LIGHT = 0.15
_STRAY_LEVEL = float(np.log(1.25))


def encoded_ratio(old: Map, new: Map, guess: Similarity, factor: float) -> float | None:
    """Return the robust ratio of encoded values new / old of two maps of light; None where too little is in common.

    Parameters
    ----------
    old, new : ndarray, shape (rows, columns), float32
        From :func:`stacking.register.features.mean_light`: -1 where clipped. Both lose the blocks that one lacks,
        then both are smoothed: what blur carried across a block's border stays within.
    guess : Similarity
        From old to new, full-resolution pixels.
    factor : float
        Full-resolution pixels per block.
    """
    ratios = encoded_ratios(old[:, :, None], new[:, :, None], guess, factor)
    return None if ratios is None else float(ratios[0])


def encoded_ratios(old: Map, new: Map, guess: Similarity, factor: float) -> NDArray[np.float64] | None:
    """The same of each channel of two maps of shape (rows, columns, channels); None where any has too little in common."""
    known = (new[:, :, 0] >= 0).astype(np.float32)
    there, valid = warp_back(known, guess, factor, old.shape)
    common = (valid & (there > 0.999) & (old[:, :, 0] >= 0)).astype(np.float32)
    share = cv2.GaussianBlur(common, (0, 0), _SMOOTHING)
    usable = (common > 0) & (share > 0.5)
    out = np.empty(old.shape[2])
    for c in range(old.shape[2]):
        warped, _ = warp_back(np.ascontiguousarray(new[:, :, c]), guess, factor, old.shape)
        one = cv2.GaussianBlur(old[:, :, c] * common, (0, 0), _SMOOTHING)
        two = cv2.GaussianBlur(warped * common, (0, 0), _SMOOTHING)
        lit = usable & (one > _LEAST_LIGHT * share) & (two > _LEAST_LIGHT * share)
        if int(lit.sum()) < _LEAST_BLOCKS:
            return None
        logs, weight = np.log(two[lit] / one[lit]) / GAMMA, (one[lit] / share[lit]) ** (1 / GAMMA)
        order = np.argsort(logs)
        summed = np.cumsum(weight[order])
        out[c] = np.exp(logs[order][np.searchsorted(summed, summed[-1] / 2)])
    return out


def peculiar_levels(frames: Sequence[int], gains: Mapping[int, NDArray[np.float64]]) -> dict[int, float]:
    """Frames whose light stands out of the others', and the natural logarithm of how much they have more."""
    levels = np.log([gains[k].mean() for k in frames])
    levels = (np.median(levels) - levels) * GAMMA
    usual = 6 * float(np.median(np.abs(levels)))
    strays = int(np.sum(np.abs(levels) > _STRAY_LEVEL))
    if strays <= max(1, len(levels) // 4):  # where all flicker, what few do is seen all the same
        usual = min(usual, _STRAY_LEVEL)
    return {
        k: float(level)
        for k, level in zip(frames, levels, strict=True)
        if abs(np.expm1(level)) > _PECULIAR_LIGHT and abs(level) > usual
    }
